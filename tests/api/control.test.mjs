// What is done to jobs, to one and to many: paused, gone on with, tried again, thrown away; renamed by two at once;
// submitted twice by a client that lost the answer.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { api, ask, ended, finishedJob, longSpec, smallSpec, startDaemon, until } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
/** A job that has finished. @type {any} */
let done;
const tiny = (/** @type {string} */ name, more = {}) =>
    smallSpec(name, "affine", 0.05, {
        dataset: { name: "synthetic", classes: 4, features: 16, train: 256, test: 64, norm_spread: 1, seed: 1 },
        epochs: 1,
        ...more,
    });
const post = (/** @type {string} */ path, /** @type {unknown} */ body, headers = {}) =>
    ask(daemon.base, path, { method: "POST", body, headers });
const job = (/** @type {number} */ id) => api(daemon.base, `/jobs/${id}`);
const submit = async (/** @type {object} */ spec) => (await api(daemon.base, "/jobs", spec)).id;
const inState = (/** @type {number} */ id, /** @type {string} */ state) =>
    until(`job ${id} is ${state}`, async () => (await job(id)).state === state);
const runFile = (/** @type {number} */ id) => join(daemon.data, "runs", `${id}.db`);
const listed = async (query = "") =>
    (await api(daemon.base, `/jobs?max_results=1000${query}`)).items.map((/** @type {any} */ one) => one.id);

before(async () => {
    daemon = await startDaemon({ flags: ["--workers", "1"] });
    done = await finishedJob(daemon.base, tiny("done"));
});
after(async () => {
    await daemon.stop();
    daemon.remove();
});

/** It is refused with 409, and says why. @param {string} path @param {RegExp} detail */
async function conflicts(path, detail, method = "POST") {
    const { status, json } = await ask(daemon.base, path, { method });
    assert.deepEqual([status, json.code], [409, "wrong_state"], path);
    assert.match(json.detail, detail);
}

