/**
 * The network's strip as SVG, for an export.
 */
import { cellPaint } from "../colour.js";
import { num } from "../format.js";

const NS = "http://www.w3.org/2000/svg";
const CELL = { width: 88, gap: 2, group: 10, height: 48, perRow: 10 };

/** @param {string} name @param {Record<string, string | number>} attributes @param {string} [words] */
function element(name, attributes, words) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    if (words !== undefined) made.textContent = words;
    return made;
}

/**
 * @param {{ label: string, scale: number | null }[]} cells
 * @param {string} name
 */
export function stripPlot(cells, name) {
    const rows = Math.ceil(cells.length / CELL.perRow);
    const width = Math.min(cells.length, CELL.perRow) * (CELL.width + CELL.gap);
    const height = rows * (CELL.height + 32);
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "font-size": 12, role: "img" });
    svg.setAttribute("aria-label", name);
    cells.forEach(({ label, scale }, i) => {
        const x = (i % CELL.perRow) * (CELL.width + CELL.gap);
        const y = Math.floor(i / CELL.perRow) * (CELL.height + 32);
        const paint = cellPaint(scale, "light");
        const middle = { x: x + CELL.width / 2, "text-anchor": "middle" };
        svg.append(
            element("text", { ...middle, y: y + 12, fill: "var(--ink-2)" }, label),
            element("rect", {
                x: x + 0.5,
                y: y + 20.5,
                width: CELL.width - 1,
                height: CELL.height - 1,
                rx: 3,
                fill: paint.fill ?? "var(--surface)",
                stroke: paint.outlined ? "var(--axis)" : "none",
                "stroke-dasharray": scale != null && scale <= 0 ? "4,2" : "none",
            }),
            element("text", { ...middle, y: y + 48, fill: paint.ink, "font-weight": 500 }, num(scale)),
        );
    });
    return /** @type {SVGSVGElement} */ (svg);
}
