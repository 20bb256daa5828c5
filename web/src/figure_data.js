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
 * @property {boolean} [logSteps] the axis of steps is logarithmic
 *
 * @typedef {object} Ask
 * @property {string} base path of the job
 * @property {View} view
 * @property {AbortSignal} signal
 * @property {() => Promise<Sites>} sites
 * @property {boolean} merged several runs are compared: bands over the steps are merged from neighbouring ones, and what
 *     is thinned is thinned at the same steps
 *
 * @typedef {{ scale: Summary[], self: Summary[] }} Glance  one item a site, pooled
 * @typedef {{ site: string, density: import("./api.js").Density, self: Summary | undefined,
 *     exact: [number, number][], network: boolean, of: number }} CloudData  of: how many rows there are, read or not
 * @typedef {{ from: number, at: number, to: number, steps: number,
 *     q: Record<string, number | null>, summary: Summary }} Band  merged neighbouring steps
 * @typedef {{ shown: number, of: number, count: number, undefined: number, nonpositive: number }} Thinned  of all steps
 * @typedef {{ site: string, items: Summary[], all: Thinned, even: boolean, bands: Band[],
 *     seeds?: Summary[][] }} DriftData  even: thinned by the steps alone; seeds: of runs that are one, the steps of each
 * @typedef {{ column: string, windows: { from: number, to: number, steps: number }[],
 *     rows: { site: string, values: (number | null)[], counts: number[] }[] }} HeatData  a value a window
 * @typedef {{ step: number, sites: (number | null)[], before: number | null, after: number | null,
 *     own: (number | null)[] }} PromiseStep
 * @typedef {{ sites: string[], steps: PromiseStep[], even: boolean, of: number, measured: number, kept: number,
 *     rose: number }} PromiseData  counts are of all steps, drawn or not
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
/** A figure has about so many marks at most. */
const MARKS = 2000;
/** A heat map has no more columns than can be told apart. */
const COLUMNS = 240;
/** Steps of a run's quantiles over the steps, alone and beside other runs. */
const DRIFT_STEPS = 400;
const COMPARED_STEPS = 100;
/** Where runs are compared, the bands are of so many neighbouring steps at least, and there are so many at most. */
const MERGED_STEPS = 5;
const MERGED_BANDS = 24;
const RIDGES = 12;

/** @param {View} view the steps it is about, as a query */
const steps = ({ step }) => (step ? { step } : { last: CLOUD_STEPS });

/**
 * Items of merged steps; with their histograms, where those of several runs are merged.
 * @param {Ask} ask
 * @param {object} query
 * @returns {Promise<Summary[]>}
 */
const pooled = async ({ base, signal, merged }, query) => {
    const path = `${base}/divergence/${merged ? "histogram" : "summary"}`;
    return (await request(withQuery(path, { pooled: true, ...query }), { signal })).items;
};

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

/** @param {number[]} steps */
const ends = (steps) => ({
    from: steps[0],
    at: steps[steps.length >> 1],
    to: steps[steps.length - 1],
    steps: steps.length,
});

/** @type {Thinned} */
const NO_STEPS = { shown: 0, of: 0, count: 0, undefined: 0, nonpositive: 0 };

/** @param {Ask} ask @returns {Promise<DriftData | null>} */
async function drift(ask) {
    const { base, view, signal, merged } = ask;
    const { site } = view;
    if (!site) return null;
    const path = `${base}/divergence/summary`;
    const axis = { log_steps: view.logSteps, even_steps: merged };
    const query = { site, column: "scale", max_points: merged ? COMPARED_STEPS : DRIFT_STEPS, ...axis };
    const { items, series } = await request(withQuery(path, query), { signal });
    const all = series?.[0] ?? NO_STEPS;
    const count = Math.min(MERGED_BANDS, Math.max(1, Math.floor(all.of / MERGED_STEPS)));
    /** Quantiles over neighbouring steps, from their merged histograms. */
    const windows = { windows: count, log_steps: view.logSteps };
    const groups = merged && all.of ? await pooled(ask, { column: "scale", site, ...windows }) : [];
    const bands = groups.map((summary) => ({
        ...ends(summary.steps ?? []),
        q: summary.quantiles,
        summary,
    }));
    return { site, items, all, even: merged, bands };
}