describe("a job", () => {
    test("that runs is paused at a checkpoint and goes on from there, once its worker is free", async () => {
        const id = await submit(longSpec("paused"));
        await until("it trains", async () => (await job(id)).progress.step > 0);
        assert.equal((await post(`/jobs/${id}/pause`, undefined)).status, 200);
        await inState(id, "paused");
        const { step } = (await job(id)).progress;
        await conflicts(`/jobs/${id}/pause`, /paused/);
        await conflicts(`/jobs/${id}/retry`, /ended/);
        assert.equal((await post(`/jobs/${id}/resume`, undefined)).status, 200);
        await until("it goes on", async () => (await job(id)).progress.step > step);
        assert.equal((await job(id)).attempt, 2);
        await conflicts(`/jobs/${id}/resume`, /paused/);
        await conflicts(`/jobs/${id}`, /cancel it first/, "DELETE");
        await conflicts(`/jobs/${id}?purge=true`, /cancel it first/, "DELETE");
        const { json } = await post(`/jobs/${id}/cancel`, undefined);
        assert.equal(json.id, id);
        assert.equal((await ended(daemon.base, id)).state, "cancelled");
        await conflicts(`/jobs/${id}/cancel`, /nothing left to cancel/);
    });

    test("that waits is paused, resumed and cancelled without having begun", async () => {
        const running = await submit(longSpec("in the way"));
        const id = await submit(tiny("waiting"));
        assert.equal((await post(`/jobs/${id}/pause`, undefined)).json.state, "paused");
        assert.equal((await post(`/jobs/${id}/resume`, undefined)).json.state, "queued");
        const { json } = await post(`/jobs/${id}/cancel`, undefined);
        assert.deepEqual([json.state, json.started_at], ["cancelled", null]);
        assert.deepEqual(await api(daemon.base, `/jobs/${id}/metrics`), { series: [] });
        for (const path of ["", "/summary", "/histogram", "/batch"])
            assert.deepEqual((await api(daemon.base, `/jobs/${id}/divergence${path}`)).items, [], path);
        assert.deepEqual((await api(daemon.base, `/jobs/${id}/divergence/sites`)).sites, []);
        assert.equal((await api(daemon.base, `/jobs/${id}/divergence/density?site=1.dense`)).count, 0);
        assert.deepEqual((await api(daemon.base, `/jobs/${id}/samples/0`)).rows, []);
        assert.deepEqual((await api(daemon.base, `/jobs/${id}/log`)).items, []);
        for (const path of ["weights.safetensors", "run.sqlite", "export", "samples/0/contributors?site=1.dense"])
            assert.equal((await ask(daemon.base, `/jobs/${id}/${path}`)).status, 404, path);
        await api(daemon.base, "/jobs:cancel", { ids: [running] });
        await ended(daemon.base, running);
    });

    test("takes an empty object for no body, and nothing else", async () => {
        const running = await submit(longSpec("in the way"));
        const id = await submit(tiny("empty"));
        for (const [body, code] of /** @type {[string, string][]} */ ([
            ['{"reason":"x"}', "unexpected_body"],
            ["[]", "unexpected_body"],
            ["null", "malformed_json"],
            ["{", "malformed_json"],
        ])) {
            const { status, json } = await post(`/jobs/${id}/pause`, body);
            assert.deepEqual([status, json.code], [400, code], body);
        }
        for (const [action, state] of [
            ["pause", "paused"],
            ["resume", "queued"],
            ["cancel", "cancelled"],
            ["retry", "queued"],
        ]) {
            const { status, json } = await post(`/jobs/${id}/${action}`, {});
            assert.deepEqual([status < 300, json.state], [true, state], action);
        }
        assert.equal((await ask(daemon.base, `/jobs/${id}`, { method: "DELETE", body: "{}" })).status, 200);
        assert.equal((await post(`/jobs/${id}/restore`, " {} \n")).status, 200);
        await api(daemon.base, "/jobs:cancel", { ids: [running, id + 1] });
        await ended(daemon.base, running);
    });

    test("is tried again as a new job of the same spec", async () => {
        const { status, headers, json } = await post(`/jobs/${done.id}/retry`, undefined);
        assert.equal(status, 201);
        assert.equal(headers.get("location"), `/api/v1/jobs/${json.id}`);
        assert.ok(json.id > done.id);
        assert.deepEqual([json.retry_of, json.attempt, json.spec_hash], [done.id, 1, done.spec_hash]);
        const again = await ended(daemon.base, json.id);
        assert.equal(again.results["test/loss"], done.results["test/loss"]);
    });

    test("goes to the trash, comes back, and is purged with its file", async () => {
        const { id } = await finishedJob(daemon.base, tiny("thrown away"));
        const { json } = await ask(daemon.base, `/jobs/${id}`, { method: "DELETE" });
        assert.match(json.trashed_at, /^\d{4}-/);
        assert.ok(!(await listed()).includes(id));
        assert.equal((await job(id)).id, id, "it is still there to be looked at");
        await conflicts(`/jobs/${id}`, /trash already/, "DELETE");
        assert.equal((await post(`/jobs/${id}/restore`, undefined)).json.trashed_at, null);
        assert.ok((await listed()).includes(id));
        await conflicts(`/jobs/${id}/restore`, /not in the trash/);
        assert.ok(existsSync(runFile(id)));
        const purged = await ask(daemon.base, `/jobs/${id}?purge=true`, { method: "DELETE" });
        assert.equal(purged.status, 200);
        assert.equal(purged.json.id, id);
        assert.ok(purged.json.bytes > 0);
        assert.ok(!existsSync(runFile(id)));
        for (const method of ["GET", "DELETE"])
            assert.equal((await ask(daemon.base, `/jobs/${id}`, { method })).status, 404);
        assert.ok((await submit(tiny("after"))) > id, "ids are never used again");
    });
});

