/** F4 as a figure. */
import { html } from "lit-html";
import { segments } from "../dom.js";
import { figure, placeholder, plotHost } from "../figure.js";
import { int, num, percent, plural } from "../format.js";
import { param, setQuery } from "../router.js";
import { awaiting, countText, drawn, fitButton, staleOf, stepsText, variantAt } from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../figure_data.js").RidgesData} RidgesData */

/** Whether a row is a site; else it is a stretch of steps. */
export const ridgesBySite = () => param("rows") === "site";

const rowSwitch = () =>
    segments(
        "A row is",
        [
            { key: "step", name: "by step" },
            { key: "site", name: "by site" },
        ],
        ridgesBySite() ? "site" : "step",
        (key) => setQuery({ rows: key === "site" ? "site" : null }),
    );

/**
 * @param {Run} run
 * @param {string} site
 * @param {{ cls: string, step: number | null, network: boolean, empty: import("../dom.js").Part,
 *     axes: import("../axes.js").AxisKeeper }} o
 */
export function ridgesFigure(run, site, { cls, step, network, empty, axes }) {
    const bySite = ridgesBySite();
    const about = { id: "ridges", title: bySite ? "Distributions by site" : `Distributions at ${site}`, cls };
    const column = network ? "network_scale" : "scale";
    const waiting = awaiting(about, [run.data.ridges], {
        height: 480,
        awaited: "Reading the histograms.",
        loaded: (data) => data?.bySite === bySite && data.column === column && (bySite || data.site === site),
    });
    if (waiting) return waiting;
    const { ridgeLines, ridgesDomain, ridgesHeight, ridgesOutside, ridgeMedian, belowShare } = drawn();
    const { ridges: all } = /** @type {RidgesData} */ (run.data.ridges.state.value.data);
    const ridges = all.filter((ridge) => ridge.count);
    if (!ridges.length) return placeholder(about, { height: 480, awaited: "", empty });
    const key = `ridges ${bySite} ${site} ${network}`;
    const x = axes.get(key, () => ridgesDomain(ridges));
    const best = ridgesDomain(ridges);
    const options = {
        x,
        variant: (/** @type {{ label: string }} */ ridge) => variantAt(run, bySite ? ridge.label : site),
        bySite,
        quantity: network ? "network scale" : "scale",
        name: `Distributions of ${network ? "network scale" : "scale"} by ${bySite ? "site" : "steps"}`,
    };
    const outside = ridgesOutside(ridges, x);
    const gone = ridges.reduce((sum, ridge) => sum + ridge.undefined, 0);
    const [first, last] = [ridges[0], ridges[ridges.length - 1]];
    const stretch = (/** @type {typeof first} */ r) => (bySite ? r.label : `steps ${int(r.from)} to ${int(r.to)}`);
    const shareText = (/** @type {typeof first} */ r) => `${num(ridgeMedian(r))} (${percent(belowShare(r))} ≤ 0)`;
    const what = bySite
        ? stepsText(Array.from({ length: first.steps }, (_, i) => (i ? first.to : first.from)))
        : `Rows: neighbouring probed steps of about equal length on a log axis, pooled by merging histograms`;
    return figure({
        ...about,
        runs: [run.id],
        settings: html`${fitButton(best[0] < x[0] || best[1] > x[1], () => axes.fit(key))} ${rowSwitch()}`,
        body: plotHost({
            deps: [all, x, bySite, network],
            height: ridgesHeight(ridges),
            draw: (width) => ridgeLines(ridges, options, width),
        }),
        reading:
            first === last
                ? `Median ${shareText(first)}.`
                : `Median ${shareText(first)} at ${stretch(first)}, ${shareText(last)} at ${stretch(last)}.`,
        caption: [
            `The share of samples by ${options.quantity}; height: share a piece of the axis, the same for all rows, not smoothed. Signed log axis, linear from −0.1 to 0.1.`,
            `${what}; ${network ? "network" : "layer"} view; ${countText(
                ridges.map((ridge) => ridge.count),
                "a row",
            )}, ${plural(outside, "sample")} beyond the axis, ${int(gone)} undefined.`,
        ].join(" "),
        table: () => ({
            columns: [
                { name: bySite ? "site" : "steps" },
                { name: "bin", numeric: true, format: int },
                { name: "samples", numeric: true, format: int },
            ],
            rows: ridges.flatMap((ridge) =>
                ridge.cells.map(([bin, n]) => [bySite ? ridge.label : `${ridge.from}–${ridge.to}`, bin, n]),
            ),
        }),
        drawings: async () => [ridgeLines(ridges, options, 720).nodes],
        stale: staleOf([run.data.ridges]),
    });
}
