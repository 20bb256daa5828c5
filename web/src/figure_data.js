/**
 * What each figure reads of one run. `of`: the parts of the view it depends on; when one changes, it is read at once.
 */
import { allPages, request, withQuery } from "./api.js";
import { binOf } from "./bins.js";

/** @typedef {import("./api.js").Summary} Summary @typedef {import("./api.js").Sites} Sites */

/**
 * What is looked at.
 * @typedef {object} View
 * @property {string | null} site
 * @property {number | null} [step] one probed step; null: the last ones, pooled
 * @property {boolean} [network] the network view in place of the layer view
 * @property {string} [column] of the heat map
 * @property {boolean} [bySite] the ridges are sites, not steps
 *
 * @typedef {object} Ask
 * @property {string} base path of the job
 * @property {View} view
 * @property {AbortSignal} signal
 * @property {() => Promise<Sites>} sites
 * @property {boolean} merged bands over the steps are merged from neighbouring ones
 *
 * @typedef {{ scale: Summary[], self: Summary[] }} Glance  one item a site, pooled
 * @typedef {{ site: string, density: import("./api.js").Density, self: Summary | undefined,
 *     exact: [number, number][], network: boolean, of: number }} CloudData  of: how many rows there are, read or not
 * @typedef {{ from: number, at: number, to: number, q: Record<string, number | null> }} Band  merged neighbouring steps
 * @typedef {{ site: string, items: Summary[], more: boolean, bands: Band[], merged: number }} DriftData
 * @typedef {{ column: string, windows: { from: number, to: number, steps: number }[],
 *     rows: { site: string, values: (number | null)[], counts: number[] }[] }} HeatData  a value a window
 * @typedef {{ step: number, sites: (number | null)[], before: number | null, after: number | null,
 *     own: (number | null)[] }} PromiseStep
 * @typedef {{ sites: string[], steps: PromiseStep[] }} PromiseData
 * @typedef {{ site: string, scale: Summary, own?: Summary, within?: Summary, across?: Summary }} MadeSite
 * @typedef {{ label: string, from: number, to: number, steps: number, count: number, undefined: number,
 *     cells: [number, number][] }} Ridge
 * @typedef {{ bySite: boolean, column: string, site: string | null, ridges: Ridge[] }} RidgesData
 */

/** Probed steps that are pooled at a glance, and in the cloud of a site. */
export const GLANCE_STEPS = 8;
export const CLOUD_STEPS = 24;
/** Past this many samples a lone dot stands at its bin's centre instead of its exact place. */
const EXACT_LIMIT = 4000;
const STEPS_LIMIT = 5000;
/** Where runs are compared, the bands are of so many neighbouring steps at least, and there are so many at most. */
const MERGED_STEPS = 5;
const MERGED_BANDS = 24;
/** A heat map of more cells has its steps merged into so many columns. */
const CELL_LIMIT = 6000;
const MERGED_COLUMNS = 60;
const RIDGES = 12;

/** @param {View} view the steps it is about, as a query */
const steps = ({ step }) => (step ? { step } : { last: CLOUD_STEPS });

/** @param {Ask} ask @param {object} query @returns {Promise<Summary[]>} one item a site */
const pooled = async ({ base, signal }, query) =>
    (await request(withQuery(`${base}/divergence/summary`, { pooled: true, ...query }), { signal })).items;

/** @param {Ask} ask @returns {Promise<Glance>} */
async function glance(ask) {
    const read = (/** @type {string} */ column) => pooled(ask, { column, last: GLANCE_STEPS });
    const [scale, self] = await Promise.all([read("scale"), read("self_factor")]);
    return { scale, self };
}

/** @param {Ask} ask @returns {Promise<CloudData | null>} */
async function cloud(ask) {
    const { base, view, signal } = ask;
    const { site, network = false } = view;
    if (!site) return null;
    const query = { site, ...steps(view) };
    const path = withQuery(`${base}/divergence/density`, { x: "self_factor", y: "scale", ...query });
    const [density, [self]] = await Promise.all([
        /** @type {Promise<import("./api.js").Density>} */ (request(path, { signal })),
        pooled(ask, { column: "self_factor", ...query }),
    ]);
    const of = density.count + density.undefined;
    if (!network && (!of || of > EXACT_LIMIT)) return { site, density, self, exact: [], network, of };
    const rows = await rowsOf(ask, density.steps, EXACT_LIMIT);
    /** @type {[number, number][]} */
    const exact = [];
    for (const row of rows) {
        const scale = network ? row.network_scale : row.scale;
        if (scale > 0 && row.self_factor > 0) exact.push([Math.log10(row.self_factor), Math.log10(scale)]);
    }
    if (!network) return { site, density, self, exact, network, of };
    // The server keeps no counts of the network view: those of its rows are made here.
    const cells = rows.map((row) => [binOf(row.self_factor), binOf(row.network_scale), 1]);
    const counted = { ...density, cells: /** @type {[number, number, number][]} */ (cells) };
    return { site, density: counted, self, exact, network, of };
}

