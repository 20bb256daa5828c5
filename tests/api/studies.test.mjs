// Studies, whose figures are held against those that the test itself makes of the jobs; and saved views.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, ask, ended, longSpec, smallSpec, startDaemon, until } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
before(async () => void (daemon = await startDaemon({ flags: ["--workers", "2"] })));
after(async () => {
    await daemon.stop();
    daemon.remove();
});

const post = (/** @type {string} */ path, /** @type {unknown} */ body) =>
    ask(daemon.base, path, { method: "POST", body });
const remove = (/** @type {string} */ path) => ask(daemon.base, path, { method: "DELETE" });

const study = () => ({
    name: "small grid",
    note: "two variants, two widths, two seeds",
    base: smallSpec("", "affine", 0.05, {
        dataset: { name: "synthetic", classes: 4, features: 16, train: 256, test: 128, norm_spread: 1, seed: 1 },
        epochs: 1,
        probe: { schedule: "log", count: 3 },
    }),
    grid: { "/model/variant": ["affine", "affine-like"], "/model/width": [4, 8], "/seed": [1, 2] },
});

describe("a study", () => {
    /** @type {any} */
    let made;
    /** @type {any[]} */
    let jobs;

    test("says what it would cost before it starts", async () => {
        const { status, json } = await post("/studies?validate_only=true", study());
        assert.equal(status, 200);
        assert.deepEqual([json.valid, json.jobs, json.steps, json.seconds], [true, 8, 8 * 8, null]);
        assert.deepEqual((await api(daemon.base, "/studies")).items, []);
        assert.deepEqual((await api(daemon.base, "/jobs")).items, []);
    });

    test("makes a job for each point of its grid", async () => {
        const { status, headers, json } = await post("/studies", study());
        assert.equal(status, 201);
        assert.equal(headers.get("location"), `/api/v1/studies/${json.id}`);
        assert.equal(json.jobs, 8);
        made = json;
        const { items } = await api(daemon.base, `/studies/${json.id}/jobs`);
        const { grid } = study();
        const points = grid["/model/variant"].flatMap((variant) =>
            grid["/model/width"].flatMap((width) =>
                grid["/seed"].map((seed) => ({ "/model/variant": variant, "/model/width": width, "/seed": seed })),
            ),
        );
        assert.deepEqual(
            items.map((/** @type {any} */ item) => item.point),
            points,
            "in the order of the keys, the last varying fastest",
        );
        jobs = await Promise.all(items.map((/** @type {any} */ item) => ended(daemon.base, item.job)));
        jobs.forEach((job, i) => {
            assert.equal(job.state, "finished", job.reason);
            assert.equal(job.spec.seed, points[i]["/seed"]);
            const dense = job.spec.model.layers.filter((/** @type {any} */ layer) => layer.type === "dense");
            assert.deepEqual(
                [dense[0].units, dense[0].variant],
                [points[i]["/model/width"], points[i]["/model/variant"]],
                "presets expand with the point's values",
            );
        });
        const after = await api(daemon.base, `/studies/${json.id}`);
        assert.deepEqual(after.states, { finished: 8 });
        assert.deepEqual([after.grid, after.base], [study().grid, study().base]);
        const estimate = (await post("/studies?validate_only=true", study())).json;
        assert.ok(estimate.seconds > 0, "now that jobs have finished");
    });

    test("is in the list, filtered and ordered as others", async () => {
        const other = (await post("/studies", { ...study(), name: "another", grid: { "/seed": [7] } })).json;
        const ids = async (/** @type {string} */ query) =>
            (await api(daemon.base, `/studies?${query}`)).items.map((/** @type {any} */ item) => item.id);
        assert.deepEqual(await ids(""), [other.id, made.id]);
        assert.deepEqual(await ids("order_by=name desc"), [made.id, other.id]);
        assert.deepEqual(await ids("filter=name LIKE '%25grid'"), [made.id]);
        const page = await api(daemon.base, "/studies?max_results=1");
        assert.equal((await ids(`max_results=1&page_token=${page.next_page_token}`))[0], made.id);
        for (const [query, detail] of /** @type {[string, RegExp][]} */ ([
            ["filter=nme = 'x'", /column 1.*name/],
            ["filter=name ~ 'x'", /column 6/],
            ["order_by=size", /order_by, column 1/],
            ["page_token=none", /page_token/],
        ])) {
            const { status, json } = await ask(daemon.base, `/studies?${query}`);
            assert.deepEqual([status, json.code], [400, "invalid_parameter"], query);
            assert.match(json.detail, detail);
        }
        for (const { job } of (await api(daemon.base, `/studies/${other.id}/jobs`)).items)
            await ended(daemon.base, job);
    });

    test("gives mean, sd, standard error and n over seeds, as the jobs' own figures have them", async () => {
        const keys = ["test/loss", "test/accuracy", "median_scale/1.dense"];
        const results = await api(
            daemon.base,
            `/studies/${made.id}/results?keys=${keys}&compare=${encodeURIComponent("/model/variant")}`,
        );
        assert.deepEqual(results.keys, keys);
        assert.equal(results.points.length, 4);
        const figure = (/** @type {any} */ job, /** @type {string} */ key) =>
            key.startsWith("median_scale/") ? job.results.median_scale[key.slice(13)] : job.results[key];
        /** @param {any} given @param {number[]} values */
        const holds = (given, values) => {
            const mean = values.reduce((sum, value) => sum + value) / values.length;
            const variance =
                values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / (values.length - 1);
            const near = (/** @type {number} */ a, /** @type {number} */ b) =>
                assert.ok(Math.abs(a - b) <= 1e-12 * Math.max(1, Math.abs(b)), `${a} is not ${b}`);
            assert.equal(given.n, values.length);
            near(given.mean, mean);
            near(given.sd, Math.sqrt(variance));
            near(given.standard_error, Math.sqrt(variance / values.length));
            near(given.minimum, Math.min(...values));
            near(given.maximum, Math.max(...values));
        };
        results.points.forEach((/** @type {any} */ point, /** @type {number} */ i) => {
            const own = jobs.slice(2 * i, 2 * i + 2);
            assert.deepEqual(
                point.jobs,
                own.map((job) => job.id),
            );
            assert.equal("/seed" in point.point, false);
            for (const key of keys)
                holds(
                    point.figures[key],
                    own.map((job) => figure(job, key)),
                );
        });
        assert.equal(results.comparisons.length, 2, "affine-like with affine, at each width");
        results.comparisons.forEach((/** @type {any} */ comparison, /** @type {number} */ i) => {
            const { key, baseline, value, point, figures } = comparison;
            assert.deepEqual([key, baseline, value], ["/model/variant", "affine", "affine-like"]);
            assert.deepEqual(point, { "/model/width": [4, 8][i] });
            for (const name of keys) {
                const differences = [0, 1].map(
                    (seed) => figure(jobs[4 + 2 * i + seed], name) - figure(jobs[2 * i + seed], name),
                );
                holds(figures[name], differences);
                assert.equal(figures[name].higher, differences.filter((one) => one > 0).length);
            }
        });
        for (const key of ["/seed", "/epochs", "model"]) {
            const { status, json } = await ask(daemon.base, `/studies/${made.id}/results?compare=${key}`);
            assert.equal(status, 400, key);
            assert.match(json.detail, /key of the study's grid/);
        }
        const none = await api(daemon.base, `/studies/${made.id}/results?keys=no/such`);
        assert.equal(none.points[0].figures["no/such"].n, 0);
        assert.equal(none.points[0].figures["no/such"].mean, null);
    });

    test("follows the jobs that were tried again in its place", async () => {
        const { json } = await post(`/jobs/${jobs[0].id}/retry`, undefined);
        await ended(daemon.base, json.id);
        const { items } = await api(daemon.base, `/studies/${made.id}/jobs`);
        assert.equal(items.length, 8);
        assert.equal(items[0].job, json.id);
    });

    test("is cancelled with the jobs that have not ended, and forgotten without them", async () => {
        const long = { name: "long", base: longSpec(""), grid: { "/seed": [1, 2, 3] } };
        const { json } = await post("/studies", long);
        const before = (await api(daemon.base, `/studies/${json.id}/jobs`)).items;
        await until("one runs", async () => (await api(daemon.base, `/studies/${json.id}`)).states.running);
        assert.equal((await post(`/studies/${json.id}/cancel`, undefined)).status, 200);
        for (const { job } of before) {
            const { state, reason } = await ended(daemon.base, job);
            assert.equal(state, "cancelled");
            assert.match(reason, /study/);
        }
        assert.equal((await post(`/studies/${json.id}/cancel`, undefined)).status, 200, "again changes nothing");
        assert.deepEqual((await remove(`/studies/${json.id}`)).json, { id: json.id });
        assert.equal((await remove(`/studies/${json.id}`)).status, 404);
        assert.equal((await api(daemon.base, `/jobs/${before[0].job}`)).state, "cancelled");
    });

    test("that is wrong is refused with the places, and starts nothing", async () => {
        const count = (await api(daemon.base, "/jobs?max_results=1000")).items.length;
        const right = study();
        for (const [body, pointer] of /** @type {[any, string][]} */ ([
            [{ ...right, grid: { "/seed": [] } }, "/grid/~1seed"],
            [{ ...right, grid: { seed: [1] } }, "/grid/seed"],
            [{ ...right, grid: { "/epochs": [1, 0] } }, "/grid/~1epochs/1"],
            [{ ...right, grid: {} }, "/grid"],
            [{ ...right, base: { ...right.base, batch_size: 0 } }, "/base/batch_size"],
            [{ ...right, extra: 1 }, "/extra"],
            [{ base: right.base }, "/grid"],
            [[], ""],
        ])) {
            const { status, json } = await post("/studies", body);
            assert.deepEqual([status, json.code], [422, "invalid_study"], JSON.stringify(body));
            assert.equal(json.errors[0].pointer, pointer);
        }
        const missing = { ...right, base: { ...right.base, dataset: { name: "npy", path: "none", classes: 2 } } };
        assert.equal((await post("/studies", missing)).json.code, "dataset_not_found");
        assert.equal((await api(daemon.base, "/jobs?max_results=1000")).items.length, count);
    });
});

describe("a saved view", () => {
    test("is kept under a short id, listed and deleted", async () => {
        const path = "/compare?jobs=1,2&site=1.dense";
        const { status, headers, json } = await post("/views", { name: "two variants", path });
        assert.equal(status, 201);
        assert.equal(headers.get("location"), `/api/v1/views/${json.id}`);
        assert.ok(json.id.length <= 8);
        assert.deepEqual([json.name, json.path], ["two variants", path]);
        const again = (await post("/views", { path })).json;
        assert.notEqual(again.id, json.id);
        assert.equal(again.name, "");
        assert.deepEqual(await api(daemon.base, `/views/${json.id}`), json);
        assert.deepEqual((await api(daemon.base, "/views?filter=name LIKE 'two%25'")).items, [json]);
        assert.deepEqual((await api(daemon.base, "/views?order_by=created_at")).items, [json, again]);
        assert.deepEqual((await remove(`/views/${json.id}`)).json, { id: json.id });
        for (const method of ["GET", "DELETE"])
            assert.equal((await ask(daemon.base, `/views/${json.id}`, { method })).status, 404);
    });

    test("is a page of this site, and of reasonable length", async () => {
        for (const body of [
            {},
            { path: "https://evil.example/" },
            { path: "//evil.example/" },
            { path: "/\\evil.example/" },
            { path: "" },
            { path: 7 },
            { path: "/", state: {} },
            { path: `/${"x".repeat(100_000)}` },
            { path: "/", name: "x".repeat(1000) },
        ]) {
            const { status, json } = await post("/views", body);
            assert.deepEqual([status, json.code], [422, "invalid_view"], JSON.stringify(body).slice(0, 80));
        }
    });
});
