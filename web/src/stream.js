/**
 * The server's event stream, one for all tabs of a browser: the tab that holds a lock reads it and tells the others,
 * since a browser opens few connections to one server. When that tab goes, the next one reads on from the last event it
 * was told. Where there are no locks (a page that is not from this machine, without TLS) each tab reads for itself.
 */

const NAME = "plumbline.events";
const TYPES = ["job.state", "job.progress", "metric", "divergence", "log", "queue"];
const RETRY = 1000;

/**
 * @typedef {{ kind: "event", id: string, type: string, data: string } | { kind: "reset", id: string }
 *     | { kind: "state", live: boolean } | { kind: "ask" }} Message
 * @typedef {(message: Message) => void} Listener
 */

/** @type {Set<Listener>} */
const listeners = new Set();
/** @type {EventSource | null} */
let source = null;
let lastId = "";
let live = /** @type {boolean | null} */ (null);
let leads = false;
/** @type {BroadcastChannel | null} */
let channel = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;

/** @param {Message} message */
function take(message) {
    if (message.kind === "event" || message.kind === "reset") lastId = message.id;
    else if (message.kind === "state") live = message.live;
    for (const listener of listeners) listener(message);
}

/** To this tab and the others. @param {Message} message */
function tell(message) {
    take(message);
    channel?.postMessage(message);
}

/** Reads the stream, from the last event on. */
function connect() {
    clearTimeout(retry);
    source?.close();
    source = new EventSource(`/api/v1/events${lastId ? `?last_event_id=${lastId}` : ""}`);
    // After a reader that had heard nothing yet there is no event to go on from: what came between is read anew.
    const blind = lastId === "" && live != null;
    source.addEventListener("open", () => {
        tell({ kind: "state", live: true });
        if (blind) tell({ kind: "reset", id: "" });
    });
    source.addEventListener("error", () => {
        tell({ kind: "state", live: false });
        // Refused, not lost: the browser gives up then, and so must not we.
        if (source?.readyState === EventSource.CLOSED) retry = setTimeout(connect, RETRY);
    });
    source.addEventListener("reset", (event) =>
        tell({ kind: "reset", id: /** @type {MessageEvent} */ (event).lastEventId || "" }),
    );
    for (const type of TYPES)
        source.addEventListener(type, (event) => {
            const { lastEventId: id, data } = /** @type {MessageEvent} */ (event);
            tell({ kind: "event", id, type, data });
        });
}

/** Begins, once a page. @param {Listener} listener */
export function listen(listener) {
    listeners.add(listener);
    const lead = () => {
        leads = true;
        connect();
    };
    if (!navigator.locks) return lead();
    channel = new BroadcastChannel(NAME);
    channel.onmessage = ({ data }) => {
        // A new reader may begin before what this tab has heard already.
        const old = data.kind === "event" && lastId !== "" && Number(data.id) <= Number(lastId);
        if (data.kind !== "ask") old || take(data);
        else if (leads && live != null) channel?.postMessage({ kind: "state", live });
    };
    channel.postMessage({ kind: "ask" });
    // Held until the tab goes.
    navigator.locks.request(NAME, () => {
        lead();
        return new Promise(() => {});
    });
}

/** Connects at once instead of after the usual second; another tab does so where that one reads. */
export function reconnect() {
    if (leads) connect();
}
