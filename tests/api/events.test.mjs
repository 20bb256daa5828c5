// The event stream: ids without gaps, replay, filters, ends.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { holdAgainst } from "../contract.mjs";
import { api, ask, ended, longSpec, smallSpec, startDaemon, until } from "../daemon.mjs";

/** @typedef {{ id: number, type: string, data: any }} Event */

/**
 * Reads a stream until `enough` says so or it ends.
 * @param {string} base
 * @param {string} query
 * @param {(events: Event[]) => boolean} enough
 * @param {Record<string, string>} [headers]
 * @returns {Promise<{ events: Event[], ended: boolean }>}
 */
async function listen(base, query, enough, headers = {}) {
    const abort = new AbortController();
    const answer = await fetch(`${base}/api/v1/events${query}`, { signal: abort.signal, headers });
    assert.equal(answer.status, 200);
    await holdAgainst(base, "GET", `${base}/api/v1/events`, { status: answer.status, headers: answer.headers });
    assert.equal(answer.status, 200);
    /** @type {Event[]} */
    const events = [];
    let rest = "";
    const decoder = new TextDecoder();
    try {
        for await (const piece of /** @type {any} */ (answer.body)) {
            rest += decoder.decode(piece, { stream: true });
            const blocks = rest.split("\n\n");
            rest = blocks.pop() ?? "";
            for (const block of blocks) {
                const field = (/** @type {string} */ name) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
                if (!field("event")) continue;
                events.push({
                    id: Number(field("id")),
                    type: String(field("event")),
                    data: JSON.parse(String(field("data"))),
                });
                if (enough(events)) {
                    abort.abort();
                    return { events, ended: false };
                }
            }
        }
    } catch (error) {
        if (!abort.signal.aborted && /** @type {Error} */ (error).name !== "TypeError") throw error;
    }
    return { events, ended: true };
}

const isEnd = (/** @type {number} */ id) => (/** @type {Event[]} */ events) =>
    [events.at(-1)].some(
        (event) => event?.type === "job.state" && event.data.job === id && event.data.state === "finished",
    );

describe("events", () => {
    /** @type {Awaited<ReturnType<typeof startDaemon>>} */
    let daemon;
    before(async () => void (daemon = await startDaemon()));
    after(async () => {
        await daemon.stop();
        daemon.remove();
    });

    test("tell a job from its submission to its end, with ids that have no gap", async () => {
        /** @type {number} */
        let id = 0;
        const heard = listen(daemon.base, "", (events) => id > 0 && isEnd(id)(events));
        ({ id } = await api(daemon.base, "/jobs", smallSpec("heard", "affine", 0.05)));
        const { events } = await heard;
        events.forEach((event, i) => assert.equal(event.id, events[0].id + i));
        const states = events.filter((event) => event.type === "job.state").map((event) => event.data.state);
        assert.deepEqual(states, ["queued", "running", "finished"]);
        const types = new Set(events.map((event) => event.type));
        for (const type of ["job.progress", "metric", "divergence", "log", "queue"]) assert.ok(types.has(type), type);
        const metrics = events.filter((event) => event.type === "metric");
        assert.ok(metrics.some((event) => "test/accuracy" in event.data.values));
    });

    test("are replayed from where a client left off, after a restart too", async () => {
        const all = (await listen(daemon.base, "?last_event_id=0", isEnd(1))).events;
        assert.equal(all[0].id, 1);
        await daemon.stop();
        daemon = await startDaemon({ data: daemon.data, listen: daemon.listen });
        const middle = all[Math.floor(all.length / 2)].id;
        const rest = (await listen(daemon.base, "", isEnd(1), { "Last-Event-ID": String(middle) })).events;
        assert.deepEqual(rest, all.slice(middle));
    });

    test("of some jobs only", async () => {
        const one = await api(daemon.base, "/jobs", smallSpec("one", "affine", 0.05, { epochs: 1 }));
        const two = await api(daemon.base, "/jobs", smallSpec("two", "affine", 0.05, { epochs: 1 }));
        await Promise.all([ended(daemon.base, one.id), ended(daemon.base, two.id)]);
        const { events } = await listen(daemon.base, `?jobs=${two.id}&last_event_id=0`, isEnd(two.id));
        assert.deepEqual([...new Set(events.map((event) => event.data.job ?? two.id))], [two.id]);
    });

    test("tell of a run that is imported", async () => {
        const { id } = await api(daemon.base, "/jobs", smallSpec("goes round", "affine", 0.05, { epochs: 1 }));
        await ended(daemon.base, id);
        const { bytes } = await ask(daemon.base, `/jobs/${id}/run.sqlite`);
        const headers = { "Content-Type": "application/vnd.sqlite3" };
        const came = await ask(daemon.base, "/import", { method: "POST", body: bytes, headers });
        assert.equal(came.status, 201, JSON.stringify(came.json));
        const { events } = await listen(daemon.base, `?jobs=${came.json.id}&last_event_id=0`, isEnd(came.json.id));
        const states = events.filter((event) => event.type === "job.state").map((event) => event.data);
        assert.deepEqual([states.length, states[0].name], [1, "goes round"]);
    });

    test("that a client cannot have had are answered with reset", async () => {
        const { events } = await listen(daemon.base, "?last_event_id=1000000", (events) => events.length > 0);
        assert.equal(events[0].type, "reset");
        const { id } = await api(daemon.base, "/jobs", smallSpec("after", "affine", 0.05, { epochs: 1 }));
        await ended(daemon.base, id);
        const next = await listen(daemon.base, `?last_event_id=${events[0].id}`, isEnd(id));
        assert.equal(next.events[0].id, events[0].id + 1);
    });

    test("refuse an id that is none", async () => {
        const { status, json } = await ask(daemon.base, "/events", { headers: { "Last-Event-ID": "yesterday" } });
        assert.equal(status, 400);
        assert.match(json.detail, /yesterday/);
    });
});

