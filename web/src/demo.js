/**
 * The pair of jobs that shows the product: the same network on the same data, with and without the correction, each
 * with a learning rate that suits it.
 */
import { request } from "./api.js";

/**
 * @param {string} name
 * @param {string} variant
 * @param {number} learningRate
 */
const spec = (name, variant, learningRate) => ({
    name,
    tags: ["demo"],
    dataset: { name: "fashion-mnist", train_limit: 10000, test_limit: 2000, scaling: "standard" },
    model: { preset: "mlp", width: 128, depth: 3, variant, activation: "tanh" },
    optimiser: { name: "sgd", learning_rate: learningRate },
    batch_size: 64,
    epochs: 5,
    seed: 1,
    probe: { schedule: "log", count: 100 },
});

const PAIR = [spec("fashion affine", "affine", 0.05), spec("fashion affine-like", "affine-like", 0.5)];

/** Submits the pair. @returns {Promise<import("./api.js").Job[]>} */
export async function startDemoPair() {
    const jobs = [];
    for (const body of PAIR) jobs.push(await request("/jobs", { method: "POST", body }));
    return jobs;
}
