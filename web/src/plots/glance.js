/**
 * F0, layer types at a glance: a row a site, grouped by layer type, on a logarithmic axis of scale. What a logarithm
 * cannot show stands in a column: the share of samples with scale ≤ 0.
 */
import { dot, ruleX, ruleY, text, tickX } from "@observablehq/plot";
import { num, wholePercent } from "../format.js";
import { colourOf, isHollow, symbolOf } from "../variant.js";
import * as kit from "./kit.js";

/**
 * @typedef {object} GlanceRow
 * @property {string} type
 * @property {string} site
 * @property {number} run which of the runs beside each other, from 0
 * @property {string | null} variant
 * @property {boolean} hollow a second run of the same variant
 * @property {Record<string, number | null>} quantiles
 * @property {number} below share of samples ≤ 0
 * @property {number | null} self the self factor's median
 *
 * @typedef {object} GlanceOptions
 * @property {[number, number]} domain decades
 * @property {string[]} labels of the runs; one for each
 * @property {string} quantity what the axis is: "scale"
 * @property {boolean} self whether the self factor's median is marked
 * @property {string} name
 */

const PITCH = 22;
const PER_RUN = 18;

/** @param {GlanceRow[]} rows */
const sitesOf = (rows) => [...new Set(rows.map((row) => row.site))];

/** @param {GlanceRow[]} rows */
const pitchOf = (rows) => {
    const runs = new Set(rows.map((row) => row.run)).size;
    return runs > 1 ? PER_RUN * runs + 8 : PITCH;
};

/** @param {GlanceRow[]} rows */
export const glanceHeight = (rows) => 56 + sitesOf(rows).length * pitchOf(rows);

/**
 * The decades of the axis: what lies between the 5 % and the 95 % quantile, as far as it is positive, and 1.
 * @param {GlanceRow[]} rows
 * @returns {[number, number]}
 */
export function glanceDomain(rows) {
    const all = rows.flatMap(({ quantiles }) => ["25", "50", "75", "95"].map((p) => quantiles[p]));
    const positive = /** @type {number[]} */ (all.filter((v) => v != null && v > 0)).map(Math.log10);
    const low = Math.max(-3, Math.min(-1, Math.floor(Math.min(0, ...positive))));
    return [low, Math.min(6, Math.max(1, Math.ceil(Math.max(0, ...positive))))];
}

/** @param {GlanceRow[]} rows @param {GlanceOptions} o @param {number} width @returns {SVGSVGElement} */
export function glancePlot(rows, o, width) {
    const narrow = width < kit.NARROW;
    const sites = sitesOf(rows);
    const runs = [...new Set(rows.map((row) => row.run))];
    const pitch = pitchOf(rows);
    const typeWidth = narrow ? 0 : 128;
    const left = typeWidth + (narrow ? 96 : 136) + 56;
    const right = Math.max(60, 16 + Math.max(...rows.map((row) => kit.textWidth(num(row.quantiles["50"])))));
    const [low, high] = o.domain.map((d) => 10 ** d);
    /** @param {number | null | undefined} v */
    const clip = (v) => Math.min(high, Math.max(low, v ?? low));
    /** @param {number} run */
    const shift = (run) => (runs.indexOf(run) - (runs.length - 1) / 2) * PER_RUN;
    const first = rows.filter((row, i) => i === 0 || rows[i - 1].type !== row.type);

    /** @type {import("@observablehq/plot").Markish[]} */
    const marks = [
        ruleX(kit.decades(...o.domain), { stroke: kit.GRID }),
        ruleY(
            first.slice(1).map((row) => row.site),
            {
                y: (/** @type {string} */ d) => d,
                stroke: "var(--line)",
                dy: -pitch / 2,
                insetLeft: -left,
                insetRight: -right,
            },
        ),
        ruleX([1], kit.RULE),
    ];
    for (const run of runs) {
        const mine = rows.filter((row) => row.run === run);
        for (const variant of new Set(mine.map((row) => row.variant)))
            marks.push(
                ...intervals(
                    mine.filter((row) => row.variant === variant),
                    variant,
                    { clip, low, high, dy: shift(run), self: o.self, pitch },
                ),
            );
        marks.push(...numbers(mine, shift(run), right - 8));
    }
    if (!narrow) {
        marks.push(...endLabels(rows, o, { width: width - left - right, clip, shift }));
        marks.push(at(first, (row) => row.type, { dx: -left, fill: kit.INK, fontWeight: 500 }));
    }
    const siteRows = sites.map((site) => ({ site }));
    marks.push(at(siteRows, (row) => kit.siteName(row.site, narrow), { dx: typeWidth - left, fill: kit.INK_2 }));
    marks.push(
        kit.note("≤ 0", { frameAnchor: "top-left", dx: -20, dy: -16, textAnchor: "end" }),
        kit.note("median", { frameAnchor: "top-right", dx: right - 8, dy: -16, textAnchor: "end" }),
        text([1], {
            x: (d) => d,
            frameAnchor: "top",
            dy: -16,
            text: () => (narrow ? "1" : "1 = ideal"),
            fill: kit.INK,
            fontWeight: 500,
        }),
    );
    const ticks = kit.decades(...o.domain);
    marks.push(
        kit.bottomAxis(narrow || ticks.length > 8 ? kit.thinned(ticks) : ticks),
        kit.note(`${o.quantity}, log`, { frameAnchor: "bottom-left", dx: -26, dy: 18, textAnchor: "end" }),
    );
    return kit.draw(
        {
            width,
            height: glanceHeight(rows),
            marginLeft: left,
            marginRight: right,
            marginTop: 28,
            marginBottom: 28,
            x: { type: "log", domain: [low, high], axis: null },
            y: { type: "band", domain: sites, axis: null, padding: 0 },
            marks,
        },
        o.name,
    );
}

