/**
 * What a page reads of one run: the job, its sites, and the data of its figures.
 */
import { request } from "./api.js";
import { FIGURES } from "./figure_data.js";
import { resource } from "./resource.js";

/** While a run grows, its figures are read anew at most this often, in milliseconds. */
const INTERVAL = 1500;

/** @typedef {import("./figure_data.js").FigureName} FigureName @typedef {import("./figure_data.js").View} View */
/**
 * @template {FigureName} N
 * @typedef {ReturnType<typeof resource<Awaited<ReturnType<typeof FIGURES[N]["load"]>>>>} FigureData
 */
/** @typedef {ReturnType<typeof runData>} RunData */

/**
 * @param {number} id
 * @param {() => View} view what is looked at
 * @param {{ figures: FigureName[], merged?: boolean, begin?: () => void }} options
 *     figures: the data that the page needs; begin: the job is there, read what else it has
 */
export function runData(id, view, { figures, merged = false, begin }) {
    const base = `/jobs/${id}`;
    const job = resource((signal) => /** @type {Promise<import("./api.js").Job>} */ (request(base, { signal })));
    const readSites = (/** @type {AbortSignal} */ signal) =>
        /** @type {Promise<import("./api.js").Sites>} */ (request(`${base}/divergence/sites`, { signal }));
    const sites = resource(readSites, { interval: INTERVAL });

    /** @param {FigureName} name @returns {FigureData<any>} */
    const part = (name) =>
        resource(
            (signal) =>
                /** @type {Promise<any>} */ (
                    FIGURES[name].load({ base, view: view(), signal, merged, sites: () => readSites(signal) })
                ),
            { interval: INTERVAL },
        );
    const data = /** @type {{ [N in FigureName]: FigureData<N> }} */ (
        Object.fromEntries(figures.map((name) => [name, part(name)]))
    );
    const grows = [sites, ...Object.values(data)];
    /** What each figure was last read for. */
    /** @type {Map<FigureName, string>} */
    const seen = new Map();

    /** Nothing is asked about a job before it is known that there is one. */
    let known = false;
    const stopWaiting = job.state.subscribe((state) => {
        if (known || !state.data) return;
        known = true;
        for (const part of grows) part.refresh();
        begin?.();
    });
    return {
        id,
        job,
        sites,
        ...data,
        /** New steps were measured. */
        grow() {
            for (const part of grows) part.refresh();
        },
        /** Something else is looked at. */
        move() {
            for (const name of figures) {
                const now = FIGURES[name].of(view());
                if (seen.get(name) !== now && known) data[name].renew();
                seen.set(name, now);
            }
        },
        refresh() {
            job.refresh();
            if (known) for (const part of grows) part.refresh();
        },
        close() {
            stopWaiting();
            for (const part of [job, ...grows]) part.close();
        },
    };
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
