/** F9 as a figure. */
import { html } from "lit-html";
import { countColour } from "../colour.js";
import { css } from "../dom.js";
import { figure, placeholder, plotHost } from "../figure.js";
import { int, num, plural } from "../format.js";
import { theme } from "../theme.js";
import { awaiting, drawn, fitButton, isLogStep, lastStep, staleOf } from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../figure_data.js").PromiseData} PromiseData */

/** The sites that add most to the promise are named; a colour by depth for each. */
const NAMED = 6;
/**
 * @param {Run} run
 * @param {{ cls: string, empty: import("../dom.js").Part, axes: import("../axes.js").AxisKeeper }} o
 */
export function promiseFigure(run, { cls, empty, axes }) {
    const about = { id: "promise", title: "Promise and outcome", cls };
    const waiting = awaiting(about, [run.data.promise], {
        height: 280,
        awaited: "Reading the figures of the batches.",
    });
    if (waiting) return waiting;
    const data = /** @type {PromiseData} */ (run.data.promise.state.value.data);
    if (!data.steps.length) return placeholder(about, { height: 280, awaited: "", empty });
    const { promise, promised, promiseDomain, fell } = drawn();
    const y = axes.get("promise", () => promiseDomain(data));
    const best = promiseDomain(data);
    const beyond = data.steps.filter(
        (step) =>
            promised(step) > y[1] || promised(step) < y[0] || Number(fell(step)) < y[0] || Number(fell(step)) > y[1],
    ).length;
    const fillOf = (/** @type {import("../colour.js").Theme} */ now) => (/** @type {number} */ site) =>
        countColour(1 - site / Math.max(1, data.sites.length - 1), now);
    const options = (/** @type {import("../colour.js").Theme} */ now) => ({
        y,
        end: lastStep([run], [data.steps[data.steps.length - 1].step]),
        logStep: isLogStep(),
        fill: fillOf(now),
        name: "Fall of the loss, promised and measured, by step",
    });
    const last = data.steps[data.steps.length - 1];
    const readings = [];
    if (data.measured)
        readings.push(
            `The loss fell as far as promised at ${int(data.kept)} of ${plural(data.measured, "probed step")}, and rose at ${int(data.rose)}.`,
        );
    else readings.push(`At step ${int(last.step)} the step promises a fall of ${num(promised(last))}.`);
    const totals = data.sites.map((site, i) => ({
        i,
        site,
        sum: data.steps.reduce((sum, step) => sum + Math.max(0, step.sites[i] ?? 0), 0),
    }));
    totals.sort((a, b) => b.sum - a.sum);
    const named = totals.slice(0, NAMED).sort((a, b) => a.i - b.i);
    const parts = [
        "Stacked: the fall of the batch’s loss that each site’s step promises to first order (predicted decrease).",
        "Line: the fall that was measured on the same batch, loss before less loss after. The gap is what the first-order picture misses.",
    ];
    if (!data.measured) parts.push("The loss before and after a step was not logged by this run.");
    if (beyond) parts.push(`${plural(beyond, "step")} beyond the axis.`);
    if (data.steps.length < data.of)
        parts.push(
            `${int(data.steps.length)} of ${int(data.of)} steps drawn: of each stretch those of the least and the greatest fall.`,
        );
    parts.push(`${plural(data.of, "probed step")}, one batch each; layer view.`);
    const now = theme.value;
    return figure({
        ...about,
        runs: [run.id],
        settings: fitButton(best.join() !== y.join(), () => axes.fit("promise")),
        body: plotHost({
            deps: [data, y, isLogStep(), now, run.growing],
            height: 280,
            draw: (width) => promise(data, options(now), width),
        }),
        key: html`<ul class="swatches" aria-label="Sites">
            ${named.map(({ i, site }) => html`<li><i ${css({ "background-color": fillOf(now)(i) })}></i>${site}</li>`)}
            ${
                totals.length > NAMED
                    ? html`<li class="faint">and ${int(totals.length - NAMED)} more, by depth</li>`
                    : ""
            }
        </ul>`,
        reading: readings.join(" "),
        exportNote: `From the bottom: ${data.sites.join(", ")}.`,
        caption: parts.join(" "),
        table: () => ({
            columns: [
                { name: "step", numeric: true, format: int },
                { name: "measured", numeric: true, format: num },
                { name: "promised", numeric: true, format: num },
                ...data.sites.map((name) => ({ name, numeric: true, format: num })),
                ...data.sites.map((name) => ({ name: `own share, ${name}`, numeric: true, format: num })),
            ],
            rows: data.steps.map((step) => [step.step, fell(step), promised(step), ...step.sites, ...step.own]),
        }),
        drawings: async () => [promise(data, options("light"), 640).nodes],
        stale: staleOf([run.data.promise]),
    });
}
