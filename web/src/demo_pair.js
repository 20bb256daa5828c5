/**
 * The pair of jobs that shows the product: the same network on the same data, with and without the correction, each
 * with a learning rate that suits it: the corrected layers' steps are about 785 times smaller at the first layer.
 * @param {string} name
 * @param {string} variant
 * @param {number} learningRate
 */
const spec = (name, variant, learningRate) => ({
    name,
    tags: ["demo"],
    dataset: { name: "fashion-mnist", scaling: "standard" },
    model: { preset: "mlp", width: 128, depth: 3, variant, activation: "tanh" },
    optimiser: { name: "sgd", learning_rate: learningRate },
    batch_size: 64,
    epochs: 5,
    seed: 1,
    probe: { schedule: "log", count: 100 },
});

export const PAIR = [spec("fashion affine", "affine", 0.05), spec("fashion affine-like", "affine-like", 0.5)];