/** @param {Ask} ask @returns {Promise<HeatData>} */
async function heat(ask) {
    const { base, signal, view } = ask;
    const column = view.column ?? "scale";
    const known = await ask.sites();
    const asked = column === "spread" ? "scale" : column;
    /** @returns {Promise<Summary[]>} */
    const single = async () =>
        (await request(withQuery(`${base}/divergence/summary`, { column: asked, max_results: MARKS }), { signal }))
            .items;
    const value = (/** @type {Summary | undefined} */ item) => {
        const { 25: low, 50: middle, 75: high } = item?.quantiles ?? {};
        if (column !== "spread") return middle ?? null;
        return low == null || high == null ? null : high - low;
    };
    // A map of more cells has its neighbouring steps merged.
    const most = Math.min(COLUMNS, Math.max(1, Math.floor(MARKS / Math.max(1, known.sites.length))));
    const merge = known.steps.length > most;
    const found = merge
        ? await pooled(ask, { column: asked, windows: most, log_steps: view.logSteps })
        : await single();
    /** @type {Map<number, { from: number, to: number, steps: number }>} */
    const groups = new Map();
    const items = new Map(
        found.map((item) => {
            const among = item.steps ?? [Number(item.step)];
            const from = among[0];
            groups.set(from, { from, to: among[among.length - 1], steps: among.length });
            return [`${item.site} ${from}`, item];
        }),
    );
    const windows = [...groups.values()].sort((a, b) => a.from - b.from);
    return {
        column,
        windows,
        rows: known.sites.map(({ name }) => {
            const cells = windows.map(({ from }) => items.get(`${name} ${from}`));
            return { site: name, values: cells.map(value), counts: cells.map((item) => item?.count ?? 0) };
        }),
    };
}

/** @param {Ask} ask @returns {Promise<PromiseData>} */
async function promise({ base, view, signal, sites, merged }) {
    const names = (await sites()).sites.map((site) => site.name);
    const most = Math.max(6, Math.floor(MARKS / (names.length + 1)));
    const query = { max_points: most, log_steps: view.logSteps, even_steps: merged };
    const batch = await request(withQuery(`${base}/divergence/batch`, query), { signal });
    const blank = () => names.map(() => /** @type {number | null} */ (null));
    /** @type {PromiseStep[]} */
    const all = batch.steps.map((/** @type {any} */ { step, loss_before: before, loss_after: after }) => ({
        step,
        sites: blank(),
        own: blank(),
        before,
        after,
    }));
    const byStep = new Map(all.map((at) => [at.step, at]));
    for (const { site, step, predicted_decrease: fall, own_share: own } of batch.items) {
        const at = byStep.get(step);
        if (!at) continue;
        at.sites[names.indexOf(site)] = fall;
        at.own[names.indexOf(site)] = own;
    }
    const { of, measured, kept, rose } = batch;
    return { sites: names, steps: all, even: merged, of, measured, kept, rose };
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
async function ridges({ base, view, signal }) {
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
    const items = await read({ site, windows: RIDGES, log_steps: true });
    return { bySite, column, site, ridges: items.map((/** @type {any} */ item) => ridge(item, "")) };
}

export const FIGURES = {
    glance: { load: glance, of: () => "" },
    cloud: { load: cloud, of: (/** @type {View} */ v) => `${v.site} ${v.step} ${v.network}` },
    drift: { load: drift, of: (/** @type {View} */ v) => `${v.site} ${v.logSteps}` },
    heat: { load: heat, of: (/** @type {View} */ v) => `${v.column} ${v.logSteps}` },
    promise: { load: promise, of: (/** @type {View} */ v) => `${v.logSteps}` },
    made: { load: made, of: (/** @type {View} */ v) => `${v.step}` },
    direction: { load: direction, of: (/** @type {View} */ v) => `${v.site} ${v.step}` },
    ridges: { load: ridges, of: (/** @type {View} */ v) => `${v.site} ${v.network} ${v.bySite && v.step} ${v.bySite}` },
};
/** @typedef {keyof typeof FIGURES} FigureName */