describe("many jobs", () => {
    /** Does it and gives what came of each. @param {string} action @param {object} body @returns {Promise<any[]>} */
    const all = async (action, body) => (await api(daemon.base, `/jobs:${action}`, body)).items;
    const doneOf = (/** @type {any[]} */ items) => items.map((one) => one.done);

    test("by their ids, one that is refused not hindering the others", async () => {
        const running = await submit(longSpec("first"));
        const [a, b] = [await submit(tiny("many a")), await submit(tiny("many b"))];
        const paused = await all("pause", { ids: [a, b, done.id, 999999] });
        assert.deepEqual(doneOf(paused), [true, true, false, false]);
        assert.deepEqual(
            paused.map((one) => [one.id, one.code]),
            [
                [a, null],
                [b, null],
                [done.id, "wrong_state"],
                [999999, "not_found"],
            ],
        );
        assert.match(paused[2].detail, /finished/);
        assert.deepEqual(doneOf(await all("resume", { ids: [a, b] })), [true, true]);
        const cancelled = await all("cancel", { ids: [running, a, b], reason: "the experiment was wrong" });
        assert.deepEqual(doneOf(cancelled), [true, true, true]);
        assert.match((await ended(daemon.base, a)).reason, /the experiment was wrong/);
        await ended(daemon.base, running);
        const made = (await all("retry", { ids: [a, b] })).map((one) => one.made);
        for (const id of made) assert.equal((await ended(daemon.base, id)).state, "finished");
        assert.deepEqual(doneOf(await all("trash", { ids: made })), [true, true]);
        assert.deepEqual(doneOf(await all("restore", { ids: made })), [true, true]);
        const purged = await all("purge", { ids: made });
        assert.ok(purged.every((one) => one.done && one.bytes > 0));
        assert.ok(made.every((id) => !existsSync(runFile(id))));
    });

    test("by a filter", async () => {
        const ids = [];
        for (const seed of [1, 2, 3]) ids.push(await submit(tiny("filtered", { seed, tags: ["sweep"] })));
        for (const id of ids) await ended(daemon.base, id);
        const filter = "tags = 'sweep' AND spec./seed >= 2";
        assert.deepEqual(
            (await all("trash", { filter })).map((one) => one.id),
            ids.slice(1),
        );
        assert.ok((await listed()).includes(ids[0]));
        assert.deepEqual(doneOf(await all("restore", { filter })), [true, true]);
        assert.deepEqual(await all("purge", { filter: "tags = 'no such'" }), []);
        assert.deepEqual(doneOf(await all("purge", { filter: "tags = 'sweep'" })), [true, true, true]);
    });

    test("want either ids or a filter, and a filter that is one", async () => {
        for (const [body, pointer, detail] of /** @type {[object, string | null, RegExp][]} */ ([
            [{}, null, /either ids or a filter/],
            [{ ids: [] }, null, /either ids or a filter/],
            [{ ids: [1], filter: "id = 1" }, null, /either ids or a filter/],
            [{ ids: [0] }, "/ids/0", /which jobs/],
            [{ ids: ["1"] }, "/ids/0", /which jobs/],
            [{ jobs: [1] }, "/jobs", /which jobs/],
            [{ filter: "id = " }, "/filter", /column 6/],
            [{ filter: "id = 1; DROP TABLE job" }, "/filter", /column 7/],
        ])) {
            for (const action of ["cancel", "pause", "resume", "retry", "trash", "restore", "purge"]) {
                const { status, json } = await post(`/jobs:${action}`, body);
                assert.deepEqual([status, json.code], [422, "invalid_body"], `${action} ${JSON.stringify(body)}`);
                assert.match(json.detail, detail);
                if (pointer) assert.equal(json.errors[0].pointer, pointer);
            }
        }
    });
});

