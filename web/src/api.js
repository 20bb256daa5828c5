/**
 * The one client of the REST API.
 */
import { signal } from "@preact/signals-core";

/** The server wants to know who asks. */
export const locked = signal(false);

/**
 * @typedef {"queued" | "running" | "paused" | "finished" | "failed" | "diverged" | "cancelled"} State
 * @typedef {{ step?: number, steps?: number, epoch?: number, epochs?: number, eta_seconds?: number | null,
 *     steps_per_second?: number | null, probe_share?: number | null }} Progress
 * @typedef {{ "test/accuracy"?: number, "test/loss"?: number, "train/loss"?: number, "train/accuracy"?: number,
 *     median_scale?: Record<string, number | null>, median_self_factor?: Record<string, number | null>,
 *     accuracy_series?: number[], seconds?: number, steps_per_second?: number, probe_share?: number }} Results
 * @typedef {{ type: string, units?: number, variant?: any, channels?: number, layers?: Layer[], [key: string]: any }} Layer
 * @typedef {{ name?: string, tags?: string[], dataset: Record<string, any>, model: Record<string, any>,
 *     optimiser?: Record<string, any>, batch_size?: number, epochs?: number, seed?: number,
 *     probe?: Record<string, any>, threads?: number, [key: string]: any }} Spec
 * @typedef {{ id: number, name: string, tags: string[], note: string, state: State, reason: string | null,
 *     attempt: number, priority: number, spec: Spec, spec_hash: string, created_at: string,
 *     started_at: string | null, ended_at: string | null, trashed_at: string | null, progress: Progress | null, results: Results | null }} Job
 * @typedef {{ workers?: number, running: number, queued: number, states?: Partial<Record<State, number>> }} Queue
 * @typedef {{ index?: number, name: string, type: string, part: string | null, variant: string | null,
 *     parameters?: number, input?: number[], output?: number[] }} Site
 * @typedef {{ sites: Site[], steps: number[], samples?: number }} Sites
 * @typedef {{ site: string, step?: number, steps?: number[], column: string, count: number, undefined: number,
 *     nonpositive: number, mean: number | null, sd: number | null, minimum: number | null, maximum: number | null,
 *     quantiles: Record<string, number | null>, cells?: [number, number][] }} Summary  cells: where asked for
 * @typedef {{ site: string, steps: number[], count: number, undefined: number, y_nonpositive?: number,
 *     cells: [number, number, number][], x_bins?: { count?: number } }} Density
 * @typedef {{ key: string, shown: number, of: number, steps: number[], values: (number | string | null)[] }} Series
 * @typedef {{ at: string, level: string, text: string }} LogLine
 * @typedef {{ step: number, site: string, sample: number, scale: number | null, self_factor: number | null,
 *     network_scale: number | null, scale_within: number | null, input_norm: number | null, loss: number | null, label: number | null,
 *     predicted: number | null }} Row
 */

/** A refused or failed request, with what the server said about it (RFC 9457). */
export class Problem extends Error {
    /**
     * @param {string} message
     * @param {{ status?: number, code?: string, errors?: { pointer: string, detail: string }[] }} [about]
     */
    constructor(message, about = {}) {
        super(message);
        this.name = "Problem";
        this.status = about.status ?? 0;
        this.code = about.code ?? "";
        this.errors = about.errors ?? [];
    }

    /** What a person may look up: "(422, invalid_spec)". */
    get reference() {
        if (!this.status) return "";
        return `(${[this.status, this.code].filter(Boolean).join(", ")})`;
    }
}

/**
 * The server's answer as JSON.
 * @param {string} path below /api/v1
 * @param {{ method?: string, body?: unknown, key?: string, signal?: AbortSignal }} [options]
 *     key: sent twice with the same one, a submission is made once
 * @returns {Promise<any>}
 */
export async function request(path, options = {}) {
    /** @type {Response} */
    let answer;
    try {
        answer = await fetch(`/api/v1${path}`, {
            method: options.method ?? "GET",
            headers: {
                ...(options.body === undefined ? {} : { "Content-Type": "application/json" }),
                ...(options.key ? { "Idempotency-Key": options.key } : {}),
            },
            body: options.body === undefined ? undefined : JSON.stringify(options.body),
            signal: options.signal,
        });
    } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") throw error;
        throw new Problem("The server did not answer.");
    }
    if (answer.status === 204) return null;
    const type = answer.headers.get("content-type") ?? "";
    if (!type.includes("json")) {
        throw new Problem(`The server answered ${answer.status} with ${type || "no content type"} instead of JSON.`, {
            status: answer.status,
        });
    }
    /** @type {any} */
    let json;
    try {
        json = await answer.json();
    } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") throw error;
        throw new Problem("The server’s answer broke off.", { status: answer.status });
    }
    if (answer.status === 401 && path !== "/login") locked.value = true;
    if (!answer.ok) throw new Problem(json.detail || json.title || answer.statusText, json);
    return json;
}

/**
 * Path and query, without the values that are left open.
 * @param {string} path
 * @param {Record<string, string | number | boolean | null | undefined>} values
 */
export function withQuery(path, values) {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(values)) if (value != null) search.set(key, String(value));
    const text = search.toString();
    return text ? `${path}?${text}` : path;
}

/**
 * All items of a paged list, up to `limit`.
 * @param {string} path
 * @param {Record<string, string | number | boolean | null | undefined>} values
 * @param {{ limit: number, signal?: AbortSignal }} options
 * @returns {Promise<{ items: any[], more: boolean }>}
 */
export async function allPages(path, values, { limit, signal }) {
    /** @type {any[]} */
    const items = [];
    /** @type {string | null} */
    let token = null;
    do {
        const page = await request(withQuery(path, { max_results: 1000, ...values, page_token: token }), { signal });
        items.push(...page.items);
        token = page.next_page_token ?? null;
    } while (token && items.length < limit);
    return { items, more: token != null };
}
