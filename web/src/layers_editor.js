/**
 * The network as a list of layers in order, each with its options as the server describes them.
 */
import { html, nothing } from "lit-html";
import { at } from "./draft.js";
import { icon } from "./dom.js";
import { fieldView } from "./fields.js";
import { optionField } from "./spec_fields.js";

/**
 * @typedef {import("./api.js").Layer} Layer
 * @typedef {{ type: string, formula: string, options: import("./spec_fields.js").Option[],
 *     variants: { name: string, formula: string, features: string, self_factor: string }[] }} LayerType
 */

/** The fields of all layers, those inside residuals too. @param {Layer[]} layers @param {LayerType[]} types @param {string} base */
export function layerFields(layers, types, base) {
    /** @type {import("./spec_fields.js").Field[]} */
    const fields = [];
    layers.forEach((layer, i) => {
        const pointer = `${base}/${i}`;
        fields.push({ pointer: `${pointer}/type`, label: `Layer ${i}`, kind: "string" });
        for (const option of types.find((type) => type.type === layer.type)?.options ?? [])
            if (option.kind !== "layers") fields.push(optionField(pointer, option));
        if (layer.layers) fields.push(...layerFields(layer.layers, types, `${pointer}/layers`));
    });
    return fields;
}

/**
 * @param {string} base pointer of the list
 * @param {LayerType[]} types
 * @param {import("./fields.js").Form} form
 * @returns {import("lit-html").TemplateResult}
 */
export function layersEditor(base, types, form) {
    /** @type {Layer[]} */
    const layers = at(form.spec, base) ?? [];
    const change = (/** @type {Layer[]} */ next) => {
        form.texts.clear();
        form.set(base, next);
    };
    const move = (/** @type {number} */ from, /** @type {number} */ to) => {
        const next = [...layers];
        next.splice(to, 0, ...next.splice(from, 1));
        change(next);
    };
    const button = (
        /** @type {string} */ name,
        /** @type {string} */ label,
        /** @type {() => void} */ run,
        off = false,
    ) =>
        html`<button class="btn plain" type="button" aria-label=${label} title=${label} ?disabled=${off} @click=${run}>
            ${icon(name)}
        </button>`;

    /** @param {Layer} layer @param {number} i */
    function one(layer, i) {
        const pointer = `${base}/${i}`;
        const type = types.find((known) => known.type === layer.type);
        const error = form.errors.get(`${pointer}/type`);
        const name = `layer ${i}, ${layer.type}`;
        return html`<li class="layer">
            <div class="layer-head">
                <span class="faint num">${i}</span>
                <select
                    class="input"
                    aria-label=${`Type of layer ${i}`}
                    aria-invalid=${error ? "true" : nothing}
                    @change=${(/** @type {Event} */ event) => {
                        const chosen = /** @type {HTMLSelectElement} */ (event.target).value;
                        change(layers.map((other, k) => (k === i ? fresh(chosen) : other)));
                    }}
                >
                    ${types.map((t) => html`<option value=${t.type} .selected=${t.type === layer.type}>${t.type}</option>`)}
                </select>
                <span class="layer-tools">
                    ${button("up", `Move ${name} up`, () => move(i, i - 1), i === 0)}
                    ${button("down", `Move ${name} down`, () => move(i, i + 1), i === layers.length - 1)}
                    ${button("close", `Remove ${name}`, () => change(layers.filter((_, k) => k !== i)))}
                </span>
            </div>
            ${error ? html`<p class="small bad">${error}</p>` : nothing}
            ${
                type?.options.some((option) => option.kind !== "layers")
                    ? html`<div class="fields">
                          ${type.options
                              .filter((option) => option.kind !== "layers")
                              .map((option) => fieldView(optionField(pointer, option), form))}
                      </div>`
                    : nothing
            }
            ${layer.type === "residual" ? layersEditor(`${pointer}/layers`, types, form) : nothing}
        </li>`;
    }

    return html`<div class="layers">
        <ol>
            ${layers.map(one)}
        </ol>
        <button class="btn" type="button" @click=${() => change([...layers, fresh("dense")])}>
            ${icon("plus")}<span>Add a layer</span>
        </button>
    </div>`;
}

/** A layer as it begins. @param {string} type @returns {Layer} */
function fresh(type) {
    if (type === "residual") return { type, layers: [] };
    if (type === "dense") return { type, units: 128, variant: "affine-like" };
    if (type === "conv") return { type, channels: 32, padding: 1 };
    if (type === "patch-embed") return { type, dim: 64 };
    if (type === "normaliser") return { type, kind: "layer" };
    return { type };
}
