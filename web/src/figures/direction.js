/** F5 as a figure: a panel a run. */
import { html, nothing } from "lit-html";
import { directions } from "../bins.js";
import { figure, placeholder } from "../figure.js";
import { int, num, plural } from "../format.js";
import { countRamp } from "../ramp.js";
import { theme } from "../theme.js";
import { colourOf } from "../variant.js";
import {
    awaiting,
    axisKey,
    distinct,
    drawn,
    fitButton,
    headed,
    isMeasured,
    nameAmong,
    panelsView,
    seedsText,
    staleOf,
    stepsText,
    variantAt,
} from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../bins.js").Directions} Directions */

/** The limits of the axis, in decades. @param {Directions[]} all @returns {[number, number]} */
function domainOf(all) {
    const ys = all.flatMap(({ cells, perDecade }) => cells.map((cell) => cell.y / perDecade));
    const low = Math.floor(Math.min(0, ...ys));
    return [Math.max(-6, low), Math.max(low + 1, Math.ceil(Math.max(1, ...ys.map((y) => y + 0.05))))];
}

/**
 * @param {Run[]} runs
 * @param {string} site
 * @param {{ cls: string, aside?: boolean, empty: import("../dom.js").Part, axes: import("../axes.js").AxisKeeper }} o
 */
export function directionFigure(runs, site, { cls, aside = false, empty, axes }) {
    const about = { id: "direction", title: `Direction at ${site}`, cls };
    const readings = runs.map((run) => run.data.direction);
    const waiting = awaiting(about, readings, {
        height: 420,
        awaited: `Reading the counts of ${site}.`,
        loaded: (data) => data?.site === site,
    });
    if (waiting) return waiting;
    const { direction, directionHeight } = drawn();
    const panels = runs.flatMap((run) => {
        const density = run.data.direction.state.value.data;
        return density ? [{ run, density, data: directions(density) }] : [];
    });
    const clouds = panels.map((panel) => panel.data);
    if (!clouds.some((data) => data.total))
        return placeholder(about, {
            height: 420,
            awaited: "",
            empty: isMeasured(runs)
                ? html`<p>
                      <b>This site has no interference.</b> It is defined for plain SGD, without momentum and weight
                      decay, at sites that are linear in their parameters.
                  </p>`
                : empty,
        });
    const key = axisKey(`direction ${site}`, runs);
    const y = axes.get(key, () => domainOf(clouds));
    const best = domainOf(clouds);
    const fullest = Math.max(1, ...clouds.flatMap((data) => data.cells.map((cell) => cell.n)));
    const now = theme.value;
    const optionsOf = (/** @type {Run} */ run, /** @type {import("../colour.js").Theme} */ shown) => ({
        y,
        fullest,
        colour: colourOf(variantAt(run, site)),
        name: `Relative interference against cosine at ${site}, ${run.label}`,
        theme: shown,
    });
    const type = runs[0].data.sites.state.value.data?.sites.find((s) => s.name === site)?.type;
    const caption = [
        "Across: cosine between a sample’s step and its ideal, 1 is the ideal direction. Up: how much the other samples move it, in multiples of its own part. A cell: the count of samples in a bin; at the sides: its sums.",
    ];
    if (type === "conv")
        caption.push("A convolution’s cosine is small by construction, as its positions share their weights.");
    const none = clouds.reduce((sum, data) => sum + data.none, 0);
    const gone = clouds.reduce((sum, data) => sum + data.undefined, 0);
    caption.push(
        `${distinct(panels.map(({ density }) => stepsText(density.steps)))}; layer view; n = ${clouds
            .map((data) => int(data.total))
            .join(" and ")} samples, ${int(none)} that no other moves, ${int(gone)} undefined.`,
    );
    return figure({
        ...about,
        aside,
        runs: runs.flatMap((run) => run.ids),
        settings: fitButton(best[0] < y[0] || best[1] > y[1], () => axes.fit(key)),
        body: panelsView(
            panels.map(({ run, density, data }) => ({
                run,
                variant: variantAt(run, site),
                note: run.batch ? html`<span class="faint">· batch ${run.batch}</span>` : nothing,
                plot: {
                    deps: [density, y, fullest, now],
                    height: directionHeight(440),
                    draw: (width) => direction(data, optionsOf(run, now), width),
                },
            })),
            runs.length > 1,
        ),
        key: countRamp(fullest),
        exportNote: `Counts from 1 to ${plural(fullest, "sample")} a bin, log.`,
        reading: panels
            .filter(({ data }) => data.total)
            .map(
                ({ run, data }) => `${runs.length > 1 ? `${run.label}: median` : "Median"} cosine ${num(data.median)}.`,
            )
            .join(" "),
        caption: caption.join(" ") + seedsText(runs),
        table: () => ({
            columns: [
                { name: "run" },
                ...["cosine from", "cosine to", "interference from", "interference to"].map((name) => ({
                    name,
                    numeric: true,
                    format: num,
                })),
                { name: "samples", numeric: true, format: int },
            ],
            rows: panels.flatMap(({ run, data }) =>
                data.cells.map((cell) => [
                    run.label,
                    ...[cell.x, cell.x + 1].map((x) => Number((-1 + (2 * x) / data.columns).toFixed(4))),
                    ...[cell.y, cell.y + 1].map((v) => Number((10 ** (v / data.perDecade)).toPrecision(6))),
                    cell.n,
                ]),
            ),
        }),
        drawings: async () => [
            panels.map(({ run, data }) =>
                headed(direction(data, optionsOf(run, "light"), 440).nodes[0], nameAmong(run, runs)),
            ),
        ],
        stale: staleOf(readings),
    });
}
