/**
 * The frame of every figure: title, settings, tools; the plot; a caption whose first words are what it shows.
 */
import { html, nothing } from "lit-html";
import { copyText, css, errorNotice, menu, retryButton, toast } from "./dom.js";
import { clock, int, tie } from "./format.js";
import { guideText } from "./guide.js";
import { param, readable, setQuery } from "./router.js";
import "./drawn.js";

/**
 * @typedef {import("./dom.js").Part} Part
 * @typedef {import("./drawn.js").PlotSpec} PlotSpec
 * @typedef {{ name: string, numeric?: boolean, format?: (value: any) => string }} Column
 * @typedef {{ columns: Column[], rows: (string | number | null)[][] }} Table
 *
 * @typedef {object} Figure
 * @property {string} id in the link, and the key of its table
 * @property {string} title
 * @property {string} [cls] its place in the grid
 * @property {Part} [settings]
 * @property {Part} body
 * @property {Part} [key] what explains the colours, below the body or above the caption beside it
 * @property {string} reading the one thing it shows; computed, or ""
 * @property {string} [exportNote] what an export must say besides, as its colours are not explained
 * @property {string} caption what is plotted, how aggregated, what is missing, n
 * @property {boolean} [aside] there is room for the caption to the right
 * @property {() => Table} [table] every number behind it
 * @property {() => Promise<SVGSVGElement[][]>} [drawings] rows of drawings, for an export
 * @property {number[]} runs the jobs it shows
 * @property {{ error: unknown, at: number, retry: () => void } | null} [stale] why it is not up to date
 */

/** Whether each figure is explained. */
const isGuided = () => param("guide") === "1";
/** Turns the explanations on and off. */
export const guideButton = () =>
    html`<button
        class="btn"
        type="button"
        aria-pressed=${isGuided()}
        @click=${() => setQuery({ guide: isGuided() ? null : "1" })}
    >
        ${isGuided() ? "Without explanations" : "Explain"}
    </button>`;

/** A table on the page shows so many rows; the file has all. */
const TABLE_LIMIT = 500;

/** @param {string} id */
const tableShown = (id) => (param("table") ?? "").split(",").includes(id);

/** @param {string} id */
function toggleTable(id) {
    const shown = (param("table") ?? "").split(",").filter(Boolean);
    const next = shown.includes(id) ? shown.filter((other) => other !== id) : [...shown, id];
    setQuery({ table: next.length ? next.join(",") : null });
}

/** The link to a figure as it is shown now; a theme is the reader's own. @param {string} id */
export function permalink(id) {
    const url = new URL(location.href);
    url.searchParams.delete("theme");
    url.search = readable(url.search);
    url.hash = id;
    return url.href;
}

/** @param {string} id */
async function copyLink(id) {
    const link = permalink(id);
    toast({ text: (await copyText(link)) ? "The link is copied" : `The link could not be copied: ${link}` });
}

/** @param {Figure} figure @param {"svg" | "png" | "csv"} kind */
async function save(figure, kind) {
    try {
        const { exportFigure } = await import("./export.js");
        await exportFigure(kind, {
            title: figure.title,
            caption: [figure.reading, figure.caption, figure.exportNote].filter(Boolean).join(" "),
            link: permalink(figure.id),
            name: `plumbline-${figure.runs.map((id) => `run${id}`).join("-")}-${figure.id}`,
            runs: figure.runs,
            table: figure.table?.() ?? { columns: [], rows: [] },
            drawings: (await figure.drawings?.()) ?? [],
        });
    } catch (error) {
        toast({ text: `The export failed: ${/** @type {Error} */ (error).message}` });
    }
}

/** @param {Figure} figure */
function tools(figure) {
    const kinds = /** @type {("svg" | "png" | "csv")[]} */ (figure.drawings ? ["svg", "png", "csv"] : ["csv"]);
    return html`<div class="tools">
        ${
            figure.table
                ? html`<button
                          class="tool"
                          type="button"
                          aria-pressed=${tableShown(figure.id)}
                          @click=${() => toggleTable(figure.id)}
                      >
                          Table
                      </button>
                      <button class="tool" type="button" @click=${() => copyLink(figure.id)}>Link</button>
                      ${menu({
                          label: "Export",
                          cls: "tool",
                          items: kinds.map((kind) => ({ name: kind.toUpperCase(), run: () => save(figure, kind) })),
                      })}`
                : nothing
        }
    </div>`;
}

