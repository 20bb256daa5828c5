/** Loss and accuracy as they were logged, of one run or of several. */
import { request, withQuery } from "./api.js";

/**
 * @typedef {object} Line  a series as it is read and as it grows
 * @property {number[]} steps
 * @property {(number | null)[]} values
 * @property {number} nonfinite values that are not numbers; they are gaps
 * @property {number} of how many the run has
 * @typedef {Record<string, Line>} Metrics  by key
 */

const KEYS = ["train/loss", "train/accuracy", "test/loss", "test/accuracy"];
const MAX_POINTS = 2000;

/** @type {Line} */
export const NO_LINE = { steps: [], values: [], nonfinite: 0, of: 0 };

/**
 * The line without the steps at which nothing was logged.
 * @param {number[]} steps
 * @param {(number | string | null)[]} values
 * @param {number} of
 * @returns {Line}
 */
function lineOf(steps, values, of) {
    const there = values.map((value) => value !== null);
    const logged = values.filter((value) => value !== null);
    return {
        steps: steps.filter((_, i) => there[i]),
        values: logged.map((v) => (typeof v === "number" ? v : null)),
        nonfinite: logged.filter((v) => typeof v === "string").length,
        of,
    };
}

/** @param {string} base path of the job @param {AbortSignal} signal @returns {Promise<Metrics>} */
export async function readMetrics(base, signal) {
    const query = { keys: KEYS.join(","), max_points: MAX_POINTS };
    const { series } = await request(withQuery(`${base}/metrics`, query), { signal });
    return Object.fromEntries(
        series.map((/** @type {any} */ { key, steps, values, of }) => [key, lineOf(steps, values, of)]),
    );
}

/**
 * The metrics of several jobs, by job.
 * @param {number[]} ids
 * @param {AbortSignal} signal
 * @returns {Promise<Map<number, Metrics>>}
 */
export async function readCompared(ids, signal) {
    const query = { jobs: ids.join(","), keys: KEYS.join(","), max_points: MAX_POINTS };
    const { series } = await request(withQuery("/compare", query), { signal });
    return new Map(
        ids.map((id, i) => [
            id,
            Object.fromEntries(
                series.map((/** @type {any} */ { key, steps, values, of }) => [key, lineOf(steps, values[i], of[i])]),
            ),
        ]),
    );
}

/**
 * With what an event of one more step tells.
 * @param {Metrics} before
 * @param {{ step: number, values: Record<string, number | string> }} event
 */
export function withMetric(before, { step, values }) {
    const next = { ...before };
    for (const key of KEYS) {
        if (!(key in values)) continue;
        const line = next[key] ?? NO_LINE;
        // Made again after a resume, or read in the meantime: that step is there already.
        if (line.steps.length && step <= line.steps[line.steps.length - 1]) continue;
        const value = values[key];
        const finite = typeof value === "number";
        next[key] = {
            steps: [...line.steps, step],
            values: [...line.values, finite ? value : null],
            nonfinite: line.nonfinite + (finite ? 0 : 1),
            of: Math.max(line.of + 1, key.startsWith("train/") ? step : 0),
        };
    }
    return next;
}
