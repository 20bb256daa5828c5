/**
 * Runs that differ in their seed alone, as one: what was counted of them is added up, bin by bin, and quantiles are of
 * all their samples together. A median over the steps is the middle one of the seeds' medians.
 */
import { computed } from "@preact/signals-core";
import { histogramQuantile } from "./bins.js";
import { median } from "./job.js";
import { leaves, NAMING } from "./spec_summary.js";

/**
 * @typedef {import("./api.js").Job} Job @typedef {import("./api.js").Summary} Summary
 * @typedef {import("./api.js").Density} Density @typedef {import("./run_data.js").RunData} RunData
 * @typedef {import("./figure_data.js").DriftData} DriftData @typedef {import("./figure_data.js").CloudData} CloudData
 * @typedef {{ run: RunData, job: Job }} Known
 */

/** So many lines can be told apart in one figure; runs that differ in their seed alone are one line. */
export const MOST = 6;
export const MOST_RUNS = 30;

/** @param {number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);

/**
 * Groups in the order of their first runs. Two runs of one spec and one seed are in different groups.
 * @param {Known[]} all
 */
export function bySeed(all) {
    /** @type {Map<string, Known[]>} */
    const groups = new Map();
    for (const known of all) {
        const { spec } = known.job;
        const same = JSON.stringify(leaves(spec).filter(([pointer]) => pointer !== "/seed" && !NAMING.test(pointer)));
        const place = [...Array(all.length).keys()].find(
            (i) => !groups.get(`${i} ${same}`)?.some((other) => other.job.spec.seed === spec.seed),
        );
        const key = `${place} ${same}`;
        groups.set(key, [...(groups.get(key) ?? []), known]);
    }
    return [...groups.values()];
}

/** Counts by bin, added up. @param {[number, number][][]} all */
function addedCells(all) {
    /** @type {Map<number, number>} */
    const counts = new Map();
    for (const [bin, n] of all.flat()) counts.set(bin, (counts.get(bin) ?? 0) + n);
    return [...counts].sort((a, b) => a[0] - b[0]);
}

/** One summary of several with their histograms. @param {Summary[]} items @returns {Summary} */
function mergeSummaries(items) {
    if (items.length === 1) return items[0];
    const known = items.filter((item) => item.count);
    const cells = addedCells(items.map((item) => item.cells ?? []));
    const minimum = Math.min(...known.map((item) => Number(item.minimum)));
    const maximum = Math.max(...known.map((item) => Number(item.maximum)));
    const all = (/** @type {"count" | "undefined" | "nonpositive"} */ key) => sum(items.map((item) => item[key]));
    return {
        ...items[0],
        cells,
        count: all("count"),
        undefined: all("undefined"),
        nonpositive: all("nonpositive"),
        minimum: known.length ? minimum : null,
        maximum: known.length ? maximum : null,
        quantiles: Object.fromEntries(
            Object.keys(items[0].quantiles).map((p) => [
                p,
                known.length ? histogramQuantile(cells, Number(p) / 100, minimum, maximum) : null,
            ]),
        ),
    };
}

/** Merged site by site. @param {Summary[][]} lists */
const mergeBySite = (lists) =>
    lists[0].map((item) => mergeSummaries(lists.flatMap((list) => list.filter(({ site }) => site === item.site))));

/** @param {Density[]} all @returns {Density} */
function mergeDensities(all) {
    /** @type {Map<string, [number, number, number]>} */
    const cells = new Map();
    for (const [x, y, n] of all.flatMap((density) => density.cells)) {
        const at = cells.get(`${x},${y}`);
        if (at) at[2] += n;
        else cells.set(`${x},${y}`, [x, y, n]);
    }
    return {
        ...all[0],
        cells: [...cells.values()],
        count: sum(all.map((density) => density.count)),
        undefined: sum(all.map((density) => density.undefined)),
    };
}

/** @param {CloudData[]} all @returns {CloudData} */
const mergeClouds = (all) => ({
    ...all[0],
    density: mergeDensities(all.map((one) => one.density)),
    self: all[0].self && mergeSummaries(all.flatMap((one) => one.self ?? [])),
    exact: all.flatMap((one) => one.exact),
    of: sum(all.map((one) => one.of)),
});

/** The steps that each seed has, with the middle one of the seeds' quantiles. @param {DriftData[]} all */
function middleSteps(all) {
    /** @type {Map<number, Summary[]>} */
    const byStep = new Map();
    for (const item of all.flatMap((one) => one.items))
        byStep.set(Number(item.step), [...(byStep.get(Number(item.step)) ?? []), item]);
    const shared = [...byStep.values()].filter((items) => items.length === all.length);
    return shared.map((items) => {
        const counted = mergeSummaries(items);
        const middle = (/** @type {string} */ p) =>
            median(items.flatMap(({ quantiles: { [p]: value } }) => (value == null ? [] : [value])));
        const quantiles = Object.fromEntries(Object.keys(items[0].quantiles).map((p) => [p, middle(p)]));
        return { ...counted, quantiles };
    });
}

/** @param {DriftData[]} all @returns {DriftData} */
const mergeDrifts = (all) => ({
    ...all[0],
    items: middleSteps(all),
    seeds: all.map((one) => one.items),
    all: {
        ...all[0].all,
        count: sum(all.map((one) => one.all.count)),
        undefined: sum(all.map((one) => one.all.undefined)),
        nonpositive: sum(all.map((one) => one.all.nonpositive)),
    },
    bands: all[0].bands.map((band) => {
        const items = all.flatMap((one) => one.bands.filter(({ from }) => from === band.from));
        return { ...band, q: mergeSummaries(items.map(({ summary }) => summary)).quantiles };
    }),
});

