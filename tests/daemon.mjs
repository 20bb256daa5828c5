// The daemon under test, as its users have it: a process of its own, real HTTP on loopback, a data directory of its own.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { holdAgainst } from "./contract.mjs";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
export const program = resolve(root, process.env.PLUMBLINE ?? "build/plumbline");

/** A folder of the test's own. */
export const temporary = (name = "plumbline-") => mkdtempSync(join(tmpdir(), name));

/**
 * Starts the daemon on a port of the kernel's choice.
 * @param {{ data?: string, listen?: string, flags?: string[], env?: Record<string, string>, under?: string[] }} [options]
 *     data, listen: of an earlier one, to start it again; under: the command that starts it
 */
export async function startDaemon({ data = temporary(), listen, flags = [], env = {}, under = [] } = {}) {
    const [command, ...before] = [...under, program];
    const args = [...before, "serve", "--listen", listen ?? "127.0.0.1:0", "--data", data, ...flags];
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
    const ended = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
    // A test that fails before it has stopped its daemon must neither wait for it nor leave it behind.
    const abandon = () => child.kill("SIGKILL");
    process.once("exit", abandon);
    ended.then(() => process.off("exit", abandon));
    const base = await new Promise((done, fail) => {
        let output = "";
        const watch = (/** @type {string} */ text) => {
            output += text;
            const match = /at (http:\/\/\S+)/.exec(output);
            if (match) done(match[1]);
        };
        child.stdout.setEncoding("utf8").on("data", watch);
        child.once("error", fail);
        ended.then(() => fail(new Error(`${program} ended before it listened: ${errors}`)));
    });
    for (const handle of /** @type {any[]} */ ([child, child.stdout, child.stderr])) handle.unref();
    return {
        base,
        data,
        pid: child.pid,
        listen: new URL(base).host,
        ended,
        errors: () => errors,
        kill: (/** @type {NodeJS.Signals} */ signal) => child.kill(signal),
        /** Stops it; it must end by itself, and well. */
        async stop() {
            child.ref();
            child.kill("SIGTERM");
            const { code, signal } = await ended;
            assert.deepEqual({ code, signal }, { code: 0, signal: null }, `the daemon's end: ${errors}`);
            assert.doesNotMatch(errors, /Sanitizer|runtime error/);
        },
        /** Takes its data away. */
        remove: () => rmSync(data, { recursive: true, force: true }),
    };
}

/**
 * Runs the program to its end.
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, input?: string, cwd?: string }} [options]
 * @returns {Promise<{ code: number | null, signal: string | null, out: string, err: string }>}
 */
export function run(args, { env = {}, input = "", cwd } = {}) {
    return new Promise((done, fail) => {
        const child = spawn(program, args, { env: { ...process.env, ...env }, cwd });
        let out = "";
        let err = "";
        child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
        child.stderr.setEncoding("utf8").on("data", (text) => (err += text));
        child.once("error", fail);
        child.once("close", (code, signal) => done({ code, signal, out, err }));
        child.stdin.once("error", () => {}); // it need not read
        child.stdin.end(input);
    });
}

/**
 * A small job that needs no data: two hidden layers on Gaussian classes of unequal norm.
 * @param {string} name
 * @param {string} variant
 * @param {number} learningRate
 * @param {object} [more]
 */
export const smallSpec = (name, variant, learningRate, more = {}) => ({
    name,
    dataset: { name: "synthetic", classes: 4, features: 16, train: 2048, test: 512, norm_spread: 1, seed: 1 },
    model: { preset: "mlp", width: 32, depth: 2, variant, activation: "tanh" },
    optimiser: { name: "sgd", learning_rate: learningRate },
    batch_size: 32,
    epochs: 4,
    seed: 1,
    probe: { schedule: "log", count: 40 },
    ...more,
});

/** A job that trains until it is stopped. @param {string} name */
export const longSpec = (name) => smallSpec(name, "affine-like", 0.1, { epochs: 1000000, probe: { schedule: "none" } });

/**
 * A request below /api/v1 (or of a whole URL) and its answer, whatever that is, held against the API's document.
 * @param {string} base
 * @param {string} path
 * @param {{ method?: string, body?: unknown, headers?: Record<string, string> }} [options]
 *     body: text and bytes go out as they are, all else as JSON
 * @returns {Promise<{ status: number, headers: Headers, json: any, bytes: Buffer }>} json: or the text
 */
export async function ask(base, path, { method, body, headers = {} } = {}) {
    const how = method ?? (body === undefined ? "GET" : "POST");
    const url = path.startsWith("http:") ? path : path.startsWith("/api/") ? base + path : `${base}/api/v1${path}`;
    const answer = await fetch(url, {
        method: how,
        headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
        body:
            body === undefined || typeof body === "string" || Buffer.isBuffer(body)
                ? /** @type {any} */ (body)
                : JSON.stringify(body),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const isJson = /^application\/(problem\+)?json/.test(answer.headers.get("content-type") ?? "");
    const json = isJson && bytes.length ? JSON.parse(bytes.toString()) : undefined;
    await holdAgainst(base, how, url, { status: answer.status, headers: answer.headers, json });
    return { status: answer.status, headers: answer.headers, json: json ?? bytes.toString(), bytes };
}

/**
 * The JSON of a request that must succeed.
 * @param {string} base
 * @param {string} path
 * @param {unknown} [body]
 */
export async function api(base, path, body) {
    const { status, json } = await ask(base, path, { body });
    assert.ok(status < 300, `${path}: ${status} ${JSON.stringify(json)}`);
    return json;
}

/**
 * Waits until something is so; fails after a minute.
 * @template T
 * @param {string} what
 * @param {() => Promise<T | null | undefined | false> | T | null | undefined | false} look
 * @returns {Promise<T>}
 */
export async function until(what, look) {
    const end = Date.now() + 60_000;
    for (;;) {
        const found = await look();
        if (found) return found;
        assert.ok(Date.now() < end, `waited in vain until ${what}`);
        await new Promise((done) => setTimeout(done, 30));
    }
}

const FINAL = ["finished", "failed", "diverged", "cancelled"];

/**
 * Waits for a job's end.
 * @param {string} base
 * @param {number} id
 */
export const ended = (base, id) =>
    until(`job ${id} has ended`, async () => {
        const job = await api(base, `/jobs/${id}`);
        return FINAL.includes(job.state) && job;
    });

/**
 * Submits a job and waits until it has finished.
 * @param {string} base
 * @param {object} spec
 */
export async function finishedJob(base, spec) {
    const { id } = await api(base, "/jobs", spec);
    const job = await ended(base, id);
    assert.equal(job.state, "finished", `job ${id}: ${job.reason}`);
    return job;
}

/**
 * Makes the first job of a data directory, whose daemon is not running, that many: each a second younger than the one
 * before it, named by its number, and with results of its own.
 * @param {string} data
 * @param {number} count
 */
export function manyJobs(data, count) {
    const columns =
        "name, tags, note, state, reason, attempt, priority, spec, spec_hash, created_at, started_at, ended_at, progress, results";
    const values = columns
        .replace("name", "name || ' ' || i")
        .replace("created_at", "strftime('%Y-%m-%dT%H:%M:%fZ', created_at, '+' || i || ' seconds')")
        .replace("results", `json_set(results, '$."test/accuracy"', i / ${count}.0, '$."test/loss"', 1.0 / i)`);
    execFileSync("sqlite3", [
        join(data, "catalog.db"),
        `WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) ` +
            `INSERT INTO job (${columns}) SELECT ${values} FROM n, job WHERE job.id = 1`,
    ]);
}