/**
 * What was measured of each sample at the view's site.
 * @param {Pick<Ask, "base" | "view" | "signal">} ask
 * @param {number[]} among the steps
 * @param {number} limit
 */
export async function rowsOf({ base, view, signal }, among, limit) {
    if (!among.length) return [];
    const query = { site: view.site, step_from: among[0], step_to: among[among.length - 1] };
    return (await allPages(`${base}/divergence`, query, { limit, signal })).items;
}

/** @param {Ask} ask @returns {Promise<DriftData | null>} */
async function drift(ask) {
    const { base, view, signal, merged } = ask;
    const { site } = view;
    if (!site) return null;
    const path = `${base}/divergence/summary`;
    const pages = await allPages(path, { site, column: "scale" }, { limit: STEPS_LIMIT, signal });
    const known = merged ? pages.items.filter((item) => item.count > 0).map((item) => Number(item.step)) : [];
    const size = Math.max(MERGED_STEPS, Math.ceil(known.length / MERGED_BANDS));
    /** Quantiles over neighbouring steps, from their merged histograms. */
    const bands = windows(known, size).map(async (group) => {
        const [from, at, to] = [0, group.length >> 1, group.length - 1].map((i) => group[i]);
        const [item] = await pooled(ask, { column: "scale", site, step_from: from, step_to: to });
        return { from, at, to, q: item?.quantiles ?? {} };
    });
    return { site, ...pages, bands: await Promise.all(bands), merged: size };
}

/** @param {Ask} ask @returns {Promise<HeatData>} */
async function heat(ask) {
    const { base, signal, view } = ask;
    const column = view.column ?? "scale";
    const known = await ask.sites();
    const asked = column === "spread" ? "scale" : column;
    const value = (/** @type {Summary | undefined} */ item) => {
        const { 25: low, 50: middle, 75: high } = item?.quantiles ?? {};
        if (column !== "spread") return middle ?? null;
        return low == null || high == null ? null : high - low;
    };
    const many = known.steps.length * known.sites.length > CELL_LIMIT;
    const groups = windows(known.steps, many ? Math.ceil(known.steps.length / MERGED_COLUMNS) : 1);
    /** @type {Map<string, Summary>} */
    const items = new Map();
    const keep = (/** @type {Summary[]} */ found, /** @type {number | null} */ from) =>
        found.forEach((item) => items.set(`${item.site} ${from ?? item.step}`, item));
    if (many)
        await Promise.all(
            groups.map(async (group) => {
                const range = { step_from: group[0], step_to: group[group.length - 1] };
                keep(await pooled(ask, { column: asked, ...range }), group[0]);
            }),
        );
    else {
        const path = `${base}/divergence/summary`;
        keep((await allPages(path, { column: asked }, { limit: CELL_LIMIT, signal })).items, null);
    }
    return {
        column,
        windows: groups.map((group) => ({ from: group[0], to: group[group.length - 1], steps: group.length })),
        rows: known.sites.map(({ name }) => {
            const found = groups.map((group) => items.get(`${name} ${group[0]}`));
            return { site: name, values: found.map(value), counts: found.map((item) => item?.count ?? 0) };
        }),
    };
}

const PROBE_KEYS = ["loss_before", "loss_after"];

/** @param {Ask} ask @returns {Promise<PromiseData>} */
async function promise({ base, signal, sites }) {
    const [{ items }, { series }, known] = await Promise.all([
        request(`${base}/divergence/batch`, { signal }),
        request(withQuery(`${base}/metrics`, { keys: PROBE_KEYS.join(",") }), { signal }),
        sites(),
    ]);
    const names = known.sites.map((site) => site.name);
    /** @type {Map<number, PromiseStep>} */
    const byStep = new Map();
    for (const { site, step, predicted_decrease: fall, own_share: own } of items) {
        const blank = () => names.map(() => /** @type {number | null} */ (null));
        const at = byStep.get(step) ?? { step, sites: blank(), own: blank(), before: null, after: null };
        byStep.set(step, at);
        at.sites[names.indexOf(site)] = fall;
        at.own[names.indexOf(site)] = own;
    }
    for (const { key, steps: at, values } of series) {
        const which = key === PROBE_KEYS[0] ? "before" : "after";
        at.forEach((/** @type {number} */ step, /** @type {number} */ i) => {
            const found = byStep.get(step);
            if (found && typeof values[i] === "number") found[which] = values[i];
        });
    }
    return { sites: names, steps: [...byStep.values()].sort((a, b) => a.step - b.step) };
}

