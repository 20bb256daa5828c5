/**
 * F4, ridgelines: how scale is distributed, a row a stretch of steps or a site, all on one axis and in the same bins.
 */
import { areaY, lineY, ruleX, ruleY, text } from "@observablehq/plot";
import { binLimits } from "../bins.js";
import { int, num, percent, tick } from "../format.js";
import { colourOf } from "../variant.js";
import * as kit from "./kit.js";
import { signed, signedDomain, signedTicks, unsigned } from "./signed.js";

/**
 * @typedef {import("../figure_data.js").Ridge} Ridge
 * @typedef {object} RidgesOptions
 * @property {[number, number]} x
 * @property {(ridge: Ridge) => string | null} variant
 * @property {boolean} bySite
 * @property {string} quantity
 * @property {string} name
 */

const PITCH = 36;
/** A ridge may rise into the rows above it. */
const RISE = 1.8;
const TOP = 72;
const BOTTOM = 44;
const RIGHT = 72;
/** Places along the axis at which the density is drawn. */
const PLACES = 128;

/** @param {Ridge[]} ridges */
export const ridgesHeight = (ridges) => TOP + BOTTOM + ridges.length * PITCH;

/**
 * The limits of the axis: all but the outermost hundredth on either side.
 * @param {Ridge[]} ridges
 */
export function ridgesDomain(ridges) {
    return signedDomain(ridges.flatMap((ridge) => [quantile(ridge, 0.01), quantile(ridge, 0.99)]));
}

/** @param {Ridge} ridge @param {number} fraction */
function quantile({ cells, count }, fraction) {
    let below = 0;
    for (const [bin, n] of cells) {
        below += n;
        if (below >= fraction * count) {
            const [low, high] = binLimits(bin);
            return Number.isFinite(low) && Number.isFinite(high) ? (low + high) / 2 : null;
        }
    }
    return null;
}

/**
 * Counts by place on the signed logarithmic axis: a bin is spread evenly over the places it covers.
 * @param {Ridge} ridge
 * @param {[number, number]} domain
 */
function density({ cells }, domain) {
    const [low, high] = domain.map(signed);
    const wide = (high - low) / PLACES;
    const sums = new Float64Array(PLACES);
    let outside = 0;
    for (const [bin, n] of cells) {
        const [a, b] = binLimits(bin).map((v) => (Math.max(-1e12, Math.min(1e12, signed(v))) - low) / wide);
        const [from, to] = [Math.max(0, a), Math.min(PLACES, b)];
        const length = Math.max(1e-9, b - a);
        if (a === b) {
            const at = Math.floor(a);
            if (at >= 0 && at < PLACES) sums[at] += n;
            else outside += n;
            continue;
        }
        outside += n * (1 - Math.max(0, to - from) / length);
        for (let i = Math.floor(from); i < to; i++) sums[i] += (n * (Math.min(to, i + 1) - Math.max(from, i))) / length;
    }
    return { sums, outside: Math.round(outside) };
}

/** How many samples of all rows the axis leaves out. @param {Ridge[]} ridges @param {[number, number]} domain */
export const ridgesOutside = (ridges, domain) => ridges.reduce((sum, ridge) => sum + density(ridge, domain).outside, 0);

