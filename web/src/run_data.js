/**
 * What a page reads of one run: the job, its sites, and the divergence at the chosen site.
 */
import { allPages, request, withQuery } from "./api.js";
import { resource } from "./resource.js";

/** @typedef {import("./api.js").Summary} Summary @typedef {import("./api.js").Sites} Sites */

/** Probed steps that are pooled at a glance, and in the cloud of a site. */
export const GLANCE_STEPS = 8;
export const CLOUD_STEPS = 24;
/** While a run grows, its figures are read anew at most this often, in milliseconds. */
const INTERVAL = 1500;
/** Past this many samples a lone dot stands at its bin's centre instead of its exact place. */
const EXACT_LIMIT = 4000;
const STEPS_LIMIT = 5000;

/**
 * @typedef {{ scale: Summary[], self: Summary[] }} Glance  one item a site, pooled
 * @typedef {{ site: string, density: import("./api.js").Density, self: Summary | undefined,
 *     exact: [number, number][] }} CloudData
 * @typedef {{ from: number, at: number, to: number, q: Record<string, number | null> }} Band  merged neighbouring steps
 * @typedef {{ site: string, items: Summary[], more: boolean, bands: Band[], merged: number }} DriftData
 */

/** Where runs are compared, the bands are of so many neighbouring steps at least, and there are so many at most. */
const MERGED_STEPS = 5;
const MERGED_BANDS = 24;

/**
 * @param {number} id
 * @param {() => string | null} site the chosen one
 * @param {{ merged?: boolean, begin?: () => void }} [options]
 *     merged: bands over the steps are merged from neighbouring ones; begin: the job is there, read what else it has
 */
export function runData(id, site, { merged = false, begin } = {}) {
    const base = `/jobs/${id}`;
    const grown = { interval: INTERVAL };

    const job = resource((signal) => /** @type {Promise<import("./api.js").Job>} */ (request(base, { signal })));

    const sites = resource(
        (signal) => /** @type {Promise<Sites>} */ (request(`${base}/divergence/sites`, { signal })),
        grown,
    );

    /** @param {string} column @param {AbortSignal} signal @param {object} more @returns {Promise<Summary[]>} */
    const pooled = async (column, signal, more) => {
        const path = withQuery(`${base}/divergence/summary`, { pooled: true, column, ...more });
        return (await request(path, { signal })).items;
    };

    const glance = resource(async (signal) => {
        const [scale, self] = await Promise.all(
            ["scale", "self_factor"].map((column) => pooled(column, signal, { last: GLANCE_STEPS })),
        );
        return /** @type {Glance} */ ({ scale, self });
    }, grown);

    const cloud = resource(async (signal) => {
        const name = site();
        if (!name) return null;
        const last = CLOUD_STEPS;
        const [density, [self]] = await Promise.all([
            request(withQuery(`${base}/divergence/density`, { x: "self_factor", y: "scale", site: name, last }), {
                signal,
            }),
            pooled("self_factor", signal, { site: name, last }),
        ]);
        /** @type {[number, number][]} */
        let exact = [];
        if (density.count && density.count <= EXACT_LIMIT) {
            const rows = await allPages(
                `${base}/divergence`,
                { site: name, step_from: density.steps[0], step_to: density.steps[density.steps.length - 1] },
                { limit: EXACT_LIMIT, signal },
            );
            exact = rows.items
                .filter((row) => row.scale > 0 && row.self_factor > 0)
                .map((row) => [Math.log10(row.self_factor), Math.log10(row.scale)]);
        }
        return /** @type {CloudData} */ ({ site: name, density, self, exact });
    }, grown);

    const drift = resource(async (signal) => {
        const name = site();
        if (!name) return null;
        const pages = await allPages(
            `${base}/divergence/summary`,
            { site: name, column: "scale" },
            { limit: STEPS_LIMIT, signal },
        );
        const steps = merged ? pages.items.filter((item) => item.count > 0).map((item) => Number(item.step)) : [];
        const size = Math.max(MERGED_STEPS, Math.ceil(steps.length / MERGED_BANDS));
        const bands = await Promise.all(windows(steps, size).map((window) => band(name, window, signal)));
        return /** @type {DriftData} */ ({ site: name, ...pages, bands, merged: size });
    }, grown);

    /**
     * Quantiles over neighbouring steps, from their merged histograms.
     * @param {string} name
     * @param {number[]} steps
     * @param {AbortSignal} signal
     * @returns {Promise<Band>}
     */
    async function band(name, steps, signal) {
        const [from, at, to] = [0, steps.length >> 1, steps.length - 1].map((i) => steps[i]);
        const [item] = await pooled("scale", signal, { site: name, step_from: from, step_to: to });
        return { from, at, to, q: item?.quantiles ?? {} };
    }

    const figures = [sites, glance, cloud, drift];
    /** Nothing is asked about a job before it is known that there is one. */
    let known = false;
    const stopWaiting = job.state.subscribe(({ data }) => {
        if (known || !data) return;
        known = true;
        for (const part of figures) part.refresh();
        begin?.();
    });
    return {
        id,
        job,
        sites,
        glance,
        cloud,
        drift,
        /** New steps were measured. */
        grow() {
            for (const part of figures) part.refresh();
        },
        /** Another site was chosen. */
        move() {
            cloud.renew();
            drift.renew();
        },
        refresh() {
            job.refresh();
            if (known) for (const part of figures) part.refresh();
        },
        close() {
            stopWaiting();
            for (const part of [job, ...figures]) part.close();
        },
    };
}
/** @typedef {ReturnType<typeof runData>} RunData */

/**
 * Neighbouring steps in groups of one size; a rest that is too small joins the last group.
 * @param {number[]} steps
 * @param {number} size
 */
function windows(steps, size) {
    const count = Math.max(1, Math.floor(steps.length / size));
    if (!steps.length) return [];
    return Array.from({ length: count }, (_, i) => steps.slice(i * size, i === count - 1 ? undefined : (i + 1) * size));
}

/**
 * The site a figure opens on: the first with parameters, where norms differ most between samples.
 * @param {import("./api.js").Site[]} sites
 * @param {string | null} asked
 */
export function chosenSite(sites, asked) {
    if (asked && sites.some((site) => site.name === asked)) return asked;
    return (sites.find((site) => (site.parameters ?? 0) > 0) ?? sites[0])?.name ?? null;
}
