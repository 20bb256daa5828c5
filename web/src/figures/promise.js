/** F9 as a figure: a panel a run. */
import { html } from "lit-html";
import { countColour } from "../colour.js";
import { css } from "../dom.js";
import { figure, placeholder } from "../figure.js";
import { int, num, plural } from "../format.js";
import { theme } from "../theme.js";
import {
    awaiting,
    axisKey,
    drawn,
    fitButton,
    headed,
    isLogStep,
    lastStep,
    leadOf,
    nameAmong,
    panelsView,
    seedsText,
    staleOf,
} from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../figure_data.js").PromiseData} PromiseData */

/** The sites that add most to the promise are named; a colour by depth for each. */
const NAMED = 6;

/** What one run shows. @param {PromiseData} data @param {string} lead */
function reading({ steps, measured, kept, rose }, lead) {
    const last = steps[steps.length - 1];
    if (!measured)
        return `${lead}${lead ? "at" : "At"} step ${int(last.step)} the step promises a fall of ${num(drawn().promised(last))}.`;
    return `${lead}${lead ? "the" : "The"} loss fell as far as promised at ${int(kept)} of ${plural(measured, "probed step")}, and rose at ${int(rose)}.`;
}

/**
 * @param {Run[]} runs
 * @param {{ cls: string, empty: import("../dom.js").Part, axes: import("../axes.js").AxisKeeper }} o
 */
export function promiseFigure(runs, { cls, empty, axes }) {
    const about = { id: "promise", title: "Promise and outcome", cls };
    const readings = runs.map((run) => run.data.promise);
    const waiting = awaiting(about, readings, {
        height: 280,
        awaited: "Reading the figures of the batches.",
    });
    if (waiting) return waiting;
    const panels = runs.flatMap((run) => {
        const data = /** @type {PromiseData} */ (run.data.promise.state.value.data);
        return data.steps.length ? [{ run, data }] : [];
    });
    if (!panels.length) return placeholder(about, { height: 280, awaited: "", empty });
    const { promise, promised, promiseDomain, fell } = drawn();
    const steps = panels.flatMap(({ data }) => data.steps);
    const key = axisKey("promise", runs);
    const y = axes.get(key, () => promiseDomain(steps));
    const best = promiseDomain(steps);
    const outside = (/** @type {number | null} */ v) => v != null && (v < y[0] || v > y[1]);
    const beyond = steps.filter((step) => outside(promised(step)) || outside(fell(step))).length;
    const sites = [...new Set(panels.flatMap(({ data }) => data.sites))];
    const end = lastStep(
        runs,
        panels.map(({ data }) => data.steps[data.steps.length - 1].step),
    );
    const fillOf = (/** @type {import("../colour.js").Theme} */ now) => (/** @type {string} */ site) =>
        countColour(1 - sites.indexOf(site) / Math.max(1, sites.length - 1), now);
    const optionsOf = (/** @type {Run} */ run, /** @type {import("../colour.js").Theme} */ now) => ({
        y,
        end,
        logStep: isLogStep(),
        fill: fillOf(now),
        name: `Fall of the loss, promised and measured, by step${runs.length > 1 ? `, ${run.label}` : ""}`,
    });
    const totals = new Map(sites.map((site) => [site, 0]));
    for (const { data } of panels)
        for (const step of data.steps)
            data.sites.forEach((site, i) => {
                totals.set(site, Number(totals.get(site)) + Math.max(0, step.sites[i] ?? 0));
            });
    const most = [...sites].sort((a, b) => Number(totals.get(b)) - Number(totals.get(a))).slice(0, NAMED);
    const named = sites.filter((site) => most.includes(site));
    const parts = [
        "Stacked: the fall of the batch’s loss that each site’s step promises to first order (predicted decrease).",
        "Line: the fall that was measured on the same batch, loss before less loss after. The gap is what the first-order picture misses.",
    ];
    if (panels.some(({ data }) => !data.measured))
        parts.push("Where there is no line, the loss before and after a step was not logged.");
    if (beyond) parts.push(`${plural(beyond, "step")} beyond the axis.`);
    const shown = Math.max(...panels.map(({ data }) => data.steps.length));
    const of = Math.max(...panels.map(({ data }) => data.of));
    if (shown < of)
        parts.push(
            `${int(shown)} of ${int(of)} steps drawn: of each stretch ${panels[0].data.even ? "the last" : "those of the least and the greatest fall"}.`,
        );
    parts.push(`${plural(of, "probed step")}, one batch each; layer view.`);
    if (runs.some((run) => run.ids.length > 1)) parts.push("A height is the mean of the seeds’ that are defined.");
    const now = theme.value;
    return figure({
        ...about,
        runs: runs.flatMap((run) => run.ids),
        settings: fitButton(best.join() !== y.join(), () => axes.fit(key)),
        body: panelsView(
            panels.map(({ run, data }) => ({
                run,
                plot: {
                    deps: [data, y, end, sites.join(), isLogStep(), now],
                    height: 280,
                    draw: (width) => promise(data, optionsOf(run, now), width),
                },
            })),
            runs.length > 1,
        ),
        key: html`<ul class="swatches" aria-label="Sites">
            ${named.map((site) => html`<li><i ${css({ "background-color": fillOf(now)(site) })}></i>${site}</li>`)}
            ${sites.length > NAMED ? html`<li class="faint">and ${int(sites.length - NAMED)} more, by depth</li>` : ""}
        </ul>`,
        reading: panels.map(({ run, data }) => reading(data, leadOf(run, runs))).join(" "),
        exportNote: `From the bottom: ${sites.join(", ")}.`,
        caption: parts.join(" ") + seedsText(runs),
        table: () => ({
            columns: [
                { name: "run" },
                { name: "step", numeric: true, format: int },
                { name: "measured", numeric: true, format: num },
                { name: "promised", numeric: true, format: num },
                ...sites.map((name) => ({ name, numeric: true, format: num })),
                ...sites.map((name) => ({ name: `own share, ${name}`, numeric: true, format: num })),
            ],
            rows: panels.flatMap(({ run, data }) => {
                const places = sites.map((site) => data.sites.indexOf(site));
                const at = (/** @type {(number | null)[]} */ values) => places.map((i) => values[i] ?? null);
                return data.steps.map((step) => [
                    run.label,
                    step.step,
                    fell(step),
                    promised(step),
                    ...at(step.sites),
                    ...at(step.own),
                ]);
            }),
        }),
        drawings: async () => [
            panels.map(({ run, data }) =>
                headed(promise(data, optionsOf(run, "light"), 640).nodes[0], nameAmong(run, runs)),
            ),
        ],
        stale: staleOf(readings),
    });
}
