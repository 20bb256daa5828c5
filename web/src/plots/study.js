/**
 * F6 and F7: a result over one field of a study, seeds as dots, means with their 95 % interval; joined, or with the line
 * fitted to all seeds.
 */
import { areaY, dot, lineY, ruleX, text } from "@observablehq/plot";
import { int, num, plural } from "../format.js";
import { colourOf, isHollow, symbolOf } from "../variant.js";
import * as kit from "./kit.js";

/**
 * @typedef {import("../study_data.js").StudySeries} StudySeries
 * @typedef {object} StudyOptions
 * @property {[number, number]} x
 * @property {[number, number]} y
 * @property {string} axis
 * @property {string} result
 * @property {(value: number) => string} format
 * @property {(job: number) => void} open
 * @property {string} name
 */

const LEFT = 56;
const TOP = 28;
const BOTTOM = 44;
export const STUDY_HEIGHT = 320;

/** @param {StudySeries[]} series @param {StudyOptions} o @param {number} width @returns {import("../drawn.js").Drawing} */
export function study(series, o, width) {
    const right = Math.max(72, ...series.map((s) => kit.textWidth(s.variant ?? "") + 24));
    const frame = width - LEFT - right;
    const inner = STUDY_HEIGHT - TOP - BOTTOM;
    const [low, high] = o.x.map(Math.log2);
    const shift = (/** @type {number} */ i) => (i - (series.length - 1) / 2) * 5;
    const px = (/** @type {number} */ x) => ((Math.log2(x) - low) / (high - low)) * frame;
    const py = (/** @type {number} */ y) => ((o.y[1] - y) / (o.y[1] - o.y[0])) * inner;
    const xs = [...new Set(series.flatMap((s) => s.means.map((mean) => mean.x)))].sort((a, b) => a - b);
    const ends = series
        .map((s, i) => ({ s, i, y: s.means[s.means.length - 1]?.mean ?? 0, dy: 0 }))
        .sort((a, b) => b.y - a.y);
    ends.forEach((end, k) => {
        if (!k) return;
        const above = ends[k - 1];
        end.dy = Math.max(0, py(above.y) + above.dy + 16 - py(end.y));
    });
    const svg = kit.draw(
        {
            width,
            height: STUDY_HEIGHT,
            marginLeft: LEFT,
            marginRight: right,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { type: "log", base: 2, domain: o.x, axis: null },
            y: { domain: o.y, axis: null },
            marks: [
                kit.gridY(5),
                ...series.flatMap(({ variant, means, fit }, i) => {
                    const stroke = colourOf(variant);
                    const line = fit
                        ? xs.map((x) => ({ x, ...fit.at(x) }))
                        : means.map(({ x, mean }) => ({ x, y: mean, half: 0 }));
                    const { symbol, r, rotate } = symbolOf(variant);
                    const hollow = isHollow(variant);
                    return [
                        fit
                            ? areaY(line, {
                                  x: "x",
                                  y1: (d) => d.y - d.half,
                                  y2: (d) => d.y + d.half,
                                  fill: stroke,
                                  fillOpacity: 0.14,
                              })
                            : null,
                        lineY(line, {
                            x: "x",
                            y: "y",
                            stroke,
                            strokeWidth: fit ? 1.5 : 1,
                            strokeDasharray: variant === "affine" && series.length > 1 ? "6,3" : undefined,
                        }),
                        dot(
                            means.flatMap(({ x, seeds }) => seeds.map(({ value }) => ({ x, value }))),
                            { x: "x", y: "value", r: 1.75, fill: stroke, fillOpacity: 0.6, dx: shift(i) },
                        ),
                        ruleX(
                            means.filter((mean) => mean.low != null),
                            { x: "x", y1: "low", y2: "high", stroke, strokeWidth: 1.5, dx: shift(i) },
                        ),
                        dot(means, {
                            x: "x",
                            y: "mean",
                            dx: shift(i),
                            r,
                            symbol,
                            rotate,
                            fill: hollow ? kit.SURFACE : stroke,
                            stroke: hollow ? stroke : kit.SURFACE,
                            strokeWidth: 1.5,
                        }),
                    ];
                }),
                ...ends.map(({ s, y, dy }) =>
                    text([s], {
                        frameAnchor: "right",
                        y: () => y,
                        dx: 16,
                        dy,
                        textAnchor: "start",
                        text: () => s.variant ?? "",
                        fill: kit.INK,
                        fontWeight: 500,
                    }),
                ),
                kit.leftAxis(/** @type {any} */ (5), { tickFormat: o.format }),
                kit.bottomAxis(xs, { tickFormat: (/** @type {number} */ d) => (d >= 1 ? int(d) : num(d)) }),
                kit.note(o.result, { frameAnchor: "top-left", dx: -LEFT, dy: -24, textAnchor: "start" }),
                kit.note(`${o.axis}, log2`, { frameAnchor: "bottom-right", dy: 36, textAnchor: "end" }),
            ],
        },
        o.name,
    );
    const items = series.flatMap(({ variant, means }, i) =>
        means.map((mean) => ({
            x: LEFT + px(mean.x) + shift(i),
            y: TOP + py(mean.mean),
            w: 12,
            h: 12,
            title: variant ?? "all",
            facts: () =>
                /** @type {import("../readout.js").Fact[]} */ ([
                    [o.axis, num(mean.x)],
                    ["mean", o.format(mean.mean)],
                    ["95 %", mean.low == null ? "–" : `${o.format(mean.low)} to ${o.format(Number(mean.high))}`],
                    ["n", plural(mean.n, "seed")],
                ]),
            open: mean.seeds[0] && (() => o.open(mean.seeds[0].job)),
        })),
    );
    const area = { left: LEFT, top: TOP, width: frame, height: inner };
    return { nodes: [svg], points: { label: `${o.name}, mean`, ...area, items } };
}
