/** F10 as a figure: a panel a run. */
import { html } from "lit-html";
import { figure, placeholder } from "../figure.js";
import { int, list, num } from "../format.js";
import { go } from "../router.js";
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

/** @typedef {import("./common.js").Run} Run @typedef {import("../figure_data.js").MadeSite} MadeSite */

/** @param {Run} run @returns {{ steps: number[], items: MadeSite[] } | null} */
const dataOf = (run) => run.data.made.state.value.data;

/** @param {MadeSite} site */
const middles = ({ own, across, scale }) => [own, across, scale].map((part) => part?.quantiles["50"] ?? null);

/**
 * @param {Run[]} runs
 * @param {string | null} chosen
 * @param {{ cls: string, empty: import("../dom.js").Part, axes: import("../axes.js").AxisKeeper }} o
 */
export function madeFigure(runs, chosen, { cls, empty, axes }) {
    const about = { id: "made", title: "What a step is made of", cls };
    const readings = runs.map((run) => run.data.made);
    const waiting = awaiting(about, readings, { height: 240, awaited: "Reading the parts of scale at all sites." });
    if (waiting) return waiting;
    const { made, madeDomain, madeHeight } = drawn();
    const panels = runs.map((run) => ({
        run,
        items: (dataOf(run)?.items ?? []).filter((site) => site.own && site.across),
    }));
    const left = [
        ...new Set(
            runs.flatMap((run) => (dataOf(run)?.items ?? []).filter((s) => !s.own || !s.across).map((s) => s.site)),
        ),
    ];
    const filled = panels.filter(({ items }) => items.length);
    const all = panels.flatMap((panel) => panel.items);
    if (!all.length)
        return placeholder(about, {
            height: 240,
            awaited: "",
            empty: left.length
                ? html`<p>
                      <b>The parts are not defined here.</b> A step falls into own, within and across for plain SGD,
                      without momentum and weight decay, at sites that are linear in their parameters.
                  </p>`
                : empty,
        });
    const key = axisKey("made", runs);
    const x = axes.get(key, () => madeDomain(all));
    const best = madeDomain(all);
    const grown = best[0] < x[0] || best[1] > x[1];
    const optionsOf = (/** @type {Run} */ run) => ({
        x,
        variant: (/** @type {string} */ site) => variantAt(run, site),
        chosen,
        open: (/** @type {string} */ site) => go(`/run/${run.id}/site/${site}`),
        name: `Parts of scale by site${runs.length > 1 ? `, ${run.label}` : ""}`,
    });
    const within = all.some((site) => site.within);
    const reading = panels
        .flatMap(({ run, items }) => {
            const site = items.find(({ site: name }) => name === chosen) ?? items[0];
            if (!site) return [];
            const [own, across, scale] = middles(site);
            return [`${leadOf(run, runs)}${site.site}, own ${num(own)}, across ${num(across)}, scale ${num(scale)}.`];
        })
        .join(" ");
    const caption = [
        "Medians of the parts of scale, signed.",
        `Filled: the sample’s own part, its self factor;${within ? " hollow: its other positions or tokens (within);" : ""} grey: the other samples of the batch (across); dot: scale.`,
        "For each sample the parts add up to its scale; their medians need not. Signed log axis, linear from −0.1 to 0.1.",
    ];
    if (left.length) caption.push(`Not defined at ${list(left)}.`);
    caption.push(
        `${distinct(runs.map((run) => stepsText(dataOf(run)?.steps ?? [])))}; layer view; ${countText(
            all.map((site) => site.scale.count),
            "a site",
        )}.`,
    );
    return figure({
        ...about,
        runs: runs.flatMap((run) => run.ids),
        settings: fitButton(grown, () => axes.fit(key)),
        body: panelsView(
            filled.map(({ run, items }) => ({
                run,
                plot: {
                    deps: [run.data.made.state.value.data, x, chosen],
                    height: madeHeight(items),
                    draw: (width) => made(items, optionsOf(run), width),
                },
            })),
            runs.length > 1,
        ),
        reading,
        caption: caption.join(" ") + seedsText(runs),
        table: () => ({
            columns: [
                { name: "run" },
                { name: "site" },
                ...["own", "within", "across", "scale"].map((name) => ({ name, numeric: true, format: num })),
                { name: "n", numeric: true, format: int },
            ],
            rows: panels.flatMap(({ run, items }) =>
                items.map((site) => [
                    run.label,
                    site.site,
                    ...[site.own, site.within, site.across, site.scale].map((part) => part?.quantiles["50"] ?? null),
                    site.scale.count,
                ]),
            ),
        }),
        drawings: async () => [
            filled.map(({ run, items }) => headed(made(items, optionsOf(run), 560).nodes[0], nameAmong(run, runs))),
        ],
        stale: staleOf(readings),
    });
}
