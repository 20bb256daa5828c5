/**
 * A figure as a file: SVG, PNG or CSV. In each stand the jobs it shows and the link that shows it again. Colours are
 * those of the light theme, whatever the page's is.
 */
import { request } from "./api.js";
import { saveText, saveBlob } from "./save.js";

/**
 * @typedef {object} Export
 * @property {string} title
 * @property {string} caption
 * @property {string} link
 * @property {string} name of the file, without its end
 * @property {number[]} runs
 * @property {import("./figure.js").Table} table
 * @property {SVGSVGElement[][]} drawings rows of drawings; data-heading stands above one
 *
 * @typedef {Export & { origin: string }} Signed  origin: the runs, the program's version and the link, in a line
 */

const NS = "http://www.w3.org/2000/svg";
const PAD = 24;
const GAP = 32;
const PIXELS = 2;

/** @param {"svg" | "png" | "csv"} kind @param {Export} plain */
export async function exportFigure(kind, plain) {
    const { version } = await request("/version");
    const origin = `${runsText(plain.runs)} · Plumbline ${version} · ${plain.link}`;
    const figure = { ...plain, origin };
    if (kind === "csv") return saveText(csv(figure), `${figure.name}.csv`, "text/csv");
    const { svg, width, height } = compose(figure);
    const text = `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(svg)}\n`;
    if (kind === "svg") return saveText(text, `${figure.name}.svg`, "image/svg+xml");
    saveBlob(await picture(text, width, height), `${figure.name}.png`);
}

/** @param {number[]} runs */
const runsText = (runs) => `${runs.length === 1 ? "Run" : "Runs"} ${runs.join(", ")}`;

/** @param {string | number | null} value */
function csvCell(value) {
    const text = value == null ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** RFC 4180 after a head of comments. @param {Signed} figure */
function csv({ title, caption, origin, table }) {
    const head = [title, caption, origin].map((line) => `# ${line.replace(/\s+/g, " ")}`);
    const rows = [table.columns.map((c) => c.name), ...table.rows];
    return [...head, ...rows.map((row) => row.map(csvCell).join(",")), ""].join("\r\n");
}

/** The light theme's custom properties. */
function lightTokens() {
    const probe = document.createElement("div");
    probe.dataset.theme = "light";
    probe.hidden = true;
    document.body.append(probe);
    const style = getComputedStyle(probe);
    const read = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    /** @type {Map<string, string>} */
    const known = new Map();
    const value = (/** @type {string} */ name) => {
        if (!known.has(name)) known.set(name, read(name));
        return /** @type {string} */ (known.get(name));
    };
    return { value, done: () => probe.remove() };
}

/** @param {string} name @param {Record<string, string | number>} attributes @param {string} [words] */
function element(name, attributes, words) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    if (words !== undefined) made.textContent = words;
    return made;
}

/**
 * Lines of at most so many letters.
 * @param {string} text
 * @param {number} letters
 */
function wrap(text, letters) {
    /** @type {string[]} */
    const lines = [];
    for (const word of text.split(/\s+/)) {
        const last = lines[lines.length - 1];
        if (last !== undefined && last.length + 1 + word.length <= letters) lines[lines.length - 1] = `${last} ${word}`;
        else lines.push(word);
    }
    return lines;
}

/** @param {Signed} figure */
function compose({ title, caption, origin, drawings }) {
    const size = (/** @type {SVGSVGElement} */ svg) => ({
        w: svg.viewBox.baseVal.width,
        h: svg.viewBox.baseVal.height,
    });
    const rows = drawings.map((row) => ({
        svgs: row,
        w: row.reduce((sum, svg) => sum + size(svg).w + GAP, -GAP),
        h: Math.max(...row.map((svg) => size(svg).h)),
    }));
    const inner = Math.max(480, ...rows.map((row) => row.w));
    const width = inner + 2 * PAD;
    const out = element("svg", { xmlns: NS, width, "font-family": "system-ui, sans-serif", "font-size": 12 });
    out.append(element("title", {}, title), element("desc", {}, `${caption} ${origin}`));
    const ground = element("rect", { width: "100%", height: "100%", fill: "var(--surface)" });
    const words = (
        /** @type {string} */ text,
        /** @type {number} */ y,
        /** @type {Record<string, string | number>} */ more,
    ) => element("text", { x: PAD, y, fill: "var(--ink-2)", ...more }, text);
    out.append(ground, words(title, PAD + 16, { "font-size": 16, "font-weight": 600, fill: "var(--ink)" }));
    let y = PAD + 40;
    for (const row of rows) {
        let x = PAD;
        if (row.svgs.some((svg) => svg.dataset.heading)) {
            for (const svg of row.svgs) {
                out.append(words(svg.dataset.heading ?? "", y + 12, { x, fill: "var(--ink)" }));
                x += size(svg).w + GAP;
            }
            y += 24;
            x = PAD;
        }
        for (const svg of row.svgs) {
            const copy = /** @type {SVGSVGElement} */ (svg.cloneNode(true));
            for (const [key, value] of Object.entries({
                x,
                y,
                width: size(svg).w,
                height: size(svg).h,
                overflow: "visible",
            }))
                copy.setAttribute(key, String(value));
            copy.removeAttribute("data-heading");
            copy.setAttribute("color", "var(--ink-2)");
            for (const text of copy.querySelectorAll("text")) text.setAttribute("xml:space", "preserve");
            out.append(copy);
            x += size(svg).w + GAP;
        }
        y += row.h + 8;
    }
    y += 20;
    for (const line of [...wrap(caption, Math.floor(inner / 6.6)), "", origin]) {
        out.append(words(line, y, {}));
        y += 18;
    }
    const height = Math.round(y + PAD - 12);
    out.setAttribute("height", String(height));
    out.setAttribute("viewBox", `0 0 ${width} ${height}`);
    resolve(out);
    return { svg: out, width, height };
}

/** Custom properties become their values, in attributes and in styles. @param {Element} root */
function resolve(root) {
    const { value, done } = lightTokens();
    for (const node of [root, ...root.querySelectorAll("*")])
        for (const attribute of [...node.attributes])
            if (attribute.value.includes("var("))
                attribute.value = attribute.value.replace(/var\((--[\w-]+)\)/g, (_, name) => value(name));
    done();
}

/**
 * @param {string} svg
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Blob>}
 */
async function picture(svg, width, height) {
    const url = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    try {
        const image = new Image(width, height);
        image.src = url;
        await image.decode();
        const canvas = document.createElement("canvas");
        canvas.width = width * PIXELS;
        canvas.height = height * PIXELS;
        const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
        context.drawImage(image, 0, 0, canvas.width, canvas.height);
        const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
        if (!blob) throw new Error("the browser made no picture");
        return blob;
    } finally {
        URL.revokeObjectURL(url);
    }
}
