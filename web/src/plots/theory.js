/**
 * F1, theory and measurement: what theory predicts for a sample alone against what the batch's step did, as counts;
 * below it, measured ÷ predicted by column. Both axes have decades of one length, so that the identity is at 45°.
 */
import { dot, line, rect, ruleX, ruleY, text } from "@observablehq/plot";
import { BIN, ratioQuantile } from "../bins.js";
import { countColour } from "../colour.js";
import { int, num, plural } from "../format.js";
import { colourOf } from "../variant.js";
import * as kit from "./kit.js";

/**
 * @typedef {import("../bins.js").Cloud} Cloud
 * @typedef {object} TheoryOptions
 * @property {[number, number]} x decades
 * @property {[number, number]} y decades
 * @property {number} tallest the most a panel's frame may be high, in px
 * @property {number} fullest the greatest count of a bin over all panels, so that one ramp serves them all
 * @property {string | null} variant
 * @property {[number, number][]} exact log10 places of samples that are known exactly; a lone bin is drawn there
 * @property {string} name
 * @property {import("../colour.js").Theme} theme
 * @property {(cell: import("../bins.js").Cell) => void} [choose] what a click on a bin leads to
 */

const LEFT = 48;
const RIGHT = 16;
const TOP = 28;
const STRIP = 144;
/** The residuals' axis, in decades either way. */
const SPREAD = 1.5;

/** @param {TheoryOptions} o @param {number} width */
function measures(o, width) {
    const across = o.x[1] - o.x[0];
    const down = o.y[1] - o.y[0];
    const decade = Math.min((width - LEFT - RIGHT) / across, o.tallest / down);
    return { decade, width: Math.round(LEFT + RIGHT + decade * across), height: Math.round(decade * down) };
}

/** @param {Pick<TheoryOptions, "x" | "y" | "tallest">} o @param {number} width */
export function theoryHeight(o, width) {
    return measures(/** @type {TheoryOptions} */ (o), width).height + TOP + 8 + STRIP;
}

/** @param {Cloud} cloud */
export const fullestBin = (cloud) => Math.max(1, ...cloud.cells.map((cell) => cell.n));

/**
 * Cells that stand alone: one sample, with at most one more in the eight around it. They are dots.
 * @param {Cloud} cloud
 */
function loneCells(cloud) {
    const key = (/** @type {number} */ x, /** @type {number} */ y) => `${Math.round(x / BIN)},${Math.round(y / BIN)}`;
    const counts = new Map(cloud.cells.map((cell) => [key(cell.x, cell.y), cell.n]));
    /** @param {import("../bins.js").Cell} cell */
    const around = ({ x, y }) => {
        let sum = 0;
        for (const i of [-1, 0, 1]) for (const j of [-1, 0, 1]) sum += counts.get(key(x + i * BIN, y + j * BIN)) ?? 0;
        return sum;
    };
    return cloud.cells.filter((cell) => cell.n === 1 && around(cell) <= 2);
}

/**
 * The counts as a picture. The axis may begin within a bin: its pixels are bins counted from the axis's beginning.
 * @param {import("../bins.js").Cell[]} cells
 * @param {TheoryOptions} o
 */
function paint(cells, o) {
    const rows = Math.round((o.y[1] - o.y[0]) / BIN);
    return kit.paintCounts(
        cells.map(({ x, y, n }) => ({
            column: Math.round((x - o.x[0]) / BIN),
            row: rows - 1 - Math.round((y - o.y[0]) / BIN),
            n,
        })),
        { columns: Math.round((o.x[1] - o.x[0]) / BIN), rows, fullest: o.fullest, theme: o.theme },
    );
}

/** @param {Cloud} cloud @param {TheoryOptions} o */
const inFrame =
    (cloud, o) =>
    (/** @type {{ x: number, y: number }} */ { x, y }) =>
        x >= o.x[0] - 1e-9 && x + BIN <= o.x[1] + 1e-9 && y >= o.y[0] - 1e-9 && y + BIN <= o.y[1] + 1e-9;

