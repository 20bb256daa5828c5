/**
 * F10, what a step is made of: the sample's own part of its scale, what its other positions add, and what other samples
 * add, signed; a row a site.
 */
import { barX, dot, ruleX, text } from "@observablehq/plot";
import { int, num, tick } from "../format.js";
import { colourOf, symbolOf } from "../variant.js";
import * as kit from "./kit.js";
import { SIGNED, signed, signedDomain, signedTicks } from "./signed.js";

/**
 * @typedef {import("../figure_data.js").MadeSite} MadeSite
 * @typedef {object} MadeOptions
 * @property {[number, number]} x
 * @property {(site: string) => string | null} variant
 * @property {string | null} chosen
 * @property {(site: string) => void} open
 * @property {string} name
 */

/** @type {("own" | "within" | "across")[]} */
export const PARTS = ["own", "within", "across"];
const BAR = 8;
const TOP = 28;
const BOTTOM = 28;
const RIGHT = 60;

/** @param {import("../api.js").Summary | undefined} summary */
const middle = (summary) => summary?.quantiles["50"] ?? null;

/** @param {MadeSite[]} sites */
export const madeDomain = (sites) =>
    signedDomain(sites.flatMap((site) => [middle(site.scale), ...PARTS.map((part) => middle(site[part]))]));

/** @param {MadeSite[]} sites */
const pitchOf = (sites) => BAR * (sites.some((site) => site.within) ? 3 : 2) + 16;

/** @param {MadeSite[]} sites */
export const madeHeight = (sites) => TOP + BOTTOM + sites.length * pitchOf(sites);

/** @param {MadeSite[]} sites @param {MadeOptions} o @param {number} width @returns {import("../drawn.js").Drawing} */
export function made(sites, o, width) {
    const narrow = width < kit.NARROW;
    const names = sites.map(({ site }) => site);
    const left = Math.min(narrow ? 128 : 192, 24 + Math.max(...names.map(kit.textWidth)));
    const frame = width - left - RIGHT;
    const pitch = pitchOf(sites);
    const shown = PARTS.filter((part) => sites.some((site) => site[part]));
    const ticks = signedTicks(o.x, frame, 48);
    const clip = (/** @type {number} */ v) => Math.min(o.x[1], Math.max(o.x[0], v));
    const px = (/** @type {number} */ v) =>
        ((signed(clip(v)) - signed(o.x[0])) / (signed(o.x[1]) - signed(o.x[0]))) * frame;
    const inset = (/** @type {number} */ i) => 4 + BAR * i;
    const bars = shown.map((part, i) => {
        const rows = sites.flatMap((site) => {
            const v = middle(site[part]);
            return v == null ? [] : [{ site: site.site, v: clip(v), colour: colourOf(o.variant(site.site)) }];
        });
        return barX(rows, {
            y: "site",
            x1: 0,
            x2: "v",
            fill: part === "own" ? "colour" : part === "within" ? kit.SURFACE : kit.AXIS,
            stroke: part === "across" ? kit.AXIS : "colour",
            strokeWidth: 1.25,
            insetTop: inset(i) + 1,
            insetBottom: pitch - inset(i) - BAR + 1,
        });
    });
    const totals = sites.flatMap((site) => {
        const v = middle(site.scale);
        return v == null ? [] : [{ site: site.site, v, x: clip(v), variant: o.variant(site.site) }];
    });
    const dy = (inset(shown.length) + 2 - pitch / 2) | 0;
    const svg = kit.draw(
        {
            width,
            height: madeHeight(sites),
            marginLeft: left,
            marginRight: RIGHT,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { ...SIGNED, domain: o.x },
            y: { type: "band", domain: names, axis: null, padding: 0 },
            marks: [
                ruleX(
                    ticks.filter((t) => t),
                    { stroke: kit.GRID },
                ),
                ruleX([0], { stroke: kit.AXIS }),
                ...bars,
                ruleX([1], kit.RULE),
                ...totals.map((row) => {
                    const { symbol, r, rotate } = symbolOf(row.variant);
                    return dot([row], {
                        y: "site",
                        x: "x",
                        r,
                        symbol,
                        rotate,
                        dy,
                        fill: kit.INK,
                        stroke: kit.SURFACE,
                        strokeWidth: 1.5,
                    });
                }),
                kit.siteNames(names, { left, narrow, chosen: o.chosen }),
                text(totals, {
                    y: "site",
                    frameAnchor: "right",
                    dx: RIGHT - 8,
                    textAnchor: "end",
                    text: (row) => num(row.v),
                    fill: kit.INK,
                }),
                kit.note("scale", { frameAnchor: "top-right", dx: RIGHT - 8, dy: -16, textAnchor: "end" }),
                text([1], {
                    x: (d) => d,
                    frameAnchor: "top",
                    dy: -16,
                    text: () => "1 = ideal",
                    fill: kit.INK,
                    fontWeight: 500,
                }),
                kit.bottomAxis(ticks, { tickFormat: tick }),
                kit.note("signed log", { frameAnchor: "bottom-left", dx: -left, dy: 18, textAnchor: "start" }),
            ],
        },
        o.name,
    );
    const items = sites.map((site, i) => ({
        x: left + px(middle(site.scale) ?? 0),
        y: TOP + (i + 0.5) * pitch,
        w: 2 * Math.max(frame, 0),
        h: pitch - 4,
        title: site.site,
        facts: () => [
            ...shown.map((part) => /** @type {import("../readout.js").Fact} */ ([part, num(middle(site[part]))])),
            /** @type {import("../readout.js").Fact} */ (["scale", num(middle(site.scale))]),
            /** @type {import("../readout.js").Fact} */ (["n", int(site.scale.count)]),
        ],
        open: () => o.open(site.site),
    }));
    const area = { left: 0, top: TOP, width, height: sites.length * pitch };
    return { nodes: [svg], points: { label: `${o.name}, site`, ...area, items } };
}
