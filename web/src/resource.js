/**
 * Something that is read from the server, and read again when it has grown: what is shown stays while new data is on
 * its way, and an error does not take it away.
 */
import { signal } from "@preact/signals-core";

/** Something that grows is read during at most this part of the time, the other way round. */
const PACE = 5;

/**
 * @template T
 * @typedef {{ data: T | null, error: unknown, at: number }} Reading  at: when data was read, in milliseconds
 */

/**
 * @template T
 * @typedef {{ state: import("@preact/signals-core").Signal<Reading<T>>, refresh: () => void, renew: () => void,
 *     close: () => void }} Resource
 */

/**
 * @template T
 * @param {(abort: AbortSignal) => Promise<T>} load
 * @param {{ interval?: number }} [options] the least time between two readings, in milliseconds
 * @returns {Resource<T>}
 */
export function resource(load, { interval = 0 } = {}) {
    const state = signal(/** @type {Reading<T>} */ ({ data: null, error: null, at: 0 }));
    /** @type {AbortController | null} */
    let running = null;
    let again = false;
    let closed = false;
    let started = -Infinity;
    /** How long the last reading took: what takes long is read less often. */
    let took = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;

    async function read() {
        clearTimeout(timer);
        timer = undefined;
        const mine = (running = new AbortController());
        started = performance.now();
        again = false;
        try {
            const data = await load(mine.signal);
            if (running === mine) state.value = { data, error: null, at: Date.now() };
        } catch (error) {
            if (running === mine && !closed) state.value = { ...state.value, error };
        }
        if (running !== mine) return;
        running = null;
        took = performance.now() - started;
        if (again) refresh();
    }
    /** Reads soon; calls that come meanwhile are one reading. */
    function refresh() {
        if (closed) return;
        if (running) again = true;
        else
            timer ??= setTimeout(
                read,
                Math.max(0, Math.max(interval, interval && PACE * took) - (performance.now() - started)),
            );
    }
    return {
        state,
        refresh,
        /** Reads at once, for something else than before: a reading under way is dropped. */
        renew() {
            running?.abort();
            if (!closed) read();
        },
        close() {
            closed = true;
            clearTimeout(timer);
            running?.abort();
            running = null;
        },
    };
}
