/** F6 and F7 as figures. */
import { html, nothing } from "lit-html";
import { figure, placeholder, plotHost } from "../figure.js";
import { int, loss, num, percent } from "../format.js";
import { go } from "../router.js";
import { fieldName, panelsOf } from "../study_data.js";
import { awaiting, drawn } from "./common.js";

/** @typedef {import("../study_data.js").StudyPoint} StudyPoint @typedef {import("../study_data.js").StudyPanel} StudyPanel */

/** @param {string} key of a result */
export const formatOf = (key) => (key.includes("accuracy") ? percent : key.includes("loss") ? loss : num);

/** @param {StudyPanel[]} panels @returns {[number, number]} */
function rangeOf(panels) {
    const values = panels.flatMap(({ series }) =>
        series.flatMap(({ means }) =>
            means.flatMap((mean) => [
                mean.low ?? mean.mean,
                mean.high ?? mean.mean,
                ...mean.seeds.map((seed) => seed.value),
            ]),
        ),
    );
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low || 0.01) * 0.08;
    return [low - room, high + room];
}

/**
 * @param {string} axis a pointer
 * @param {{ points: StudyPoint[], key: string, runs: number[], reading: import("../resource.js").Resource<any>,
 *     axes: import("../axes.js").AxisKeeper, cls: string }} o
 */
export function studyFigure(axis, { points, key, runs, reading, axes, cls }) {
    const name = fieldName(axis);
    const fitted = axis === "/batch_size";
    const about = { id: `by-${axis.slice(1).replaceAll("/", "-")}`, title: `${key} by ${name}`, cls };
    const waiting = awaiting(about, [reading], { height: 320, awaited: "Reading the results." });
    if (waiting) return waiting;
    const panels = panelsOf(points, axis, key, fitted);
    if (!panels.length)
        return placeholder(about, {
            height: 320,
            awaited: "",
            empty: html`<p><b>There are no results yet.</b> They come as the jobs finish.</p>`,
        });
    const { study, STUDY_HEIGHT } = drawn();
    const xs = points.map(({ point }) => Number(point[axis]));
    const x = /** @type {[number, number]} */ ([Math.min(...xs) / 1.3, Math.max(...xs) * 1.3]);
    const y = axes.get(`${about.id} ${key}`, () => rangeOf(panels));
    const format = formatOf(key);
    const options = (/** @type {StudyPanel} */ panel) => ({
        x,
        y,
        axis: name,
        result: key,
        format,
        open: (/** @type {number} */ job) => go(`/run/${job}`),
        name: `${key} by ${name}${panel.label ? `, ${panel.label}` : ""}`,
    });
    const points100 = (/** @type {number} */ v) => (key.includes("accuracy") ? `${num(100 * v)} points` : num(v));
    const slopes = panels.flatMap(({ label, series }) =>
        series.flatMap(({ variant, fit }) =>
            fit
                ? [
                      `${[variant, label].filter(Boolean).join(", ")}: ${points100(fit.slope)} ± ${points100(fit.half)} a doubling, n = ${int(fit.n)}`,
                  ]
                : [],
        ),
    );
    const seeds = points.map((point) => point.n);
    return figure({
        ...about,
        runs,
        body: html`<div class="panels">
            ${panels.map(
                (panel) =>
                    html`<div class="panel">
                        ${panel.label ? html`<p class="panel-head"><b>${panel.label}</b></p>` : nothing}
                        ${plotHost({
                            deps: [points, axis, key, y],
                            height: STUDY_HEIGHT,
                            draw: (width) => study(panel.series, options(panel), width),
                        })}
                    </div>`,
            )}
        </div>`,
        reading: slopes.length ? `${slopes.join("; ")}.` : "",
        caption: `Small dots: seeds; large: their mean with its 95 % interval${fitted ? "; line: least squares of all seeds on log2, with the 95 % interval of the line" : ""}. n = ${int(Math.min(...seeds))}${Math.max(...seeds) > Math.min(...seeds) ? ` to ${int(Math.max(...seeds))}` : ""} seeds a mean. A choice of a mean leads to its first run.`,
        table: () => ({
            columns: [
                { name: "panel" },
                { name: "variant" },
                { name, numeric: true, format: num },
                ...["mean", "low", "high"].map((word) => ({ name: word, numeric: true, format })),
                { name: "n", numeric: true, format: int },
            ],
            rows: panels.flatMap(({ label, series }) =>
                series.flatMap(({ variant, means }) =>
                    means.map((mean) => [label, variant, mean.x, mean.mean, mean.low, mean.high, mean.n]),
                ),
            ),
        }),
        drawings: async () => [
            panels.map((panel) => {
                const [svg] = study(panel.series, options(panel), 520).nodes;
                svg.dataset.heading = panel.label;
                return svg;
            }),
        ],
    });
}
