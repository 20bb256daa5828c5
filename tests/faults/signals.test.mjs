// Signals that nobody expects, on workers and on the daemon: no job is lost, done twice at once, or stuck, and those that
// finish have the bits of one that nothing happened to.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { api, ended, longSpec, run, startDaemon, temporary, until } from "../daemon.mjs";
import { assertCatalog, assertSameRun, kinds, random, sleep, trials, workers, writePictures } from "./support.mjs";

const FINAL = ["finished", "failed", "diverged", "cancelled"];
const SIGNALS = /** @type {NodeJS.Signals[]} */ (["SIGTERM", "SIGKILL", "SIGSEGV", "SIGSTOP"]);
const flags = ["--workers", "2"];
const env = { ASAN_OPTIONS: "handle_segv=0" }; // a signal from outside is no finding

const data = temporary();

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
before(async () => {
    writePictures(data);
    daemon = await startDaemon({ data, flags, env });
});
after(async () => {
    await daemon.stop();
    daemon.remove();
});

/** Each job that is not at its end waits in the queue, or has a worker, or is between the two for a moment. */
async function assertNoneIsStuck() {
    await until("every job has ended, waits or is worked on", async () => {
        const { items } = await api(daemon.base, "/jobs?max_results=1000");
        const busy = new Set(workers(data).map((worker) => worker.job));
        return items.every(
            (/** @type {any} */ job) => FINAL.includes(job.state) || job.state === "queued" || busy.has(job.id),
        );
    });
}

/** Two attempts at one job never live beside each other for longer than the old one takes to die. */
async function assertOneAttempt() {
    const twice = () => {
        const jobs = workers(data).map((worker) => worker.job);
        return jobs.filter((job, i) => jobs.indexOf(job) !== i);
    };
    let doubled = twice();
    for (let i = 0; doubled.length > 0 && i < 50; i++) {
        await sleep(20);
        doubled = twice();
    }
    assert.deepEqual(doubled, []);
}

/** Ends the daemon by a signal and starts it again. @param {NodeJS.Signals} signal */
async function signalDaemon(signal) {
    daemon.kill(signal);
    if (signal === "SIGSTOP") {
        const second = await run(["serve", "--data", data, "--listen", "127.0.0.1:0"]);
        assert.equal(second.code, 1);
        assert.match(second.err, new RegExp(`another plumbline serves .*pid ${daemon.pid}`));
        daemon.kill("SIGCONT");
        return;
    }
    const { code } = await daemon.ended;
    if (signal === "SIGTERM") assert.equal(code, 0);
    daemon = await startDaemon({ data, flags, env });
}

describe("signals", () => {
    test("at random, and every job comes to its end", async (t) => {
        const count = trials(20, 300);
        const dice = random(4);
        const whole = /** @type {number[]} */ ([]);
        const kindOf = /** @type {Map<number, number>} */ (new Map());
        for (const kind of kinds) {
            const { id } = await api(daemon.base, "/jobs", kind);
            whole.push(id);
            assert.equal((await ended(daemon.base, id)).state, "finished");
        }
        let submitted = kinds.length;
        let slowest = 0;
        for (let i = 0; i < count; i++) {
            const { items } = await api(daemon.base, "/jobs?max_results=1000");
            for (let open = items.filter((/** @type {any} */ j) => !FINAL.includes(j.state)).length; open < 3; open++) {
                const kind = submitted++ % kinds.length;
                kindOf.set((await api(daemon.base, "/jobs", kinds[kind])).id, kind);
            }
            await sleep(dice.below(400));
            const signal = SIGNALS[dice.below(4)];
            const living = workers(data);
            if (dice.below(10) < 3 || living.length === 0) await signalDaemon(signal);
            else {
                const target = living[dice.below(living.length)];
                try {
                    process.kill(target.pid, signal);
                } catch {
                    continue; // it has just ended by itself
                }
                if (signal === "SIGSTOP") {
                    const start = Date.now();
                    await until("the stopped worker is gone", () => !workers(data).some((w) => w.pid === target.pid));
                    slowest = Math.max(slowest, Date.now() - start);
                }
            }
            await assertOneAttempt();
            await assertNoneIsStuck();
        }
        const { items } = await api(daemon.base, "/jobs?max_results=1000");
        assert.equal(items.length, submitted, "every job that was accepted is there, once");
        const ends = { finished: 0, failed: 0 };
        for (const [id, kind] of kindOf) {
            const job = await ended(daemon.base, id);
            if (job.state === "failed") {
                ends.failed++;
                assert.match(
                    job.reason,
                    /crashed( or was stopped)? 3 times in a row, at last at step \d+ \((killed by SIG\w+|exited with code \d+|stopped by someone else's signal)\)/,
                );
            } else {
                ends.finished++;
                assert.equal(job.state, "finished", job.reason);
                assertSameRun(join(data, `runs/${whole[kind]}.db`), join(data, `runs/${id}.db`));
            }
        }
        assertCatalog(data);
        assert.ok(ends.finished > 0);
        t.diagnostic(
            `${count} signals on ${kindOf.size} jobs (MLP, CNN, attention): ${ends.finished} finished with the same bits, ${ends.failed} failed after three crashes; a stopped worker was gone after at most ${slowest} ms`,
        );
    });

    test("that whoever starts the daemon ignores, as the ends of children", async () => {
        const other = await startDaemon({ flags: ["--workers", "1"], env, under: ["env", "--ignore-signal=CHLD"] });
        const { id } = await api(other.base, "/jobs", longSpec("killed"));
        for (let attempt = 1; attempt <= 3; attempt++) {
            const victim = await until(`attempt ${attempt}`, async () => {
                const job = await api(other.base, `/jobs/${id}`);
                return job.attempt === attempt && workers(other.data)[0];
            });
            process.kill(victim.pid, "SIGKILL");
            await until("it is gone", () => !workers(other.data).some((w) => w.pid === victim.pid));
        }
        const job = await ended(other.base, id);
        assert.equal(job.state, "failed");
        assert.match(job.reason, /crashed 3 times in a row, at last at step \d+ \(killed by SIGKILL\)/);
        await other.stop();
        other.remove();
    });
});
