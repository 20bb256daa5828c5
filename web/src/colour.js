/**
 * The scales of colour. An image on a canvas cannot read custom properties, so each function takes the theme.
 */

/** @typedef {"light" | "dark"} Theme */

/** @type {Record<Theme, string>} */
export const SURFACE = { light: "#ffffff", dark: "#15171a" };

/** Stops at log10 scale −3, −2.25, … 3: what is ideal has nearly the page's colour, what leans stands out. */
/** @type {Record<Theme, string[]>} */
const MISMATCH = {
    light: ["#0c3c6e", "#2a6ba6", "#6ba3d0", "#b9d4e8", "#f3f2ee", "#f6d3ab", "#e9a055", "#c86a14", "#7e3a00"],
    dark: ["#a8d4fb", "#62a8e0", "#2f77b3", "#234a6d", "#24272b", "#5f3f1f", "#a8601a", "#e08f3a", "#ffc98a"],
};

/** Cividis, dark to light. */
const CIVIDIS = [
    "#00224e",
    "#0f3067",
    "#343d6b",
    "#4f4d6c",
    "#636071",
    "#757474",
    "#888678",
    "#9d9977",
    "#b4ad73",
    "#ccc168",
    "#e6d65a",
    "#fee838",
];

/** @param {string} hex */
const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/**
 * @param {string[]} stops
 * @param {number} at 0 … 1
 */
function along(stops, at) {
    const place = Math.min(1, Math.max(0, at)) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(place));
    const from = channels(stops[low]);
    const to = channels(stops[low + 1]);
    const mixed = from.map((v, i) => Math.round(v + (to[i] - v) * (place - low)));
    return "#" + mixed.map((v) => v.toString(16).padStart(2, "0")).join("");
}

/**
 * The colour of a positive scale, saturating at 0.001 and 1,000.
 * @param {number} scale
 * @param {Theme} theme
 */
export const mismatch = (scale, theme) => along(MISMATCH[theme], 0.5 + Math.log10(scale) / 6);

/**
 * The colour of a count: the part of cividis that has 3:1 on the page.
 * @param {number} at 0: one sample, 1: the fullest bin
 * @param {Theme} theme
 */
export const countColour = (at, theme) => along(CIVIDIS, theme === "dark" ? 0.45 + 0.55 * at : 0.6 * (1 - at));

/** @param {string} hex */
function luminance(hex) {
    const [r, g, b] = channels(hex).map((v) => {
        const c = v / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/**
 * The contrast of WCAG 2.
 * @param {string} a
 * @param {string} b
 */
export function contrast(a, b) {
    const [x, y] = [luminance(a), luminance(b)];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

/**
 * Black or white, whichever reads better on a fill. Softer inks fall below 4.5:1 on the worst cell.
 * @param {string} fill
 */
export const inkOn = (fill) => (contrast(fill, "#ffffff") > contrast(fill, "#000000") ? "#ffffff" : "#000000");

/**
 * How a cell that carries a scale is painted. What is not positive is hatched by the stylesheet.
 * @param {number | null} scale
 * @param {Theme} theme
 */
export function cellPaint(scale, theme) {
    const fill = scale != null && scale > 0 ? mismatch(scale, theme) : null;
    const ground = fill ?? SURFACE[theme];
    return { fill, ink: inkOn(ground), outlined: contrast(ground, SURFACE[theme]) < 3 };
}
