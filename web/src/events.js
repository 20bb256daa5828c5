/**
 * What happens on the server, handed on to a page in batches at most four times a second, and only while the page is
 * seen and updates are not paused. Nothing is lost or comes twice: the stream reads on from the last event it had.
 */
import { batch, signal } from "@preact/signals-core";
import { listen, reconnect } from "./stream.js";

const INTERVAL = 250;
/** Past this many waiting events it is cheaper to read everything anew. */
const QUEUE_LIMIT = 4000;
/** A page reads without the stream when that takes longer to open, in milliseconds. */
const PATIENCE = 100;

/** @typedef {{ type: string, data: any }} LiveEvent */

/** @type {import("@preact/signals-core").Signal<"connecting" | "live" | "reconnecting">} */
export const connection = signal("connecting");
export const paused = signal(false);
/** When the server was last heard, in milliseconds. */
export const heard = signal(Date.now());
export { reconnect as reconnectNow };

/** @type {Set<{ take: (event: LiveEvent) => void, opened: () => void, lost: () => void }>} */
const pages = new Set();

/** Begins to listen; once. */
export function startEvents() {
    listen((message) => {
        if (message.kind === "state") {
            connection.value = message.live ? "live" : "reconnecting";
            if (!message.live) return;
            heard.value = Date.now();
            for (const page of pages) page.opened();
        } else if (message.kind === "reset") {
            for (const page of pages) page.lost();
        } else if (message.kind === "event") {
            heard.value = Date.now();
            const event = { type: message.type, data: JSON.parse(message.data) };
            for (const page of pages) page.take(event);
        }
    });
}

/**
 * Opens a page's part of the stream.
 * @param {{ jobs?: number[], apply: (events: LiveEvent[]) => void, reload: () => void }} page
 *     jobs: only what happens to these; apply: handed the events in order; reload: everything must be read anew, some
 *     events are gone
 * @returns {{ ready: Promise<void>, close: () => void }} ready: the stream is open, or takes long to open
 */
export function openStream({ jobs, apply, reload }) {
    /** @type {LiveEvent[]} */
    let waiting = [];
    let overflow = false;
    let lastFlush = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let opened = connection.value === "live";
    let late = false;
    /** @type {() => void} */
    let resolveReady = () => {};
    /** @type {Promise<void>} */
    const ready = new Promise((resolve) => (resolveReady = resolve));

    const flush = () => {
        timer = undefined;
        if (paused.value || document.hidden || (!waiting.length && !overflow)) return;
        lastFlush = performance.now();
        const events = waiting;
        waiting = [];
        if (overflow) {
            overflow = false;
            reload();
        } else batch(() => apply(events));
    };
    const plan = () => {
        timer ??= setTimeout(flush, Math.max(0, INTERVAL - (performance.now() - lastFlush)));
    };
    const page = {
        /** @param {LiveEvent} event */
        take(event) {
            if (jobs && !jobs.includes(event.data.job)) return;
            if (waiting.length >= QUEUE_LIMIT) page.lost();
            if (!overflow) waiting.push(event);
            plan();
        },
        opened() {
            // What happened before a late first opening was not told.
            if (!opened && late) reload();
            opened = true;
            resolveReady();
        },
        lost() {
            waiting = [];
            overflow = true;
            plan();
        },
    };
    pages.add(page);
    if (opened) resolveReady();
    const slow = setTimeout(() => {
        late = !opened;
        resolveReady();
    }, PATIENCE);
    const onVisible = () => !document.hidden && plan();
    const stopWatching = paused.subscribe(() => plan());
    document.addEventListener("visibilitychange", onVisible);
    return {
        ready,
        close() {
            pages.delete(page);
            clearTimeout(slow);
            clearTimeout(timer);
            stopWatching();
            document.removeEventListener("visibilitychange", onVisible);
        },
    };
}
