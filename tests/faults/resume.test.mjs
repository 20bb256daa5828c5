// Exact resume: the worker, the daemon or both are killed at a random moment of a job, and it ends with the bits of one that
// nothing happened to.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { api, ended, startDaemon, temporary, until } from "../daemon.mjs";
import { assertCatalog, assertSameRun, kinds, random, sleep, trials, workers, writePictures } from "./support.mjs";

const flags = ["--workers", "1"];
const VICTIMS = ["worker", "daemon", "both"];
const data = temporary();
const specs = kinds.map((kind) => ({ ...kind, epochs: kind.epochs / 4 }));

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
before(async () => {
    writePictures(data);
    daemon = await startDaemon({ data, flags });
});
after(async () => {
    await daemon.stop();
    daemon.remove();
});

/** Submits a job and waits till it has a worker, or had one: a small job may end between two looks. @param {object} spec */
async function begin(spec) {
    const { id } = await api(daemon.base, "/jobs", spec);
    await until("it has had a worker", async () => {
        const here = workers(data).some((worker) => worker.job === id);
        return here || (await api(daemon.base, `/jobs/${id}`)).state === "finished";
    });
    return id;
}

/** Whether there was still something to kill. @param {number} id @param {string} victim */
async function kill(id, victim) {
    const worker = workers(data).find(({ job }) => job === id);
    if (!worker) return false;
    if (victim !== "daemon") process.kill(worker.pid, "SIGKILL");
    if (victim === "worker") return true;
    daemon.kill("SIGKILL");
    await daemon.ended;
    daemon = await startDaemon({ data, flags });
    return true;
}

describe("exact resume", () => {
    test("after a kill at any moment", async (t) => {
        const points = trials(9, 102);
        const dice = random(5);
        const wholes = [];
        for (const spec of specs) {
            const id = await begin(spec);
            const start = Date.now();
            assert.equal((await ended(daemon.base, id)).state, "finished");
            wholes.push({ id, took: Date.now() - start });
        }
        const killed = { worker: 0, daemon: 0, both: 0 };
        let again = 0;
        for (let point = 0; point < points;) {
            const kind = point % specs.length;
            const victim = VICTIMS[Math.floor(point / specs.length) % VICTIMS.length];
            const id = await begin(specs[kind]);
            await sleep(dice.next() * wholes[kind].took);
            if (await kill(id, victim)) {
                killed[/** @type {keyof typeof killed} */ (victim)]++;
                point++;
            } // else it was too late: another one
            const job = await ended(daemon.base, id);
            assert.equal(job.state, "finished", job.reason);
            again += job.attempt - 1;
            assertSameRun(join(data, `runs/${wholes[kind].id}.db`), join(data, `runs/${id}.db`));
        }
        assertCatalog(data);
        assert.ok(again > points / 2, `${again} attempts were made again`);
        t.diagnostic(
            `${points} kills (of the worker ${killed.worker}, the daemon ${killed.daemon}, both ${killed.both}) in MLP, CNN and attention: ${again} attempts made again, all with the same bits`,
        );
    });
});
