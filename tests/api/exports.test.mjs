// Exports of what was measured: the same rows in every format, as other programs read them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { api, ask, root } from "../daemon.mjs";
import { daemon, groupBy, near, pages, pictures, vectors } from "./runs.mjs";

/** As NumPy's linear ones. @param {number[]} sorted @param {number} percent */
const quantile = (sorted, percent) => {
    const at = ((sorted.length - 1) * percent) / 100;
    const low = Math.floor(at);
    return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
};

/** Holds a summary against the values that it is of. @param {any} summary @param {(number | null)[]} all */
function summarises(summary, all) {
    const what = `${summary.site} ${summary.step} ${summary.column}`;
    const values = all.filter((value) => value !== null).sort((a, b) => Number(a) - Number(b));
    assert.equal(summary.count, values.length, what);
    assert.equal(summary.undefined, all.length - values.length, what);
    if (values.length === 0) return assert.equal(summary.mean, null);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    near(summary.mean, mean, what);
    const squares = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0);
    near(summary.sd, Math.sqrt(squares / (values.length - 1)), what);
    for (const percent of [1, 5, 25, 50, 75, 95, 99])
        near(summary.quantiles[percent], quantile(values, percent), `${what} q${percent}`);
    near(summary.minimum, values[0], what);
    near(summary.maximum, values.at(-1) ?? NaN, what);
}

/** A table without quoted fields. @param {Buffer} bytes @returns {Record<string, string>[]} */
function csv(bytes) {
    const [head, ...lines] = bytes.toString().trimEnd().split(/\r?\n/);
    const names = head.split(",");
    return lines.map((line) => {
        const fields = line.split(",");
        assert.equal(fields.length, names.length, line);
        return Object.fromEntries(names.map((name, i) => [name, fields[i]]));
    });
}