/**
 * @param {Cloud} cloud
 * @param {TheoryOptions} o
 * @param {number} width
 */
function mainPlot(cloud, o, width) {
    const size = measures(o, width);
    const cells = cloud.cells.filter(inFrame(cloud, o));
    const lone = new Set(loneCells(cloud));
    const url = paint(
        cells.filter((cell) => !lone.has(cell)),
        o,
    );
    // The exact place, where it is known: the sample that lies in the cell.
    const dots = cells
        .filter((cell) => lone.has(cell))
        .map(({ x, y }) => {
            const exact = o.exact.find(
                ([ex, ey]) => (cloud.constant || (ex >= x && ex < x + BIN)) && ey >= y && ey < y + BIN,
            );
            const place = exact ?? [x + BIN / 2, y + BIN / 2];
            return [10 ** (cloud.constant ? x + BIN / 2 : place[0]), 10 ** place[1]];
        });
    const xTicks = kit.decades(...o.x);
    const yTicks = kit.decades(...o.y);
    const from = Math.max(o.x[0], o.y[0]);
    const to = Math.min(o.x[1], o.y[1]);
    const [xLow, xHigh] = o.x.map((d) => 10 ** d);
    const identity = [from, to].map((d) => 10 ** d);
    const label = 10 ** (from + (to - from) * 0.3);
    const range = cloud.predicted;
    const said = cloud.constant
        ? `predicted ${Number(range?.[0].toPrecision(3))} for all`
        : range
          ? `predicted ${num(range[0])} to ${num(range[1])}`
          : "";
    return kit.draw(
        {
            width: size.width,
            height: size.height + TOP + 8,
            marginLeft: LEFT,
            marginRight: RIGHT,
            marginTop: TOP,
            marginBottom: 8,
            x: { type: "log", domain: [xLow, xHigh], axis: null },
            y: { type: "log", domain: o.y.map((d) => 10 ** d), axis: null },
            marks: [
                ruleX(xTicks, { stroke: kit.GRID }),
                ruleY(yTicks, { stroke: kit.GRID }),
                kit.picture(url),
                line(
                    identity.map((v) => [v, v]),
                    { stroke: kit.INK, strokeDasharray: "4,4" },
                ),
                text([label], {
                    x: (d) => d,
                    y: (d) => d,
                    text: () => "measured = predicted",
                    dx: 8,
                    dy: 10,
                    textAnchor: "start",
                    fill: kit.INK,
                    stroke: kit.SURFACE,
                    strokeWidth: 4,
                }),
                dot(dots, { r: 1.75, fill: countColour(0, o.theme) }),
                kit.note(`${said}\n${plural(cloud.total, "sample")}`, {
                    frameAnchor: "bottom-right",
                    textAnchor: "end",
                    lineAnchor: "bottom",
                    lineHeight: 1.35,
                    dx: -4,
                    dy: -4,
                    stroke: kit.SURFACE,
                    strokeWidth: 4,
                }),
                kit.note("measured scale, log", { frameAnchor: "top-left", dx: -LEFT, dy: -22, textAnchor: "start" }),
                kit.leftAxis(yTicks),
            ],
        },
        o.name,
    );
}

/**
 * Quantiles of measured ÷ predicted in columns, each about five bins wide.
 * @param {Cloud} cloud
 */
function residuals(cloud) {
    const WIDE = 5;
    /** @type {Map<number, { x: number, ratios: { at: number, n: number }[] }>} */
    const groups = new Map();
    for (const column of cloud.columns) {
        const index = cloud.constant ? 0 : Math.floor(column.x / (WIDE * BIN) + 1e-9);
        const x = cloud.constant ? column.x + BIN / 2 - (WIDE * BIN) / 2 : index * WIDE * BIN;
        const group = groups.get(index) ?? { x, ratios: [] };
        group.ratios.push(...column.ratios);
        groups.set(index, group);
    }
    const [low, high] = [10 ** -SPREAD, 10 ** SPREAD];
    /** @param {number} v */
    const clip = (v) => Math.min(high, Math.max(low, v));
    return [...groups.values()]
        .filter((group) => group.ratios.reduce((sum, r) => sum + r.n, 0) >= 8)
        .map(({ x, ratios }) => {
            ratios.sort((a, b) => a.at - b.at);
            const [a, m, b] = [0.25, 0.5, 0.75].map((f) => ratioQuantile(ratios, f));
            return { x1: 10 ** x, x2: 10 ** (x + WIDE * BIN), a: clip(a), m, b: clip(b), shown: m >= low && m <= high };
        });
}

