// What was measured, as the API gives it: rows and what was made of them, thinned and merged, and single samples.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { inflateSync } from "node:zlib";
import { api, ask, finishedJob } from "../daemon.mjs";
import { IMAGES, WATCHED, daemon, groupBy, near, pages, pictures, vectorSpec, vectors } from "./runs.mjs";

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
