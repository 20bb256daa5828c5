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
/** A plot never gets more steps than this. */
const STEP_LIMIT = 400;

/** @param {PromiseData} data @returns {PromiseData} */
function thinned(data) {
    const { steps } = data;
    if (steps.length <= STEP_LIMIT) return data;
    const every = (steps.length - 1) / (STEP_LIMIT - 1);
    return { ...data, steps: Array.from({ length: STEP_LIMIT }, (_, i) => steps[Math.round(i * every)]) };
}

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
    const all = /** @type {PromiseData} */ (run.data.promise.state.value.data);
    if (!all.steps.length) return placeholder(about, { height: 280, awaited: "", empty });
    const { promise, promised, promiseDomain, fell } = drawn();
    const data = thinned(all);
    const y = axes.get("promise", () => promiseDomain(data));
    const best = promiseDomain(data);
    const both = all.steps.filter((step) => fell(step) != null);
    const kept = both.filter((step) => Number(fell(step)) >= promised(step)).length;
    const rose = both.filter((step) => Number(fell(step)) < 0).length;
    const beyond = data.steps.filter(
        (step) =>
            promised(step) > y[1] || promised(step) < y[0] || Number(fell(step)) < y[0] || Number(fell(step)) > y[1],
    ).length;
    const fillOf = (/** @type {import("../colour.js").Theme} */ now) => (/** @type {number} */ site) =>
        countColour(1 - site / Math.max(1, all.sites.length - 1), now);
    const options = (/** @type {import("../colour.js").Theme} */ now) => ({
        y,
        end: lastStep([run], [all.steps[all.steps.length - 1].step]),
        logStep: isLogStep(),
        fill: fillOf(now),
        name: "Fall of the loss, promised and measured, by step",
    });
    const last = all.steps[all.steps.length - 1];
    const readings = [];
    if (both.length)
        readings.push(
            `The loss fell as far as promised at ${int(kept)} of ${plural(both.length, "probed step")}, and rose at ${int(rose)}.`,
        );
    else readings.push(`At step ${int(last.step)} the step promises a fall of ${num(promised(last))}.`);
    const totals = all.sites.map((site, i) => ({
        i,
        site,
        sum: all.steps.reduce((sum, step) => sum + Math.max(0, step.sites[i] ?? 0), 0),
    }));
    totals.sort((a, b) => b.sum - a.sum);
    const named = totals.slice(0, NAMED).sort((a, b) => a.i - b.i);
    const parts = [
        "Stacked: the fall of the batch’s loss that each site’s step promises to first order (predicted decrease).",
        "Line: the fall that was measured on the same batch, loss before less loss after. The gap is what the first-order picture misses.",
    ];
    if (!both.length) parts.push("The loss before and after a step was not logged by this run.");
    if (beyond) parts.push(`${plural(beyond, "step")} beyond the axis.`);
    if (data.steps.length < all.steps.length)
        parts.push(`${int(data.steps.length)} of ${int(all.steps.length)} steps drawn.`);
    parts.push(`${plural(all.steps.length, "probed step")}, one batch each; layer view.`);
    const now = theme.value;
    return figure({
        ...about,
        runs: [run.id],
        settings: fitButton(best.join() !== y.join(), () => axes.fit("promise")),
        body: plotHost({
            deps: [all, y, isLogStep(), now, run.growing],
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
        exportNote: `From the bottom: ${all.sites.join(", ")}.`,
        caption: parts.join(" "),
        table: () => ({
            columns: [
                { name: "step", numeric: true, format: int },
                { name: "measured", numeric: true, format: num },
                { name: "promised", numeric: true, format: num },
                ...all.sites.map((name) => ({ name, numeric: true, format: num })),
                ...all.sites.map((name) => ({ name: `own share, ${name}`, numeric: true, format: num })),
            ],
            rows: all.steps.map((step) => [step.step, fell(step), promised(step), ...step.sites, ...step.own]),
        }),
        drawings: async () => [promise(data, options("light"), 640).nodes],
        stale: staleOf([run.data.promise]),
    });
}
