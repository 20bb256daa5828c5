/** F3 as a figure. */
import { html } from "lit-html";
import { figure, placeholder, plotHost } from "../figure.js";
import { int, num, plural } from "../format.js";
import { countRampOf, mismatchRamp } from "../ramp.js";
import { go, param, setQuery } from "../router.js";
import { theme } from "../theme.js";
import { awaiting, drawn, isLogStep, lastStep, staleOf } from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../figure_data.js").HeatData} HeatData */

/** @type {Record<string, { name: string, what: string, log: boolean }>} */
const COLUMNS = {
    scale: { name: "median scale", what: "Median scale", log: true },
    spread: { name: "spread of scale", what: "Length from the 25 % to the 75 % quantile of scale", log: true },
    cosine: { name: "median cosine", what: "Median cosine between the step and the ideal step", log: false },
    interference: { name: "median interference", what: "Median interference", log: true },
    divergence: { name: "median divergence", what: "Median divergence", log: true },
};

/** The column in the link. */
export const heatColumn = () => {
    const asked = param("column") ?? "scale";
    return asked in COLUMNS ? asked : "scale";
};

const columnSelect = () =>
    html`<select
        class="input s"
        aria-label="Colour"
        @change=${(/** @type {Event} */ event) => {
            const { value } = /** @type {HTMLSelectElement} */ (event.target);
            setQuery({ column: value === "scale" ? null : value });
        }}
    >
        ${Object.entries(COLUMNS).map(
            ([key, { name }]) => html`<option value=${key} .selected=${key === heatColumn()}>${name}</option>`,
        )}
    </select>`;

/** @param {HeatData} data @param {boolean} log @returns {[number, number]} */
function rangeOf(data, log) {
    if (!log) return [-1, 1];
    const values = data.rows.flatMap((row) => row.values.filter((v) => v != null && v > 0));
    const known = /** @type {number[]} */ (values);
    return known.length ? [Math.min(...known), Math.max(...known)] : [0.1, 1];
}

/** The site and step of the most and of the least. @param {HeatData} data @param {string} name */
function reading(data, name) {
    const last = data.windows.length - 1;
    const known = data.rows.flatMap(({ site, values }) => {
        const value = values[last];
        return value == null ? [] : [{ site, value }];
    });
    if (known.length < 2) return "";
    known.sort((a, b) => a.value - b.value);
    const [low, high] = [known[0], known[known.length - 1]];
    return `At step ${int(data.windows[last].to)} the ${name} is ${num(low.value)} at ${low.site} and ${num(high.value)} at ${high.site}.`;
}

/**
 * @param {Run} run
 * @param {string | null} chosen
 * @param {{ cls: string, empty: import("../dom.js").Part, axes: import("../axes.js").AxisKeeper }} o
 */
export function heatFigure(run, chosen, { cls, empty, axes }) {
    const about = { id: "heat", title: "All sites over time", cls };
    const column = heatColumn();
    const waiting = awaiting(about, [run.data.heat], {
        height: 240,
        awaited: "Reading the summaries of all sites and steps.",
        loaded: (data) => data?.column === column,
    });
    if (waiting) return waiting;
    const data = /** @type {HeatData} */ (run.data.heat.state.value.data);
    if (!data.windows.length) return placeholder(about, { height: 240, awaited: "", empty });
    const { name, what, log } = COLUMNS[column];
    const isScale = column === "scale";
    const range = axes.get(`heat ${column}`, () => rangeOf(data, log));
    const missing = data.rows.filter((row) => row.values.every((v) => v == null)).map((row) => row.site);
    const all = data.rows.flatMap((row) => row.values);
    const below = all.filter((v) => v != null && v <= 0).length;
    const gone = data.rows.filter((row) => !missing.includes(row.site)).flatMap((row) => row.values);
    const undefined_ = gone.filter((v) => v == null).length;
    const pooled = Math.max(...data.windows.map((window) => window.steps));
    const counts = data.rows.flatMap((row) => row.counts.filter((n) => n));
    const probed = data.windows.reduce((sum, window) => sum + window.steps, 0);
    const shown = { ...data, rows: data.rows.filter((row) => !missing.includes(row.site)) };
    const options = (/** @type {import("../colour.js").Theme} */ now) => ({
        what: name,
        mismatch: isScale,
        range,
        log,
        end: lastStep([run], [data.windows[data.windows.length - 1].to]),
        logStep: isLogStep(),
        chosen,
        open: (/** @type {string} */ site, /** @type {number} */ step) =>
            go(`/run/${run.id}/site/${site}?step=${step}`),
        name: `${what} by site and step`,
        theme: now,
    });
    const parts = [`${what} by site, in depth order from the top, and probed step, layer view.`];
    if (isScale)
        parts.push(`A cell stands out the more, the further it is from 1; hatched: median ≤ 0 (${int(below)} cells).`);
    if (pooled > 1) parts.push(`Up to ${pooled} neighbouring steps pooled by merging histograms.`);
    if (undefined_) parts.push(`${plural(undefined_, "cell")} undefined.`);
    if (missing.length) parts.push(`Not defined at ${missing.join(", ")}.`);
    parts.push(
        `${plural(probed, "probed step")}, n = ${int(Math.min(...counts))}${Math.max(...counts) > Math.min(...counts) ? ` to ${int(Math.max(...counts))}` : ""} samples a cell. Choose a cell to see its site at that step.`,
    );
    return figure({
        ...about,
        runs: [run.id],
        settings: columnSelect(),
        body: shown.rows.length
            ? plotHost({
                  deps: [data, chosen, isLogStep(), theme.value, run.growing],
                  height: drawn().heatHeight(shown),
                  draw: (width) => drawn().heat(shown, options(theme.value), width),
              })
            : html`<div class="empty small-empty">
                  <p><b>No site has this figure.</b> Interference is defined for plain SGD alone.</p>
              </div>`,
        key: isScale ? mismatchRamp() : countRampOf(num(range[0]), `${num(range[1])}${log ? ", log" : ""}`),
        reading: reading(data, name),
        caption: parts.join(" "),
        table: () => ({
            columns: [
                { name: "site" },
                { name: "from step", numeric: true, format: int },
                { name: "to step", numeric: true, format: int },
                { name, numeric: true, format: num },
                { name: "n", numeric: true, format: int },
            ],
            rows: data.rows.flatMap(({ site, values, counts: n }) =>
                data.windows.map(({ from, to }, i) => [site, from, to, values[i], n[i]]),
            ),
        }),
        drawings: async () => [drawn().heat(shown, options("light"), 880).nodes],
        stale: staleOf([run.data.heat]),
    });
}
