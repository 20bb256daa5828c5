/**
 * Claims: what the paper found, each beside the equation it tests and what a study of it would need.
 */
import { html, nothing, svg } from "lit-html";
import { request } from "../api.js";
import { formula, unknownKeysNotice, variant } from "../dom.js";
import { int, plural } from "../format.js";
import { jobsOf } from "../draft.js";

import { resource } from "../resource.js";
import { unknownKeys } from "../router.js";
import { countsOf } from "./studies.js";

/** @typedef {import("./studies.js").Study} Study */

/**
 * @typedef {object} Claim
 * @property {string} id
 * @property {string} sentence
 * @property {string} equation
 * @property {string} needs
 * @property {string[]} variants
 * @property {(study: Study) => boolean} tests whether a study is about it
 * @property {(dataset: string) => { spec: object, grid: import("../draft.js").Grid }} study a beginning of it
 */

const DENSE = ["affine-like", "l2", "affine", "batch", "layer", "rms"];
const CONV = ["patch-affine-like", "patch-l2", "patch-rms", "affine", "layer", "rms"];
const SEEDS = [1, 2, 3, 4, 5];

/** @param {string} name @param {string} dataset @param {object} model */
const base = (name, dataset, model) => ({
    name,
    dataset: { name: dataset, train_limit: 10000 },
    model,
    optimiser: { name: "sgd", learning_rate: 0.05 },
    epochs: 5,
    probe: { schedule: "none" },
});

/** So many of the last studies are looked at. */
const LOOKED_AT = 30;

/** Whether a study compares variants along one of these. @param {...string} keys @returns {Claim["tests"]} */
const along =
    (...keys) =>
    ({ grid }) =>
        "/model/variant" in grid && keys.some((key) => key in grid);

/** @type {Claim[]} */
const CLAIMS = [
    {
        id: "claim-width-depth",
        sentence:
            "In fully connected networks affine-like reaches the highest test accuracy, and its lead grows with width and depth; l2 is next, ahead of affine, batch, layer and rms.",
        equation: "k_ii = ‖x‖² + 1 for affine; 2 for l2; 1 for affine-like",
        needs: "Every variant at several widths and depths, each with several learning rates, as the variants’ steps differ in length as 1 : 2 : n + 1 : ‖x‖² + 1; five seeds of each, compared seed by seed.",
        variants: DENSE,
        tests: along("/model/width", "/model/depth"),
        study: (dataset) => ({
            spec: base("width and depth", dataset, {
                preset: "mlp",
                width: 64,
                depth: 2,
                variant: "affine",
                activation: "tanh",
            }),
            grid: {
                "/model/variant": DENSE,
                "/model/width": [16, 64, 256],
                "/optimiser/learning_rate": [0.005, 0.05, 0.5],
                "/seed": SEEDS,
            },
        }),
    },
    {
        id: "claim-batch-size",
        sentence:
            "For affine-like and l2 the test accuracy falls as the batch grows, since there is more interference; for layer it is about flat; for batch, rms and affine it rises.",
        equation: "e_i = −η k_ii g_i − η Σ_j≠i k_ij g_j",
        needs: "Every variant at batch sizes over several powers of two, five seeds of each; the slope of accuracy on log2 batch size, with its interval.",
        variants: DENSE,
        tests: along("/batch_size"),
        study: (dataset) => ({
            spec: base("batch size", dataset, {
                preset: "mlp",
                width: 128,
                depth: 2,
                variant: "affine",
                activation: "tanh",
            }),
            grid: { "/model/variant": DENSE, "/batch_size": [16, 64, 256], "/seed": SEEDS },
        }),
    },
    {
        id: "claim-patchnorm",
        sentence:
            "In convolutional networks PatchNorm is about on par with LayerNorm and RMSNorm, without the lead that affine-like has in fully connected ones.",
        equation: "k_(ip)(ip) = ‖x_p‖² + 1 for a patch of a plain convolution; 1 for patch-affine-like",
        needs: "Convolutions of each variant in several architectures, five seeds of each, compared seed by seed.",
        variants: CONV,
        tests: ({ base: { model }, grid }) => "/model/variant" in grid && model?.preset === "cnn",
        study: (dataset) => ({
            spec: base("PatchNorm", dataset, { preset: "cnn", channels: [8, 16], variant: "affine" }),
            grid: { "/model/variant": CONV, "/seed": SEEDS },
        }),
    },
];

/** @type {import("../main.js").PageModule["open"]} */
export function open() {
    const datasets = resource(async (abort) => (await request("/datasets", { signal: abort })).items);
    datasets.refresh();
    const studies = resource(async (signal) => {
        const { items } = await request(`/studies?max_results=${LOOKED_AT}`, { signal });
        const ids = items.map((/** @type {Study} */ { id }) => id);
        return /** @type {Promise<Study[]>} */ (
            Promise.all(ids.map((/** @type {number} */ id) => request(`/studies/${id}`, { signal })))
        );
    });
    studies.refresh();
    const dataset = () => {
        const found = (datasets.state.value.data ?? []).filter((/** @type {any} */ set) => set.found);
        const wanted = ["cifar-10", "fashion-mnist", "mnist"];
        return wanted.find((name) => found.some((/** @type {any} */ set) => set.name === name)) ?? "fashion-mnist";
    };

    /** @param {Claim} claim @param {number} i */
    function one(claim, i) {
        const { spec, grid } = claim.study(dataset());
        const link = `/new?${new URLSearchParams({ spec: JSON.stringify(spec), grid: JSON.stringify(grid) })}`;
        const mine = (studies.state.value.data ?? []).filter(claim.tests);
        return html`<section class="claim prose" aria-label=${`Claim ${i + 1}`} id=${claim.id}>
            <h2>${claim.sentence}</h2>
            <p class="verdict">
                <svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.8" aria-hidden="true">
                    ${svg`<circle cx="8" cy="8" r="6" stroke-dasharray="2.2 2.5"></circle>`}
                </svg>
                <span>${mine.length ? "No verdict yet: see what its studies show" : "Not yet tested here"}</span>
            </p>
            <p class="eq">${formula(claim.equation)}</p>
            <p>${claim.needs}</p>
            <p class="claim-variants">${claim.variants.map((name) => variant(name))}</p>
            ${
                mine.length
                    ? html`<ul class="claim-studies" aria-label="Studies of it">
                          ${mine.map(
                              (study) =>
                                  html`<li>
                                      <a href="/studies/${study.id}">${study.name || `study ${study.id}`}</a>
                                      <span class="faint"
                                          >${int(countsOf(study).ended)} of ${plural(study.jobs, "job")} done</span
                                      >
                                  </li>`,
                          )}
                      </ul>`
                    : nothing
            }
            <p>
                <a class="btn" href=${link}>Write a study of ${int(jobsOf(grid))} jobs on ${dataset()}</a>
            </p>
        </section>`;
    }

    return {
        title: () => "Claims",
        view: () =>
            html`<div class="page-head">
                    <div class="lead">
                        <h1>Claims</h1>
                        <p>
                            What was found with plain networks on CIFAR-10, as public notes on the paper have it. A
                            claim is tested by a study; whatever comes out is what is shown.
                        </p>
                    </div>
                </div>
                ${unknownKeysNotice(unknownKeys([]))} ${CLAIMS.map(one)}`,
        close() {
            datasets.close();
            studies.close();
        },
    };
}
