/**
 * Numbers and times as people read them. A no-break space ties a number to its unit.
 */

const MINUS = "−";
const NBSP = "\u00a0";
const JOINER = "\u2060";

/**
 * A count in full: 1,284.
 * @param {number} value
 */
export const int = (value) => (value < 0 ? MINUS : "") + Math.abs(Math.round(value)).toLocaleString("en-GB");

/**
 * A measured value with three significant digits, two below 0.1: 0.050, 1.19, 57.9, 691, 1,360.
 * @param {number | string | null | undefined} value
 */
export function num(value) {
    if (value == null) return "–";
    if (typeof value === "string") return value;
    if (Number.isNaN(value)) return "NaN";
    const sign = value < 0 ? MINUS : "";
    const size = Math.abs(value);
    if (size === Infinity) return `${sign}∞`;
    if (size === 0) return "0";
    const three = Number(size.toPrecision(3));
    if (three >= 1e6) return sign + exponential(size);
    if (three >= 1000) return sign + three.toLocaleString("en-GB");
    if (three >= 100) return sign + three.toFixed(0);
    if (three >= 10) return sign + three.toFixed(1);
    if (three >= 0.1) return sign + three.toFixed(2);
    const two = Number(size.toPrecision(2));
    if (two >= 0.001) return sign + size.toPrecision(2);
    return sign + exponential(size);
}

/** @param {number} size */
function exponential(size) {
    const [digits, power] = size.toExponential(1).split("e");
    const raised = [...power.replace("+", "")].map((c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(c)])).join("");
    return `${digits}×10${raised}`;
}

/**
 * A decade on an axis: 0.001, 0.1, 1, 10k.
 * @param {number} value
 */
export function tick(value) {
    const sign = value < 0 ? MINUS : "";
    const size = Math.abs(value);
    if (size >= 1e12) return sign + exponential(size);
    if (size >= 1e9) return `${sign}${size / 1e9}G`;
    if (size >= 1e6) return `${sign}${size / 1e6}M`;
    if (size >= 1e3) return `${sign}${size / 1e3}k`;
    return sign + String(Number(size.toPrecision(3)));
}

/**
 * A share with one decimal: 85.7 %.
 * @param {number | string | null | undefined} share
 */
export const percent = (share) => (typeof share === "number" ? `${(100 * share).toFixed(1)}${NBSP}%` : num(share));

/**
 * A share in whole percent; a small one is not rounded to nothing: "< 1 %".
 * @param {number} share
 */
export function wholePercent(share) {
    if (share === 0) return "0";
    return share < 0.005 ? `<${NBSP}1${NBSP}%` : `${Math.round(100 * share)}${NBSP}%`;
}

/**
 * A loss: 0.423.
 * @param {number | string | null | undefined} value
 */
export function loss(value) {
    if (typeof value !== "number" || !Number.isFinite(value)) return num(value);
    return value < 0.001 || value >= 1000 ? num(value) : value.toFixed(3);
}

/**
 * A length of time: 8 s, 4 min, 1 h 20 min, 3 days.
 * @param {number} seconds
 */
export function duration(seconds) {
    if (!Number.isFinite(seconds)) return "–";
    if (seconds < 0.95) return `${Math.max(0, seconds).toFixed(1)}${NBSP}s`;
    if (seconds < 10 && seconds % 1 >= 0.05) return `${seconds.toFixed(1)}${NBSP}s`;
    if (seconds < 99.5) return `${Math.round(seconds)}${NBSP}s`;
    const minutes = Math.round(seconds / 60);
    if (minutes < 90) return `${minutes}${NBSP}min`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return minutes % 60 ? `${hours}${NBSP}h ${minutes % 60}${NBSP}min` : `${hours}${NBSP}h`;
    return `${Math.round(hours / 24)}${NBSP}days`;
}

/**
 * How long ago a time was.
 * @param {string | null} at RFC 3339
 * @param {number} now milliseconds
 */
export function ago(at, now) {
    if (!at) return "–";
    const seconds = (now - Date.parse(at)) / 1000;
    if (seconds < 45) return "just now";
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return `${minutes}${NBSP}min ago`;
    const hours = Math.round(minutes / 60);
    if (hours < 24) return `${hours}${NBSP}h ago`;
    const days = Math.round(hours / 24);
    return days === 1 ? "yesterday" : `${days}${NBSP}days ago`;
}

/**
 * The clock of a time in the reader's zone: 21:58:41.
 * @param {string | number} at
 */
export function clock(at) {
    const date = new Date(at);
    return [date.getHours(), date.getMinutes(), date.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
}

/**
 * "1st", "2nd", …
 * @param {number} n
 */
export function ordinal(n) {
    const teen = n % 100 >= 11 && n % 100 <= 13;
    return n + ((!teen && ["th", "st", "nd", "rd"][n % 10]) || "th");
}

/**
 * "1 site", "3 sites".
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (n, one, many = `${one}s`) => `${int(n)}${NBSP}${n === 1 ? one : many}`;

/**
 * "a, b and c".
 * @param {string[]} words
 */
export const list = (words) =>
    words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words[words.length - 1]}`;

/**
 * Keeps signs and units on the line of their number.
 * @param {string} text
 */
export const tie = (text) =>
    text
        .replace(/(\d) (%|kB|MB|GB)/g, `$1${NBSP}$2`)
        .replace(/(\d)–(\d)/g, `$1${JOINER}–${JOINER}$2`)
        .replace(/([≤≥=±÷]) /g, `$1${NBSP}`)
        .replace(/ ([≤≥=÷])/g, `${NBSP}$1`);

/** With a capital and one full stop. @param {string} text */
export const sentence = (text) => text && `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