/** @param {import("./figure_data.js").MadeSite[][]} lists @returns {import("./figure_data.js").MadeSite[]} */
const mergeMade = (lists) =>
    lists[0].map(({ site }) => {
        const same = lists.flatMap((list) => list.filter((item) => item.site === site));
        const part = (/** @type {"scale" | "own" | "within" | "across"} */ key) => {
            const items = same.flatMap((item) => item[key] ?? []);
            return items.length ? mergeSummaries(items) : undefined;
        };
        const scale = /** @type {Summary} */ (part("scale"));
        return { site, scale, own: part("own"), within: part("within"), across: part("across") };
    });

/**
 * The values that there are, as one; null where no seed has any.
 * @param {(number | null)[]} values
 * @param {(v: number[]) => number | null} as
 */
const together = (values, as) => {
    const there = values.flatMap((value) => value ?? []);
    return there.length ? as(there) : null;
};
const mean = (/** @type {number[]} */ values) => sum(values) / values.length;

/** @param {import("./figure_data.js").HeatData[]} all @returns {import("./figure_data.js").HeatData} */
function mergeHeats(all) {
    const places = all[0].windows
        .map(({ from }) => all.map(({ windows }) => windows.findIndex((window) => window.from === from)))
        .filter((at) => !at.includes(-1));
    return {
        ...all[0],
        windows: places.map(([at]) => all[0].windows[at]),
        rows: all[0].rows.map(({ site }) => {
            const rows = all.flatMap((one) => one.rows.find((row) => row.site === site) ?? []);
            return {
                site,
                values: places.map((at) =>
                    together(
                        rows.map(({ values }, i) => values[at[i]]),
                        median,
                    ),
                ),
                counts: places.map((at) => sum(rows.map(({ counts }, i) => counts[at[i]]))),
            };
        }),
    };
}

/** @param {import("./figure_data.js").RidgesData[]} all @returns {import("./figure_data.js").RidgesData} */
const mergeRidges = (all) => ({
    ...all[0],
    ridges: all[0].ridges.map((ridge) => {
        const same = all.flatMap((one) => one.ridges.filter((r) => r.label === ridge.label && r.from === ridge.from));
        return {
            ...ridge,
            count: sum(same.map((r) => r.count)),
            undefined: sum(same.map((r) => r.undefined)),
            cells: addedCells(same.map((r) => r.cells)),
        };
    }),
});

/** @param {import("./figure_data.js").PromiseData[]} all @returns {import("./figure_data.js").PromiseData} */
const mergePromises = (all) => ({
    ...all[0],
    steps: all[0].steps.flatMap((first) => {
        const same = all.flatMap((one) => one.steps.find(({ step }) => step === first.step) ?? []);
        if (same.length < all.length) return [];
        const at = (/** @type {(step: typeof first) => number | null} */ of) => together(same.map(of), mean);
        return {
            ...first,
            sites: first.sites.map((_, i) => at(({ sites }) => sites[i])),
            own: first.own.map((_, i) => at(({ own }) => own[i])),
            before: at(({ before }) => before),
            after: at(({ after }) => after),
        };
    }),
    measured: sum(all.map((one) => one.measured)),
    kept: sum(all.map((one) => one.kept)),
    rose: sum(all.map((one) => one.rose)),
});

/** How the figures' data of several runs become those of one. */
const MERGE = {
    glance: (/** @type {any[]} */ all) => ({
        scale: mergeBySite(all.map((one) => one.scale)),
        self: mergeBySite(all.map((one) => one.self)),
    }),
    cloud: mergeClouds,
    drift: mergeDrifts,
    heat: mergeHeats,
    ridges: mergeRidges,
    promise: mergePromises,
    direction: mergeDensities,
    made: (/** @type {any[]} */ all) => ({ ...all[0], items: mergeMade(all.map((one) => one.items)) }),
};

/** What a figure was read for: while it changes, some of the runs are still read for what was shown before. */
const SHOWN = ["site", "column", "bySite"];

/**
 * Resources of several runs as one, which has data when all have.
 * @param {import("./resource.js").Resource<any>[]} parts
 * @param {(all: any[]) => any} merge
 */
const joined = (parts, merge) => ({
    state: computed(() => {
        const states = parts.map((part) => part.state.value);
        const all = states.map(({ data }) => data);
        const same = all.every((data) => data && SHOWN.every((key) => data[key] === all[0][key]));
        return {
            data: same ? merge(all) : null,
            error: states.find(({ error }) => error)?.error ?? null,
            at: Math.min(...states.map(({ at }) => at)),
        };
    }),
    refresh: () => parts.forEach((part) => part.refresh()),
});

/** What the figures read of a group of runs. @param {RunData[]} runs @returns {RunData} */
export function mergedData(runs) {
    if (runs.length === 1) return runs[0];
    const parts = Object.entries(MERGE).map(([name, merge]) => {
        const resources = runs.map((run) => /** @type {any} */ (run)[name]);
        return [name, joined(resources, /** @type {any} */ (merge))];
    });
    return { ...runs[0], ...Object.fromEntries(parts) };
}