/** @param {Ridge[]} ridges @param {RidgesOptions} o @param {number} width @returns {import("../drawn.js").Drawing} */
export function ridgeLines(ridges, o, width) {
    const narrow = width < kit.NARROW;
    const label = (/** @type {Ridge} */ r) =>
        o.bySite ? kit.siteName(r.label, narrow) : r.from === r.to ? int(r.from) : `${int(r.from)}–${int(r.to)}`;
    const labels = ridges.map(label);
    const left = 16 + Math.max(48, ...labels.map(kit.textWidth));
    const frame = width - left - RIGHT;
    const [low, high] = o.x.map(signed);
    const rows = ridges.map((ridge) => ({ ridge, ...density(ridge, o.x) }));
    const shares = rows.map(({ ridge, sums }) => [...sums].map((n) => n / Math.max(1, ridge.count)));
    const top = Math.max(1e-9, ...shares.flat());
    const height = ridgesHeight(ridges);
    const base = (/** @type {number} */ i) => (i + 1) * PITCH;
    const ticks = signedTicks(o.x, frame, 48);
    /** @param {number} i */
    const line = (i) =>
        shares[i].flatMap((share, k) => {
            const y = base(i) - (share / top) * PITCH * RISE;
            return [k, k + 1].map((edge) => ({ x: low + ((high - low) * edge) / PLACES, y }));
        });
    const x = (/** @type {number} */ v) => signed(v);
    const svg = kit.draw(
        {
            width,
            height,
            marginLeft: left,
            marginRight: RIGHT,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { domain: [low, high], axis: null },
            y: { domain: [ridges.length * PITCH, 0], axis: null },
            marks: [
                ruleX(ticks.filter((t) => t).map(x), { stroke: kit.GRID, insetTop: -TOP / 2 }),
                ruleX([0], { stroke: kit.AXIS, strokeDasharray: "2,3", insetTop: -TOP / 2 }),
                ruleX([x(1)], { ...kit.RULE, insetTop: -TOP / 2 }),
                ...rows.flatMap(({ ridge }, i) => {
                    const colour = colourOf(o.variant(ridge));
                    const points = line(i);
                    return [
                        areaY(points, { x: "x", y1: base(i), y2: "y", fill: kit.SURFACE, fillOpacity: 0.75 }),
                        areaY(points, { x: "x", y1: base(i), y2: "y", fill: colour, fillOpacity: 0.22 }),
                        lineY(points, { x: "x", y: "y", stroke: colour, strokeWidth: 1.25 }),
                        ruleY([base(i)], { stroke: kit.AXIS, strokeWidth: 0.75 }),
                    ];
                }),
                text(labels, {
                    y: (_, i) => base(i),
                    frameAnchor: "left",
                    dx: -left,
                    dy: -7,
                    textAnchor: "start",
                    text: (d) => d,
                    fill: kit.INK_2,
                }),
                text(ridges, {
                    y: (_, i) => base(i),
                    frameAnchor: "right",
                    dx: RIGHT - 8,
                    dy: -7,
                    textAnchor: "end",
                    text: (ridge) => num(quantile(ridge, 0.5)),
                    fill: kit.INK,
                }),
                kit.note(o.bySite ? "site" : "steps", {
                    frameAnchor: "top-left",
                    dx: -left,
                    dy: -52,
                    textAnchor: "start",
                }),
                kit.note("median", { frameAnchor: "top-right", dx: RIGHT - 8, dy: -52, textAnchor: "end" }),
                text([x(1)], {
                    x: (d) => d,
                    frameAnchor: "top",
                    dy: -52,
                    text: () => "1 = ideal",
                    fill: kit.INK,
                    fontWeight: 500,
                }),
                kit.bottomAxis(ticks.map(x), {
                    tickFormat: (/** @type {number} */ d) => tick(Number(unsigned(d).toPrecision(6))),
                }),
                kit.note(`${o.quantity}, signed log`, { frameAnchor: "bottom-right", dy: 36, textAnchor: "end" }),
            ],
        },
        o.name,
    );
    const items = ridges.map((ridge, i) => ({
        x: left + (((x(quantile(ridge, 0.5) ?? 0) - low) / (high - low)) * frame || 0),
        y: TOP + base(i) - PITCH / 2,
        w: 2 * frame,
        h: PITCH - 2,
        title: o.bySite ? ridge.label : `steps ${labels[i]}`,
        facts: () =>
            /** @type {import("../readout.js").Fact[]} */ ([
                ...[0.05, 0.25, 0.5, 0.75, 0.95].map((f) => [`${100 * f} %`, num(quantile(ridge, f))]),
                ["≤ 0", percent(belowShare(ridge))],
                ["n", int(ridge.count)],
            ]),
    }));
    const area = { left: 0, top: TOP, width, height: ridges.length * PITCH };
    return { nodes: [svg], points: { label: `${o.name}, row`, ...area, items } };
}

/** @param {Ridge} ridge */
export function belowShare({ cells, count }) {
    const below = cells.reduce((sum, [bin, n]) => sum + (binLimits(bin)[1] <= 0 ? n : 0), 0);
    return below / Math.max(1, count);
}
/** @param {Ridge} ridge */
export const ridgeMedian = (ridge) => quantile(ridge, 0.5);
