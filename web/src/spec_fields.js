/**
 * The fields of the form, as the spec has them: what a data set and a layer take is told by the server, the rest is here.
 */

/**
 * @typedef {object} Field
 * @property {string} pointer
 * @property {string} label
 * @property {"integer" | "number" | "boolean" | "string" | "choice" | "strings" | "integers" | "parts" | "sites" | "views"} kind
 * @property {any} [fallback] what holds when nothing is written
 * @property {string[]} [choices]
 * @property {string[]} [parts]
 * @property {string} [hint]
 * @property {number} [span] of six columns
 * @property {{ pointer: string, is: string[] }} [when] it is there only with these values of another field
 *
 * @typedef {{ name: string, kind: string, required: boolean, default: any, nullable: boolean, choices: string[] | null,
 *     help: string }} Option  as the server describes it
 */

export const PRESETS = ["mlp", "cnn", "vit"];

const sgd = { pointer: "/optimiser/name", is: ["sgd"] };
const adam = { pointer: "/optimiser/name", is: ["adam", "adamw"] };
const stepped = { pointer: "/optimiser/schedule", is: ["step"] };

/** @type {Field[]} */
export const JOB = [
    { pointer: "/name", label: "Name", kind: "string", fallback: "", span: 4 },
    { pointer: "/tags", label: "Tags", kind: "strings", fallback: [], span: 2, hint: "With commas between" },
];

/** @type {Field[]} */
export const TRAINING = [
    {
        pointer: "/optimiser/name",
        label: "Optimiser",
        kind: "choice",
        fallback: "sgd",
        choices: ["sgd", "adam", "adamw"],
    },
    { pointer: "/optimiser/learning_rate", label: "Learning rate", kind: "number", fallback: 0.05 },
    {
        pointer: "/optimiser/schedule",
        label: "Schedule",
        kind: "choice",
        fallback: "constant",
        choices: ["constant", "cosine", "step"],
    },
    { pointer: "/optimiser/step_every", label: "Step every", kind: "integer", fallback: 1000, when: stepped },
    { pointer: "/optimiser/step_factor", label: "Step factor", kind: "number", fallback: 0.1, when: stepped },
    { pointer: "/batch_size", label: "Batch size", kind: "integer", fallback: 64 },
    { pointer: "/epochs", label: "Epochs", kind: "integer", fallback: 5 },
    { pointer: "/seed", label: "Seed", kind: "integer", fallback: 1 },
];

/** @type {Field[]} */
export const MORE_TRAINING = [
    { pointer: "/optimiser/momentum", label: "Momentum", kind: "number", fallback: 0, when: sgd },
    { pointer: "/optimiser/nesterov", label: "Nesterov", kind: "boolean", fallback: false, when: sgd },
    { pointer: "/optimiser/beta1", label: "β₁", kind: "number", fallback: 0.9, when: adam },
    { pointer: "/optimiser/beta2", label: "β₂", kind: "number", fallback: 0.999, when: adam },
    { pointer: "/optimiser/epsilon", label: "ε", kind: "number", fallback: 1e-8, when: adam },
    { pointer: "/optimiser/weight_decay", label: "Weight decay", kind: "number", fallback: 0 },
    { pointer: "/optimiser/warmup_steps", label: "Warm-up steps", kind: "integer", fallback: 0 },
    { pointer: "/threads", label: "Threads", kind: "integer", fallback: 1, hint: "Part of the result’s last bits" },
    { pointer: "/priority", label: "Priority", kind: "integer", fallback: 0, hint: "Higher runs first" },
    { pointer: "/checkpoint_every", label: "Checkpoint every", kind: "integer", fallback: 500, hint: "Steps" },
];

const schedule = (/** @type {string[]} */ ...is) => ({ pointer: "/probe/schedule", is });
const probing = schedule("log", "every", "epochs");

