// What a run leaves, as the API gives it: rows and what was made of them, single samples, exports, the run's file.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { inflateSync } from "node:zlib";
import { api, ask, ended, finishedJob, longSpec, root, smallSpec, startDaemon, temporary, until } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
/** A finished run on pictures, and one on vectors, which watches a sample. @type {any} */
let pictures;
/** @type {any} */
let vectors;
const WATCHED = 5;
const SIDE = 4;
const IMAGES = Array.from({ length: 64 }, (_, i) =>
    Buffer.from(Array.from({ length: 16 }, (_, p) => (37 * i + 11 * p) % 256)),
);

/** Files of the MNIST format. @param {string} folder */
function writePictures(folder) {
    const idx = (/** @type {number[]} */ dims, /** @type {Buffer} */ bytes) => {
        const head = Buffer.alloc(4 + 4 * dims.length);
        head[2] = 8;
        head[3] = dims.length;
        dims.forEach((n, i) => head.writeUInt32BE(n, 4 + 4 * i));
        return Buffer.concat([head, bytes]);
    };
    mkdirSync(folder, { recursive: true });
    for (const [name, images] of /** @type {[string, Buffer[]][]} */ ([
        ["train", IMAGES],
        ["t10k", IMAGES.slice().reverse()],
    ])) {
        writeFileSync(join(folder, `${name}-images-idx3-ubyte`), idx([64, SIDE, SIDE], Buffer.concat(images)));
        const labels = Buffer.from(Array.from({ length: 64 }, (_, i) => i % 10));
        writeFileSync(join(folder, `${name}-labels-idx1-ubyte`), idx([64], labels));
    }
}

const vectorSpec = (/** @type {object} */ more = {}) =>
    smallSpec("vectors", "affine", 0.1, {
        dataset: { name: "synthetic", classes: 4, features: 16, train: 256, test: 64, norm_spread: 1, seed: 1 },
        model: { preset: "mlp", width: 8, depth: 1, variant: "affine", activation: "tanh" },
        epochs: 2,
        probe: { schedule: "every", every: 4, views: ["layer", "network"], watch: [WATCHED], contributors: 3 },
        ...more,
    });

before(async () => {
    daemon = await startDaemon({ flags: ["--workers", "2"] });
    writePictures(join(daemon.data, "datasets", "mnist"));
    [pictures, vectors] = await Promise.all([
        finishedJob(daemon.base, {
            ...smallSpec("pictures", "affine", 0.1),
            dataset: { name: "mnist" },
            model: { layers: [{ type: "flatten" }, { type: "dense", units: 10, variant: "affine-like" }] },
            batch_size: 16,
            epochs: 2,
            probe: { schedule: "epochs" },
        }),
        finishedJob(daemon.base, vectorSpec()),
    ]);
});
after(async () => {
    await daemon.stop();
    daemon.remove();
});

/** All pages of a list. @param {string} path @returns {Promise<any[]>} */
async function pages(path) {
    const items = [];
    let token = "";
    do {
        const page = await api(daemon.base, path + (token && `&page_token=${encodeURIComponent(token)}`));
        items.push(...page.items);
        token = page.next_page_token;
    } while (token);
    return items;
}

