/**
 * A variant is a colour, a shape and a name, always the three together, whatever the order of a list.
 */

/** Shapes in a box of 12 px. */
/** @type {Record<string, string>} */
const SHAPES = {
    affine: "M6 1 11 11H1Z",
    "affine-like": "M6 1a5 5 0 1 1 0 10A5 5 0 0 1 6 1Z",
    l2: "M1.5 1.5h9v9h-9Z",
    rms: "M6 .5 11.5 6 6 11.5.5 6Z",
    layer: "M4 1h4v3h3v4H8v3H4V8H1V4h3Z",
    batch: "M1 1h10L6 11Z",
};

/** Observable Plot's symbol of each, its radius and its turn. */
/** @type {Record<string, { symbol: "triangle" | "circle" | "square" | "diamond" | "cross", r: number, rotate: number }>} */
const SYMBOLS = {
    affine: { symbol: "triangle", r: 5.5, rotate: 0 },
    "affine-like": { symbol: "circle", r: 4.5, rotate: 0 },
    l2: { symbol: "square", r: 4.5, rotate: 0 },
    rms: { symbol: "diamond", r: 5, rotate: 0 },
    layer: { symbol: "cross", r: 5, rotate: 0 },
    batch: { symbol: "triangle", r: 5.5, rotate: 180 },
};

/**
 * The variant whose colour and shape this one takes: patch-x takes those of x. Sites without a variant are grey.
 * @param {string | null} variant
 */
const family = (variant) => (variant ?? "").replace(/^patch-/, "");

/** @param {string | null} variant */
export const isHollow = (variant) => (variant ?? "").startsWith("patch-");

/** @param {string | null} variant */
export const shapeOf = (variant) => SHAPES[family(variant)] ?? SHAPES["affine-like"];

/** @param {string | null} variant */
export const symbolOf = (variant) => SYMBOLS[family(variant)] ?? SYMBOLS["affine-like"];

/** @param {string | null} variant */
export const colourOf = (variant) => (family(variant) in SHAPES ? `var(--v-${family(variant)})` : "var(--axis)");
