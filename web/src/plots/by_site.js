/**
 * One sample's scale at each site, its self factor, and its batch behind it, on a logarithmic axis of scale.
 */
import { dot, ruleX, ruleY, text, tickX } from "@observablehq/plot";
import { num } from "../format.js";
import { colourOf, symbolOf } from "../variant.js";
import * as kit from "./kit.js";

/**
 * @typedef {object} BySiteRow
 * @property {string} site
 * @property {string | null} variant
 * @property {number | null} scale
 * @property {number | null} self
 * @property {Record<string, number | null>} batch quantiles
 *
 * @typedef {{ domain: [number, number], name: string, open: (site: string) => void }} BySiteOptions domain: decades
 */

const PITCH = 40;
const TOP = 32;
const BOTTOM = 28;
const RIGHT = 56;

/** @param {BySiteRow[]} rows */
export const bySiteHeight = (rows) => TOP + BOTTOM + rows.length * PITCH;

/** @param {BySiteRow[]} rows @returns {[number, number]} */
export function bySiteDomain(rows) {
    const all = rows.flatMap(({ scale, self, batch }) => [scale, self, batch["50"], batch["75"], batch["95"]]);
    const positive = /** @type {number[]} */ (all.filter((v) => v != null && v > 0)).map(Math.log10);
    return [
        Math.max(-4, Math.min(-1, Math.floor(Math.min(0, ...positive)))),
        Math.min(6, Math.max(1, Math.ceil(Math.max(0, ...positive)))),
    ];
}

/** @param {BySiteRow[]} rows @param {BySiteOptions} o @param {number} width @returns {import("../drawn.js").Drawing} */
export function bySite(rows, o, width) {
    const narrow = width < 480;
    const left = 40 + Math.max(...rows.map((row) => kit.textWidth(row.site)));
    const [low, high] = o.domain.map((d) => 10 ** d);
    /** @param {number | null | undefined} v */
    const clip = (v) => Math.min(high, Math.max(low, v ?? low));
    const ticks = kit.decades(...o.domain);
    const measured = rows.filter((row) => row.scale != null);
    const place = (/** @type {number} */ v) =>
        ((Math.log10(clip(v)) - o.domain[0]) / (o.domain[1] - o.domain[0])) * (width - left - RIGHT);
    const batch = (/** @type {string} */ p) => (/** @type {BySiteRow} */ row) => clip(row.batch[p]);
    const behind = rows.filter((row) => row.batch["50"] != null);
    const svg = kit.draw(
        {
            width,
            height: bySiteHeight(rows),
            marginLeft: left,
            marginRight: RIGHT,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { type: "log", domain: [low, high], axis: null },
            y: { type: "band", domain: rows.map((row) => row.site), axis: null, padding: 0 },
            marks: [
                ruleX(ticks, { stroke: kit.GRID }),
                ruleX([1], kit.RULE),
                ruleY(behind, { y: "site", x1: batch("5"), x2: batch("95"), stroke: kit.AXIS, strokeWidth: 1, dy: 8 }),
                ruleY(behind, { y: "site", x1: batch("25"), x2: batch("75"), stroke: kit.AXIS, strokeWidth: 4, dy: 8 }),
                text(
                    behind.filter((row) => Number(row.batch["5"]) < low),
                    {
                        y: "site",
                        x: () => low,
                        text: () => "◀",
                        fontSize: 10,
                        textAnchor: "end",
                        fill: kit.AXIS,
                        dx: 2,
                        dy: 8.5,
                    },
                ),
                tickX(
                    rows.filter((row) => row.self != null && row.self >= low && row.self <= high),
                    { y: "site", x: "self", stroke: kit.INK, strokeWidth: 1.5, insetTop: 4, insetBottom: PITCH - 24 },
                ),
                ...measured.map((row) => {
                    const above = Number(row.scale) > 0;
                    const { symbol, r, rotate } = symbolOf(row.variant);
                    const colour = colourOf(row.variant);
                    return dot([row], {
                        y: "site",
                        ...(above
                            ? { x: () => clip(row.scale) }
                            : { frameAnchor: /** @type {const} */ ("left"), dx: -16 }),
                        r: above ? r + 1 : r,
                        symbol,
                        rotate,
                        fill: above ? colour : kit.SURFACE,
                        stroke: above ? kit.SURFACE : colour,
                        strokeWidth: 1.5,
                        dy: -6,
                    });
                }),
                kit.note("≤ 0", { frameAnchor: "top-left", dx: -16, dy: -20 }),
                text(rows, {
                    y: "site",
                    frameAnchor: "left",
                    dx: -left,
                    textAnchor: "start",
                    text: "site",
                    fill: kit.INK,
                    fontWeight: 500,
                }),
                text(rows, {
                    y: "site",
                    frameAnchor: "right",
                    dx: 48,
                    textAnchor: "end",
                    text: (row) => num(row.scale),
                    fill: kit.INK,
                    fontWeight: 500,
                }),
                text([1], {
                    x: (d) => d,
                    frameAnchor: "top",
                    dy: -20,
                    text: () => (narrow ? "1" : "1 = ideal"),
                    fill: kit.INK,
                    fontWeight: 500,
                }),
                kit.bottomAxis(narrow || ticks.length > 8 ? kit.thinned(ticks) : ticks),
                kit.note("scale, log", { frameAnchor: "bottom-left", dx: -left, dy: 18, textAnchor: "start" }),
            ],
        },
        o.name,
    );
    const items = rows.map((row, i) => ({
        x: Number(row.scale) > 0 ? left + place(Number(row.scale)) : left - 16,
        y: TOP + (i + 0.5) * PITCH,
        w: 2 * width,
        h: PITCH - 4,
        title: row.site,
        facts: () =>
            /** @type {import("../readout.js").Fact[]} */ ([
                ["scale", num(row.scale)],
                ["self factor", num(row.self)],
                ["batch median", num(row.batch["50"])],
                ["batch 5–95 %", `${num(row.batch["5"])} to ${num(row.batch["95"])}`],
            ]),
        open: () => o.open(row.site),
    }));
    const area = { left: 0, top: TOP, width, height: rows.length * PITCH };
    return { nodes: [svg], points: { label: `${o.name}, site`, ...area, items } };
}