const near = (/** @type {number} */ a, /** @type {number} */ b, /** @type {string} */ what, tolerance = 1e-9) =>
    assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${what}: ${a} is not ${b}`);

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

const groupBy = (/** @type {any[]} */ rows, /** @type {(row: any) => string} */ key) => {
    /** @type {Map<string, any[]>} */
    const groups = new Map();
    for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
    return groups;
};

describe("what was measured", () => {
    test("comes in pages that hold each row once, by site, step and sample", async () => {
        const path = `/jobs/${vectors.id}/divergence`;
        const sites = await api(daemon.base, `${path}/sites`);
        assert.deepEqual(
            sites.sites.map((/** @type {any} */ site) => [site.name, site.parameters]),
            [
                ["1.dense", 16 * 8 + 8],
                ["3.dense", 8 * 4 + 4],
            ],
        );
        assert.deepEqual(sites.steps, [1, 5, 9, 13]);
        const all = await pages(`${path}?max_results=10000`);
        const rows = await pages(`${path}?max_results=37`);
        assert.deepEqual(rows, all);
        assert.equal(all.length, 2 * 4 * (32 + 1) - 2 * overlaps(all));
        assert.equal(new Set(all.map((row) => `${row.site} ${row.step} ${row.sample}`)).size, all.length);
        const only = (/** @type {string} */ query) => pages(`${path}?max_results=10000&${query}`);
        assert.deepEqual(
            await only("site=3.dense&step=5"),
            all.filter((row) => row.site === "3.dense" && row.step === 5),
        );
        assert.deepEqual(
            await only(`sample=${WATCHED}&step_from=5&step_to=9`),
            all.filter((row) => row.sample === WATCHED && row.step >= 5 && row.step <= 9),
        );
        assert.deepEqual(
            await only("last=1"),
            all.filter((row) => row.step === 13),
        );
        for (const query of ["site=9.dense", "site=", "step=many", "page_token=none"])
            assert.ok([400, 404].includes((await ask(daemon.base, `${path}?${query}`)).status), query);
    });

    /** In how many steps the watched sample was in the batch. @param {any[]} rows */
    const overlaps = (rows) =>
        rows.filter((row) => row.sample === WATCHED && row.site === "1.dense" && row.scale_across !== null).length;

    test("is summarised as the rows say, with histograms and 2-D counts of as many", async () => {
        const path = `/jobs/${vectors.id}/divergence`;
        const summaries = await pages(`${path}/summary?max_results=50`);
        const defined = new Set();
        for (const row of await pages(`${path}?max_results=10000`))
            for (const [column, value] of Object.entries(row))
                if (value !== null) defined.add(`${row.site} ${row.step} ${column}`);
        const summarised = summaries.map((one) => `${one.site} ${one.step} ${one.column}`);
        assert.ok(
            summarised.every((one) => defined.has(one)),
            "what a vector cannot have has no summary",
        );
        assert.deepEqual([summaries.length, new Set(summarised).size], [2 * 4 * 12, 2 * 4 * 12]);
        const histograms = await pages(`${path}/histogram?max_results=10000`);
        histograms.forEach(({ cells, ...rest }, i) => {
            assert.deepEqual(rest, summaries[i]);
            const counted = cells.reduce((/** @type {number} */ sum, /** @type {number[]} */ cell) => sum + cell[1], 0);
            assert.equal(counted, rest.count + rest.undefined);
        });
        const pooled = await pages(`${path}/summary?pooled=true&site=1.dense&column=scale`);
        assert.equal(pooled.length, 1);
        assert.deepEqual(pooled[0].steps, [1, 5, 9, 13]);
        assert.equal(pooled[0].count, 4 * 32);
        const density = await api(daemon.base, `${path}/density?site=1.dense&x=self_factor&y=scale`);
        const cells = density.cells.reduce(
            (/** @type {number} */ sum, /** @type {number[]} */ cell) => sum + cell[2],
            0,
        );
        assert.deepEqual([cells, density.count], [4 * 32, 4 * 32]);
        const cosine = await api(daemon.base, `${path}/density?site=3.dense&x=cosine&y=relative_interference&step=1`);
        assert.deepEqual([cosine.x_bins.kind, cosine.count], ["linear", 32]);
        assert.equal((await ask(daemon.base, `${path}/density?site=1.dense&x=scale&y=scale`)).status, 400);
        const batch = await pages(`${path}/batch?site=1.dense`);
        assert.deepEqual(
            batch.map((one) => [one.step, one.rows, one.batch_size]),
            [1, 5, 9, 13].map((step) => [step, 32, 32]),
        );
    });

    test("of a sample is told over all steps and sites, with who moved it", async () => {
        const sample = await api(daemon.base, `/jobs/${vectors.id}/samples/${WATCHED}`);
        assert.deepEqual(
            sample.steps.map((/** @type {any} */ one) => one.step),
            [1, 5, 9, 13],
        );
        const rows = await pages(`/jobs/${vectors.id}/divergence?sample=${WATCHED}`);
        const sorted = rows.sort((a, b) => a.step - b.step || (a.site < b.site ? -1 : 1));
        sample.rows.forEach((/** @type {any} */ row, /** @type {number} */ i) => {
            const { loss, label, predicted, sample: index, ...rest } = sorted[i];
            assert.deepEqual([index, row], [WATCHED, rest]);
            const step = sample.steps.find((/** @type {any} */ one) => one.step === row.step);
            assert.deepEqual([step.loss, step.label, step.predicted], [loss, label, predicted]);
        });
        for (const { loss, label, predicted, likeliest } of sample.steps) {
            /** @type {number[]} */
            const shares = likeliest.map((/** @type {any} */ [, share]) => share);
            assert.equal(likeliest.length, 4, "all classes, as there are fewer than five");
            assert.equal(likeliest[0][0], predicted);
            assert.deepEqual(
                shares,
                [...shares].sort((a, b) => b - a),
            );
            near(
                shares.reduce((sum, share) => sum + share, 0),
                1,
                "the shares of all classes",
                1e-6,
            );
            const own = likeliest.find((/** @type {any} */ [one]) => one === label)[1];
            near(-Math.log(own), loss, "the loss of the label's share", 1e-5);
        }
        const inBatch = (await pages(`/jobs/${vectors.id}/divergence?step=9&site=1.dense`)).find(
            (row) => row.sample !== WATCHED,
        );
        const path = `/jobs/${vectors.id}/samples/${inBatch.sample}/contributors?site=1.dense&step=9`;
        const { step, items, rest } = await api(daemon.base, path);
        assert.deepEqual([step, items.length], [9, 3]);
        const parts = items.map((/** @type {any} */ item) => item.part);
        assert.deepEqual(
            parts,
            parts.slice().sort((/** @type {number} */ a, /** @type {number} */ b) => Math.abs(b) - Math.abs(a)),
        );
        const others = parts.reduce((/** @type {number} */ sum, /** @type {number} */ part) => sum + part, rest.part);
        near(others, inBatch.scale_across, "the parts of all others", 1e-4);
        assert.equal((await ask(daemon.base, path.replace("step=9", "step=8"))).status, 404);
        assert.equal((await ask(daemon.base, path.replace("site=1.dense", "site=7.dense"))).status, 404);
        const none = await ask(daemon.base, `/jobs/${pictures.id}/samples/0/contributors?site=1.dense`);
        assert.match(none.json.detail, /probe\.contributors/);
        assert.deepEqual((await api(daemon.base, `/jobs/${vectors.id}/samples/99999`)).rows, []);
    });

    test("of a sample has its picture, which is that of the data set", async () => {
        for (const [query, images] of /** @type {[string, Buffer[]][]} */ ([
            ["", IMAGES],
            ["?split=test", IMAGES.slice().reverse()],
        ])) {
            const { status, headers, bytes } = await ask(daemon.base, `/jobs/${pictures.id}/samples/3.png${query}`);
            assert.equal(status, 200);
            assert.equal(headers.get("content-type"), "image/png");
            assert.deepEqual(pixels(bytes), images[3]);
        }
        for (const path of ["3.png?split=all", "64.png", "x.png", "-1.png"])
            assert.ok([400, 404].includes((await ask(daemon.base, `/jobs/${pictures.id}/samples/${path}`)).status));
    });

    test("by step is thinned to the highest and lowest, and says of how many", async () => {
        const path = `/jobs/${vectors.id}/metrics?keys=train/loss`;
        const [whole] = (await api(daemon.base, path)).series;
        assert.deepEqual([whole.shown, whole.of, whole.steps.length], [16, 16, 16]);
        const [thin] = (await api(daemon.base, `${path}&max_points=6`)).series;
        assert.equal(thin.of, 16);
        assert.ok(thin.shown <= 6 && thin.shown === thin.values.length);
        assert.ok(thin.values.includes(Math.min(...whole.values)) && thin.values.includes(Math.max(...whole.values)));
        const all = (await api(daemon.base, `/jobs/${vectors.id}/metrics`)).series;
        assert.ok(all.length > 5);
        const { items } = await api(daemon.base, `/jobs/${vectors.id}/log?max_results=1`);
        assert.equal(items.length, 1);
    });

    test("is thinned over its steps to what a plot shows of it, and says of how many", async () => {
        const spec = vectorSpec({ name: "every step", epochs: 12, probe: { schedule: "every", every: 1 } });
        const { id } = await finishedJob(daemon.base, spec);
        const path = `/jobs/${id}/divergence`;
        const all = groupBy(await pages(`${path}/summary?column=scale`), (item) => item.site);
        const thin = await api(daemon.base, `${path}/summary?column=scale&max_points=22`);
        assert.equal(thin.next_page_token, null);
        assert.deepEqual(
            thin.series.map((/** @type {any} */ one) => one.site),
            [...all.keys()],
        );
        for (const { site, column, shown, of, count, undefined: gone, nonpositive } of thin.series) {
            const whole = /** @type {any[]} */ (all.get(site));
            const kept = thin.items.filter((/** @type {any} */ item) => item.site === site);
            const sum = (/** @type {string} */ key) => whole.reduce((total, item) => total + item[key], 0);
            assert.deepEqual([column, of, shown], ["scale", 96, kept.length]);
            assert.ok(shown > 2 && shown <= 22, `${shown} shown`);
            assert.deepEqual([count, gone, nonpositive], [sum("count"), sum("undefined"), sum("nonpositive")]);
            for (const item of kept)
                assert.deepEqual(
                    item,
                    whole.find(({ step }) => step === item.step),
                );
            const steps = kept.map((/** @type {any} */ item) => item.step);
            assert.deepEqual([steps[0], steps[steps.length - 1]], [1, 96]);
            assert.deepEqual(
                steps,
                [...new Set(steps)].sort((a, b) => a - b),
            );
            const among = (/** @type {any[]} */ items, /** @type {string} */ q) =>
                items.map(({ quantiles }) => quantiles[q]);
            assert.equal(Math.min(...among(kept, "5")), Math.min(...among(whole, "5")));
            assert.equal(Math.min(...among(kept, "50")), Math.min(...among(whole, "50")));
            assert.equal(Math.max(...among(kept, "50")), Math.max(...among(whole, "50")));
            assert.equal(Math.max(...among(kept, "95")), Math.max(...among(whole, "95")));
        }

        const whole = await api(daemon.base, `${path}/batch`);
        const batch = await api(daemon.base, `${path}/batch?max_points=18`);
        assert.deepEqual([whole.shown, whole.of, whole.steps.length], [96, 96, 96]);
        assert.deepEqual([batch.of, batch.shown], [96, batch.steps.length]);
        assert.ok(batch.shown > 2 && batch.shown <= 18, `${batch.shown} shown`);
        const steps = batch.steps.map((/** @type {any} */ one) => one.step);
        assert.deepEqual(
            batch.items,
            whole.items.filter((/** @type {any} */ item) => steps.includes(item.step)),
        );
        const promised = (/** @type {number} */ step) =>
            whole.items.reduce(
                (/** @type {number} */ sum, /** @type {any} */ item) =>
                    item.step === step ? sum + (item.predicted_decrease ?? 0) : sum,
                0,
            );
        const fall = (/** @type {any} */ one) => one.loss_before - one.loss_after;
        /** @type {any[]} */
        const measured = whole.steps.filter((/** @type {any} */ one) => one.loss_after !== null);
        assert.equal(measured.length, 96);
        const falls = measured.map(fall);
        for (const which of [Math.min, Math.max]) {
            assert.equal(which(...batch.steps.map(fall)), which(...falls));
            assert.equal(which(...steps.map(promised)), which(...measured.map(({ step }) => promised(step))));
        }
        const kept = measured.filter((one) => fall(one) >= promised(one.step)).length;
        assert.deepEqual(
            [whole.measured, whole.kept, whole.rose],
            [96, kept, falls.filter((value) => value < 0).length],
        );
        assert.deepEqual([batch.measured, batch.kept, batch.rose], [whole.measured, whole.kept, whole.rose]);

        // Neighbouring steps merged, in one answer; their stretches are of one size, or of one length on a log axis.
        for (const [query, stretches] of /** @type {[string, (step: number) => number][]} */ ([
            ["windows=4", (step) => Math.floor((step - 1) / 24)],
            ["windows=4&log_steps=true", (step) => Math.min(3, Math.floor((4 * Math.log(step)) / Math.log(96)))],
        ])) {
            const windows = await api(daemon.base, `${path}/summary?column=scale&pooled=true&${query}`);
            assert.equal(windows.items.length, 4 * all.size, query);
            const counted = groupBy(windows.items, (item) => item.site);
            for (const [site, items] of counted) {
                const among = items.flatMap((item) => item.steps);
                assert.deepEqual(
                    among,
                    Array.from({ length: 96 }, (_, i) => i + 1),
                );
                for (const [i, item] of items.entries()) {
                    assert.deepEqual([...new Set(item.steps.map(stretches))], [i], `${query} ${item.steps}`);
                    const range = `step_from=${item.steps[0]}&step_to=${item.steps[item.steps.length - 1]}`;
                    const one = await api(
                        daemon.base,
                        `${path}/summary?column=scale&pooled=true&${range}&site=${site}`,
                    );
                    assert.deepEqual([item], one.items);
                }
            }
        }
        const early = await api(daemon.base, `${path}/summary?column=scale&max_points=48&log_steps=true&site=1.dense`);
        assert.deepEqual(
            early.items.slice(0, 3).map((/** @type {any} */ item) => item.step),
            [1, 2, 3],
            "every early step is a stretch of its own",
        );
        // By the steps alone: of each stretch the last, whatever was measured.
        const last = [1, 20, 39, 58, 77, 95, 96]; // five stretches of the 94 between the first and the last
        for (const [of, list] of [
            ["summary?column=scale&site=1.dense", "items"],
            ["batch?site=1.dense", "steps"],
        ])
            assert.deepEqual(
                (await api(daemon.base, `${path}/${of}&max_points=7&even_steps=true`))[list].map(
                    (/** @type {any} */ item) => item.step,
                ),
                last,
                of,
            );
        for (const query of ["max_points=6&pooled=true", "windows=4", "max_points=5", "max_points=8&page_token=x"])
            assert.equal((await ask(daemon.base, `${path}/summary?${query}`)).status, 400, query);
    });
});

/** The pixels of a grey PNG, by its specification. @param {Buffer} png */
function pixels(png) {
    assert.equal(png.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
    /** @type {Buffer[]} */
    const data = [];
    let [width, height] = [0, 0];
    for (let at = 8; at < png.length;) {
        const size = png.readUInt32BE(at);
        const type = png.subarray(at + 4, at + 8).toString("latin1");
        const body = png.subarray(at + 8, at + 8 + size);
        if (type === "IHDR") {
            [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
            assert.deepEqual([body[8], body[9], body[12]], [8, 0, 0], "8 bits, grey, not interlaced");
        }
        if (type === "IDAT") data.push(body);
        at += 12 + size;
    }
    const raw = inflateSync(Buffer.concat(data));
    const out = Buffer.alloc(width * height);
    for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
            const left = x > 0 ? out[y * width + x - 1] : 0;
            const up = y > 0 ? out[(y - 1) * width + x] : 0;
            const corner = x > 0 && y > 0 ? out[(y - 1) * width + x - 1] : 0;
            const near = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
            const paeth = near[0] <= near[1] && near[0] <= near[2] ? left : near[1] <= near[2] ? up : corner;
            const predicted = [0, left, up, (left + up) >> 1, paeth][raw[y * (width + 1)]];
            out[y * width + x] = raw[y * (width + 1) + 1 + x] + predicted;
        }
    return out;
}

describe("an export", () => {
    /** @param {string} query */
    const of = async (query) => {
        const answer = await ask(daemon.base, `/jobs/${vectors.id}/export?${query}`);
        assert.equal(answer.status, 200, query);
        return answer;
    };

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