describe("a change of a job", () => {
    const patch = (/** @type {number} */ id, /** @type {unknown} */ body, headers = {}) =>
        ask(daemon.base, `/jobs/${id}`, { method: "PATCH", body, headers });

    test("is of its name, note, tags and priority, and of nothing else", async () => {
        const body = { name: "renamed", note: "looks *odd* <b>", tags: ["a", "ü"], priority: 7 };
        const { status, json } = await patch(done.id, body);
        assert.equal(status, 200);
        for (const [key, value] of Object.entries(body)) assert.deepEqual(json[key], value, key);
        assert.equal(json.spec_hash, done.spec_hash);
        const kept = (await patch(done.id, { note: "" })).json;
        assert.deepEqual([kept.name, kept.note, kept.tags], ["renamed", "", ["a", "ü"]]);
        for (const [wrong, pointer] of /** @type {[any, string][]} */ ([
            [{ state: "finished" }, "/state"],
            [{ name: 7 }, "/name"],
            [{ tags: [1] }, "/tags/0"],
            [{ priority: 1e9 }, "/priority"],
            [[], ""],
        ])) {
            const { status, json } = await patch(done.id, wrong);
            assert.deepEqual([status, json.code], [422, "invalid_body"], JSON.stringify(wrong));
            assert.equal(json.errors[0].pointer, pointer);
        }
        assert.equal((await patch(done.id, { priority: 1000000 })).status, 200, "as far as a spec may go");
        assert.equal((await patch(999999, { name: "x" })).status, 404);
    });

    test("by two at once: the second is told that the job is another by now", async () => {
        const tag = (await ask(daemon.base, `/jobs/${done.id}`)).headers.get("etag") ?? "";
        assert.match(tag, /^"[0-9a-f]{32}"$/);
        const first = await patch(done.id, { name: "first" }, { "If-Match": tag });
        assert.equal(first.status, 200);
        const next = first.headers.get("etag") ?? "";
        assert.notEqual(next, tag);
        const late = await patch(done.id, { name: "second" }, { "If-Match": tag });
        assert.deepEqual([late.status, late.json.code], [412, "changed_meanwhile"]);
        assert.equal((await job(done.id)).name, "first");
        assert.equal((await patch(done.id, { name: "second" }, { "If-Match": next })).status, 200);
        assert.equal((await patch(done.id, { name: "any" }, { "If-Match": "*" })).status, 200);
    });

    test("with a list of tags: one must be the job's, and a weak one never is", async () => {
        const tag = (await ask(daemon.base, `/jobs/${done.id}`)).headers.get("etag") ?? "";
        const answers = async (/** @type {string} */ wanted) =>
            (await patch(done.id, {}, { "If-Match": wanted })).status;
        for (const good of [
            ` ${tag} `,
            `"a", ${tag}`,
            `${tag},"b"`,
            `"a,b" ,, ${tag}`,
            `W/"a", ${tag}`,
            `W/${tag}, ${tag}`,
        ])
            assert.equal(await answers(good), 200, good);
        for (const bad of [
            `"a", "b"`,
            `W/${tag}`,
            `"a", W/${tag}`,
            tag.slice(1, -1),
            tag.slice(0, -1),
            `x, ${tag}`,
            "**",
            `*, "a"`,
            ",",
        ])
            assert.equal(await answers(bad), 412, bad);
    });

    test("of priority moves it in the queue", async () => {
        const running = await submit(longSpec("holds the worker"));
        await inState(running, "running");
        const [low, high] = [await submit(tiny("low")), await submit(tiny("high"))];
        assert.equal((await patch(high, { priority: 5 })).status, 200);
        await api(daemon.base, `/jobs:cancel`, { ids: [running] });
        const [one, two] = [await ended(daemon.base, low), await ended(daemon.base, high)];
        assert.ok(two.started_at < one.started_at);
    });
});

