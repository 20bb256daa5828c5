// A full disk: jobs are paused with the reason, what must be written is refused, all that is there can be read, and when
// space returns everything goes on by itself.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { api, ask, ended, smallSpec, until } from "../daemon.mjs";
import { assertCatalog, assertRuns, assertSameRun, smallDisk, trials } from "./support.mjs";

const disk = smallDisk(8);

/** A job of many rows, about 1 MB. */
const spec = (/** @type {string} */ name) =>
    smallSpec(name, "affine-like", 0.1, { epochs: 30, probe: { schedule: "every", every: 60 }, checkpoint_every: 100 });

describe("a disk of 8 MB", { skip: disk.skip }, () => {
    test("fills up and is emptied, and the jobs go on", async (t) => {
        const rounds = trials(2, 20);
        const { data } = disk;
        let daemon = await disk.startDaemon();
        const base = () => daemon.base;
        const whole = (await api(base(), "/jobs", spec("whole"))).id;
        assert.equal((await ended(base(), whole)).state, "finished");
        let refused = 0;
        for (let round = 0; round < rounds; round++) {
            // Eight megabytes are little: at times the jobs alone fill them, for a moment.
            const { id } = await until("a job is taken", async () => {
                const { status, json } = await ask(base(), "/jobs", { body: spec(`round ${round}`) });
                assert.ok(status === 201 || status === 507, JSON.stringify(json));
                return status === 201 && json;
            });
            await until("it runs", async () => (await api(base(), `/jobs/${id}`)).state === "running");
            disk.fill(round % 3 === 0 ? 0 : 20000 * (round % 3));
            const paused = await until("it is paused", async () => {
                disk.fill(0);
                const job = await api(base(), `/jobs/${id}`);
                assert.ok(["queued", "running", "paused"].includes(job.state), `${job.state}: ${job.reason}`);
                return job.state === "paused" && job;
            });
            assert.match(paused.reason, /no space left on the disk/);
            const answer = await ask(base(), "/jobs", { body: spec("too much") });
            assert.equal(answer.status, 507, JSON.stringify(answer.json));
            assert.match(answer.json.detail, /space/);
            refused++;
            const { items } = await api(base(), "/jobs?max_results=1000");
            assert.ok(!items.some((/** @type {any} */ job) => job.name === "too much"), "nothing of it stayed");
            const { series } = await api(base(), `/jobs/${whole}/metrics?keys=train/loss`);
            assert.ok(series[0].values.length > 100, "a sealed run is read");
            assert.ok((await api(base(), `/jobs/${whole}/divergence/summary?site=1.dense`)).items.length > 0);
            if (round % 4 === 1) {
                daemon.kill("SIGKILL"); // and on a full disk it starts
                await daemon.ended;
                daemon = await disk.startDaemon();
                assert.equal((await api(base(), `/jobs/${id}`)).state, "paused");
            }
            disk.empty();
            const job = await ended(base(), id);
            assert.equal(job.state, "finished", job.reason);
            assertSameRun(join(data, `runs/${whole}.db`), join(data, `runs/${id}.db`));
            assertCatalog(data);
            assertRuns(data);
            const gone = await ask(base(), `/jobs/${id}?purge=true`, { method: "DELETE" });
            assert.equal(gone.status, 200, JSON.stringify(gone.json));
        }
        await daemon.stop();
        t.diagnostic(`${rounds} rounds, ${refused} submissions refused: every job finished with the same bits`);
    });
});
