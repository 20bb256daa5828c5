// What a monitor reads, by a parser of its own of Prometheus' text format; and runs side by side.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, ask, ended, finishedJob, longSpec, smallSpec, startDaemon, until } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
before(async () => void (daemon = await startDaemon({ flags: ["--workers", "2"] })));
after(async () => {
    await daemon.stop();
    daemon.remove();
});

/** @typedef {{ name: string, labels: Record<string, string>, value: number }} Sample */

/**
 * Reads the text format 0.0.4 strictly: every sample belongs to a family that was declared before it, once.
 * @param {string} text
 */
function parse(text) {
    assert.ok(text.endsWith("\n"));
    /** @type {Map<string, { type: string, samples: Sample[] }>} */
    const families = new Map();
    const helped = new Set();
    let current = "";
    for (const line of text.slice(0, -1).split("\n")) {
        const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
        if (comment) {
            const [, kind, name, rest] = comment;
            if (kind === "HELP") {
                assert.ok(!helped.has(name), line);
                helped.add(name);
            } else {
                assert.ok(helped.has(name) && !families.has(name), line);
                assert.match(rest, /^(counter|gauge|histogram)$/, line);
                families.set(name, { type: rest, samples: [] });
                current = name;
            }
            continue;
        }
        const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
        assert.ok(sample, `no sample: ${line}`);
        const [, name, list, number] = sample;
        const family = families.get(current);
        assert.ok(family, line);
        const suffixes = family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
        assert.ok(suffixes.includes(name.slice(current.length)) && name.startsWith(current), line);
        if (family.type === "counter") assert.match(name, /_total$/);
        /** @type {Record<string, string>} */
        const labels = {};
        let rest = list ?? "";
        while (rest) {
            const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest);
            assert.ok(label && !(label[1] in labels), line);
            labels[label[1]] = label[2];
            rest = rest.slice(label[0].length);
        }
        const value = number === "+Inf" ? Infinity : Number(number);
        assert.ok(!Number.isNaN(value), line);
        family.samples.push({ name, labels, value });
    }
    for (const [name, { samples }] of families) {
        const keys = samples.map((one) => one.name + JSON.stringify(Object.entries(one.labels).sort()));
        assert.equal(new Set(keys).size, keys.length, `${name} has a sample twice`);
    }
    return families;
}

async function scrape() {
    const { status, headers, json } = await ask(daemon.base, `${daemon.base}/metrics`);
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    const families = parse(json);
    return {
        families,
        /** The value of one sample; 0 where there is none. */
        value: (/** @type {string} */ name, /** @type {Record<string, string>} */ labels = {}) =>
            [...families.values()]
                .flatMap((family) => family.samples)
                .find(
                    (one) =>
                        one.name === name && Object.entries(labels).every(([key, text]) => one.labels[key] === text),
                )?.value ?? 0,
    };
}

