/**
 * What a job tells: its marks in a list, and how events change it.
 */
import { duration, int, ordinal } from "./format.js";

/** @typedef {import("./api.js").Job} Job @typedef {import("./events.js").LiveEvent} LiveEvent */

/** @param {string} state */
export const isFinal = (state) => ["finished", "failed", "diverged", "cancelled"].includes(state);

/** Failed or diverged: somebody should look. @param {string} state */
export const needsLook = (state) => state === "failed" || state === "diverged";

/** How far a job has come, 0 … 1; null when nothing is known. @param {Job} job */
export function share(job) {
    const { step, steps } = job.progress ?? {};
    return step != null && steps ? Math.min(1, step / steps) : null;
}

/** The name, or the number of a job that has none. @param {Job} job */
export const title = (job) => job.name || `job ${job.id}`;

/** How long it ran, in seconds. @param {Job} job */
export function seconds(job) {
    if (job.results?.seconds != null) return job.results.seconds;
    if (!job.started_at || !job.ended_at) return null;
    return (Date.parse(job.ended_at) - Date.parse(job.started_at)) / 1000;
}

/**
 * The line below a job's bar: what it does, waits for, or why it ended.
 * @param {Job} job
 * @param {number} place its place in the queue, from 1
 */
export function progressNote(job, place) {
    const { step, steps, eta_seconds: eta } = job.progress ?? {};
    const at = step && steps ? `step ${int(step)} of ${int(steps)}` : "";
    if (job.state === "running") {
        if (job.reason === "cancelling") return [at, "cancelling"].filter(Boolean).join(" · ");
        if (!at) return "starting";
        return eta != null ? `${at} · ${duration(eta)} left` : at;
    }
    if (job.state === "queued") return job.reason ?? (place === 1 ? "next" : `${ordinal(place)} in queue`);
    if (job.state === "finished") {
        const took = seconds(job);
        return steps ? `${int(steps)} steps${took != null ? ` in ${duration(took)}` : ""}` : "";
    }
    if (needsLook(job.state)) return job.reason ?? at;
    return [at, job.reason].filter(Boolean).join(" · ");
}

/** The medians of scale by site that are defined. @param {Job} job */
export const siteScales = (job) =>
    /** @type {number[]} */ (Object.values(job.results?.median_scale ?? {}).filter(Number.isFinite));

/** @param {number[]} values */
export function median(values) {
    if (!values.length) return null;
    const sorted = [...values].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

const TOLD = ["name", "tags", "note", "priority", "trashed_at"];

/**
 * The job after an event. Told twice, an event changes nothing the second time.
 * @param {Job} job
 * @param {LiveEvent} event
 * @returns {Job}
 */
export function applyEvent(job, { type, data }) {
    if (type === "job.state") {
        return {
            ...job,
            state: data.state,
            reason: data.reason ?? null,
            attempt: data.attempt ?? job.attempt,
            started_at: job.started_at ?? (data.state === "running" ? data.at : null),
            ended_at: isFinal(data.state) ? data.at : null,
            results: data.results ? { ...job.results, ...data.results } : job.results,
            // What is told with a state besides: name, tags, note, trash.
            ...Object.fromEntries(TOLD.filter((key) => key in data).map((key) => [key, data[key]])),
        };
    }
    if (type === "job.progress") {
        const { job: _, ...progress } = data;
        return { ...job, progress: { ...job.progress, ...progress } };
    }
    if (type === "metric") return withMetric(job, data);
    if (type === "divergence") return withDivergence(job, data);
    return job;
}

/** @param {Job} job @param {{ step: number, values: Record<string, any> }} data */
function withMetric(job, { step, values }) {
    const accuracy = values["test/accuracy"];
    if (typeof accuracy !== "number") return job;
    const series = [...(job.results?.accuracy_series ?? [])];
    const { steps, epochs } = job.progress ?? {};
    const epoch = steps && epochs ? Math.round((step * epochs) / steps) : series.length + 1;
    if (epoch >= 1 && epoch <= series.length + 1) series[epoch - 1] = accuracy;
    /** @type {Record<string, any>} */
    const kept = {};
    for (const key of ["test/accuracy", "test/loss", "train/loss", "train/accuracy"])
        if (key in values) kept[key] = values[key];
    return { ...job, results: { ...job.results, ...kept, accuracy_series: series } };
}

/** @param {Job} job @param {{ sites: Record<string, { median_scale?: number, median_self_factor?: number }> }} data */
function withDivergence(job, { sites }) {
    const scale = { ...job.results?.median_scale };
    const self = { ...job.results?.median_self_factor };
    for (const [name, figures] of Object.entries(sites)) {
        if (figures.median_scale !== undefined) scale[name] = figures.median_scale;
        if (figures.median_self_factor !== undefined) self[name] = figures.median_self_factor;
    }
    return { ...job, results: { ...job.results, median_scale: scale, median_self_factor: self } };
}