describe("an export", () => {
    /** @param {string} query */
    const of = async (query) => {
        const answer = await ask(daemon.base, `/jobs/${vectors.id}/export?${query}`);
        assert.equal(answer.status, 200, query);
        return answer;
    };

    test("of text is packed as it is streamed, for who takes that, and HEAD says so", async () => {
        const headers = async (/** @type {Response} */ answer) =>
            ["content-type", "content-encoding", "vary", "content-disposition", "transfer-encoding"].map((name) =>
                answer.headers.get(name),
            );
        for (const format of ["csv", "ndjson", "npz", "tfevents"]) {
            const url = `${daemon.base}/api/v1/jobs/${vectors.id}/export?format=${format}`;
            const get = (/** @type {string} */ coding, method = "GET") =>
                fetch(url, { method, headers: { "Accept-Encoding": coding } });
            const [plain, packed] = [await get("identity"), await get("gzip")];
            const text = ["csv", "ndjson"].includes(format);
            assert.equal(packed.headers.get("content-encoding"), text ? "gzip" : null, format);
            assert.equal(plain.headers.get("content-encoding"), null);
            for (const one of [plain, packed])
                assert.equal(one.headers.get("vary"), text ? "Accept-Encoding" : null, format);
            assert.deepEqual(await headers(await get("gzip", "HEAD")), await headers(packed), format);
            const [a, b] = [await plain.arrayBuffer(), await packed.arrayBuffer()].map((one) => Buffer.from(one));
            assert.ok(a.length > 1000);
            if (format !== "npz") assert.ok(a.equals(b), format); // an archive has its time in it
        }
        const file = await ask(daemon.base, `/jobs/${vectors.id}/run.sqlite`, {
            headers: { "Accept-Encoding": "gzip" },
        });
        assert.equal(file.headers.get("content-encoding"), null);
    });

    test("as CSV holds every row, which make the summaries again", async () => {
        const { headers, bytes } = await of("what=divergence&format=csv");
        assert.match(headers.get("content-type") ?? "", /^text\/csv/);
        assert.equal(headers.get("content-disposition"), `attachment; filename="job-${vectors.id}-divergence.csv"`);
        const rows = csv(bytes);
        assert.equal(rows.length, (await pages(`/jobs/${vectors.id}/divergence?max_results=10000`)).length);
        const groups = groupBy(
            rows.filter((row) => row.in_batch === "1"),
            (row) => `${row.site} ${row.step}`,
        );
        const summaries = await pages(`/jobs/${vectors.id}/divergence/summary?max_results=10000`);
        for (const summary of summaries) {
            const own = groups.get(`${summary.site} ${summary.step}`) ?? [];
            const values = own.map((row) => (row[summary.column] === "" ? null : Number(row[summary.column])));
            assert.equal(values.length, 32);
            summarises(summary, values);
        }
    });

    test("has the same rows in every table and format", async () => {
        for (const what of ["divergence", "metrics", "summary", "batch"]) {
            const rows = csv((await of(`what=${what}&format=csv`)).bytes);
            const { headers, bytes } = await of(`what=${what}&format=ndjson`);
            assert.equal(headers.get("content-type"), "application/x-ndjson");
            const objects = bytes.toString().trimEnd().split("\n");
            assert.equal(objects.length, rows.length, what);
            objects.forEach((line, i) => {
                for (const [name, value] of Object.entries(JSON.parse(line)))
                    assert.equal(
                        value === null ? "" : typeof value === "number" ? value : String(value),
                        typeof value === "number" ? Number(rows[i][name]) : rows[i][name],
                        `${what} ${i} ${name}`,
                    );
            });
        }
    });

    /** Runs one of the tests' Python programs. @param {string} script @param {string[]} args */
    const python = (script, ...args) =>
        execFileSync("/usr/bin/python3", [join(root, "tests", script), ...args], { encoding: "utf8" });

    /** A run's file as the API gives it. @param {number} id */
    const runFile = async (id) => {
        const path = join(daemon.data, `copy-${id}.db`);
        writeFileSync(path, (await ask(daemon.base, `/jobs/${id}/run.sqlite`)).bytes);
        return path;
    };

    test("as NPZ is what NumPy reads and SQLite has, of one run and of several", async (t) => {
        if (!existsSync("/usr/lib/python3/dist-packages/numpy")) return t.skip("no python3-numpy");
        const [one, two] = [await runFile(pictures.id), await runFile(vectors.id)];
        const several = `filter=${encodeURIComponent(`id IN (${pictures.id}, ${vectors.id})`)}`;
        for (const what of ["divergence", "metrics", "summary", "batch"]) {
            const path = join(daemon.data, `${what}.npz`);
            writeFileSync(path, (await of(`what=${what}&format=npz`)).bytes);
            assert.match(python("check_npz.py", path, what, `:${two}`), /\d+ rows/);
            const { status, bytes } = await ask(daemon.base, `/export?what=${what}&format=npz&${several}`);
            assert.equal(status, 200);
            writeFileSync(path, bytes);
            const runs = [`${pictures.id}:${one}`, `${vectors.id}:${two}`];
            python("check_npz.py", path, what, ...(pictures.id < vectors.id ? runs : runs.reverse()));
        }
    });

    test("for TensorBoard is what an independent reader finds", async () => {
        const path = join(daemon.data, "events.out.tfevents");
        const { headers, bytes } = await of("format=tfevents");
        assert.match(headers.get("content-disposition") ?? "", /tfevents"$/);
        writeFileSync(path, bytes);
        assert.match(python("check_tfevents.py", path, await runFile(vectors.id)), /\d+ scalars, 8 histograms/);
    });

    test("of several runs names the job of each row", async () => {
        const filter = encodeURIComponent(`name IN ('vectors', 'pictures') AND state = 'finished'`);
        for (const format of ["csv", "ndjson"]) {
            const { headers, bytes } = await ask(daemon.base, `/export?what=metrics&format=${format}&filter=${filter}`);
            assert.match(headers.get("content-disposition") ?? "", /filename="plumbline-metrics\./);
            const lines = bytes.toString().trimEnd().split("\n");
            const rows = format === "csv" ? csv(bytes) : lines.map((line) => JSON.parse(line));
            const jobs = groupBy(rows, (row) => String(row.job));
            const ids = [pictures.id, vectors.id].sort((a, b) => a - b);
            assert.deepEqual([...jobs.keys()], ids.map(String));
            for (const job of [pictures, vectors]) {
                const { series } = await api(daemon.base, `/jobs/${job.id}/metrics`);
                const points = series.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.of, 0);
                assert.equal(jobs.get(String(job.id))?.length, points);
            }
        }
        const none = await ask(daemon.base, `/export?what=metrics&format=csv&filter=${encodeURIComponent("id = 0")}`);
        assert.deepEqual([none.status, csv(none.bytes)], [200, []]);
    });

    test("that there is not is refused", async () => {
        for (const [path, status] of /** @type {[string, number][]} */ ([
            [`/jobs/${vectors.id}/export?format=parquet`, 400],
            [`/jobs/${vectors.id}/export?what=weights`, 400],
            ["/jobs/987654/export", 404],
            ["/export", 400],
            [`/export?filter=${encodeURIComponent("id = ")}`, 400],
            [`/export?format=tfevents&filter=${encodeURIComponent("state = 'finished'")}`, 400],
        ]))
            assert.equal((await ask(daemon.base, path)).status, status, path);
    });
});
