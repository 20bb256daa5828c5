/**
 * The grid: fields that hold several values, a job for each combination.
 */
import { html, nothing } from "lit-html";
import { icon, variant } from "./dom.js";
import { jobsOf, textOf, valueOf } from "./draft.js";
import { int } from "./format.js";

/** @typedef {import("./spec_fields.js").Field} Field @typedef {import("./draft.js").Grid} Grid */

/**
 * @param {Grid} grid
 * @param {{ fields: Field[], known: boolean, valueOfField: (pointer: string) => any, errors: Map<string, string>,
 *     change: (next: (grid: Grid) => Grid) => void }} o
 *     known: fields have the values that they begin with; errors: by pointer and value, as `wrongKey` has it
 */
export function gridEditor(grid, { fields, known, valueOfField, errors, change }) {
    const kindOf = (/** @type {string} */ pointer) => fields.find((field) => field.pointer === pointer)?.kind ?? "any";
    /** @param {string} pointer @param {string} text */
    const add = (pointer, text) => {
        const kind = kindOf(pointer);
        const found = text
            .split(kind === "integers" || kind === "strings" ? ";" : /[,;]/)
            .map((word) => valueOf(word, kind))
            .filter((value) => value !== undefined);
        change((now) => {
            const there = (now[pointer] ?? []).map((value) => JSON.stringify(value));
            const fresh = found.filter((value) => !there.includes(JSON.stringify(value)));
            return { ...now, [pointer]: [...(now[pointer] ?? []), ...fresh] };
        });
    };
    /** @param {string} pointer @param {any} value */
    const remove = (pointer, value) =>
        change((now) => {
            const { [pointer]: values = [], ...rest } = now;
            const left = values.filter((other) => JSON.stringify(other) !== JSON.stringify(value));
            return left.length ? { ...now, [pointer]: left } : rest;
        });
    const entries = Object.entries(grid);
    const product = entries.map(([, values]) => values.length).join(" × ");

    /** @param {[string, any[]]} entry */
    function block([pointer, values]) {
        const field = fields.find((one) => one.pointer === pointer);
        const rest = (field?.choices ?? []).filter((choice) => !values.includes(choice));
        const name = field?.label ?? pointer;
        return html`<div class="grid-block">
            <p>
                <code>${pointer}</code
                ><span class="small quiet">${values.length === 1 ? "1 value" : `${values.length} values`}</span>
            </p>
            <div class="chips">
                ${values.map((value) => {
                    const wrong = errors.get(wrongKey(pointer, value));
                    return html`<span class="chip-value ${wrong ? "wrong" : ""}" title=${wrong ?? nothing}>
                        ${pointer.endsWith("/variant") && typeof value === "string" ? variant(value) : textOf(value)}
                        <button
                            type="button"
                            aria-label=${`Remove ${textOf(value)} from ${name}`}
                            @click=${() => remove(pointer, value)}
                        >
                            ${icon("close")}
                        </button>
                    </span>`;
                })}
                ${
                    field?.choices
                        ? rest.length
                            ? html`<select
                                  class="input s"
                                  aria-label=${`Add a value of ${name}`}
                                  @change=${(/** @type {Event} */ event) => {
                                      const select = /** @type {HTMLSelectElement} */ (event.target);
                                      if (select.value) add(pointer, select.value);
                                      select.value = "";
                                  }}
                              >
                                  <option value="">Add value</option>
                                  ${rest.map((choice) => html`<option value=${choice}>${choice}</option>`)}
                              </select>`
                            : nothing
                        : html`<input
                              class="input s"
                              placeholder="Add value"
                              aria-label=${`Add a value of ${name}`}
                              @change=${(/** @type {Event} */ event) => {
                                  const input = /** @type {HTMLInputElement} */ (event.target);
                                  add(pointer, input.value);
                                  input.value = "";
                              }}
                          />`
                }
            </div>
            ${values.map((value) => {
                const wrong = errors.get(wrongKey(pointer, value));
                return wrong ? html`<p class="small bad">${textOf(value)}: ${wrong}</p>` : nothing;
            })}
        </div>`;
    }

    const free = fields.filter((field) => !(field.pointer in grid) && !["/name", "/tags"].includes(field.pointer));
    return html`<section class="grid-form" aria-label="Grid">
        <h2>Grid</h2>
        <p class="quiet">
            ${
                entries.length
                    ? html`One job for each combination:
                      ${product}${entries.length > 1 ? ` = ${int(jobsOf(grid))}` : ""}.`
                    : "Any field can hold several values: then a job is made for each combination."
            }
        </p>
        ${entries.map(block)}
        ${[...errors].filter(([key]) => key.startsWith("/grid") || key === "").map(([key, detail]) => html`<p class="small bad"><code>${key}</code> ${detail}</p>`)}
        <select
            class="input"
            aria-label="Add a field to the grid"
            ?disabled=${!known}
            @change=${(/** @type {Event} */ event) => {
                const select = /** @type {HTMLSelectElement} */ (event.target);
                const pointer = select.value;
                const first = [valueOfField(pointer)].filter((value) => value != null);
                if (pointer) change((now) => ({ ...now, [pointer]: first }));
                select.value = "";
            }}
        >
            <option value="">Add a field</option>
            ${free.map((field) => html`<option value=${field.pointer}>${field.label} (${field.pointer})</option>`)}
        </select>
    </section>`;
}

/** @param {string} pointer @param {any} value */
export const wrongKey = (pointer, value) => `${pointer} ${JSON.stringify(value)}`;
