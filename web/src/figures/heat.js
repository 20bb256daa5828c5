/** F3 as a figure: a panel a run. */
import { html } from "lit-html";
import { figure, placeholder } from "../figure.js";
import { int, num, plural } from "../format.js";
import { countRampOf, mismatchRamp } from "../ramp.js";
import { go, param, setQuery } from "../router.js";
import { theme } from "../theme.js";
import {
    awaiting,
    axisKey,
    countText,
    drawn,
    headed,
    isLogStep,
    lastStep,
    leadOf,
    nameAmong,
    panelsView,
    seedsText,
    staleOf,
} from "./common.js";

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

/** @param {HeatData["rows"]} rows @param {boolean} log @returns {[number, number]} */
function rangeOf(rows, log) {
    if (!log) return [-1, 1];
    const values = rows.flatMap((row) => row.values.filter((v) => v != null && v > 0));
    const known = /** @type {number[]} */ (values);
    return known.length ? [Math.min(...known), Math.max(...known)] : [0.1, 1];
}

/** The site of the most and of the least. @param {HeatData} data @param {string} name @param {string} lead */
function reading(data, name, lead) {
    const last = data.windows.length - 1;
    const known = data.rows.flatMap(({ site, values }) => {
        const value = values[last];
        return value == null ? [] : [{ site, value }];
    });
    if (known.length < 2) return "";
    known.sort((a, b) => a.value - b.value);
    const [low, high] = [known[0], known[known.length - 1]];
    return `${lead}${lead ? "at" : "At"} step ${int(data.windows[last].to)} the ${name} is ${num(low.value)} at ${low.site} and ${num(high.value)} at ${high.site}.`;
}

/** The last step that was measured. @param {HeatData} data */
const lastOf = ({ windows }) => windows[windows.length - 1].to;

/** Whether a site has the figure at any step. @param {HeatData["rows"][number]} row */
const isKnown = (row) => row.values.some((v) => v != null);

/**
 * @param {Run[]} runs
 * @param {string | null} chosen
 * @param {{ cls: string, empty: import("../dom.js").Part, axes: import("../axes.js").AxisKeeper }} o
 */
export function heatFigure(runs, chosen, { cls, empty, axes }) {
    const about = { id: "heat", title: "All sites over time", cls };
    const column = heatColumn();
    const readings = runs.map((run) => run.data.heat);
    const waiting = awaiting(about, readings, {
        height: 240,
        awaited: "Reading the summaries of all sites and steps.",
        loaded: (data) => data?.column === column,
    });
    if (waiting) return waiting;
    const panels = runs.flatMap((run) => {
        const data = /** @type {HeatData} */ (run.data.heat.state.value.data);
        return data.windows.length ? [{ run, data, shown: { ...data, rows: data.rows.filter(isKnown) } }] : [];
    });
    if (!panels.length) return placeholder(about, { height: 240, awaited: "", empty });
    const { name, what, log } = COLUMNS[column];
    const isScale = column === "scale";
    const filled = panels.filter(({ shown }) => shown.rows.length);
    const rows = filled.flatMap(({ shown }) => shown.rows);
    const range = axes.get(axisKey(`heat ${column}`, runs), () => rangeOf(rows, log));
    const missing = [
        ...new Set(panels.flatMap(({ data }) => data.rows.filter((row) => !isKnown(row)).map((row) => row.site))),
    ];
    const cells = rows.flatMap((row) => row.values);
    const below = cells.filter((v) => v != null && v <= 0).length;
    const undefined_ = cells.filter((v) => v == null).length;
    const windows = panels.flatMap(({ data }) => data.windows);
    const pooled = Math.max(...windows.map((window) => window.steps));
    const counts = rows.flatMap((row) => row.counts.filter((n) => n));
    const probed = panels.map(({ data }) => data.windows.reduce((sum, window) => sum + window.steps, 0));
    const end = lastStep(
        runs,
        panels.map(({ data }) => lastOf(data)),
    );
    /** @param {Run} run @param {import("../colour.js").Theme} now */
    const optionsOf = (run, now) => ({
        what: name,
        mismatch: isScale,
        range,
        log,
        end,
        logStep: isLogStep(),
        chosen,
        open: (/** @type {string} */ site, /** @type {number} */ step) =>
            go(`/run/${run.id}/site/${site}?step=${step}`),
        name: `${what} by site and step${runs.length > 1 ? `, ${run.label}` : ""}`,
        theme: now,
    });
    const parts = [`${what} by site, in depth order from the top, and probed step, layer view.`];
    if (isScale)
        parts.push(`A cell stands out the more, the further it is from 1; hatched: median ≤ 0 (${int(below)} cells).`);
    if (pooled > 1) parts.push(`Up to ${pooled} neighbouring steps pooled by merging histograms.`);
    if (undefined_) parts.push(`${plural(undefined_, "cell")} undefined.`);
    if (missing.length) parts.push(`Not defined at ${missing.join(", ")}.`);
    parts.push(
        `${plural(Math.max(...probed), "probed step")}, ${counts.length ? countText(counts, "a cell") : "n = 0"}. Choose a cell to see its site at that step.`,
    );
    if (runs.some((run) => run.ids.length > 1)) parts.push("A cell is the middle one of the seeds’ figures.");
    return figure({
        ...about,
        runs: runs.flatMap((run) => run.ids),
        settings: columnSelect(),
        body: filled.length
            ? panelsView(
                  filled.map(({ run, data, shown }) => ({
                      run,
                      plot: {
                          deps: [data, range, end, chosen, isLogStep(), theme.value],
                          height: drawn().heatHeight(shown),
                          draw: (width) => drawn().heat(shown, optionsOf(run, theme.value), width),
                      },
                  })),
                  runs.length > 1,
              )
            : html`<div class="empty small-empty">
                  <p><b>No site has this figure.</b> Interference is defined for plain SGD alone.</p>
              </div>`,
        key: isScale ? mismatchRamp() : countRampOf(num(range[0]), `${num(range[1])}${log ? ", log" : ""}`),
        reading: panels
            .map(({ run, data }) => reading(data, name, leadOf(run, runs)))
            .filter(Boolean)
            .join(" "),
        caption: parts.join(" ") + seedsText(runs),
        table: () => ({
            columns: [
                { name: "run" },
                { name: "site" },
                { name: "from step", numeric: true, format: int },
                { name: "to step", numeric: true, format: int },
                { name, numeric: true, format: num },
                { name: "n", numeric: true, format: int },
            ],
            rows: panels.flatMap(({ run, data }) =>
                data.rows.flatMap(({ site, values, counts: n }) =>
                    data.windows.map(({ from, to }, i) => [run.label, site, from, to, values[i], n[i]]),
                ),
            ),
        }),
        drawings: async () =>
            filled.map(({ run, shown }) => [
                headed(drawn().heat(shown, optionsOf(run, "light"), 880).nodes[0], nameAmong(run, runs)),
            ]),
        stale: staleOf(readings),
    });
}
