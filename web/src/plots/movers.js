/**
 * F8, who moved this sample: the parts of other samples in its step along its ideal, the strongest first.
 */
import { barX, image, ruleX, ruleY, text } from "@observablehq/plot";
import { num, tick } from "../format.js";
import * as kit from "./kit.js";

/**
 * @typedef {object} Mover
 * @property {string} key
 * @property {string} label
 * @property {number} part in multiples of the ideal step
 * @property {"self" | "same" | "other" | "rest"} kind
 * @property {string | null} picture its address
 * @property {(() => void) | undefined} [open]
 *
 * @typedef {object} MoversOptions
 * @property {string} colour of the sample itself
 * @property {string} name
 */

const PITCH = 24;
const TOP = 28;
const BOTTOM = 28;

/** @param {Mover[]} rows */
export const moversHeight = (rows) => TOP + BOTTOM + rows.length * PITCH;

const signedNum = (/** @type {number} */ v) => (v > 0 ? "+" : "") + num(v);

/** @param {Mover[]} rows @param {MoversOptions} o @param {number} width @returns {import("../drawn.js").Drawing} */
export function movers(rows, o, width) {
    const narrow = width < 480;
    const pictures = rows.some((row) => row.picture);
    const begin = pictures ? 36 : 0;
    const left = begin + 24 + Math.max(...rows.map((row) => kit.textWidth(row.label)));
    const right = narrow ? 56 : 8;
    const low = Math.min(0, ...rows.map((row) => row.part));
    const high = Math.max(0, ...rows.map((row) => row.part));
    const spread = high - low || 1;
    const room = narrow ? 0 : spread * 0.14;
    const domain = [low - (low < 0 ? room : 0), high + room];
    const ticks = narrow ? 3 : 5;
    /** @type {Record<Mover["kind"], [fill: string, stroke: string]>} */
    const paint = {
        self: [o.colour, o.colour],
        same: [kit.INK, kit.INK],
        other: [kit.SURFACE, kit.INK],
        rest: [kit.AXIS, kit.AXIS],
    };
    const frame = width - left - right;
    const numbers = narrow
        ? [
              text(rows, {
                  y: "key",
                  frameAnchor: "right",
                  dx: right,
                  textAnchor: "end",
                  text: (row) => signedNum(row.part),
                  fill: kit.INK,
              }),
          ]
        : [1, -1].map((side) =>
              text(
                  rows.filter((row) => (row.part < 0 ? -1 : 1) === side),
                  {
                      y: "key",
                      x: "part",
                      dx: 6 * side,
                      textAnchor: side > 0 ? "start" : "end",
                      text: (row) => signedNum(row.part),
                      fill: kit.INK,
                  },
              ),
          );
    const svg = kit.draw(
        {
            width,
            height: moversHeight(rows),
            marginLeft: left,
            marginRight: right,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { domain, axis: null },
            y: { type: "band", domain: rows.map((row) => row.key), axis: null, padding: 0 },
            marks: [
                kit.gridX(ticks),
                barX(rows, {
                    y: "key",
                    x1: 0,
                    x2: "part",
                    fill: (row) => paint[/** @type {Mover} */ (row).kind][0],
                    stroke: (row) => paint[/** @type {Mover} */ (row).kind][1],
                    strokeWidth: 1.25,
                    insetTop: 6,
                    insetBottom: 6,
                }),
                ruleY(rows[0].kind === "self" ? rows.slice(1, 2) : [], {
                    y: "key",
                    dy: -PITCH / 2,
                    stroke: "var(--line)",
                    insetLeft: -left,
                    insetRight: -right,
                }),
                ruleX([0], { stroke: kit.AXIS }),
                ...numbers,
                image(
                    rows.filter((row) => row.picture),
                    {
                        y: "key",
                        frameAnchor: "left",
                        dx: 10 - left,
                        src: (row) => row.picture,
                        width: 20,
                        height: 20,
                        imageRendering: "pixelated",
                    },
                ),
                text(rows, {
                    y: "key",
                    frameAnchor: "left",
                    dx: begin - left,
                    textAnchor: "start",
                    text: "label",
                    fill: (row) => (row.kind === "same" ? kit.INK : kit.INK_2),
                }),
                text([0], {
                    x: (d) => d,
                    frameAnchor: "top",
                    dx: -8,
                    dy: -18,
                    textAnchor: "end",
                    text: () => (low < 0 ? "← against" : ""),
                    fill: kit.INK_2,
                }),
                text([0], {
                    x: (d) => d,
                    frameAnchor: "top",
                    dx: 8,
                    dy: -18,
                    textAnchor: "start",
                    text: () => "along its ideal →",
                    fill: kit.INK_2,
                }),
                kit.bottomAxis(/** @type {any} */ (ticks), { tickFormat: tick }),
            ],
        },
        o.name,
    );
    const place = (/** @type {number} */ v) => ((v - domain[0]) / (domain[1] - domain[0])) * frame;
    const items = rows.map((row, i) => ({
        x: left + place(row.part),
        y: TOP + (i + 0.5) * PITCH,
        w: 2 * width,
        h: PITCH,
        title: row.label,
        facts: () =>
            /** @type {import("../readout.js").Fact[]} */ ([
                ["part of the scale", signedNum(row.part)],
                ...(row.kind === "same" || row.kind === "other" ? [["class", row.kind]] : []),
            ]),
        open: row.open,
    }));
    const area = { left: 0, top: TOP, width, height: rows.length * PITCH };
    return { nodes: [svg], points: { label: `${o.name}, row`, ...area, items } };
}
