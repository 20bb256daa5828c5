// How the server answers under load. Usage: PLUMBLINE=build/plumbline node tests/bench/api.mjs [--only live|lists]
//     [--subscribers 400] [--seconds 20] [--rate 10] [--jobs 10000] [--connections 4]
//
// Live: so many event streams, so many events a second (each a job renamed), other requests beside them; how long after
// the server made an event it was read by each, and whether an id was missed. Lists: pages of 100 of a catalog of so
// many jobs while two jobs train, asked for by wrk over so many connections, each as fast as it is answered.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { api, ask, finishedJob, longSpec, manyJobs, root, smallSpec, startDaemon, until } from "../daemon.mjs";

const { values: options } = parseArgs({
    options: {
        only: { type: "string" },
        subscribers: { type: "string", default: "400" },
        seconds: { type: "string", default: "20" },
        rate: { type: "string", default: "10" },
        jobs: { type: "string", default: "10000" },
        connections: { type: "string", default: "4" },
    },
});
const [subscribers, seconds, rate, jobs, connections] = [
    options.subscribers,
    options.seconds,
    options.rate,
    options.jobs,
    options.connections,
].map(Number);

/** "p50 1.2 ms, …". @param {number[]} times in milliseconds */
function figures(times) {
    times.sort((a, b) => a - b);
    const at = (/** @type {number} */ share) => times[Math.min(times.length - 1, Math.floor(share * times.length))];
    const text = [0.5, 0.95, 0.99].map((share) => `p${100 * share} ${at(share).toFixed(1)} ms`);
    return `${text.join(", ")}, at most ${at(1).toFixed(1)} ms`;
}

const pause = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Requests a path over kept connections until `stop` says so; the times that they took.
 * @param {string} url
 * @param {number} count connections
 * @param {() => boolean} stop
 * @param {number} [every] milliseconds between requests of a connection; 0: as fast as they are answered
 */
async function load(url, count, stop, every = 0) {
    const agent = new Agent({ keepAlive: true, maxSockets: count });
    /** @type {number[]} */
    const times = [];
    let errors = 0;
    const one = () =>
        /** @type {Promise<void>} */ (
            new Promise((done) => {
                const begun = performance.now();
                get(url, { agent }, (answer) => {
                    answer.resume().on("end", () => {
                        times.push(performance.now() - begun);
                        errors += Number(answer.statusCode !== 200);
                        done();
                    });
                }).on("error", () => {
                    errors++;
                    done();
                });
            })
        );
    const worker = async () => {
        while (!stop()) await Promise.all([one(), every && pause(every)]);
    };
    await Promise.all(Array.from({ length: count }, worker));
    agent.destroy();
    return { times, errors };
}

async function live() {
    const daemon = await startDaemon({ flags: ["--workers", "2"] });
    const { hostname, port } = new URL(daemon.base);
    const { id } = await finishedJob(daemon.base, smallSpec("renamed", "affine", 0.05, { epochs: 1 }));
    /** @type {number[]} */
    const delays = [];
    /** @type {number[][]} */
    const ids = [];
    const sockets = Array.from({ length: subscribers }, (_, i) => {
        const socket = connect(Number(port), hostname);
        let rest = "";
        ids[i] = [];
        socket.write(`GET /api/v1/events HTTP/1.1\r\nHost: ${daemon.listen}\r\n\r\n`);
        socket.setEncoding("utf8").on("data", (piece) => {
            const now = Date.now();
            rest += piece;
            for (const [whole, event, at] of rest.matchAll(
                /id: (\d+)\nevent: job\.state\ndata: [^\n]*"at":"([^"]+)"[^\n]*\n\n/g,
            )) {
                void whole;
                ids[i].push(Number(event));
                delays.push(now - Date.parse(at));
            }
            rest = rest.slice(rest.lastIndexOf("\n\n") + 2);
        });
        return socket;
    });
    await until("all listen", async () => {
        await ask(daemon.base, `/jobs/${id}`, { method: "PATCH", body: { note: "are all here?" } });
        return ids.every((own) => own.length > 0);
    });
    await pause(500);
    delays.length = 0;
    for (const own of ids) own.length = 0;
    let stopped = false;
    const beside = load(`${daemon.base}/api/v1/jobs/${id}`, 2, () => stopped, 10);
    const total = rate * seconds;
    const begun = performance.now();
    for (let i = 0; i < total; i++) {
        await pause(Math.max(0, begun + (1000 * i) / rate - performance.now()));
        await ask(daemon.base, `/jobs/${id}`, { method: "PATCH", body: { name: `renamed ${i}` } });
    }
    const took = (performance.now() - begun) / 1000;
    await until("all have all", () => ids.every((own) => own.length >= total));
    stopped = true;
    const { times, errors } = await beside;
    const gaps = ids.filter((own) => own.some((event, i) => i > 0 && event !== own[i - 1] + 1)).length;
    console.log(
        `${subscribers} streams, ${total} events in ${took.toFixed(1)} s: ${figures(delays)}; ` +
            `${gaps} streams with a gap; beside them ${times.length} requests (${errors} errors): ${figures(times)}`,
    );
    for (const socket of sockets) socket.destroy();
    await daemon.stop();
    daemon.remove();
}

async function lists() {
    let daemon = await startDaemon({ flags: ["--workers", "2"] });
    await finishedJob(daemon.base, smallSpec("one of many", "affine", 0.05));
    await daemon.stop();
    manyJobs(daemon.data, jobs);
    daemon = await startDaemon({ data: daemon.data, flags: ["--workers", "2"] });
    const running = [];
    for (const name of ["one", "two"]) running.push((await api(daemon.base, "/jobs", longSpec(name))).id);
    await until("both train", async () => (await api(daemon.base, "/queue")).running === 2);
    for (const query of [
        "max_results=100",
        "max_results=100&state=finished",
        "max_results=100&filter=state = 'finished' AND result.test/accuracy > 0.1",
        "max_results=100&order_by=result.test/loss DESC",
    ]) {
        const url = `${daemon.base}/api/v1/jobs?${new URLSearchParams(query)}`;
        const { items } = await api(daemon.base, url.slice(daemon.base.length));
        assert.equal(items.length, 100);
        const script = join(root, "tests/bench/wrk.lua");
        const flags = ["-t1", `-c${connections}`, `-d${seconds / 4}s`, "-s", script];
        const wrk = JSON.parse(
            execFileSync("wrk", [...flags, url], { encoding: "utf8" })
                .trim()
                .split("\n")
                .at(-1) ?? "",
        );
        console.log(
            `${jobs} jobs, two train, ${connections} connections, ${query}: ${wrk.requests} pages (${wrk.errors} errors): ` +
                `p50 ${wrk.p50} ms, p95 ${wrk.p95} ms, p99 ${wrk.p99} ms, at most ${wrk.most} ms`,
        );
    }
    await api(daemon.base, "/jobs:cancel", { ids: running });
    await daemon.stop();
    daemon.remove();
}

console.log(`load before: ${loadavg()[0].toFixed(1)}`);
if (options.only !== "lists") await live();
if (options.only !== "live") await lists();
