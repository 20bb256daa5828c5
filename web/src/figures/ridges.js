/** F4 as a figure: a panel a run. */
import { html } from "lit-html";
import { segments } from "../dom.js";
import { figure, placeholder } from "../figure.js";
import { int, num, percent, plural } from "../format.js";
import { param, setQuery } from "../router.js";
import {
    awaiting,
    axisKey,
    countText,
    distinct,
    drawn,
    fitButton,
    headed,
    leadOf,
    nameAmong,
    panelsView,
    seedsText,
    staleOf,
    stepsText,
    variantAt,
} from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../figure_data.js").Ridge} Ridge */

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

/** @param {Ridge} ridge */
const stretch = ({ label, from, to }) => {
    if (ridgesBySite()) return label;
    return from === to ? `step ${int(from)}` : `steps ${int(from)} to ${int(to)}`;
};

/** @param {Ridge} ridge */
const shareText = (ridge) => `${num(drawn().ridgeMedian(ridge))} (${percent(drawn().belowShare(ridge))} ≤ 0)`;

/** @param {Ridge[]} ridges @param {string} lead */
function reading(ridges, lead) {
    const [first, last] = [ridges[0], ridges[ridges.length - 1]];
    const median = `${lead}${lead ? "median" : "Median"}`;
    if (first === last) return `${median} ${shareText(first)}.`;
    return `${median} ${shareText(first)} at ${stretch(first)}, ${shareText(last)} at ${stretch(last)}.`;
}

/**
 * @param {Run[]} runs
 * @param {string} site
 * @param {{ cls: string, network?: boolean, empty: import("../dom.js").Part,
 *     axes: import("../axes.js").AxisKeeper }} o
 */
export function ridgesFigure(runs, site, { cls, network = false, empty, axes }) {
    const bySite = ridgesBySite();
    const about = { id: "ridges", title: bySite ? "Distributions by site" : `Distributions at ${site}`, cls };
    const column = network ? "network_scale" : "scale";
    const readings = runs.map((run) => run.data.ridges);
    const waiting = awaiting(about, readings, {
        height: 480,
        awaited: "Reading the histograms.",
        loaded: (data) => data?.bySite === bySite && data.column === column && (bySite || data.site === site),
    });
    if (waiting) return waiting;
    const { ridgeLines, ridgesDomain, ridgesHeight, ridgesOutside } = drawn();
    const panels = runs.flatMap((run) => {
        const read = run.data.ridges.state.value.data;
        const ridges = read?.ridges.filter((ridge) => ridge.count) ?? [];
        return ridges.length ? [{ run, read, ridges }] : [];
    });
    if (!panels.length) return placeholder(about, { height: 480, awaited: "", empty });
    const all = panels.flatMap(({ ridges }) => ridges);
    const key = axisKey(`ridges ${bySite} ${site} ${network}`, runs);
    const x = axes.get(key, () => ridgesDomain(all));
    const best = ridgesDomain(all);
    const quantity = network ? "network scale" : "scale";
    const optionsOf = (/** @type {Run} */ run) => ({
        x,
        variant: (/** @type {{ label: string }} */ ridge) => variantAt(run, bySite ? ridge.label : site),
        bySite,
        quantity,
        name: `Distributions of ${quantity} by ${bySite ? "site" : "steps"}${runs.length > 1 ? `, ${run.label}` : ""}`,
    });
    const gone = all.reduce((sum, ridge) => sum + ridge.undefined, 0);
    const what = bySite
        ? distinct(
              panels.map(({ ridges: [{ steps, from, to }] }) =>
                  stepsText(Array.from({ length: steps }, (_, i) => (i ? to : from))),
              ),
          )
        : `Rows: neighbouring probed steps of about equal length on a log axis, pooled by merging histograms`;
    return figure({
        ...about,
        runs: runs.flatMap((run) => run.ids),
        settings: html`${fitButton(best[0] < x[0] || best[1] > x[1], () => axes.fit(key))} ${rowSwitch()}`,
        body: panelsView(
            panels.map(({ run, read, ridges }) => ({
                run,
                variant: bySite ? run.variant : variantAt(run, site),
                plot: {
                    deps: [read, x, bySite, network],
                    height: ridgesHeight(ridges),
                    draw: (width) => ridgeLines(ridges, optionsOf(run), width),
                },
            })),
            runs.length > 1,
        ),
        reading: panels.map(({ run, ridges }) => reading(ridges, leadOf(run, runs))).join(" "),
        caption: [
            `The share of samples by ${quantity}; height: share a piece of the axis, the same for all rows${runs.length > 1 ? " of a run" : ""}, not smoothed. Signed log axis, linear from −0.1 to 0.1.`,
            `${what}; ${network ? "network" : "layer"} view; ${countText(
                all.map((ridge) => ridge.count),
                "a row",
            )}, ${plural(ridgesOutside(all, x), "sample")} beyond the axis, ${int(gone)} undefined.${seedsText(runs)}`,
        ].join(" "),
        table: () => ({
            columns: [
                { name: "run" },
                { name: bySite ? "site" : "steps" },
                { name: "bin", numeric: true, format: int },
                { name: "samples", numeric: true, format: int },
            ],
            rows: panels.flatMap(({ run, ridges }) =>
                ridges.flatMap((ridge) =>
                    ridge.cells.map(([bin, n]) => [
                        run.label,
                        bySite ? ridge.label : `${ridge.from}–${ridge.to}`,
                        bin,
                        n,
                    ]),
                ),
            ),
        }),
        drawings: async () => [
            panels.map(({ run, ridges }) =>
                headed(ridgeLines(ridges, optionsOf(run), runs.length > 1 ? 480 : 720).nodes[0], nameAmong(run, runs)),
            ),
        ],
        stale: staleOf(readings),
    });
}