describe("/metrics", () => {
    test("tells of the queue, the workers, and what they have done", async () => {
        const before = await scrape();
        assert.equal(before.value("plumbline_workers"), 2);
        const job = await finishedJob(daemon.base, smallSpec("counted", "affine", 0.05, { epochs: 1 }));
        const running = (await api(daemon.base, "/jobs", longSpec("running"))).id;
        await until("it runs", async () => (await scrape()).value("plumbline_jobs", { state: "running" }) === 1);
        const after = await scrape();
        assert.equal(after.value("plumbline_jobs", { state: "finished" }), 1);
        assert.equal(after.value("plumbline_workers_busy"), 1);
        await api(daemon.base, "/jobs:cancel", { ids: [running] });
        await ended(daemon.base, running);
        const rows = (await ask(daemon.base, `/jobs/${job.id}/export?what=divergence`)).json.trimEnd().split("\n");
        assert.equal(after.value("plumbline_divergence_rows_total"), rows.length - 1);
        assert.ok(after.value("plumbline_steps_total") >= job.progress.steps);
        assert.ok(after.value("plumbline_events_total") > before.value("plumbline_events_total"));
        const uptime = after.value("plumbline_uptime_seconds");
        assert.ok(uptime > before.value("plumbline_uptime_seconds") && uptime < 600);
    });

    test("counts requests by route and status, and how long they took", async () => {
        const before = await scrape();
        for (let i = 0; i < 5; i++) await api(daemon.base, "/queue");
        for (const id of [7001, 7002]) await ask(daemon.base, `/jobs/${id}`);
        await ask(daemon.base, "/no/such/path");
        // An answer is counted when it has gone out, which its reader may see first.
        const grown = async (/** @type {string} */ name, /** @type {Record<string, string>} */ labels) =>
            (await scrape()).value(name, labels) - before.value(name, labels);
        const total = "plumbline_http_requests_total";
        for (const [labels, count] of /** @type {[Record<string, string>, number][]} */ ([
            [{ method: "GET", route: "/api/v1/queue", status: "200" }, 5],
            [{ method: "GET", route: "/api/v1/jobs/{id}", status: "404" }, 2],
            [{ method: "", route: "", status: "404" }, 1],
        ]))
            await until(JSON.stringify(labels), async () => (await grown(total, labels)) === count);
        const { families } = await scrape();
        const { samples = [], type } = families.get("plumbline_http_request_duration_seconds") ?? {};
        assert.equal(type, "histogram");
        /** @type {Map<string, Sample[]>} */
        const series = new Map();
        for (const one of samples) {
            const key = `${one.labels.method} ${one.labels.route}`;
            series.set(key, [...(series.get(key) ?? []), one]);
        }
        assert.ok(series.has("GET /api/v1/queue"));
        for (const [key, all] of series) {
            const buckets = all.filter((one) => one.name.endsWith("_bucket"));
            const bounds = buckets.map((one) => (one.labels.le === "+Inf" ? Infinity : Number(one.labels.le)));
            assert.deepEqual(
                bounds,
                [...bounds].sort((a, b) => a - b),
            );
            assert.equal(bounds.at(-1), Infinity);
            buckets.reduce((low, one) => (assert.ok(one.value >= low, key), one.value), 0);
            assert.equal(all.find((one) => one.name.endsWith("_count"))?.value, buckets.at(-1)?.value);
            assert.ok(Number(all.find((one) => one.name.endsWith("_sum"))?.value) > 0, key);
        }
    });

    test("counts a stream when it ends, and does not time it", async () => {
        const abort = new AbortController();
        const stream = await fetch(`${daemon.base}/api/v1/events`, { signal: abort.signal });
        assert.equal(stream.status, 200);
        abort.abort();
        const labels = { route: "/api/v1/events", status: "200" };
        await until("it is counted", async () => (await scrape()).value("plumbline_http_requests_total", labels) > 0);
        const { families } = await scrape();
        const timed = families.get("plumbline_http_request_duration_seconds")?.samples ?? [];
        assert.ok(timed.every((one) => one.labels.route !== "/api/v1/events"));
    });
});

