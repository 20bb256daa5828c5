/**
 * F3, all sites over time: a cell a site and probed step, as long as its steps on the axis. It is painted, as there are
 * more cells than a page can hold as marks.
 */
import { ruleY, text } from "@observablehq/plot";
import { countColour, mismatch, SURFACE } from "../colour.js";
import { int, num } from "../format.js";
import * as kit from "./kit.js";

/**
 * @typedef {import("../figure_data.js").HeatData} HeatData
 * @typedef {object} HeatOptions
 * @property {string} what the quantity of a cell: "median scale"
 * @property {boolean} mismatch coloured around 1, what is not positive hatched; else from the least to the most
 * @property {[number, number]} range of the colours where they are not of the mismatch
 * @property {boolean} log whether those colours are by the logarithm
 * @property {number} end the last step of the axis
 * @property {boolean} logStep
 * @property {string | null} chosen
 * @property {(site: string, step: number) => void} open
 * @property {string} name
 * @property {import("../colour.js").Theme} theme
 */

const TOP = 8;
const BOTTOM = 28;
const RIGHT = 8;
/** Pixels of the picture for one of the page. */
const SHARP = 2;

/** The height of a row; few of them are taller. @param {HeatData} data */
const pitchOf = ({ rows }) => (rows.length > 8 ? 18 : 28);

/** @param {HeatData} data */
export const heatHeight = (data) => TOP + BOTTOM + data.rows.length * pitchOf(data);

/** Where the cells begin and end, in steps: halfway between neighbours. @param {HeatData} data @param {boolean} log */
function edges({ windows }, log) {
    const middle = (/** @type {number} */ a, /** @type {number} */ b) => (log ? Math.sqrt(a * b) : (a + b) / 2);
    const inner = windows.slice(1).map((window, i) => middle(windows[i].to, window.from));
    return [Math.min(1, windows[0].from), ...inner, Math.max(windows[windows.length - 1].to, 1)];
}

/** Stripes for what is not positive. @param {CanvasRenderingContext2D} context @param {HeatOptions} o */
function hatch(context, o) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 12;
    const on = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
    on.fillStyle = SURFACE[o.theme];
    on.fillRect(0, 0, 12, 12);
    on.strokeStyle = o.theme === "dark" ? "#767b82" : "#8b8d91";
    on.lineWidth = 2;
    for (const shift of [-12, 0, 12]) {
        on.moveTo(shift - 2, 14);
        on.lineTo(shift + 14, -2);
    }
    on.stroke();
    return /** @type {CanvasPattern} */ (context.createPattern(tile, "repeat"));
}

/** @param {number} value @param {HeatOptions} o */
function colour(value, o) {
    if (o.mismatch) return mismatch(value, o.theme);
    const [low, high] = o.log ? o.range.map(Math.log10) : o.range;
    const at = ((o.log ? Math.log10(Math.max(value, o.range[0])) : value) - low) / Math.max(1e-9, high - low);
    return countColour(Math.min(1, Math.max(0, at)), o.theme);
}

/** @param {HeatData} data @param {HeatOptions} o @param {number} width @returns {import("../drawn.js").Drawing} */
export function heat(data, o, width) {
    const narrow = width < kit.NARROW;
    const sites = data.rows.map((row) => row.site);
    const left = Math.min(narrow ? 128 : 192, Math.max(64, 16 + Math.max(...sites.map(kit.textWidth))));
    const frame = width - left - RIGHT;
    const height = heatHeight(data);
    const pitch = pitchOf(data);
    const end = Math.max(2, o.end);
    const at = (/** @type {number} */ step) =>
        frame * (o.logStep ? Math.log(step) / Math.log(end) : (step - 1) / (end - 1));
    const limits = edges(data, o.logStep).map(at);

    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(frame * SHARP));
    canvas.height = data.rows.length * pitch * SHARP;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const stripes = hatch(context, o);
    /** @type {import("../readout.js").Point[]} */
    const items = [];
    data.rows.forEach(({ site, values, counts }, row) =>
        values.forEach((value, i) => {
            const [x1, x2] = [limits[i], limits[i + 1]];
            const { from, to, steps } = data.windows[i];
            if (value != null) {
                context.fillStyle = o.mismatch && value <= 0 ? stripes : colour(value, o);
                const [a, b] = [Math.round(x1 * SHARP), Math.round(x2 * SHARP)];
                context.fillRect(a, row * pitch * SHARP, Math.max(1, b - a), pitch * SHARP);
            }
            items.push({
                x: left + (x1 + x2) / 2,
                y: TOP + (row + 0.5) * pitch,
                w: Math.max(2, x2 - x1),
                h: pitch,
                title: site,
                facts: () => [
                    steps === 1 ? ["step", int(from)] : ["steps", `${int(from)} to ${int(to)}, ${steps} pooled`],
                    [o.what, value == null ? "undefined" : num(value)],
                    ["n", int(counts[i])],
                ],
                open: () => o.open(site, to),
            });
        }),
    );

    const block = (/** @type {string} */ site) => site.split(".")[0];
    const begins = sites.filter((site, i) => i && block(site) !== block(sites[i - 1]));
    // The axis's name stands at its end.
    const ticks = kit.stepTicks(end, o.logStep, narrow);
    const xTicks = Array.isArray(ticks) ? ticks.filter((step) => at(step) < frame - 72) : ticks;
    const svg = kit.draw(
        {
            width,
            height,
            marginLeft: left,
            marginRight: RIGHT,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { type: o.logStep ? "log" : "linear", domain: [1, end], axis: null },
            y: { type: "band", domain: sites, axis: null, padding: 0 },
            marks: [
                kit.picture(canvas.toDataURL()),
                sites.length > 8
                    ? ruleY(begins, {
                          y: (d) => d,
                          dy: -pitch / 2,
                          stroke: kit.SURFACE,
                          strokeWidth: 3,
                          insetLeft: -left,
                      })
                    : null,
                kit.siteNames(sites, { left, narrow, chosen: o.chosen }),
                o.chosen
                    ? text([o.chosen], {
                          y: (d) => d,
                          frameAnchor: "left",
                          dx: -4,
                          textAnchor: "end",
                          text: () => "▸",
                          fill: kit.INK,
                      })
                    : null,
                ...kit.stepAxis(xTicks, o.logStep, { stroke: kit.SURFACE, strokeWidth: 6 }),
            ],
        },
        o.name,
    );
    const area = { left, top: TOP, width: frame, height: data.rows.length * pitch };
    return { nodes: [svg], points: { label: `${o.name}, cell`, ...area, items } };
}
