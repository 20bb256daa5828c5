// On a full disk each operation that must write says so, in the form that its document promises, and changes nothing.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { operations } from "../contract.mjs";
import { api, ask, finishedJob, longSpec, smallSpec, until } from "../daemon.mjs";
import { smallDisk } from "./support.mjs";

const disk = smallDisk(8);

const tiny = (/** @type {string} */ name) =>
    smallSpec(name, "affine", 0.1, { epochs: 1, probe: { schedule: "none" }, priority: -1 });

describe("a disk that is full", { skip: disk.skip }, () => {
    test("is told by each operation that writes, and all stays as it was", async () => {
        const daemon = await disk.startDaemon();
        const { base } = daemon;
        const done = await finishedJob(base, tiny("done"));
        const file = (await ask(base, `/jobs/${done.id}/run.sqlite`)).bytes;
        const state = async (/** @type {number} */ id) => (await api(base, `/jobs/${id}`)).state;
        const first = (await api(base, "/jobs", longSpec("holds the worker"))).id;
        await until("it runs", async () => (await state(first)) === "running");
        const submit = async (/** @type {string} */ name) => (await api(base, "/jobs", tiny(name))).id;
        const act = (/** @type {number} */ id, /** @type {string} */ what) =>
            ask(base, `/jobs/${id}${what && "/"}${what}`, { method: what ? "POST" : "DELETE" });
        const [queued, paused, trashed, gone] = [
            await submit("queued"),
            await submit("paused"),
            await submit("trashed"),
            await submit("never ran"),
        ];
        assert.equal((await act(paused, "pause")).status, 200);
        assert.equal((await act(trashed, "")).status, 200);
        assert.equal((await act(gone, "cancel")).status, 200);
        const grid = { base: tiny("of a study"), grid: { "/seed": [1] } };
        const study = (await api(base, "/studies", grid)).id;
        const view = (await api(base, "/views", { path: "/compare" })).id;
        const token = (await api(base, "/tokens", { name: "lost" })).id;

        /** @type {Record<string, [string, any?]>} the path, and the body */
        const requests = {
            "POST /api/v1/jobs": ["/jobs", tiny("too much")],
            "PATCH /api/v1/jobs/{id}": [`/jobs/${done.id}`, { name: "renamed" }],
            "DELETE /api/v1/jobs/{id}": [`/jobs/${done.id}`],
            "POST /api/v1/jobs/{id}/cancel": [`/jobs/${queued}/cancel`],
            "POST /api/v1/jobs/{id}/pause": [`/jobs/${queued}/pause`],
            "POST /api/v1/jobs/{id}/resume": [`/jobs/${paused}/resume`],
            "POST /api/v1/jobs/{id}/retry": [`/jobs/${done.id}/retry`],
            "POST /api/v1/jobs/{id}/restore": [`/jobs/${trashed}/restore`],
            "POST /api/v1/jobs:cancel": ["/jobs:cancel", { ids: [queued] }],
            "POST /api/v1/jobs:pause": ["/jobs:pause", { ids: [queued] }],
            "POST /api/v1/jobs:resume": ["/jobs:resume", { ids: [paused] }],
            "POST /api/v1/jobs:retry": ["/jobs:retry", { ids: [done.id] }],
            "POST /api/v1/jobs:trash": ["/jobs:trash", { ids: [done.id] }],
            "POST /api/v1/jobs:restore": ["/jobs:restore", { ids: [trashed] }],
            "POST /api/v1/jobs:purge": ["/jobs:purge", { ids: [gone] }],
            "POST /api/v1/jobs:retain": ["/jobs:retain", { max_count: 3, dry_run: false }], // the trash goes first; it has no file
            "GET /api/v1/jobs/{id}/run.sqlite": [`/jobs/${done.id}/run.sqlite`],
            "POST /api/v1/import": ["/import", file],
            "POST /api/v1/studies": ["/studies", grid],
            "DELETE /api/v1/studies/{id}": [`/studies/${study}`],
            "POST /api/v1/studies/{id}/cancel": [`/studies/${study}/cancel`],
            "POST /api/v1/views": ["/views", { path: "/" }],
            "DELETE /api/v1/views/{view}": [`/views/${view}`],
            "POST /api/v1/tokens": ["/tokens", { name: "more" }],
            "DELETE /api/v1/tokens/{id}": [`/tokens/${token}`],
        };
        const told = operations(await api(base, "/openapi.json"))
            .filter(({ responses }) => responses["507"])
            .map(({ method, path }) => `${method} ${path}`);
        assert.deepEqual(Object.keys(requests).sort(), told.sort());

        // It takes what the filler leaves in a second or two, and all that the filler took in a minute or more.
        const rows = { ...longSpec("fills the disk"), probe: { schedule: "every", every: 500 } };
        const long = (await api(base, "/jobs", rows)).id;
        assert.equal((await act(first, "cancel")).status, 200);
        await until("it runs", async () => (await state(long)) === "running");
        disk.fill(0);
        await until("the job is paused", async () => {
            const job = await api(base, `/jobs/${long}`);
            return job.state === "paused" && /no space/.test(job.reason);
        });
        const all = async () => {
            const lists = ["/jobs", "/jobs?trashed=true", "/studies", "/views", "/tokens"];
            return Promise.all(lists.map(async (list) => (await api(base, list)).items));
        };
        const before = await all();
        for (const [what, [path, body]] of Object.entries(requests)) {
            const headers = /** @type {Record<string, string>} */ (
                body === file ? { "Content-Type": "application/vnd.sqlite3" } : {}
            );
            disk.fill(0);
            const { status, json } = await ask(base, path, { method: what.split(" ")[0], body, headers });
            assert.deepEqual([status, json.code], [507, "no_space"], `${what}: ${JSON.stringify(json)}`);
        }
        assert.deepEqual(await all(), before);
        disk.empty();
        await until("there is space", async () => (await ask(base, "/views", { body: { path: "/" } })).status === 201);
        assert.equal((await act(queued, "cancel")).status, 200);
        assert.equal((await act(long, "cancel")).status, 200);
        await daemon.stop();
    });
});
