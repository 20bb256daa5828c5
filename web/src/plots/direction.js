/**
 * F5, direction: how well a sample's step points along its ideal, against what the other samples do to it; the sums of
 * the columns and of the rows stand at the sides.
 */
import { ruleX, ruleY } from "@observablehq/plot";
import { int, num, plural, tick } from "../format.js";
import * as kit from "./kit.js";

/**
 * @typedef {import("../bins.js").Directions} Directions
 * @typedef {object} DirectionOptions
 * @property {[number, number]} y decades
 * @property {number} fullest
 * @property {string} colour
 * @property {string} name
 * @property {import("../colour.js").Theme} theme
 */

const LEFT = 48;
const TOP = 76;
const RIGHT = 64;
const BOTTOM = 44;
const SIDE = 40;
const TALLEST = 360;

/** @param {number} width */
export const directionHeight = (width) => Math.min(TALLEST, width - LEFT - RIGHT) + TOP + BOTTOM;

/**
 * The outline of counts along an axis.
 * @param {number[]} counts
 * @param {(at: number, share: number) => string} place of a share at a place 0 … 1 along the axis
 */
function outline(counts, place) {
    const most = Math.max(1, ...counts);
    const points = counts.flatMap((n, i) => [
        place(i / counts.length, n / most),
        place((i + 1) / counts.length, n / most),
    ]);
    return `M${[place(0, 0), ...points, place(1, 0)].join("L")}Z`;
}

/** @param {Directions} data @param {DirectionOptions} o @param {number} width @returns {import("../drawn.js").Drawing} */
export function direction(data, o, width) {
    const height = directionHeight(width);
    const across = width - LEFT - RIGHT;
    const down = height - TOP - BOTTOM;
    const rows = Math.round((o.y[1] - o.y[0]) * data.perDecade);
    const first = Math.round(o.y[0] * data.perDecade);
    const cells = data.cells
        .map(({ x, y, n }) => ({ column: x, row: rows - 1 - (y - first), n, x, y }))
        .filter(({ row }) => row >= 0 && row < rows);
    const columnSums = new Array(data.columns).fill(0);
    const rowSums = new Array(rows).fill(0);
    for (const { column, row, n } of cells) {
        columnSums[column] += n;
        rowSums[row] += n;
    }
    const cosine = (/** @type {number} */ column) => -1 + (2 * column) / data.columns;
    const yTicks = kit.decades(...o.y);
    const fill = { fill: o.colour, "fill-opacity": 0.3, stroke: o.colour, "stroke-width": 0.75 };
    const svg = kit.draw(
        {
            width,
            height,
            marginLeft: LEFT,
            marginRight: RIGHT,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { domain: [-1, 1], axis: null },
            y: { type: "log", domain: o.y.map((d) => 10 ** d), axis: null },
            marks: [
                ruleY(yTicks, { stroke: kit.GRID }),
                ruleX([0], { stroke: kit.AXIS, strokeDasharray: "2,3" }),
                ruleX([1], kit.RULE),
                kit.picture(
                    kit.paintCounts(cells, { columns: data.columns, rows, fullest: o.fullest, theme: o.theme }),
                ),
                kit.shape(
                    ({ left, top }) => outline(columnSums, (at, s) => `${left + at * across} ${top - 6 - s * SIDE}`),
                    fill,
                ),
                kit.shape(
                    ({ right, top }) => outline(rowSums, (at, s) => `${right + 6 + s * SIDE} ${top + at * down}`),
                    fill,
                ),
                kit.note("interference ÷ self factor, log", {
                    frameAnchor: "top-left",
                    dx: -LEFT,
                    dy: -TOP + 8,
                    textAnchor: "start",
                }),
                kit.note("1 = ideal", {
                    frameAnchor: "top-right",
                    dy: -TOP + 8,
                    textAnchor: "middle",
                    fill: kit.INK,
                    fontWeight: 500,
                }),
                kit.leftAxis(yTicks.length > 7 ? kit.thinned(yTicks) : yTicks),
                kit.bottomAxis([-1, -0.5, 0, 0.5, 1], { tickFormat: tick }),
                kit.note("cosine", { frameAnchor: "bottom-right", dy: 36, textAnchor: "end" }),
            ],
        },
        o.name,
    );
    const limits = (/** @type {number} */ y) =>
        `${num(10 ** (y / data.perDecade))} to ${num(10 ** ((y + 1) / data.perDecade))}`;
    const items = cells.map(({ column, row, n, y }) => ({
        x: LEFT + ((column + 0.5) / data.columns) * across,
        y: TOP + ((row + 0.5) / rows) * down,
        w: across / data.columns,
        h: down / rows,
        title: plural(n, "sample"),
        facts: () =>
            /** @type {import("../readout.js").Fact[]} */ ([
                ["cosine", `${num(cosine(column))} to ${num(cosine(column + 1))}`],
                ["interference ÷ self", limits(y)],
                ["of", int(data.total)],
            ]),
    }));
    const area = { left: LEFT, top: TOP, width: across, height: down };
    return { nodes: [svg], points: { label: `${o.name}, bin`, ...area, items } };
}
