// A run's file, as the API gives it and another server takes it in; and its weights.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { api, ask, ended, finishedJob, startDaemon, temporary, until } from "../daemon.mjs";
import { daemon, pictures, vectorSpec, vectors } from "./runs.mjs";

describe("a run's file", () => {
    /** @param {string} path @param {string} sql */
    const sqlite = (path, sql) => execFileSync("sqlite3", ["-readonly", path, sql], { encoding: "utf8" }).trim();
    /** @type {Awaited<ReturnType<typeof startDaemon>>} */
    let other;
    before(async () => void (other = await startDaemon()));
    after(async () => {
        await other.stop();
        other.remove();
    });
    const send = (/** @type {Buffer | string} */ body, type = "application/vnd.sqlite3") =>
        ask(other.base, "/import", { method: "POST", body, headers: { "Content-Type": type } });
    /** @param {number} id */
    const file = async (id) => {
        const { status, headers, bytes } = await ask(daemon.base, `/jobs/${id}/run.sqlite`);
        assert.equal(status, 200);
        assert.equal(headers.get("content-disposition"), `attachment; filename="job-${id}.db"`);
        return bytes;
    };

    test("of a job that runs is a consistent copy", async () => {
        const spec = vectorSpec({ name: "running", epochs: 100000, probe: { schedule: "every", every: 2 } });
        const { id } = await api(daemon.base, "/jobs", spec);
        await until("it has measured", async () => (await api(daemon.base, `/jobs/${id}`)).progress.step > 40);
        for (let i = 0; i < 3; i++) {
            const path = join(daemon.data, "running.db");
            writeFileSync(path, await file(id));
            assert.equal(sqlite(path, "PRAGMA integrity_check"), "ok");
            assert.equal(sqlite(path, "PRAGMA foreign_key_check"), "");
            const steps = "SELECT count(DISTINCT step), max(step) FROM";
            assert.match(sqlite(path, "SELECT state FROM run"), /running/);
            assert.equal(sqlite(path, `${steps} divergence`), sqlite(path, `${steps} divergence_batch`));
            const partial = "SELECT count(*) FROM (SELECT 1 FROM divergence GROUP BY site, step HAVING count(*) != 32)";
            assert.equal(sqlite(path, partial), "0", "no step is there by halves");
            const last = sqlite(path, "SELECT max(step) FROM scalars WHERE key = 'train/loss'");
            assert.equal(sqlite(path, "SELECT count(*) FROM scalars WHERE key = 'train/loss'"), last);
            assert.ok(Number(sqlite(path, "SELECT max(step) FROM divergence")) <= Number(last));
        }
        const { status, json } = await send(await file(id));
        assert.equal(status, 201);
        assert.ok(["failed", "cancelled"].includes(json.state), `nothing runs here: ${json.state}`);
        await api(daemon.base, "/jobs:cancel", { ids: [id] });
        await ended(daemon.base, id);
    });

    test("is taken in by another server, whole", async () => {
        const { status, headers, json } = await send(await file(vectors.id));
        assert.equal(status, 201);
        assert.equal(headers.get("location"), `/api/v1/jobs/${json.id}`);
        for (const key of ["name", "state", "spec", "spec_hash", "attempt"])
            assert.deepEqual(json[key], vectors[key], key);
        for (const key of ["test/loss", "test/accuracy", "median_scale", "best/test/accuracy"])
            assert.deepEqual(json.results[key], vectors.results[key], key);
        for (const path of ["metrics", "divergence?max_results=10000", "divergence/sites", "log"]) {
            const [there, here] = [`/jobs/${json.id}/${path}`, `/jobs/${vectors.id}/${path}`];
            const [copy, original] = [await api(other.base, there), await api(daemon.base, here)];
            delete copy.next_page_token;
            delete original.next_page_token;
            assert.deepEqual(copy, original, path);
        }
        const weights = await ask(other.base, `/jobs/${json.id}/weights.safetensors`);
        assert.deepEqual(weights.bytes, (await ask(daemon.base, `/jobs/${vectors.id}/weights.safetensors`)).bytes);
        const again = await send(await file(vectors.id));
        assert.ok(again.json.id > json.id, "a new id each time");
        const retried = await ask(other.base, `/jobs/${json.id}/retry`, { method: "POST" });
        const made = await ended(other.base, retried.json.id);
        assert.equal(made.results["test/loss"], vectors.results["test/loss"], "it can be run again there");
    });

    test("that is foreign, damaged, cut off or newer is refused, and nothing of it stays", async () => {
        const count = (await api(other.base, "/jobs")).items.length;
        const right = await file(pictures.id);
        const folder = temporary();
        /** The right file after some SQL. @param {string} sql */
        const changed = (sql) => {
            const path = join(folder, "changed.db");
            writeFileSync(path, right);
            execFileSync("sqlite3", [path, sql]);
            return readFileSync(path);
        };
        const flipped = Buffer.from(right);
        for (let at = 4096; at < flipped.length; at += 512) flipped[at + 100] ^= 0xff;
        const foreign = join(folder, "foreign.db");
        execFileSync("sqlite3", [foreign, "CREATE TABLE t (x); INSERT INTO t VALUES (1)"]);
        for (const [what, bytes, code] of /** @type {[string, Buffer, string][]} */ ([
            ["no database", Buffer.from("x".repeat(10000)), "invalid_file"],
            ["very short", Buffer.from("S"), "invalid_file"],
            ["another program's", readFileSync(foreign), "invalid_file"],
            ["another server's catalog", readFileSync(join(other.data, "catalog.db")), "invalid_file"],
            ["flipped bytes", flipped, "invalid_file"],
            ["the first half", right.subarray(0, right.length >> 1), "invalid_file"],
            ["all but the end", right.subarray(0, right.length - 4096), "invalid_file"],
            ["from a newer version", changed("PRAGMA user_version = 99"), "newer_file"],
            ["one with a trigger", changed("CREATE TRIGGER x AFTER INSERT ON log BEGIN SELECT 1; END"), "invalid_file"],
            ["one without a run", changed("DELETE FROM run"), "invalid_file"],
        ])) {
            const { status, json } = await send(bytes);
            assert.deepEqual([status, json.code], [422, code], `${what}: ${json.detail}`);
            assert.match(json.detail, /cannot be imported/);
            assert.ok(!json.detail.includes(other.data), "a path of the server is nobody's business");
        }
        assert.equal((await send(right, "application/octet-stream")).status, 415);
        assert.equal((await ask(other.base, "/import", { method: "POST" })).status, 400);
        assert.equal((await api(other.base, "/jobs")).items.length, count);
        const tmp = join(other.data, "tmp");
        assert.deepEqual(existsSync(tmp) ? readdirSync(tmp) : [], []);
        rmSync(folder, { recursive: true, force: true });
    });

    test("is at its place when its job is there: nothing is left to be done that could fail", async () => {
        const { items } = await api(other.base, "/jobs?max_results=1");
        const next = items[0].id + 1;
        const lock = join(other.data, "runs", `${next}.db.lock`);
        mkdirSync(lock); // nobody could write the run any more
        const { status, json } = await send(await file(vectors.id));
        assert.deepEqual([status, json.id], [201, next], JSON.stringify(json));
        rmSync(lock, { recursive: true });
    });

    test("that was on its way when the server was killed is removed", async () => {
        const data = temporary();
        const tmp = join(data, "tmp");
        mkdirSync(join(tmp, "folder"), { recursive: true });
        for (const name of ["plumbline-7-1.db", "plumbline-7-2.db-journal", "mine.db"])
            writeFileSync(join(tmp, name), "a part");
        symlinkSync("plumbline-7-1.db", join(tmp, "plumbline-link"));
        const started = await startDaemon({ data });
        assert.deepEqual(readdirSync(tmp).sort(), ["folder", "mine.db", "plumbline-link"]);
        await started.stop();
        started.remove();
    });

    test("that waits for its migration is not read: try again, says the answer", async () => {
        const { id } = await finishedJob(daemon.base, vectorSpec({ epochs: 1 }));
        const path = join(daemon.data, "runs", `${id}.db`);
        const version = sqlite(path, "PRAGMA user_version");
        execFileSync("sqlite3", [path, "PRAGMA user_version = 1"]);
        const { status, headers, json } = await ask(daemon.base, `/jobs/${id}/metrics`);
        assert.deepEqual([status, json.code, headers.get("retry-after")], [503, "busy", "1"]);
        assert.match(json.detail, /migrate/);
        execFileSync("sqlite3", [path, `PRAGMA user_version = ${version}`]);
        assert.equal((await ask(daemon.base, `/jobs/${id}/metrics`)).status, 200);
    });

    test("that is larger than allowed is refused", async () => {
        const small = await startDaemon({ flags: ["--max-upload", "2048"] });
        for (const body of [Buffer.alloc(4096), Buffer.alloc(1 << 20)]) {
            const { status, json } = await ask(small.base, "/import", {
                method: "POST",
                body,
                headers: { "Content-Type": "application/vnd.sqlite3" },
            });
            assert.deepEqual([status, json.code], [413, "body_too_large"]);
        }
        await small.stop();
        small.remove();
    });
});
