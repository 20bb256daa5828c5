/**
 * Loss and accuracy as SVG, for an export: what the live canvas shows.
 */
import { dot, lineY, ruleY, text } from "@observablehq/plot";
import { int } from "../format.js";
import * as kit from "./kit.js";

const FRAME = 200;
const APART = 16;
/** Room for a value behind a name. */
const VALUE = 48;

/**
 * @param {import("../live.js").LiveSeries[]} series
 * @param {import("../live.js").LiveOptions} o
 * @param {number} width
 */
export function linesPlot(series, o, width) {
    const [low, high] = o.range;
    /** @param {import("../live.js").LiveSeries} s */
    const points = (s) => s.steps.map((step, i) => ({ step, value: s.values[i] }));
    const height = FRAME;
    const aside = 32 + Math.max(...series.filter((s) => s.named).map((s) => kit.textWidth(s.name) + VALUE));
    const end = Math.max(...series.map((s) => s.steps[s.steps.length - 1] ?? 0));
    const labels = series.flatMap((s) => {
        if (!s.named) return [];
        const value = s.values.filter((v) => v != null).pop();
        return value == null ? [] : [{ s, value: Math.min(high, Math.max(low, value)), dy: 0 }];
    });
    // Names that would meet are moved apart.
    labels.sort((a, b) => b.value - a.value);
    labels.forEach((label, i) => {
        if (!i) return;
        const above = labels[i - 1];
        const gap = ((above.value - label.value) / (high - low)) * height - above.dy;
        label.dy = Math.max(0, APART - gap);
    });
    return kit.draw(
        {
            width,
            height: height + 44,
            marginLeft: 48,
            marginRight: aside,
            marginTop: 16,
            marginBottom: 28,
            clip: true,
            x: { domain: [0, o.steps], axis: null },
            y: { domain: [low, high], axis: null },
            marks: [
                ruleY([low], { stroke: kit.GRID }),
                ...series.map((s) =>
                    lineY(points(s), {
                        x: "step",
                        y: "value",
                        stroke: s.colour,
                        strokeWidth: s.width,
                        strokeOpacity: s.faint ? 0.35 : 1,
                        strokeDasharray: s.dashed ? "6 4" : undefined,
                        clip: true,
                    }),
                ),
                ...series
                    .filter((s) => s.points)
                    .map((s) => dot(points(s), { x: "step", y: "value", fill: s.colour, r: 2.5 })),
                ...labels.map(({ s, value, dy }) =>
                    text([value], {
                        x: () => end,
                        y: (d) => d,
                        text: () => (s.valued ? `${s.name} ${s.format(value)}` : s.name),
                        textAnchor: "start",
                        dx: 8,
                        dy,
                        fill: kit.INK,
                        clip: false,
                    }),
                ),
                kit.leftAxis(/** @type {any} */ (5), { tickFormat: o.format }),
                kit.bottomAxis(/** @type {any} */ (5), { tickFormat: (/** @type {number} */ d) => int(d) }),
                kit.note("step", {
                    frameAnchor: "bottom-right",
                    dy: 18,
                    dx: aside - 4,
                    textAnchor: "end",
                    clip: false,
                }),
            ],
        },
        o.name,
    );
}
