/**
 * What all SVG plots share: Observable Plot, made fit for the strict policy and for screen readers.
 */
import { axisX, axisY, gridX as columns, gridY as lines, plot, text } from "@observablehq/plot";
import { countColour } from "../colour.js";
import { int, tick } from "../format.js";

export const INK = "var(--ink)";
export const INK_2 = "var(--ink-2)";
export const GRID = "var(--grid)";
export const AXIS = "var(--axis)";
export const SURFACE = "var(--surface)";
/** Narrower than this, a plot drops what needs room. */
export const NARROW = 560;

/** The rule at 1. */
export const RULE = { stroke: INK, strokeWidth: 1 };

/**
 * 10^low … 10^high.
 * @param {number} low
 * @param {number} high
 */
export const decades = (low, high) =>
    Array.from({ length: Math.max(0, Math.floor(high) - Math.ceil(low) + 1) }, (_, i) => 10 ** (Math.ceil(low) + i));

/**
 * Ticks of an axis of steps; a short logarithmic one has those within its decades as well.
 * @param {number} end
 * @param {boolean} log
 * @param {boolean} narrow
 * @returns {number[] | number}
 */
export function stepTicks(end, log, narrow) {
    if (!log) return narrow ? 3 : 6;
    const within = end < 100 ? [1, 2, 5] : [1];
    return decades(0, Math.log10(end)).flatMap((d) => within.map((m) => m * d).filter((step) => step <= end));
}

/** Every second decade, with 1. @param {number[]} values */
export const thinned = (values) => values.filter((v) => Math.round(Math.log10(Math.abs(v))) % 2 === 0);

/**
 * A plot without its inline style sheet (the policy refuses it; those rules are in ours), and with one name in place
 * of many.
 * @param {import("@observablehq/plot").PlotOptions} options
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function draw(options, name) {
    const made = /** @type {SVGSVGElement} */ (/** @type {unknown} */ (plot(options)));
    made.querySelectorAll("style").forEach((style) => style.remove());
    for (const group of made.querySelectorAll("[aria-label], [aria-description]")) {
        group.removeAttribute("aria-label");
        group.removeAttribute("aria-description");
    }
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", name);
    made.setAttribute("class", "plot");
    made.setAttribute("font-size", "12");
    return made;
}

/**
 * One piece of text at a fixed place of the frame.
 * @param {string} words
 * @param {object} options Observable Plot's
 */
export const note = (words, options) => text([words], { text: (d) => d, fill: INK_2, ...options });

const TICK = { tickSize: 4, label: null, stroke: AXIS, fill: INK_2 };
/** @param {number[] | number | undefined} ticks @param {object} [more] */
export const bottomAxis = (ticks, more) => axisX({ ...TICK, ticks, tickFormat: tick, tickPadding: 4, ...more });
/** @param {number[]} ticks @param {object} [more] */
export const leftAxis = (ticks, more) => axisY({ ...TICK, ticks, tickFormat: tick, ...more });

/**
 * The axis of steps, with its name at its end.
 * @param {number[] | number} ticks
 * @param {boolean} log
 * @param {object} [more] of the name: Observable Plot's
 */
export const stepAxis = (ticks, log, more) => [
    bottomAxis(ticks, { tickFormat: (/** @type {number} */ d) => int(d) }),
    note(log ? "step, log" : "step", { frameAnchor: "bottom-right", dy: 18, textAnchor: "end", ...more }),
];

/** A site's name where there is little room. @param {string} site @param {boolean} narrow */
export const siteName = (site, narrow) => (narrow ? site.replace("attention", "att") : site);

/**
 * The names of sites, each before its row.
 * @param {string[]} sites
 * @param {{ left: number, narrow: boolean, chosen?: string | null }} o left: the margin
 */
export const siteNames = (sites, { left, narrow, chosen }) =>
    text(sites, {
        y: (d) => d,
        frameAnchor: "left",
        dx: -left,
        textAnchor: "start",
        text: (d) => siteName(d, narrow),
        fill: (d) => (d === chosen ? INK : INK_2),
    });

/** @param {number} ticks about how many */
export const gridY = (ticks) => lines({ ticks, stroke: GRID, strokeOpacity: 1 });
/** @param {number} ticks about how many */
export const gridX = (ticks) => columns({ ticks, stroke: GRID, strokeOpacity: 1 });

/** About how wide a text at 12 px is. @param {string} words */
export const textWidth = (words) => words.length * 7.2;

/**
 * A mark that shows a painted picture in the whole frame.
 * @param {string} url
 */
export const picture = (url) =>
    /** @type {import("@observablehq/plot").RenderFunction} */ (
        (_index, _scales, _values, frame) => {
            const image = document.createElementNS("http://www.w3.org/2000/svg", "image");
            const place = {
                href: url,
                x: frame.marginLeft,
                y: frame.marginTop,
                width: frame.width - frame.marginLeft - frame.marginRight,
                height: frame.height - frame.marginTop - frame.marginBottom,
                preserveAspectRatio: "none",
                "image-rendering": "pixelated",
            };
            for (const [key, value] of Object.entries(place)) image.setAttribute(key, String(value));
            return image;
        }
    );

/**
 * Counts as a picture, a pixel a bin.
 * @param {{ column: number, row: number, n: number }[]} cells row 0 is the topmost
 * @param {{ columns: number, rows: number, fullest: number, theme: import("../colour.js").Theme }} o
 */
export function paintCounts(cells, { columns, rows, fullest, theme }) {
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    for (const { column, row, n } of cells) {
        context.fillStyle = countColour(Math.log(n) / Math.max(1e-9, Math.log(fullest)), theme);
        context.fillRect(column, row, 1, 1);
    }
    return canvas.toDataURL();
}

/**
 * A mark of one path, made from the frame's place.
 * @param {(frame: { left: number, top: number, right: number, bottom: number }) => string} d
 * @param {Record<string, string | number>} attributes
 */
export const shape = (d, attributes) =>
    /** @type {import("@observablehq/plot").RenderFunction} */ (
        (_index, _scales, _values, { width, height, marginLeft, marginTop, marginRight, marginBottom }) => {
            const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
            const frame = {
                left: marginLeft,
                top: marginTop,
                right: width - marginRight,
                bottom: height - marginBottom,
            };
            path.setAttribute("d", d(frame));
            for (const [key, value] of Object.entries(attributes)) path.setAttribute(key, String(value));
            return path;
        }
    );
