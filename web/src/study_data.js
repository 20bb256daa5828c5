/**
 * The results of a study, arranged to be drawn: a figure over one field, a series a variant, a panel for what else
 * the grid has.
 */

/**
 * @typedef {{ mean: number, sd: number | null, standard_error: number | null, n: number,
 *     interval?: [number, number] }} Aggregate
 * @typedef {{ point: Record<string, any>, n: number, results: Record<string, Aggregate>,
 *     seeds: { seed: number, job: number, values: Record<string, number> }[] }} StudyPoint  values: of each seed
 * @typedef {{ x: number, mean: number, low: number | null, high: number | null, n: number,
 *     seeds: { value: number, job: number, seed: number }[] }} Mean
 * @typedef {{ variant: string | null, means: Mean[], fit: Fit | null }} StudySeries
 * @typedef {{ slope: number, at: (x: number) => { y: number, half: number }, half: number, n: number }} Fit
 *     slope and half: in y a doubling of x, with half its 95 % interval
 * @typedef {{ label: string, series: StudySeries[] }} StudyPanel
 */

/**
 * The server's aggregates, each with the jobs it is of.
 * @param {{ point: Record<string, any>, jobs: number[], figures: Record<string, Aggregate> }[]} aggregated
 * @param {{ job: number, point: Record<string, any>, results: Record<string, any> | null }[]} items
 * @returns {StudyPoint[]}
 */
export function pointsOf(aggregated, items) {
    const jobs = new Map(items.map((item) => [item.job, item]));
    return aggregated.map(({ point, jobs: ids, figures }) => ({
        point,
        n: Math.max(0, ...Object.values(figures).map((figure) => figure.n)),
        results: figures,
        seeds: ids.map((job) => ({
            job,
            seed: Number(jobs.get(job)?.point["/seed"] ?? 0),
            values: jobs.get(job)?.results ?? {},
        })),
    }));
}

/** A field in a word. @param {string} pointer */
export const fieldName = (pointer) => (pointer.split("/").pop() ?? pointer).replaceAll("_", " ");

/** The 97.5 % quantile of Student's t by degrees of freedom, from 1. */
const T = [
    12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.1, 2.09,
    2.09,
];
/** @param {number} freedom */
const student = (freedom) => T[Math.min(T.length, freedom) - 1] ?? T[0];

/** A mean's 95 % interval: the server's, else by Student's t. @param {Aggregate} a @returns {[number, number] | null} */
export function intervalOf({ mean, standard_error: se, n, interval }) {
    if (interval) return interval;
    if (se == null || n < 2) return null;
    const half = student(n - 1) * se;
    return [mean - half, mean + half];
}

/** The fields whose values are numbers: along which a figure can be drawn. @param {StudyPoint[]} points */
export function axesOf(points) {
    const pointers = Object.keys(points[0]?.point ?? {});
    return pointers.filter(
        (pointer) =>
            pointer !== "/seed" &&
            points.every(({ point }) => typeof point[pointer] === "number" && point[pointer] > 0) &&
            new Set(points.map(({ point }) => point[pointer])).size > 1,
    );
}

/** The field that tells variants apart. @param {StudyPoint[]} points */
const variantKey = (points) => Object.keys(points[0]?.point ?? {}).find((pointer) => pointer.endsWith("/variant"));

/**
 * @param {StudyPoint[]} points
 * @param {string} axis
 * @param {string} key of the result
 * @param {boolean} fitted whether a line is fitted to each series
 * @returns {StudyPanel[]}
 */
export function panelsOf(points, axis, key, fitted) {
    const variant = variantKey(points);
    const varying = Object.keys(points[0]?.point ?? {}).filter(
        (pointer) =>
            ![axis, variant, "/seed"].includes(pointer) &&
            new Set(points.map(({ point }) => JSON.stringify(point[pointer]))).size > 1,
    );
    /** @type {Map<string, Map<string | null, Mean[]>>} */
    const panels = new Map();
    for (const { point, results, seeds } of points) {
        const result = results[key];
        if (!result || !Number.isFinite(result.mean)) continue;
        const label = varying.map((pointer) => `${fieldName(pointer)} ${JSON.stringify(point[pointer])}`).join(", ");
        const panel = panels.get(label) ?? new Map();
        panels.set(label, panel);
        const name = variant ? String(point[variant]) : null;
        const interval = intervalOf(result);
        const mean = {
            x: point[axis],
            mean: result.mean,
            low: interval?.[0] ?? null,
            high: interval?.[1] ?? null,
            n: result.n,
            seeds: seeds
                .filter(({ values }) => Number.isFinite(values[key]))
                .map(({ values, job, seed }) => ({ value: values[key], job, seed })),
        };
        panel.set(name, [...(panel.get(name) ?? []), mean]);
    }
    return [...panels].map(([label, series]) => ({
        label,
        series: [...series].map(([name, means]) => {
            means.sort((/** @type {Mean} */ a, /** @type {Mean} */ b) => a.x - b.x);
            return { variant: name, means, fit: fitted ? fit(means) : null };
        }),
    }));
}

/** Least squares of all seeds on log2 x. @param {Mean[]} means @returns {Fit | null} */
export function fit(means) {
    const all = means.flatMap(({ x, seeds }) => seeds.map(({ value }) => [Math.log2(x), value]));
    const n = all.length;
    if (n < 3 || new Set(all.map(([x]) => x)).size < 2) return null;
    const mx = all.reduce((sum, [x]) => sum + x, 0) / n;
    const my = all.reduce((sum, [, y]) => sum + y, 0) / n;
    const sxx = all.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
    const slope = all.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
    const rest = all.reduce((sum, [x, y]) => sum + (y - my - slope * (x - mx)) ** 2, 0);
    const deviation = Math.sqrt(rest / (n - 2));
    const t = student(n - 2);
    return {
        slope,
        half: (t * deviation) / Math.sqrt(sxx),
        n,
        at: (x) => {
            const dx = Math.log2(x) - mx;
            return { y: my + slope * dx, half: t * deviation * Math.sqrt(1 / n + dx ** 2 / sxx) };
        },
    };
}