/** @param {Ask} ask @returns {Promise<{ steps: number[], items: MadeSite[] }>} */
async function made(ask) {
    const columns = ["scale", "self_factor", "scale_within", "scale_across"];
    const query = steps(ask.view);
    const [scale, ...parts] = await Promise.all(columns.map((column) => pooled(ask, { column, ...query })));
    const items = scale.map((item) => {
        const [own, within, across] = parts.map((part) => part.find(({ site, count }) => site === item.site && count));
        return { site: item.site, scale: item, own, within, across };
    });
    return { steps: scale[0]?.steps ?? [], items };
}

/** @param {Ask} ask @returns {Promise<import("./api.js").Density | null>} */
async function direction({ base, view, signal }) {
    if (!view.site) return null;
    const query = { site: view.site, x: "cosine", y: "relative_interference", ...steps(view) };
    return request(withQuery(`${base}/divergence/density`, query), { signal });
}

/** @param {Ask} ask @returns {Promise<RidgesData | null>} */
async function ridges({ base, view, signal, sites }) {
    const { site, network, bySite = false } = view;
    if (!site) return null;
    const column = network ? "network_scale" : "scale";
    const path = `${base}/divergence/histogram`;
    const read = async (/** @type {object} */ query) =>
        (await request(withQuery(path, { column, pooled: true, ...query }), { signal })).items;
    const ridge = (/** @type {any} */ item, /** @type {string} */ label) => {
        const among = item.steps ?? [item.step];
        const { count, undefined: gone, cells } = item;
        return {
            label,
            from: among[0],
            to: among[among.length - 1],
            steps: among.length,
            count,
            undefined: gone,
            cells,
        };
    };
    if (bySite) {
        const items = await read(steps(view));
        return { bySite, column, site, ridges: items.map((/** @type {any} */ item) => ridge(item, item.site)) };
    }
    const groups = logWindows((await sites()).steps, RIDGES);
    const found = await Promise.all(
        groups.map((group) => read({ site, step_from: group[0], step_to: group[group.length - 1] })),
    );
    return { bySite, column, site, ridges: found.flatMap(([item]) => (item ? [ridge(item, "")] : [])) };
}

export const FIGURES = {
    glance: { load: glance, of: () => "" },
    cloud: { load: cloud, of: (/** @type {View} */ v) => `${v.site} ${v.step} ${v.network}` },
    drift: { load: drift, of: (/** @type {View} */ v) => `${v.site}` },
    heat: { load: heat, of: (/** @type {View} */ v) => `${v.column}` },
    promise: { load: promise, of: () => "" },
    made: { load: made, of: (/** @type {View} */ v) => `${v.step}` },
    direction: { load: direction, of: (/** @type {View} */ v) => `${v.site} ${v.step}` },
    ridges: { load: ridges, of: (/** @type {View} */ v) => `${v.site} ${v.network} ${v.bySite && v.step} ${v.bySite}` },
};
/** @typedef {keyof typeof FIGURES} FigureName */

/**
 * Neighbouring steps in groups of one size; a rest that is too small joins the last group.
 * @param {number[]} all
 * @param {number} size
 */
function windows(all, size) {
    const count = Math.max(1, Math.floor(all.length / size));
    if (!all.length) return [];
    return Array.from({ length: count }, (_, i) => all.slice(i * size, i === count - 1 ? undefined : (i + 1) * size));
}

/**
 * Neighbouring steps in groups of about equal length on a logarithmic axis; none is empty.
 * @param {number[]} all
 * @param {number} most
 */
function logWindows(all, most) {
    const end = Math.log(all[all.length - 1] + 1);
    /** @type {Map<number, number[]>} */
    const groups = new Map();
    for (const step of all) {
        const key = Math.min(most - 1, Math.floor((Math.log(step) / end) * most));
        groups.set(key, [...(groups.get(key) ?? []), step]);
    }
    return [...groups.values()];
}
