/**
 * A spec that is being written: what was typed, by JSON pointer, and a grid of values over it.
 */

/** @typedef {import("./api.js").Spec} Spec */
/** @typedef {Record<string, any[]>} Grid values by pointer */

/** @param {string} pointer */
const keysOf = (pointer) =>
    pointer
        .split("/")
        .slice(1)
        .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));

/** @param {any} root @param {string} pointer */
export const at = (root, pointer) => keysOf(pointer).reduce((value, key) => value?.[key], root);

/**
 * A copy with another value; undefined takes the key out, and what is then empty with it.
 * @template T
 * @param {T} root
 * @param {string} pointer
 * @param {any} value
 * @returns {T}
 */
export function having(root, pointer, value) {
    const change = (/** @type {any} */ node, /** @type {string[]} */ [key, ...rest]) => {
        /** @type {any} */
        const copy = Array.isArray(node) ? [...node] : { ...node };
        const inner = rest.length ? change(copy[key] ?? {}, rest) : value;
        const empty = rest.length && value === undefined && !Array.isArray(inner) && !Object.keys(inner).length;
        if (inner === undefined || empty) delete copy[key];
        else copy[key] = inner;
        return copy;
    };
    return change(root, keysOf(pointer));
}

/**
 * What a text stands for: a number where it is one, else JSON, else the text itself, which the server then refuses.
 * @param {string} text
 * @param {string} kind
 * @returns {any}
 */
export function valueOf(text, kind) {
    const plain = text.trim();
    if (!plain) return undefined;
    if (kind === "string" || kind === "choice") return plain;
    if (kind === "strings") return words(plain);
    if (kind === "sites") return plain === "all" ? "all" : words(plain);
    if (kind === "integers") return words(plain).map((word) => valueOf(word, "number"));
    const number = Number(plain.replace("−", "-"));
    if (!Number.isNaN(number)) return number;
    if (kind === "number" || kind === "integer") return plain;
    try {
        return JSON.parse(plain);
    } catch {
        return plain;
    }
}

/** @param {string} text */
const words = (text) =>
    text
        .split(",")
        .map((word) => word.trim())
        .filter(Boolean);

/** A value as it stands in a field. @param {any} value @returns {string} */
export function textOf(value) {
    if (value == null) return "";
    if (Array.isArray(value)) return value.map(textOf).join(", ");
    return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** How many jobs a grid makes. @param {Grid} grid */
export const jobsOf = (grid) => Object.values(grid).reduce((n, values) => n * Math.max(1, values.length), 1);

/** The spec of the grid's first job. @param {Spec} spec @param {Grid} grid */
export const firstOf = (spec, grid) =>
    Object.entries(grid).reduce(
        (whole, [pointer, [value]]) => (value === undefined ? whole : having(whole, pointer, value)),
        spec,
    );

const ACTIVATIONS = ["tanh", "relu", "leaky-relu", "gelu", "sigmoid"];

/**
 * A model of layers as the preset it is, where it is one that is shorter to write: then its width, depth and variant are
 * fields again.
 * @param {Spec["model"]} model
 * @returns {Spec["model"]}
 */
export function asPreset(model) {
    const [flatten, ...rest] = /** @type {import("./api.js").Layer[]} */ (model.layers ?? []);
    const head = rest.pop();
    if (flatten?.type !== "flatten" || head?.type !== "dense" || !rest.length || rest.length % 2) return model;
    const [first, second] = rest;
    const variant = head.variant ?? "affine";
    const plain = (/** @type {import("./api.js").Layer} */ layer) =>
        Object.keys(layer).every((key) => ["type", "units", "variant", "bias", "slope"].includes(key)) &&
        (layer.bias ?? true) === true &&
        (layer.slope ?? 0.01) === 0.01;
    const same = rest.every((layer, i) =>
        i % 2
            ? layer.type === second.type
            : layer.type === "dense" && layer.units === first.units && (layer.variant ?? "affine") === variant,
    );
    if (!same || !ACTIVATIONS.includes(second.type) || ![head, ...rest].every(plain)) return model;
    return { preset: "mlp", width: first.units, depth: rest.length / 2, variant, activation: second.type };
}

/** Text for a shell, in single quotes. @param {string} text */
export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
