/**
 * The network of a spec as a line of boxes: what each layer has of parameters, and between them the shapes.
 */
import { html, nothing } from "lit-html";
import { int } from "./format.js";

/**
 * @typedef {{ index: string, type: string, variant: any, shape: number[], parameters: number, flops: number }} CostLayer
 * @typedef {{ layers: CostLayer[], sites: string[], parameters: number, steps: number, steps_per_epoch: number,
 *     probed_steps: number, probe_rows: number, flops_per_step: number }} Cost
 */

/** @param {number[] | null | undefined} shape */
const shapeText = (shape) => shape?.join("×") ?? "";

/**
 * @param {string} dataset
 * @param {number[] | null} input the shape of a sample, where it is known
 * @param {Cost} cost
 * @param {string[]} wrong indices of layers that cannot be
 */
export function networkLine(dataset, input, cost, wrong) {
    const last = cost.layers[cost.layers.length - 1];
    /** @param {CostLayer} layer */
    const size = (layer) =>
        ["dense", "conv", "patch-embed"].includes(layer.type)
            ? ` ${layer.shape[layer.type === "dense" ? layer.shape.length - 1 : 0]}`
            : "";
    return html`<div class="netline" role="region" aria-label="The network" tabindex="0">
        <ol>
            <li>
                <span class="box"
                    ><b>${input && input.length === 3 ? "image" : "sample"}</b><span>${dataset}</span></span
                >
            </li>
            ${cost.layers.map(
                (layer, i) =>
                    html`<li>
                        <span class="edge">${shapeText(i ? cost.layers[i - 1].shape : input)}</span>
                        <span
                            class="box ${layer.parameters ? "strong" : ""} ${wrong.includes(layer.index) ? "wrong" : ""}"
                            title=${layer.index}
                        >
                            <b>${layer.type}${layer.type === "dense" ? size(layer) : ""}</b>
                            ${layer.parameters ? html`<span>${int(layer.parameters)}</span>` : nothing}
                        </span>
                    </li>`,
            )}
            <li>
                <span class="edge">${shapeText(last?.shape)}</span>
                <span class="box"><b>classes</b><span>${int(cost.parameters)} in all</span></span>
            </li>
        </ol>
    </div>`;
}
