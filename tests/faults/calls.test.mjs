// The n-th allocation, write, sync or opened file fails, for every n: nothing crashes, nothing is half written, what is
// said names the cause, and the same command without the failure comes to the same end.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { root, temporary } from "../daemon.mjs";
import { assertCatalog, assertSameRun, trials, value } from "./support.mjs";

// A preloaded allocator and a sanitizer's do not go together: here it is the program as it is released.
const program = resolve(root, "build/plumbline");
const library = resolve(root, "build/tests/failing_calls.so");
const folder = temporary();
after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

const CALLS = ["malloc", "write", "sync", "open"];
// Jansson takes some allocations that fail for a fault of the text.
const CAUSE = /memory|disk|space|I\/O|cannot|unable|failed to|incomplete|no JSON|is not JSON|is not known here/i;

/**
 * Runs the program with a failing call till its end, or till it says `until`; then it is told to stop.
 * @param {string[]} args
 * @param {{ call?: string, at?: number, until?: RegExp }} options
 * @returns {Promise<{ code: number | null, signal: string | null, text: string, seen: boolean }>}
 */
function run(args, { call = "none", at = 0, until }) {
    const env = {
        ...process.env,
        LD_PRELOAD: library,
        FAIL_CALL: call,
        FAIL_AT: String(at),
        FAIL_ONLY: `plumbline ${args[0]} `,
        FAIL_COUNTS: join(folder, "counts"),
    };
    return new Promise((done, fail) => {
        const child = spawn(program, args, { env });
        let text = "";
        let seen = false;
        const look = (/** @type {Buffer} */ bytes) => {
            text += bytes;
            if (!until || seen || !until.test(text)) return;
            seen = true;
            child.kill("SIGTERM");
        };
        child.stdout.on("data", look);
        child.stderr.on("data", look);
        child.once("error", fail);
        const late = setTimeout(() => child.kill("SIGABRT"), 30000);
        child.once("close", (code, signal) => {
            clearTimeout(late);
            done({ code, signal, text, seen });
        });
    });
}

/** How many calls of each kind the last run made. */
const counts = () => readFileSync(join(folder, "counts"), "utf8").trim().split(" ").map(Number);

/**
 * Calls `attempt` for every n, or for so many of them; two at a time.
 * @param {number} count
 * @param {number} most
 * @param {(at: number) => Promise<void>} attempt
 */
async function every(count, most, attempt) {
    const stride = Math.max(1, count / most);
    const numbers = [...Array(Math.min(count, most)).keys()].map((i) => 1 + Math.floor(i * stride));
    const next = async () => {
        for (let at = numbers.shift(); at !== undefined; at = numbers.shift()) await attempt(at);
    };
    const total = numbers.length;
    await Promise.all([next(), next()]);
    return total;
}

describe("one call fails", () => {
    const spec = join(folder, "spec.json");
    writeFileSync(
        spec,
        JSON.stringify({
            dataset: { name: "synthetic", classes: 3, features: 6, train: 32, test: 8 },
            model: { preset: "mlp", width: 4, depth: 1 },
            epochs: 2,
            batch_size: 16,
            probe: { schedule: "every", every: 2 },
            checkpoint_every: 2,
        }),
    );

    test("over a whole small job", async (t) => {
        const whole = join(folder, "whole.db");
        const first = await run(["run", spec, "--out", whole, "--json"], {});
        assert.equal(first.code, 0, first.text);
        const total = counts();
        const tried = [];
        for (const [i, call] of CALLS.entries()) {
            let ended = 0;
            const number = await every(total[i] ?? 0, trials(40, Infinity), async (at) => {
                const out = join(folder, `${call}-${at}.db`);
                const said = `${call} ${at}`;
                const { code, signal, text } = await run(["run", spec, "--out", out, "--json"], { call, at });
                assert.equal(signal, null, `${said}: ${text}`);
                assert.ok(code === 0 || code === 1 || code === 2, `${said}: code ${code}`);
                if (code !== 0) {
                    assert.match(text, CAUSE, said);
                    ended++;
                }
                if (existsSync(out) && code !== 0) {
                    assert.equal(value(out, "PRAGMA integrity_check"), "ok", said);
                    const again = await run(["run", spec, "--out", out, "--json", "--overwrite"], {});
                    assert.equal(again.code, 0, `${said}: ${again.text}`);
                }
                if (existsSync(out)) assertSameRun(whole, out);
                for (const suffix of ["", "-wal", "-shm", "-journal", ".lock"]) rmSync(out + suffix, { force: true });
            });
            tried.push(`${call} ${number} of ${total[i]} (${ended} ended it)`);
        }
        t.diagnostic(`a whole job: ${tried.join(", ")}`);
    });

    for (const before of ["for the first time", "again"])
        test(`while the daemon starts ${before}`, async (t) => {
            const data = mkdtempSync(join(folder, "data-"));
            const started = { until: / at http/ };
            const serve = (/** @type {string} */ where) => ["serve", "--listen", "127.0.0.1:0", "--data", where];
            if (before === "again") assert.equal((await run(serve(data), started)).code, 0);
            const counted = `${data}-counted`;
            cpSync(data, counted, { recursive: true });
            assert.equal((await run(serve(counted), started)).code, 0);
            const total = counts();
            const tried = [];
            for (const [i, call] of CALLS.entries()) {
                let refused = 0;
                const number = await every(total[i], trials(12, Infinity), async (at) => {
                    const copy = `${data}-${call}-${at}`;
                    const said = `${call} ${at}`;
                    cpSync(data, copy, { recursive: true });
                    const { code, signal, text, seen } = await run(serve(copy), { ...started, call, at });
                    assert.equal(signal, null, `${said}: ${text}`);
                    if (!seen) {
                        refused++;
                        assert.ok(code === 1 || code === 2, `${said}: code ${code}: ${text}`);
                        assert.match(text, CAUSE, said);
                    }
                    if (before === "again") assertCatalog(copy);
                    const again = await run(serve(copy), started);
                    assert.equal(again.code, 0, `${said}: ${again.text}`);
                    assertCatalog(copy);
                    rmSync(copy, { recursive: true });
                });
                tried.push(`${call} ${number} of ${total[i]} (${refused} refused to start)`);
            }
            t.diagnostic(`a start of the daemon ${before}: ${tried.join(", ")}`);
        });
});