describe("Idempotency-Key", () => {
    const spec = () => tiny("once");
    const key = (/** @type {string} */ text) => ({ "Idempotency-Key": text });

    test("makes one job of a request that is sent twice, or by many at once", async () => {
        const first = await post("/jobs", spec(), key("5b5d1a2e-0001"));
        assert.equal(first.status, 201);
        const again = await post("/jobs", spec(), key("5b5d1a2e-0001"));
        assert.deepEqual([again.status, again.json.id], [200, first.json.id]);
        const at = `/api/v1/jobs/${first.json.id}`;
        assert.deepEqual([first.headers.get("location"), again.headers.get("location")], [at, at]);
        const many = await Promise.all(Array.from({ length: 8 }, () => post("/jobs", spec(), key("at-once"))));
        assert.equal(new Set(many.map((one) => one.json.id)).size, 1);
        assert.equal(many.filter((one) => one.status === 201).length, 1);
        const other = await post("/jobs", spec(), key("another"));
        assert.equal(other.status, 201);
    });

    test("is refused with another request, and where it is no key", async () => {
        await post("/jobs", spec(), key("used"));
        const { status, json } = await post("/jobs", { ...spec(), seed: 2 }, key("used"));
        assert.deepEqual([status, json.code], [409, "key_used_otherwise"]);
        assert.match(json.detail, /^the key "used" was used for another request, which made job \d+$/i);
        for (const wrong of ["", "x".repeat(129), "two words", "a/b"])
            assert.equal((await post("/jobs", spec(), key(wrong))).status, 400, wrong);
    });

    test("makes another job once the first was purged", async () => {
        const { id } = (await post("/jobs", spec(), key("purged"))).json;
        await ended(daemon.base, id);
        assert.equal((await ask(daemon.base, `/jobs/${id}?purge=true`, { method: "DELETE" })).status, 200);
        const { status, json } = await post("/jobs", spec(), key("purged"));
        assert.equal(status, 201);
        assert.ok(json.id > id);
    });

    test("makes one study of a request that is sent twice, and tells studies from jobs", async () => {
        const study = { name: "once", base: spec(), grid: { "/seed": [1, 2] } };
        const jobs = async () => (await api(daemon.base, "/queue")).states;
        const first = await post("/studies", study, key("study"));
        assert.equal(first.status, 201);
        const total = async () => Object.values(await jobs()).reduce((sum, count) => sum + count, 0);
        const before = await total();
        const again = await post("/studies", study, key("study"));
        assert.deepEqual([again.status, again.json.id], [200, first.json.id]);
        assert.equal(again.headers.get("location"), `/api/v1/studies/${first.json.id}`);
        const many = await Promise.all(Array.from({ length: 4 }, () => post("/studies", study, key("studies"))));
        assert.equal(new Set(many.map((one) => one.json.id)).size, 1);
        assert.equal(await total(), before + 2, "one study's jobs");
        for (const [path, body] of /** @type {[string, object][]} */ ([
            ["/studies", { ...study, note: "another" }],
            ["/jobs", spec()],
        ])) {
            const { status, json } = await post(path, body, key("study"));
            assert.deepEqual([status, json.code], [409, "key_used_otherwise"], path);
            assert.match(json.detail, new RegExp(`"study" was used .* made study ${first.json.id}$`));
        }
        assert.equal((await post("/studies", study, key("two words"))).status, 400);
        assert.equal((await post("/studies?validate_only=true", study, key("study"))).json.valid, true);
        await ask(daemon.base, `/studies/${first.json.id}`, { method: "DELETE" });
        assert.equal((await post("/studies", study, key("study"))).status, 201, "the first is forgotten");
    });

    test("tells apart what changes no result, too", async () => {
        await post("/jobs", spec(), key("named"));
        assert.equal((await post("/jobs", { ...spec(), name: "renamed" }, key("named"))).status, 409);
    });
});

describe("retention", () => {
    test("tells what would go, and purges it when that is asked for", async () => {
        const kept = await startDaemon({ flags: ["--workers", "1"] });
        for (let i = 0; i < 3; i++) await finishedJob(kept.base, tiny(`old ${i}`));
        const dry = await api(kept.base, "/jobs:retain", { max_count: 1 });
        assert.equal(dry.dry_run, true);
        assert.deepEqual(
            dry.items.map((/** @type {any} */ item) => [item.id, item.why]),
            [
                [1, "count"],
                [2, "count"],
            ],
        );
        assert.ok(dry.bytes > 0 && dry.kept === 1);
        assert.equal((await api(kept.base, "/jobs")).items.length, 3);
        await api(kept.base, "/jobs:retain", { max_count: 1, dry_run: false });
        assert.deepEqual(
            (await api(kept.base, "/jobs")).items.map((/** @type {any} */ job) => job.id),
            [3],
        );
        const wrong = await ask(kept.base, "/jobs:retain", { body: { max_count: 0 } });
        assert.deepEqual([wrong.status, wrong.json.errors[0].pointer], [422, "/max_count"]);
        await kept.stop();
        const again = await startDaemon({ data: kept.data, flags: ["--keep-days", "0.0000001"] });
        await until("the setting is applied", async () => (await api(again.base, "/jobs")).items.length === 0);
        await again.stop();
        again.remove();
    });
});