/** @param {Figure} figure */
function tableView({ id, title, table }) {
    if (!table || !tableShown(id)) return nothing;
    const { columns, rows } = table();
    const cell = (/** @type {any} */ value, /** @type {Column} */ column) =>
        value == null ? "–" : column.format ? column.format(value) : String(value);
    return html`<div class="fig-table" role="region" aria-label=${`Table: ${title}`} tabindex="0">
        <table>
            <thead>
                <tr>
                    ${columns.map((c) => html`<th scope="col" class=${c.numeric ? "r" : ""}>${c.name}</th>`)}
                </tr>
            </thead>
            <tbody>
                ${rows.slice(0, TABLE_LIMIT).map(
                    (row) =>
                        html`<tr>
                            ${row.map(
                                (value, i) =>
                                    html`<td class=${columns[i].numeric ? "r" : ""}>${cell(value, columns[i])}</td>`,
                            )}
                        </tr>`,
                )}
            </tbody>
        </table>
        ${
            rows.length > TABLE_LIMIT
                ? html`<p class="small quiet">
                      The first ${int(TABLE_LIMIT)} of ${int(rows.length)} rows; the CSV has all.
                  </p>`
                : nothing
        }
    </div>`;
}

/**
 * T shows the table, E opens the export, wherever the focus is in the figure.
 * @param {KeyboardEvent} event
 * @param {string} id
 */
function onKey(event, id) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/** @type {Element} */ (event.target).closest("input, select, textarea")) return;
    const frame = /** @type {Element} */ (event.currentTarget);
    if (event.key === "t") toggleTable(id);
    else if (event.key === "e") {
        const details = frame.querySelector("details.menu");
        if (!(details instanceof HTMLDetailsElement)) return;
        details.open = true;
        details.querySelector("button")?.focus();
    } else return;
    event.preventDefault();
}

/** What a newcomer is told. @param {string} id */
const guide = (id) => (isGuided() && guideText(id) ? html`<p class="guide">${guideText(id)}</p>` : nothing);

/** @param {Figure} figure */
export function figure(figure) {
    const { id, title, cls = "", settings = nothing, key = nothing, stale = null } = figure;
    const body = html`<div class="fig-body ${stale ? "dim" : ""}">${figure.body}</div>`;
    const caption = html`<figcaption>
        ${figure.reading ? html`<b>${tie(figure.reading)}</b> ` : nothing}${tie(figure.caption)}${
            stale?.at ? ` As it was at ${clock(stale.at)}.` : nothing
        }
    </figcaption>`;
    const notice = stale ? errorNotice("Not up to date.", stale.error, retryButton(stale.retry)) : nothing;
    return html`<figure
        class="fig ${cls}"
        id=${id}
        aria-label=${title}
        @keydown=${(/** @type {KeyboardEvent} */ event) => onKey(event, id)}
    >
        <div class="fig-head">
            <h2>${title}</h2>
            <div class="fig-side">
                ${settings === nothing ? nothing : html`<div class="set">${settings}</div>`} ${tools(figure)}
            </div>
        </div>
        ${guide(id)}
        ${
            figure.aside
                ? html`<div class="fig-aside">
                      <div>${body} ${notice}</div>
                      <div>${key} ${caption}</div>
                  </div>`
                : html`${body} ${notice} ${key} ${caption}`
        }
        ${tableView(figure)}
    </figure>`;
}

/**
 * A figure whose data is not there: being read, failed, or not to be had.
 * @param {Pick<Figure, "id" | "title" | "cls">} about
 * @param {{ height: number, awaited: string, error?: unknown, retry?: () => void, empty?: Part }} state
 */
export function placeholder(about, { height, awaited, error, retry, empty }) {
    const { id, title, cls = "" } = about;
    const body = error
        ? errorNotice("This could not be read.", error, retry ? retryButton(retry) : nothing)
        : empty
          ? html`<div class="empty">${empty}</div>`
          : html`<div class="skeleton" aria-busy="true" ${css({ "min-height": `${height}px` })}></div>`;
    return html`<figure class="fig ${cls}" id=${id} aria-label=${title}>
        <div class="fig-head"><h2>${title}</h2></div>
        ${guide(id)}
        <div class="fig-body">${body}</div>
        ${error || empty ? nothing : html`<figcaption class="await">${awaited}</figcaption>`}
    </figure>`;
}

/** @param {PlotSpec} spec */
export const plotHost = (spec) => html`<plumb-plot .spec=${spec}></plumb-plot>`;