/** @type {Field[]} */
export const PROBE = [
    {
        pointer: "/probe/schedule",
        label: "Steps",
        kind: "choice",
        fallback: "log",
        choices: ["log", "every", "epochs", "none"],
        hint: "log: even on a logarithmic axis",
    },
    { pointer: "/probe/count", label: "How many", kind: "integer", fallback: 100, when: schedule("log") },
    { pointer: "/probe/every", label: "Every", kind: "integer", fallback: 1, hint: "Steps", when: schedule("every") },
    { pointer: "/probe/views", label: "Views", kind: "views", fallback: ["layer"], when: probing },
    {
        pointer: "/probe/sites",
        label: "Sites",
        kind: "sites",
        fallback: "all",
        hint: "all, or names with commas",
        when: probing,
    },
    {
        pointer: "/probe/samples",
        label: "Samples a step",
        kind: "integer",
        fallback: null,
        hint: "Empty: the whole batch",
        when: probing,
    },
    {
        pointer: "/probe/watch",
        label: "Watched samples",
        kind: "integers",
        fallback: [],
        hint: "Measured at every probed step",
        when: probing,
    },
    {
        pointer: "/probe/contributors",
        label: "Contributors",
        kind: "integer",
        fallback: 0,
        hint: "Who moved each sample: so many are kept",
        when: probing,
    },
];

/**
 * What a preset takes. Variants are those of the layer it is made of.
 * @param {string} preset
 * @param {(type: string) => string[]} variants
 * @returns {Field[]}
 */
export function presetFields(preset, variants) {
    const variant = (/** @type {string} */ type) =>
        /** @type {Field} */ ({
            pointer: "/model/variant",
            label: "Variant",
            kind: "choice",
            fallback: "affine",
            choices: variants(type),
        });
    if (preset === "mlp")
        return [
            { pointer: "/model/width", label: "Width", kind: "integer", fallback: 128 },
            { pointer: "/model/depth", label: "Depth", kind: "integer", fallback: 3, hint: "Hidden layers" },
            {
                pointer: "/model/activation",
                label: "Activation",
                kind: "choice",
                fallback: "tanh",
                choices: ["tanh", "relu", "leaky-relu", "gelu", "sigmoid"],
            },
            variant("dense"),
        ];
    if (preset === "cnn")
        return [
            {
                pointer: "/model/channels",
                label: "Channels",
                kind: "integers",
                fallback: [32, 64],
                hint: "A convolution each",
            },
            variant("conv"),
        ];
    return [
        { pointer: "/model/patch", label: "Patch", kind: "integer", fallback: 4 },
        { pointer: "/model/dim", label: "Width of a token", kind: "integer", fallback: 64 },
        { pointer: "/model/heads", label: "Heads", kind: "integer", fallback: 4 },
        { pointer: "/model/blocks", label: "Blocks", kind: "integer", fallback: 2 },
        variant("dense"),
    ];
}

/** @type {Field} */
export const WEIGHTS = {
    pointer: "/weights",
    label: "Initial weights",
    kind: "string",
    fallback: null,
    hint: "Empty: He or Glorot, from the seed; else a file below weights/",
};

/** @type {Record<string, string>} */
const LABELS = {
    train_limit: "Training samples",
    test_limit: "Test samples",
    norm_spread: "Spread of norms",
    qk_norm: "Norm of q and k",
    "/dataset/seed": "Seed of the samples",
};

/**
 * A field for an option of a data set or a layer.
 * @param {string} base pointer of the object that has it
 * @param {Option} option
 * @returns {Field}
 */
export function optionField(base, option) {
    const label =
        LABELS[`${base}/${option.name}`] ?? LABELS[option.name] ?? option.name[0].toUpperCase() + option.name.slice(1);
    const parts = option.kind === "parts" ? Object.keys(option.default ?? { q: 0, k: 0, v: 0, o: 0 }) : undefined;
    return {
        pointer: `${base}/${option.name}`,
        label,
        kind: /** @type {Field["kind"]} */ (option.kind),
        fallback: option.default,
        choices: option.choices ?? undefined,
        parts,
        hint: option.nullable
            ? `Empty: ${/null is (.*)$/.exec(option.help)?.[1] ?? "none"}`
            : option.required && option.kind !== "choice"
              ? ""
              : undefined,
    };
}
