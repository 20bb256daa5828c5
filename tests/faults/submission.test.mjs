// Accepted means durable: the daemon is killed while jobs are submitted, and every one that it answered for is there.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { smallSpec, startDaemon, temporary } from "../daemon.mjs";
import { assertCatalog, query, random, sleep, trials } from "./support.mjs";

/** The bare request: nothing else goes to the server that may be gone. @param {string} base @param {string} name */
async function submit(base, name) {
    const answer = await fetch(`${base}/api/v1/jobs`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(smallSpec(name, "affine", 0.1, { epochs: 1, probe: { schedule: "none" } })),
    });
    return { status: answer.status, ...(await answer.json()) };
}

describe("kill -9 while jobs are submitted", () => {
    test("loses none that was accepted", async (t) => {
        const kills = trials(15, 500);
        const dice = random(9);
        const data = temporary();
        const accepted = /** @type {Map<number, string>} */ (new Map());
        let sent = 0;
        for (let i = 0; i < kills; i++) {
            const daemon = await startDaemon({ data, flags: ["--workers", "1"] });
            const client = async () => {
                for (;;) {
                    const name = `job ${++sent}`;
                    const answer = await submit(daemon.base, name).catch(() => null);
                    if (answer === null) return; // the daemon is gone
                    assert.equal(answer.status, 201);
                    assert.ok(!accepted.has(answer.id), `id ${answer.id} was given twice`);
                    accepted.set(answer.id, name);
                }
            };
            const clients = [client(), client(), client()];
            await sleep(20 + dice.below(150));
            daemon.kill("SIGKILL");
            await Promise.all([daemon.ended, ...clients]);
        }
        const rows = query(join(data, "catalog.db"), "SELECT id, name FROM job");
        const found = new Map(rows.map((row) => [row.id, row.name]));
        assert.ok(accepted.size > kills, `${accepted.size} accepted`);
        for (const [id, name] of accepted) assert.equal(found.get(id), name, `job ${id} was accepted`);
        assert.equal(new Set(rows.map((row) => row.name)).size, rows.length, "none is there twice");
        const daemon = await startDaemon({ data, flags: ["--workers", "1"] });
        await daemon.stop();
        assertCatalog(data);
        daemon.remove();
        t.diagnostic(
            `${kills} kills, ${accepted.size} jobs accepted of ${sent} sent, ${found.size} there: none missing`,
        );
    });
});
