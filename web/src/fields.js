/**
 * Fields of a form over a draft: label, control, hint or error, tied together.
 */
import { html, nothing } from "lit-html";
import { at, textOf, valueOf } from "./draft.js";

/** @typedef {import("./spec_fields.js").Field} Field */

/**
 * What the fields need of the page.
 * @typedef {object} Form
 * @property {import("./api.js").Spec} spec
 * @property {import("./draft.js").Grid} grid
 * @property {Map<string, string>} errors by pointer of a field
 * @property {Map<string, string>} texts what is being typed, by pointer
 * @property {(pointer: string, value: any) => void} set undefined takes the key out
 */

/** @param {string} pointer */
export const idOf = (pointer) => `f${pointer.replaceAll("/", "-")}`;

/** Whether a field is there, by the value of another. @param {Field} field @param {import("./api.js").Spec} spec @param {Field[]} all */
export function applies({ when }, spec, all) {
    if (!when) return true;
    const other = all.find((field) => field.pointer === when.pointer);
    return when.is.includes(at(spec, when.pointer) ?? other?.fallback);
}

/** @param {Field} field @param {Form} form */
export function fieldView(field, form) {
    const { pointer, label, span = field.kind === "parts" ? 6 : 2, hint = "" } = field;
    const id = idOf(pointer);
    const error = form.errors.get(pointer);
    const many = form.grid[pointer];
    const about = error ?? (many ? `In the grid: ${many.length === 1 ? "1 value" : `${many.length} values`}` : hint);
    const described = about ? `${id}-about` : nothing;
    const common = { id, described, invalid: error ? "true" : nothing };
    return html`<div class="field s${span} ${error ? "wrong" : ""}">
        ${
            field.kind === "parts"
                ? html`<span class="label" id="${id}-label">${label}</span>`
                : html`<label for=${id}>${label}</label>`
        }
        ${control(field, form, common)}
        ${about ? html`<span class="hint ${error ? "bad" : ""}" id="${id}-about">${about}</span>` : nothing}
    </div>`;
}

/** @typedef {{ id: string, described: any, invalid: any }} Common */

/** @param {Field} field @param {Form} form @param {Common} common */
function control(field, form, common) {
    const { pointer, kind, fallback, choices = [] } = field;
    const value = at(form.spec, pointer) ?? fallback;
    if (kind === "boolean")
        return select(common, ["no", "yes"], value ? "yes" : "no", (v) => form.set(pointer, v === "yes"));
    if (kind === "choice") return select(common, choices, String(value ?? ""), (v) => form.set(pointer, v));
    if (kind === "views") {
        const both = value.includes("network");
        const names = ["layer", "layer and network"];
        return select(common, names, names[both ? 1 : 0], (v) =>
            form.set(pointer, v === names[0] ? ["layer"] : ["layer", "network"]),
        );
    }
    if (kind === "parts") return partsControl(field, form, value, common);
    return html`<input
        class="input"
        id=${common.id}
        aria-describedby=${common.described}
        aria-invalid=${common.invalid}
        autocomplete="off"
        spellcheck="false"
        inputmode=${kind === "integer" || kind === "number" ? "decimal" : nothing}
        .value=${form.texts.get(pointer) ?? textOf(value)}
        @input=${(/** @type {Event} */ event) => {
            const text = /** @type {HTMLInputElement} */ (event.target).value;
            form.texts.set(pointer, text);
            form.set(pointer, valueOf(text, kind));
        }}
    />`;
}

/** @param {Common} common @param {string[]} names @param {string} chosen @param {(value: string) => void} choose */
const select = (common, names, chosen, choose) =>
    html`<select
        class="input"
        id=${common.id}
        aria-describedby=${common.described}
        aria-invalid=${common.invalid}
        @change=${(/** @type {Event} */ event) => choose(/** @type {HTMLSelectElement} */ (event.target).value)}
    >
        ${names.includes(chosen) ? nothing : html`<option value=${chosen} selected>${chosen || "choose"}</option>`}
        ${names.map((name) => html`<option value=${name} .selected=${name === chosen}>${name}</option>`)}
    </select>`;

/** One choice for all parts, or one for each. @param {Field} field @param {Form} form @param {any} value @param {Common} common */
function partsControl({ pointer, parts = [], choices = [] }, form, value, common) {
    const of = (/** @type {string} */ part) => (typeof value === "object" && value ? value[part] : value) ?? choices[0];
    return html`<div
        class="parts"
        role="group"
        aria-labelledby="${common.id}-label"
        aria-describedby=${common.described}
    >
        ${parts.map(
            (part) =>
                html`<label>
                    <span>${part}</span>
                    ${select({ ...common, id: `${common.id}-${part}` }, choices, of(part), (chosen) =>
                        form.set(
                            pointer,
                            Object.fromEntries(parts.map((other) => [other, other === part ? chosen : of(other)])),
                        ),
                    )}
                </label>`,
        )}
    </div>`;
}

/** @param {string} title @param {import("./dom.js").Part | import("./dom.js").Part[]} content @param {import("./dom.js").Part} [note] */
export const formSection = (title, content, note = nothing) =>
    html`<section class="form-sect" aria-label=${title}>
        <div>
            <h2>${title}</h2>
            ${note}
        </div>
        <div class="fields">${content}</div>
    </section>`;