/**
 * Text at the left of rows.
 * @template {{ site: string }} R
 * @param {R[]} rows
 * @param {(row: R) => string} words
 * @param {object} options
 */
const at = (rows, words, options) =>
    text(rows, { y: "site", frameAnchor: "left", textAnchor: "start", text: words, ...options });

/**
 * Intervals and medians of rows of one variant.
 * @param {GlanceRow[]} rows
 * @param {string | null} variant
 * @param {{ clip: (v: number | null | undefined) => number, low: number, high: number, dy: number, self: boolean,
 *     pitch: number }} o
 */
function intervals(rows, variant, { clip, low, high, dy, self, pitch }) {
    const inset = (pitch - 14) / 2;
    const colour = colourOf(variant);
    const { symbol, r, rotate } = symbolOf(variant);
    const known = rows.filter((row) => row.quantiles["50"] != null);
    /** @param {string} p */
    const q = (p) => (/** @type {GlanceRow} */ row) => clip(row.quantiles[p]);
    /** @param {string} p @param {(v: number) => boolean} test */
    const where = (p, test) => known.filter((row) => row.quantiles[p] != null && test(Number(row.quantiles[p])));
    /** @param {boolean} hollow */
    const dots = (hollow) =>
        dot(
            where("50", (v) => v >= low && v <= high).filter((row) => (row.hollow || isHollow(variant)) === hollow),
            {
                y: "site",
                x: q("50"),
                r: hollow ? r - 0.75 : r,
                fill: hollow ? kit.SURFACE : colour,
                stroke: hollow ? colour : kit.SURFACE,
                strokeWidth: 1.5,
                dy,
                symbol,
                rotate,
            },
        );
    return [
        ruleY(known, { y: "site", x1: q("5"), x2: q("95"), stroke: colour, strokeWidth: 1.25, dy }),
        ruleY(known, { y: "site", x1: q("25"), x2: q("75"), stroke: colour, strokeWidth: 4, dy }),
        ...[
            { p: "5", sign: "◀", x: low, test: (/** @type {number} */ v) => v < low, anchor: "end" },
            { p: "95", sign: "▶", x: high, test: (/** @type {number} */ v) => v > high, anchor: "start" },
        ].map(({ p, sign, x, test, anchor }) =>
            text(where(p, test), {
                y: "site",
                x: () => x,
                text: () => sign,
                fill: colour,
                fontSize: 10,
                dx: anchor === "end" ? 2 : -2,
                dy: dy + 0.5,
                textAnchor: /** @type {"start" | "end"} */ (anchor),
            }),
        ),
        self
            ? tickX(
                  known.filter((row) => row.self != null && row.self >= low && row.self <= high),
                  { y: "site", x: "self", stroke: kit.INK, strokeWidth: 1.5, dy, insetTop: inset, insetBottom: inset },
              )
            : null,
        dots(false),
        dots(true),
    ];
}

/** The columns at the plot's two sides. @param {GlanceRow[]} rows @param {number} dy @param {number} end */
const numbers = (rows, dy, end) => [
    text(rows, {
        y: "site",
        frameAnchor: "right",
        dx: end,
        dy,
        textAnchor: "end",
        text: (row) => num(row.quantiles["50"]),
        fill: kit.INK,
    }),
    text(rows, {
        y: "site",
        frameAnchor: "left",
        dx: -20,
        dy,
        textAnchor: "end",
        text: (row) => wholePercent(row.below),
        fill: kit.INK_2,
    }),
];

/**
 * A name at the end of the first row of each run, and of each variant within a run.
 * @param {GlanceRow[]} rows
 * @param {GlanceOptions} o
 * @param {{ width: number, clip: (v: number | null | undefined) => number, shift: (run: number) => number }} place
 */
function endLabels(rows, o, { width, clip, shift }) {
    const seen = new Set();
    const labels = rows.filter((row) => {
        const key = o.labels.length > 1 ? row.run : row.variant;
        return !seen.has(key) && seen.add(key);
    });
    const [low, high] = o.domain;
    return labels.map((row) => {
        const words = o.labels.length > 1 ? o.labels[row.run] : (row.variant ?? "");
        const end = ((Math.log10(clip(row.quantiles["95"])) - low) / (high - low)) * width;
        // Where the interval ends too near the edge, the name stands above its end.
        const room = end + textWidthOf(words) < width;
        return text([row], {
            y: "site",
            x: (r) => clip(r.quantiles["95"]),
            text: () => words,
            dx: room ? 8 : 0,
            dy: shift(row.run) - (room ? 0 : 11),
            textAnchor: room ? "start" : "end",
            fill: kit.INK,
            fontWeight: 500,
            stroke: kit.SURFACE,
            strokeWidth: 4,
        });
    });
}

/** @param {string} words */
const textWidthOf = (words) => kit.textWidth(words) + 12;