describe("runs side by side", () => {
    /** @type {any[]} */
    let jobs;
    const spec = (/** @type {string} */ variant, more = {}) =>
        smallSpec(variant, variant, 0.05, {
            dataset: { name: "synthetic", classes: 4, features: 16, train: 256, test: 64, norm_spread: 1, seed: 1 },
            epochs: 2,
            tags: [variant],
            probe: { schedule: "none" },
            ...more,
        });
    const compare = (/** @type {string} */ query) => api(daemon.base, `/compare?${query}`);
    before(async () => {
        jobs = await Promise.all([
            finishedJob(daemon.base, spec("affine")),
            finishedJob(daemon.base, spec("affine-like", { epochs: 4, batch_size: 16 })),
        ]);
    });

    test("differ where their specs do, and are called what they are", async () => {
        const { differences, jobs: shown } = await compare(`jobs=${jobs[1].id},${jobs[0].id}`);
        assert.deepEqual(
            shown.map((/** @type {any} */ job) => job.id),
            [jobs[1].id, jobs[0].id],
        );
        assert.deepEqual(differences, [
            { pointer: "/model/layers/1/variant", values: ["affine-like", "affine"] },
            { pointer: "/model/layers/3/variant", values: ["affine-like", "affine"] },
            { pointer: "/model/layers/5/variant", values: ["affine-like", "affine"] },
            { pointer: "/batch_size", values: [16, 32] },
            { pointer: "/epochs", values: [4, 2] },
        ]);
        assert.deepEqual((await compare(`jobs=${jobs[0].id},${jobs[0].id}`)).differences, []);
        assert.deepEqual((await compare(`jobs=${jobs[0].id}`)).differences, []);
    });

    test("of other shapes and keys differ as wholes", async () => {
        const other = await api(daemon.base, "/jobs", {
            ...spec("affine"),
            model: { layers: [{ type: "flatten" }, { type: "dense", units: 4 }] },
            optimiser: { name: "adam", learning_rate: 0.05 },
        });
        const { differences } = await compare(`jobs=${jobs[0].id},${other.id}`);
        const at = (/** @type {string} */ pointer) =>
            differences.find((/** @type {any} */ one) => one.pointer === pointer)?.values;
        assert.equal(at("/model/layers")[0].length, 6);
        assert.equal(at("/model/layers")[1].length, 2);
        assert.deepEqual(at("/optimiser/name"), ["sgd", "adam"]);
        assert.deepEqual(at("/optimiser/momentum"), [0, null]);
        assert.deepEqual(at("/optimiser/beta1"), [null, 0.9]);
        assert.equal(at("/optimiser/learning_rate"), undefined);
        await ended(daemon.base, other.id);
    });

    test("give their values on one axis", async () => {
        const keys = "train/loss,test/accuracy";
        const { series } = await compare(`jobs=${jobs[0].id},${jobs[1].id}&keys=${keys}`);
        assert.deepEqual(
            series.map((/** @type {any} */ one) => [one.key, one.shown, one.of]),
            [
                ["train/loss", 64, [16, 64]],
                ["test/accuracy", 5, [2, 4]],
            ],
        );
        for (const { key, steps, values } of series)
            for (const [i, { id }] of jobs.entries()) {
                const [own] = (await api(daemon.base, `/jobs/${id}/metrics?keys=${key}`)).series;
                const known = new Map(
                    own.steps.map((/** @type {number} */ step, /** @type {number} */ k) => [step, own.values[k]]),
                );
                assert.deepEqual(
                    values[i],
                    steps.map((/** @type {number} */ step) => known.get(step) ?? null),
                    `${key} of ${id}`,
                );
            }
    });

    test("are thinned together, their extremes kept", async () => {
        const long = await finishedJob(daemon.base, spec("affine", { epochs: 40 }));
        const { series } = await compare(`jobs=${jobs[1].id},${long.id}&keys=train/loss&max_points=64`);
        const [{ steps, values, shown, of }] = series;
        assert.deepEqual(of, [64, 320]);
        assert.ok(shown === steps.length && shown <= 64, `${shown} of ${of}`);
        assert.deepEqual(
            steps,
            [...new Set(steps)].sort((a, b) => Number(a) - Number(b)),
        );
        const [own] = (await api(daemon.base, `/jobs/${long.id}/metrics?keys=train/loss`)).series;
        assert.equal(Math.max(...values[1]), Math.max(...own.values));
        assert.equal(Math.min(...values[1]), Math.min(...own.values));
    });

    test("that have not begun have no values, and those that are none are refused", async () => {
        const id = (await api(daemon.base, "/jobs", { ...longSpec("waits"), priority: -5 })).id;
        await api(daemon.base, "/jobs:cancel", { ids: [id] });
        const never = (await api(daemon.base, `/jobs/${id}`)).started_at === null;
        const { series } = await compare(`jobs=${jobs[0].id},${id}&keys=test/loss`);
        if (never) assert.deepEqual(series[0].values[1], [null, null]);
        await ended(daemon.base, id);
        for (const [query, status] of /** @type {[string, number][]} */ ([
            ["", 400],
            ["jobs=", 400],
            ["jobs=0", 400],
            ["jobs=one", 400],
            [`jobs=${Array.from({ length: 33 }, () => jobs[0].id)}`, 400],
            [`jobs=${jobs[0].id},987654`, 404],
            [`jobs=${jobs[0].id}&keys=test/loss,test/loss`, 400],
            [`jobs=${jobs[0].id}&keys=${Array.from({ length: 33 }, (_, i) => `key/${i}`)}`, 400],
        ]))
            assert.equal((await ask(daemon.base, `/compare?${query}`)).status, status, query);
        const nothing = await compare(`jobs=${jobs[0].id}&keys=no/such`);
        assert.deepEqual(nothing.series, [{ key: "no/such", shown: 0, of: [0], steps: [], values: [[]] }]);
    });
});