test("a stream of some jobs ends when its client has gone, however much other jobs tell", async () => {
    const daemon = await startDaemon();
    const streams = async () => {
        const text = await (await fetch(`${daemon.base}/metrics`)).text();
        const route = /^plumbline_http_requests_total{[^}]*route="\/api\/v1\/events"[^}]*} (\d+)$/gm;
        return [...text.matchAll(route)].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    const { id } = await api(daemon.base, "/jobs", longSpec("tells much"));
    const abort = new AbortController();
    await fetch(`${daemon.base}/api/v1/events?jobs=${id + 1000}`, { signal: abort.signal });
    abort.abort();
    await until("its stream has ended", async () => (await streams()) === 1);
    await api(daemon.base, `/jobs/${id}/cancel`, {});
    assert.equal((await ended(daemon.base, id)).state, "cancelled");
    await daemon.stop();
    daemon.remove();
});

test("a stop ends streams and workers within five seconds, and the job goes on at the next start", async () => {
    let daemon = await startDaemon();
    const { id } = await api(daemon.base, "/jobs", longSpec("long"));
    const streams = Array.from({ length: 20 }, () => listen(daemon.base, "", () => false));
    const running = (/** @type {number} */ attempt) =>
        until("it makes steps", async () => {
            const job = await api(daemon.base, `/jobs/${id}`);
            return job.state === "running" && job.attempt === attempt && job.progress.step > 0 && job.progress.step;
        });
    await running(1);
    const begun = performance.now();
    await daemon.stop();
    assert.ok(performance.now() - begun < 5000, "the promise to users, not a measure of speed");
    for (const { ended } of await Promise.all(streams)) assert.equal(ended, true);

    daemon = await startDaemon({ data: daemon.data });
    const { progress } = await api(daemon.base, `/jobs/${id}`);
    assert.ok((await running(2)) >= progress.step, "it goes on from where it was");
    assert.equal((await ask(daemon.base, `/jobs/${id}/cancel`, { method: "POST" })).status, 200);
    assert.equal((await ended(daemon.base, id)).state, "cancelled");
    await daemon.stop();
    daemon.remove();
});
