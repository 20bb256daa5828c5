/**
 * Theory: what is measured, and the table of variants from the program's own registry.
 */
import { html } from "lit-html";
import { request } from "../api.js";
import { errorNotice, formula, retryButton, unknownKeysNotice, variant } from "../dom.js";
import { resource } from "../resource.js";
import { unknownKeys } from "../router.js";

/** @typedef {import("../layers_editor.js").LayerType} LayerType */

/** @type {[string, string][]} */
const COLUMNS = [
    [
        "scale",
        "(e·a)/‖a‖²: the multiple of the ideal step that was really taken along it; 1 is ideal, below 0 is away from it",
    ],
    ["cosine", "(e·a)/(‖e‖‖a‖): whether the step points along its ideal; 1 is ideal"],
    ["divergence", "‖e − a‖/‖a‖: how far the step is from its ideal, whatever the direction; 0 is ideal"],
    ["self factor", "k_ii: the scale that is predicted for the sample alone"],
    ["interference", "‖e − self‖/‖a‖: what the other samples, and the sample’s other positions, add"],
    ["within, across", "the signed parts of scale from the same sample’s other positions and from other samples"],
];

/** @type {import("../main.js").PageModule["open"]} */
export function open() {
    const layers = resource(
        async (abort) => /** @type {LayerType[]} */ ((await request("/layers", { signal: abort })).items),
    );
    layers.refresh();

    /** @param {LayerType[]} same types with the same variants */
    const table = (same) =>
        html`<h3>${same.map((layer) => layer.type).join(", ")}</h3>
            ${same.map((layer) => html`<p class="quiet">${same.length > 1 ? `${layer.type}: ` : ""}${formula(layer.formula)}</p>`)}
            <div class="wide-table" role="region" aria-label=${`Variants of ${same[0].type}`} tabindex="0">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">Variant</th>
                            <th scope="col">Forward</th>
                            <th scope="col">Feature map u(x)</th>
                            <th scope="col">Self factor</th>
                        </tr>
                    </thead>
                    <tbody>
                        ${same[0].variants.map(
                            (v) =>
                                html`<tr>
                                    <td>${variant(v.name)}</td>
                                    <td>${formula(v.formula)}</td>
                                    <td>${formula(v.features)}</td>
                                    <td>${formula(v.self_factor)}</td>
                                </tr>`,
                        )}
                    </tbody>
                </table>
            </div>`;

    function registry() {
        const { data, error } = layers.state.value;
        if (error && !data)
            return errorNotice("The table of variants could not be read.", error, retryButton(layers.refresh));
        if (!data) return html`<div class="skeleton" aria-busy="true"></div>`;
        const others = data.filter((layer) => !layer.variants.length);
        /** @type {Map<string, LayerType[]>} */
        const groups = new Map();
        for (const layer of data.filter((one) => one.variants.length)) {
            const key = JSON.stringify(layer.variants);
            groups.set(key, [...(groups.get(key) ?? []), layer]);
        }
        return html`${[...groups.values()].map(table)}
            <h3>Other layers</h3>
            <dl class="kv">
                ${others.map(
                    (layer) =>
                        html`<dt>${layer.type}</dt>
                            <dd>${formula(layer.formula)}</dd>`,
                )}
            </dl> `;
    }

    return {
        title: () => "Theory",
        view: () =>
            html`<div class="page-head">
                    <div class="lead">
                        <h1>Theory</h1>
                        <p>
                            What is measured, after
                            <i>The Affine Divergence: Aligning Activation Updates Beyond Normalisation</i> (G. Bird,
                            arXiv 2512.22247).
                        </p>
                    </div>
                </div>
                ${unknownKeysNotice(unknownKeys([]))}
                <div class="prose">
                    <h2>Ideal and effective update</h2>
                    <p>
                        ${formula("A mini-batch has B samples and the loss L is their mean. For sample i an activation is z_i, its gradient g_i = ∂L/∂z_i, and η the learning rate. Steepest descent on the activation itself would take the ideal step")}
                    </p>
                    <p class="eq">${formula("a_i = −η g_i")}</p>
                    <p>What is stepped are the parameters θ, though. The activation then moves by the effective step</p>
                    <p class="eq">${formula("e_i = f(θ + Δθ, x_i) − f(θ, x_i)")}</p>
                    <p>
                        ${formula("with the layer’s input held fixed: the layer view. In the network view the whole network is stepped, so that e also holds what all earlier layers did to x_i.")}
                    </p>
                    <h2>One kernel for every layer that is linear in its parameters</h2>
                    <p>
                        Each variant below is z = W̃ u(x) with a feature map u that has no parameters. For plain SGD the
                        effective step is exact:
                    </p>
                    <p class="eq">${formula("e_i = −η Σ_j k_ij g_j, with k_ij = u(x_i)·u(x_j)")}</p>
                    <p>
                        ${formula("The term of the sample itself is −η k_ii g_i: its ideal step, k_ii times too long. k_ii is the self factor; the rest is interference from other samples. A plain affine layer has k_ii = ‖x‖² + 1, so samples with a large input are stepped more. The affine-like variant divides by √(1 + ‖x‖²), which makes it 1.")}
                    </p>
                    <h2>What is logged for each sample</h2>
                    <dl class="kv">
                        ${COLUMNS.map(
                            ([name, words]) =>
                                html`<dt>${name}</dt>
                                    <dd>${formula(words)}</dd>`,
                        )}
                    </dl>
                    <p>
                        Where a sample contributes no gradient the ratios are undefined; they are counted and never
                        taken for 0. In a real batch scale is dominated by interference and often negative.
                    </p>
                    <h2>Variants</h2>
                    <p>From the registry of this program: what runs is what stands here.</p>
                </div>
                <div class="registry">${registry()}</div>`,
        close: layers.close,
    };
}
