/**
 * Loss and accuracy as SVG, for an export: what the live canvas shows.
 */
import { dot, lineY, ruleY, text } from "@observablehq/plot";
import { int } from "../format.js";
import * as kit from "./kit.js";

/**
 * @param {import("../live.js").LiveSeries[]} series
 * @param {import("../live.js").LiveOptions} o
 * @param {number} width
 */
export function linesPlot(series, o, width) {
    const [low, high] = o.range;
    /** @param {import("../live.js").LiveSeries} s */
    const points = (s) => s.steps.map((step, i) => ({ step, value: s.values[i] }));
    return kit.draw(
        {
            width,
            height: 240,
            marginLeft: 48,
            marginRight: 104,
            marginTop: 16,
            marginBottom: 28,
            clip: true,
            x: { domain: [0, o.steps], axis: null },
            y: { domain: [low, high], axis: null },
            marks: [
                ruleY([low], { stroke: kit.GRID }),
                ...series.map((s) =>
                    lineY(points(s), { x: "step", y: "value", stroke: s.colour, strokeWidth: s.width, clip: true }),
                ),
                ...series
                    .filter((s) => s.points)
                    .map((s) => dot(points(s), { x: "step", y: "value", fill: s.colour, r: 2.5 })),
                ...series.map((s) => {
                    const last = points(s).filter((p) => p.value != null);
                    return text(last.slice(-1), {
                        x: "step",
                        y: "value",
                        text: () => (s.valued ? `${s.name} ${s.format(last[last.length - 1]?.value ?? null)}` : s.name),
                        textAnchor: "start",
                        dx: 8,
                        dy: s.points ? 0 : -16,
                        fill: kit.INK,
                        clip: false,
                    });
                }),
                kit.leftAxis(/** @type {any} */ (5), { tickFormat: o.format }),
                kit.bottomAxis(/** @type {any} */ (5), { tickFormat: (/** @type {number} */ d) => int(d) }),
                kit.note("step", { frameAnchor: "bottom-right", dy: 18, dx: 100, textAnchor: "end" }),
            ],
        },
        o.name,
    );
}
