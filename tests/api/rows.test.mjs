// Rows of divergence and lines of the log: which of them, in which order, with which columns; and a study's table.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, ask, ended, finishedJob, longSpec, smallSpec, startDaemon, until } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
/** @type {any} */
let job;
before(async () => {
    daemon = await startDaemon();
    const spec = smallSpec("rows", "affine", 0.02, { epochs: 1, probe: { schedule: "every", every: 16 } });
    job = await finishedJob(daemon.base, spec);
});
after(async () => {
    await daemon?.stop();
    daemon?.remove();
});

/** All items, a page at a time. @param {string} path @param {Record<string, string>} query @param {string} size */
async function pages(path, query, size) {
    /** @type {any[]} */
    const items = [];
    for (let token = ""; token !== null;) {
        const search = new URLSearchParams({ ...query, max_results: size, ...(token && { page_token: token }) });
        const page = await api(daemon.base, `${path}?${search}`);
        assert.ok(page.items.length <= Number(size));
        items.push(...page.items);
        token = page.next_page_token;
    }
    return items;
}

describe("rows of divergence", () => {
    const path = () => `/jobs/${job.id}/divergence`;

    test("are those that a filter wants, in pages", async () => {
        const all = await pages(path(), {}, "10000");
        for (const [filter, wanted] of /** @type {[string, (row: any) => boolean][]} */ ([
            ["scale < 0", (row) => row.scale < 0],
            ["scale < 0 AND site = '3.dense'", (row) => row.scale < 0 && row.site === "3.dense"],
            ["label IN (1, 2) OR step = 1", (row) => [1, 2].includes(row.label) || row.step === 1],
            ["NOT site LIKE '1%' AND cosine >= 0.5", (row) => !row.site.startsWith("1") && row.cosine >= 0.5],
            ["scale_within = null AND loss > 1.2", (row) => row.scale_within === null && row.loss > 1.2],
        ])) {
            const expected = all.filter(wanted);
            assert.ok(expected.length > 0 && expected.length < all.length, filter);
            assert.deepEqual(await pages(path(), { filter }, "17"), expected, filter);
        }
    });

    test("come in any order, each once", async () => {
        const all = await pages(path(), {}, "10000");
        const sites = [...new Set(all.map((row) => row.site))];
        const stands = (/** @type {any} */ row) => [sites.indexOf(row.site), row.step, row.sample];
        const compare = (/** @type {number[]} */ a, /** @type {number[]} */ b) => {
            const at = a.findIndex((value, i) => value !== b[i]);
            return at < 0 ? 0 : a[at] - b[at];
        };
        for (const [order, keys] of /** @type {[string, (row: any) => number[]][]} */ ([
            ["scale", (row) => [row.scale]],
            ["scale DESC", (row) => [-row.scale]],
            ["label, cosine DESC", (row) => [row.label, -row.cosine]],
            ["sample", (row) => [row.sample]],
        ])) {
            const expected = [...all].sort((a, b) => compare([...keys(a), ...stands(a)], [...keys(b), ...stands(b)]));
            assert.deepEqual(await pages(path(), { order_by: order }, "100"), expected, order);
        }
        const few = { order_by: "scale DESC", site: "3.dense", step_from: "17", filter: "label = 1" };
        const some = all.filter((row) => row.site === "3.dense" && row.step >= 17 && row.label === 1);
        assert.deepEqual(
            (await pages(path(), few, "7")).map((row) => row.scale),
            some.map((row) => row.scale).sort((a, b) => b - a),
        );
    });

    test("are filtered and ordered by every column, and by all of the key", async () => {
        const { columns } = await api(daemon.base, `${path()}/sites`);
        for (const { name } of [...columns, { name: "loss" }, { name: "label" }, { name: "predicted" }]) {
            const search = new URLSearchParams({ filter: `${name} != 0`, order_by: name, max_results: "2" });
            assert.equal((await ask(daemon.base, `${path()}?${search}`)).status, 200, name);
        }
        const all = await pages(path(), {}, "10000");
        assert.deepEqual(await pages(path(), { order_by: " " }, "500"), all);
        assert.deepEqual(await pages(path(), { order_by: "depth, step, sample" }, "500"), all);
        const backwards = { order_by: "depth DESC, step DESC, sample DESC" };
        assert.deepEqual(await pages(path(), backwards, "500"), [...all].reverse());
        const eight = "label, predicted, loss, scale, cosine, divergence, self_factor, input_norm";
        assert.equal((await pages(path(), { order_by: eight }, "500")).length, all.length);
        for (const [order, says] of [
            [`${eight}, step`, /at most 8 fields/],
            ["sample, step, depth, scale", /column 22: .*no ties/],
        ]) {
            const { status, json } = await ask(daemon.base, `${path()}?${new URLSearchParams({ order_by: order })}`);
            assert.equal(status, 400);
            assert.match(json.detail, /** @type {RegExp} */ (says));
        }
    });

    test("in another order come in pages though the run goes on", async () => {
        const spec = { ...longSpec("goes on"), probe: { schedule: "every", every: 50 } };
        const { id } = await api(daemon.base, "/jobs", spec);
        const steps = async () => (await api(daemon.base, `/jobs/${id}/divergence/sites`)).steps.length;
        await until("some steps are measured", async () => (await steps()) > 4);
        const asked = `/jobs/${id}/divergence?last=2&order_by=scale&max_results=5`;
        const first = await api(daemon.base, asked);
        const before = await steps();
        await until("another step is measured", async () => (await steps()) > before + 2);
        const second = await api(daemon.base, `${asked}&page_token=${first.next_page_token}`);
        assert.equal(second.items.length, 5);
        assert.ok(second.items[0].scale >= first.items[4].scale);
        await api(daemon.base, `/jobs/${id}/cancel`, {});
    });

    test("have the columns that are asked for", async () => {
        const [row] = (await api(daemon.base, `${path()}?column=scale,cosine&max_results=1`)).items;
        assert.deepEqual(Object.keys(row), ["site", "step", "sample", "scale", "cosine", "loss", "label", "predicted"]);
        const ordered = await api(daemon.base, `${path()}?column=divergence&order_by=scale&max_results=1`);
        assert.deepEqual(Object.keys(ordered.items[0]), [
            "site",
            "step",
            "sample",
            "divergence",
            "loss",
            "label",
            "predicted",
        ]);
    });

    test("are refused where the question is none", async () => {
        const [{ next_page_token: token }, { next_page_token: ordered }] = await Promise.all([
            api(daemon.base, `${path()}?max_results=5&filter=scale%20%3C%200`),
            api(daemon.base, `${path()}?max_results=5&order_by=scale`),
        ]);
        for (const [query, says] of [
            ["column=nothing", /no column "nothing"; there are ideal_norm/],
            ["filter=scal%20%3C%200", /column 1: there is no field scal; there are .*scale/],
            ["filter=site%20LIKE%20%27x%27%20AND%20scale%20LIKE%20%27x%27", /column 25: LIKE compares text/],
            ["filter=label%20%3D%20predicted", /column 9: expected a value/],
            ["order_by=scale%20UP", /order_by, column 7/],
            [`page_token=${token}`, /page_token is not one/],
            [`page_token=${ordered}`, /page_token is not one/],
            [`page_token=${ordered}&order_by=scale&site=3.dense`, /page_token is not one/],
            ["step=0", /Must be at least 1; found 0/],
            ["step_to=0", /Must be at least 1; found 0/],
        ]) {
            const { status, json } = await ask(daemon.base, `${path()}?${query}`);
            assert.equal(status, 400, String(query));
            assert.match(json.detail, /** @type {RegExp} */ (says));
        }
    });
});

