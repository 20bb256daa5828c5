/** F0 as a figure. */
import { figure, placeholder, plotHost } from "../figure.js";
import { variant } from "../dom.js";
import { int, list, num, wholePercent } from "../format.js";
import { html } from "lit-html";
import {
    awaiting,
    axisKey,
    countText,
    drawn,
    fitButton,
    isSelfPart,
    partSwitch,
    seedsText,
    staleOf,
    stepsText,
} from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../plots/glance.js").GlanceRow} GlanceRow */

const ABOUT = { id: "glance", title: "Layer types at a glance" };
const QUANTILES = ["5", "25", "50", "75", "95"];

/**
 * A row a site and run. Layer types stand in the order in which they first appear, their sites in depth order.
 * @param {Run[]} runs
 * @param {boolean} selfPart
 * @returns {GlanceRow[]}
 */
function rowsOf(runs, selfPart) {
    const all = runs.flatMap((run, index) => {
        const { scale, self } = run.data.glance.state.value.data ?? { scale: [], self: [] };
        const about = new Map((run.data.sites.state.value.data?.sites ?? []).map((site) => [site.name, site]));
        const factors = new Map(self.map((item) => [item.site, item]));
        return (selfPart ? self : scale)
            .filter((item) => item.count > 0)
            .map((item) => {
                const site = about.get(item.site);
                const known = site?.variant ?? run.variant;
                return {
                    type: site ? [site.type, site.part].filter(Boolean).join(" ") : "",
                    site: item.site,
                    order: site?.index ?? 0,
                    run: index,
                    variant: known,
                    hollow: run.hollow,
                    quantiles: item.quantiles,
                    below: item.nonpositive / Math.max(1, item.count),
                    self: factors.get(item.site)?.quantiles["50"] ?? null,
                };
            });
    });
    const types = [...new Set(all.map((row) => row.type))];
    return all.sort((a, b) => types.indexOf(a.type) - types.indexOf(b.type) || a.order - b.order || a.run - b.run);
}

/** The medians in words. @param {GlanceRow[]} rows @param {Run[]} runs */
function reading(rows, runs) {
    const known = rows.filter((row) => row.quantiles["50"] != null);
    if (!known.length) return "";
    const parts = runs.flatMap((run, index) => {
        const mine = known.filter((row) => row.run === index);
        if (!mine.length) return [];
        mine.sort((a, b) => Number(a.quantiles["50"]) - Number(b.quantiles["50"]));
        const [low, high] = [mine[0], mine[mine.length - 1]];
        const text = (/** @type {GlanceRow} */ row) => num(row.quantiles["50"]);
        if (runs.length > 1) return [`${run.label} ${text(low)}${text(low) === text(high) ? "" : ` to ${text(high)}`}`];
        return [
            low === high
                ? `${text(low)} at ${low.site}`
                : `${text(low)} at ${low.site} to ${text(high)} at ${high.site}`,
        ];
    });
    const lead = isSelfPart() ? "Medians predicted for a sample alone" : "Medians";
    const [first, ...others] = parts;
    return `${lead}: ${[`${first} times the ideal step`, ...others].join(", ")}.`;
}

/** @param {Run[]} runs @param {boolean} selfPart */
function caption(runs, selfPart) {
    const items = runs.flatMap((run) => {
        const data = run.data.glance.state.value.data;
        return (selfPart ? data?.self : data?.scale) ?? [];
    });
    const shown = items.filter((item) => item.count > 0);
    const gone = items.reduce((sum, item) => sum + item.undefined, 0);
    const missing = items.filter((item) => !item.count).map((item) => item.site);
    const parts = ["Marker: median; thick: 25–75 %; thin: 5–95 %, with ◀ or ▶ where it goes on beyond the axis."];
    parts.push(
        selfPart
            ? "The self part equals its self factor by construction, and is no evidence."
            : "Upright bar: the self factor’s median, which theory predicts for a sample alone. Left: share of samples with scale ≤ 0, which a log axis cannot show.",
    );
    if (missing.length) parts.push(`No ${selfPart ? "self factor" : "scale"} at ${list([...new Set(missing)])}.`);
    parts.push(`${stepsText(items[0]?.steps ?? [])}, pooled by merging histograms; layer view.`);
    if (shown.length)
        parts.push(
            `${countText(
                shown.map((item) => item.count),
                "a row",
            )}, ${int(gone)} undefined.`,
        );
    return parts.join(" ") + seedsText(runs);
}

/** @param {Run[]} runs @param {GlanceRow[]} rows @returns {import("../figure.js").Table} */
const table = (runs, rows) => ({
    columns: [
        { name: "run" },
        { name: "site" },
        { name: "type" },
        { name: "variant" },
        { name: "share ≤ 0", numeric: true, format: wholePercent },
        ...QUANTILES.map((p) => ({ name: `${p} %`, numeric: true, format: num })),
        { name: "self factor, median", numeric: true, format: num },
    ],
    rows: rows.map((row) => [
        runs[row.run].label,
        row.site,
        row.type,
        row.variant,
        row.below,
        ...QUANTILES.map((p) => row.quantiles[p] ?? null),
        row.self,
    ]),
});

/**
 * @param {Run[]} runs
 * @param {{ cls: string, axes: import("../axes.js").AxisKeeper, empty: import("../dom.js").Part }} o
 */
export function glanceFigure(runs, { cls, axes, empty }) {
    const about = { ...ABOUT, cls };
    const readings = runs.map((run) => run.data.glance);
    const waiting = awaiting(about, readings, { height: 240, awaited: "Reading the summaries of all sites." });
    if (waiting) return waiting;
    const module = drawn();
    const selfPart = isSelfPart();
    const rows = rowsOf(runs, selfPart);
    if (!rows.length) return placeholder(about, { height: 240, awaited: "", empty });

    const key = axisKey(`glance ${selfPart}`, runs);
    const domain = axes.get(key, () => module.glanceDomain(rows));
    const best = module.glanceDomain(rows);
    const options = {
        domain,
        labels: runs.map((run) => run.label),
        quantity: selfPart ? "self part of scale" : "scale",
        self: !selfPart,
        name: `${selfPart ? "Self factor" : "Scale"} by layer type and site`,
    };
    const height = module.glanceHeight(rows);
    return figure({
        ...about,
        runs: runs.flatMap((run) => run.ids),
        settings: html`${fitButton(best.join() !== domain.join(), () => axes.fit(key))} ${partSwitch()}`,
        body: html`<div class="keyed">
            ${
                runs.length > 1
                    ? html`<div class="key">
                          ${runs.map((run) => variant(run.variant, run.label, run.hollow || undefined))}
                      </div>`
                    : ""
            }
            ${plotHost({
                deps: [domain, selfPart, ...readings.map((r) => r.state.value.data), runs.map((r) => r.label).join()],
                height,
                draw: (width) => ({ nodes: [module.glancePlot(rows, options, width)] }),
            })}
        </div>`,
        reading: reading(rows, runs),
        caption: caption(runs, selfPart),
        table: () => table(runs, rows),
        drawings: async () => [[module.glancePlot(rows, options, 880)]],
        stale: staleOf(readings),
    });
}
