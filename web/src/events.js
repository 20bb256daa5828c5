/**
 * What happens on the server, as it happens: one event stream a page, handed on in batches at most four times a
 * second, and only while the page is seen and updates are not paused. The browser reconnects by itself and tells the
 * server the last id it has, so that nothing is lost or comes twice.
 */
import { batch, signal } from "@preact/signals-core";

const TYPES = ["job.state", "job.progress", "metric", "divergence", "log", "queue"];
const INTERVAL = 250;
/** Past this many waiting events it is cheaper to read everything anew. */
const QUEUE_LIMIT = 4000;
const RETRY = 1000;

/** @typedef {{ type: string, data: any }} LiveEvent */

/** @type {import("@preact/signals-core").Signal<"connecting" | "live" | "reconnecting">} */
export const connection = signal("connecting");
export const paused = signal(false);
/** When the server was last heard, in milliseconds. */
export const heard = signal(Date.now());

/** @type {(() => void) | null} */
let reconnect = null;
/** Connects at once instead of after the usual second. */
export const reconnectNow = () => reconnect?.();

/**
 * Opens the page's stream.
 * @param {{ jobs?: number[], apply: (events: LiveEvent[]) => void, reload: () => void }} page
 *     apply: handed the events in order; reload: everything must be read anew, some events are gone
 * @returns {{ ready: Promise<void>, close: () => void }} ready: the stream is open, or takes long to open
 */
export function openStream({ jobs, apply, reload }) {
    /** @type {EventSource | null} */
    let source = null;
    /** @type {LiveEvent[]} */
    let waiting = [];
    let overflow = false;
    let lastId = "";
    let lastFlush = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let retry;
    let opened = false;
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
    /** @param {string} type @param {MessageEvent} message */
    const take = (type, message) => {
        lastId = message.lastEventId || lastId;
        heard.value = Date.now();
        if (waiting.length >= QUEUE_LIMIT) {
            waiting = [];
            overflow = true;
        }
        if (!overflow) waiting.push({ type, data: JSON.parse(message.data) });
        plan();
    };
    const connect = () => {
        clearTimeout(retry);
        source?.close();
        const search = new URLSearchParams();
        if (jobs) search.set("jobs", jobs.join(","));
        if (lastId) search.set("last_event_id", lastId);
        const text = search.toString();
        source = new EventSource(`/api/v1/events${text ? `?${text}` : ""}`);
        source.addEventListener("open", () => {
            connection.value = "live";
            heard.value = Date.now();
            // What happened before a late first opening was not told.
            if (!opened && late) reload();
            opened = true;
            resolveReady();
        });
        source.addEventListener("error", () => {
            connection.value = "reconnecting";
            // Refused, not lost: the browser gives up then, and so must not we.
            if (source?.readyState === EventSource.CLOSED) retry = setTimeout(connect, RETRY);
        });
        source.addEventListener("reset", (message) => {
            lastId = /** @type {MessageEvent} */ (message).lastEventId || "";
            overflow = true;
            plan();
        });
        for (const type of TYPES)
            source.addEventListener(type, (message) => take(type, /** @type {MessageEvent} */ (message)));
    };

    const slow = setTimeout(() => {
        late = !opened;
        resolveReady();
    }, 500);
    const onVisible = () => !document.hidden && plan();
    const stopWatching = paused.subscribe(() => plan());
    document.addEventListener("visibilitychange", onVisible);
    reconnect = connect;
    connection.value = "connecting";
    connect();
    return {
        ready,
        close() {
            clearTimeout(slow);
            clearTimeout(timer);
            clearTimeout(retry);
            stopWatching();
            document.removeEventListener("visibilitychange", onVisible);
            source?.close();
            source = null;
            if (reconnect === connect) reconnect = null;
        },
    };
}