test("the log is a list like others", async () => {
    const path = `/jobs/${job.id}/log`;
    const all = await pages(path, {}, "1000");
    assert.ok(all.length >= 1);
    assert.deepEqual(await pages(path, {}, "1"), all);
    assert.deepEqual(await pages(path, { order_by: "id DESC" }, "1"), [...all].reverse());
    const { text } = all[all.length - 1];
    const found = await pages(path, { filter: `text = '${text.replaceAll("'", "''")}' AND level != 'error'` }, "10");
    assert.ok(found.length >= 1 && found.every((line) => line.text === text));
    assert.equal((await ask(daemon.base, `${path}?filter=words%20%3D%201`)).status, 400);
});

test("jobs are ordered by their tags, and without any come last", async () => {
    for (const tags of [["b"], ["a", "z"], []])
        await finishedJob(daemon.base, smallSpec("tagged", "affine", 0.02, { epochs: 1, tags }));
    const query = { filter: "name = 'tagged'", order_by: "tags" };
    assert.deepEqual(
        (await pages("/jobs", query, "1")).map((one) => one.tags),
        [["a", "z"], ["b"], []],
    );
});

test("a study leaves as a table of its jobs, and with what they have measured", async () => {
    const { id } = await api(daemon.base, "/studies", {
        name: "table",
        base: smallSpec("", "affine", 0.02, { epochs: 1, probe: { count: 2 } }),
        grid: { "/model/variant": ["affine", "rms"], "/seed": [1, 2] },
    });
    const { items } = await api(daemon.base, `/studies/${id}/jobs`);
    for (const { job: one } of items) await ended(daemon.base, one);
    assert.deepEqual(
        (await pages(`/studies/${id}/jobs`, { order_by: "id DESC" }, "3")).map((one) => one.job),
        items.map((/** @type {any} */ item) => item.job).reverse(),
    );
    const seeds = await pages(`/studies/${id}/jobs`, { filter: "spec./seed = 2 AND state = 'finished'" }, "1");
    assert.deepEqual(
        seeds.map((one) => one.point),
        items
            .filter((/** @type {any} */ item) => item.point["/seed"] === 2)
            .map((/** @type {any} */ item) => item.point),
    );
    assert.equal((await ask(daemon.base, `/studies/${id}/jobs?filter=x%20%3D%201`)).status, 400);
    const path = `/studies/${id}/export`;
    const csv = await ask(daemon.base, path);
    assert.equal(csv.headers.get("content-type"), "text/csv; charset=utf-8");
    assert.equal(csv.headers.get("content-disposition"), `attachment; filename="study-${id}-jobs.csv"`);
    const [header, ...lines] = csv.json.trimEnd().split("\n");
    const names = header.split(",");
    assert.deepEqual(names.slice(0, 4), ["job", "state", "/model/variant", "/seed"]);
    const ndjson = (await ask(daemon.base, `${path}?format=ndjson`)).json.trimEnd().split("\n");
    assert.deepEqual([lines.length, ndjson.length], [4, 4]);
    for (const [i, { job: one, point }] of items.entries()) {
        const { state, results } = await api(daemon.base, `/jobs/${one}`);
        const cells = Object.fromEntries(lines[i].split(",").map((cell, k) => [names[k], cell]));
        const row = JSON.parse(ndjson[i]);
        assert.deepEqual(Object.keys(row), names);
        assert.deepEqual([Number(cells.job), cells.state, row.job, row.state], [one, state, one, state]);
        assert.deepEqual(
            [cells["/model/variant"], Number(cells["/seed"]), row["/seed"]],
            [point["/model/variant"], point["/seed"], point["/seed"]],
        );
        for (const key of ["test/accuracy", "test/loss"])
            assert.deepEqual([Number(cells[key]), row[key]], [results[key], results[key]]);
    }
    const metrics = (await ask(daemon.base, `${path}?what=metrics&format=csv`)).json.split("\n");
    assert.deepEqual(metrics[0], "job,key,step,value");
    assert.deepEqual(
        new Set(metrics.slice(1, -1).map((line) => Number(line.split(",")[0]))),
        new Set(items.map((/** @type {any} */ item) => item.job)),
    );
    assert.equal((await ask(daemon.base, `/studies/${id}/export?format=npz`)).status, 400);
    assert.equal((await ask(daemon.base, "/studies/999/export")).status, 404);
});

describe("a filter of many", () => {
    test("that is blank is refused", async () => {
        for (const filter of ["", "  "]) {
            const { status, json } = await ask(daemon.base, "/jobs:purge", { method: "POST", body: { filter } });
            assert.equal(status, 422);
            assert.match(json.errors[0].detail, /every job: say so by id > 0/);
        }
        await api(daemon.base, `/jobs/${job.id}`);
    });

    test("wants what the list shows: jobs in the trash only where they are restored or purged", async () => {
        const { id } = await finishedJob(daemon.base, smallSpec("thrown away", "affine", 0.02, { epochs: 1 }));
        const filter = "name = 'thrown away'";
        await api(daemon.base, "/jobs:trash", { filter });
        await until("it is in the trash", async () => (await api(daemon.base, `/jobs/${id}`)).trashed_at !== null);
        assert.deepEqual((await api(daemon.base, "/jobs:retry", { filter })).items, []);
        const metrics = await ask(daemon.base, `/export?what=metrics&filter=${encodeURIComponent(filter)}`);
        assert.equal(metrics.json.trimEnd().split("\n").length, 1);
        const [restored] = (await api(daemon.base, "/jobs:restore", { filter })).items;
        assert.deepEqual([restored.id, restored.done], [id, true]);
    });
});