/** @param {Cloud} cloud @param {TheoryOptions} o @param {number} width */
function residualPlot(cloud, o, width) {
    const size = measures(o, width);
    const columns = residuals(cloud);
    const colour = colourOf(o.variant);
    const xTicks = kit.decades(...o.x);
    const factor =
        o.variant === "affine" && size.width > 380
            ? "predicted self factor ‖x‖² + 1, log"
            : "predicted self factor, log";
    return kit.draw(
        {
            width: size.width,
            height: STRIP,
            marginLeft: LEFT,
            marginRight: RIGHT,
            marginTop: 24,
            marginBottom: 44,
            x: { type: "log", domain: o.x.map((d) => 10 ** d), axis: null },
            y: { type: "log", domain: [10 ** -SPREAD, 10 ** SPREAD], axis: null },
            marks: [
                ruleX(xTicks, { stroke: kit.GRID }),
                ruleY([1], { stroke: kit.INK, strokeDasharray: "4,4" }),
                rect(columns, {
                    x1: "x1",
                    x2: "x2",
                    y1: "a",
                    y2: "b",
                    fill: colour,
                    fillOpacity: 0.3,
                    insetLeft: 0.5,
                    insetRight: 0.5,
                }),
                ruleY(
                    columns.filter((c) => c.shown),
                    { x1: "x1", x2: "x2", y: "m", stroke: colour, strokeWidth: 2 },
                ),
                kit.note("measured ÷ predicted, log", {
                    frameAnchor: "top-left",
                    dx: -LEFT,
                    dy: -20,
                    textAnchor: "start",
                }),
                kit.leftAxis([0.1, 1, 10]),
                kit.bottomAxis(xTicks),
                kit.note(factor, { frameAnchor: "bottom-right", dy: 36, textAnchor: "end" }),
            ],
        },
        "Measured divided by predicted, by columns of the prediction",
    );
}

/**
 * Both drawings, for the page or for an export.
 * @param {Cloud} cloud
 * @param {TheoryOptions} o
 * @param {number} width
 */
export const theoryPlots = (cloud, o, width) => [mainPlot(cloud, o, width), residualPlot(cloud, o, width)];

/**
 * @param {Cloud} cloud
 * @param {TheoryOptions} o
 * @param {number} width
 * @returns {import("../drawn.js").Drawing}
 */
export function theory(cloud, o, width) {
    const size = measures(o, width);
    const limits = (/** @type {number} */ d) => `${num(10 ** d)} to ${num(10 ** (d + BIN))}`;
    return {
        nodes: theoryPlots(cloud, o, width),
        points: {
            label: `${o.name}, bin`,
            left: LEFT,
            top: TOP,
            width: size.width - LEFT - RIGHT,
            height: size.height,
            items: cloud.cells.filter(inFrame(cloud, o)).map((cell) => {
                const predicted = cloud.constant ? num(10 ** (cell.x + BIN / 2)) : limits(cell.x);
                return {
                    x: LEFT + (cell.x + BIN / 2 - o.x[0]) * size.decade,
                    y: TOP + (o.y[1] - cell.y - BIN / 2) * size.decade,
                    w: BIN * size.decade,
                    h: BIN * size.decade,
                    title: plural(cell.n, "sample"),
                    facts: () => [
                        ["predicted", predicted],
                        ["measured", limits(cell.y)],
                    ],
                    open: o.choose && (() => o.choose?.(cell)),
                };
            }),
        },
    };
}
