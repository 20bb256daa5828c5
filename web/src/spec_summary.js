/**
 * A spec in a few words, and what differs between several.
 */

/** @typedef {import("./api.js").Layer} Layer @typedef {import("./api.js").Spec} Spec */

const WITH_VARIANT = ["dense", "conv", "attention", "patch-embed"];

/**
 * The spec's layers, those inside residuals after their residual.
 * @param {Layer[]} layers
 * @returns {Layer[]}
 */
const flat = (layers) => layers.flatMap((layer) => [layer, ...flat(layer.layers ?? [])]);

/** @param {Spec} spec @returns {Layer[]} */
const layersOf = (spec) => (Array.isArray(spec.model?.layers) ? flat(spec.model.layers) : []);

/**
 * The variant most of the layers with parameters have; the first of those that tie.
 * @param {Spec} spec
 * @returns {string | null}
 */
export function mainVariant(spec) {
    if (typeof spec.model?.variant === "string") return spec.model.variant;
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const layer of layersOf(spec))
        if (WITH_VARIANT.includes(layer.type)) {
            const name = typeof layer.variant === "string" ? layer.variant : "affine";
            counts.set(name, (counts.get(name) ?? 0) + 1);
        }
    return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? null;
}

/**
 * The network in a few words: "mlp 128×3", "7 layers".
 * @param {Spec} spec
 */
export function networkText(spec) {
    const layers = layersOf(spec);
    const weighty = layers.filter((layer) => WITH_VARIANT.includes(layer.type));
    if (!weighty.length) return spec.model?.preset ? String(spec.model.preset) : "no layers";
    if (!weighty.every((layer) => layer.type === "dense")) return `${layers.length} layers`;
    const widths = weighty.slice(0, -1).map((layer) => layer.units ?? 0);
    if (!widths.length) return "one dense layer";
    const same = widths.every((width) => width === widths[0]);
    return `mlp ${same ? `${widths[0]}×${widths.length}` : widths.join("-")}`;
}

/** @param {Spec} spec */
export const datasetText = (spec) => String(spec.dataset?.name ?? "no data set");

/** The second line of a job. @param {Spec} spec */
export const secondLine = (spec) =>
    [datasetText(spec), networkText(spec), `batch ${spec.batch_size}`, `seed ${spec.seed}`].join(" · ");

/**
 * The optimiser with what is not its default: "sgd 0.05, constant".
 * @param {Spec} spec
 */
export function optimiserText(spec) {
    const o = spec.optimiser ?? {};
    const parts = [`${o.name} ${o.learning_rate}`];
    if (o.momentum) parts.push(`momentum ${o.momentum}`);
    if (o.weight_decay) parts.push(`weight decay ${o.weight_decay}`);
    if (o.schedule) parts.push(o.schedule);
    return parts.join(", ");
}

/** @param {Spec} spec */
export function probeText(spec) {
    const probe = spec.probe ?? {};
    if (probe.schedule === "log") return `log, up to ${probe.count} steps`;
    if (probe.schedule === "every") return `every ${probe.every === 1 ? "step" : `${probe.every} steps`}`;
    if (probe.schedule === "epochs") return "the last step of each epoch";
    return String(probe.schedule ?? "none");
}

/** Whether the run measures the divergence at all. @param {Spec} spec */
export const isProbed = (spec) => (spec.probe?.schedule ?? "log") !== "none";

/**
 * Every leaf of a spec by its JSON pointer.
 * @param {any} value
 * @param {string} [pointer]
 * @returns {[string, string][]}
 */
export function leaves(value, pointer = "") {
    if (value === null || typeof value !== "object") return [[pointer, String(value)]];
    const entries = Object.entries(value);
    if (!entries.length) return [[pointer, Array.isArray(value) ? "[]" : "{}"]];
    return entries.flatMap(([key, inner]) =>
        leaves(inner, `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`),
    );
}

/** Keys that name a job and do not change what it computes. */
export const NAMING = /^\/(name|tags|note|priority|checkpoint_every)(\/|$)/;

/**
 * The leaves in which specs differ; null where a spec has no such key. Neighbouring layers that differ in the same way
 * are one row: "/model/layers/1, 3, 5/variant".
 * @param {Spec[]} specs
 * @returns {{ rows: { pointer: string, values: (string | null)[] }[], keys: number }}
 */
export function differences(specs) {
    const maps = specs.map((spec) => new Map(leaves(spec).filter(([pointer]) => !NAMING.test(pointer))));
    const pointers = [...new Set(maps.flatMap((map) => [...map.keys()]))];
    /** @type {Map<string, { head: string, indices: string[], tail: string, values: (string | null)[] }>} */
    const groups = new Map();
    for (const pointer of pointers) {
        const values = maps.map((map) => map.get(pointer) ?? null);
        if (values.every((value) => value === values[0])) continue;
        const match = /^(\/model\/layers\/)(\d+)(\/.*)$/.exec(pointer);
        const [head, index, tail] = match ? match.slice(1) : [pointer, "", ""];
        const key = JSON.stringify([head, tail, values]);
        const group = groups.get(key) ?? { head, indices: [], tail, values };
        if (index) group.indices.push(index);
        groups.set(key, group);
    }
    const rows = [...groups.values()].map(({ head, indices, tail, values }) => ({
        pointer: head + indices.join(", ") + tail,
        values,
    }));
    return { rows, keys: pointers.length };
}
