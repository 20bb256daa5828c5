// Much of everything: jobs in the list, steps of a run, seeds of a comparison, updates of an open page. `make bench` has
// the full sizes, with their times.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { api, finishedJob, longSpec, manyJobs, smallSpec, startDaemon, until } from "../daemon.mjs";
import { heapUsed, marksOf, number, openBrowser, seeAll, tableRows, watchedPage } from "./support.mjs";

/** A figure never draws many more than this. */
const MARKS = 2000;
const MEGABYTE = 1 << 20;

/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let browser;
/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
before(async () => {
    browser = await openBrowser();
    daemon = await startDaemon();
});
after(async () => {
    await browser?.close();
    await daemon?.stop();
    daemon?.remove();
});

test("ten thousand jobs are listed from the last, found by their names, and followed", async () => {
    const JOBS = 10_000;
    const first = await startDaemon();
    await finishedJob(first.base, smallSpec("one of many", "affine", 0.02, { epochs: 1, probe: { schedule: "none" } }));
    await first.stop();
    manyJobs(first.data, JOBS);
    const many = await startDaemon({ data: first.data });
    const { page, faults, close } = await watchedPage(browser, many.base);
    await page.goto(many.base);
    const rows = page.locator("table.jobs tbody tr");
    await page.getByRole("button", { name: "All 10,000" }).waitFor();
    await rows.nth(99).waitFor();
    assert.equal(await rows.count(), 100);
    assert.equal(await rows.first().locator("td.name a").textContent(), `one of many ${JOBS}`);
    for (const shown of [200, 300]) {
        await page.getByRole("button", { name: "Show older jobs" }).click();
        await rows.nth(shown - 1).waitFor();
        assert.equal(await rows.count(), shown);
    }
    // What comes meanwhile stands above all, and leaves focus where it was.
    const older = page.getByRole("button", { name: "Show older jobs" });
    await older.focus();
    const { id } = await api(many.base, "/jobs", smallSpec("the next", "affine", 0.02, { epochs: 1 }));
    assert.equal(id, JOBS + 1);
    await rows.first().getByRole("link", { name: "the next", exact: true }).waitFor();
    await rows.first().getByText("Finished", { exact: true }).waitFor();
    assert.equal(await older.evaluate((button) => button === document.activeElement), true);
    await page.getByLabel("Filter").fill("many 1234");
    await page.waitForFunction(() => document.querySelectorAll("table.jobs tbody tr").length === 1);
    assert.equal(await rows.first().locator("td.name a").textContent(), "one of many 1234");
    assert.deepEqual(faults, []);
    await close();
    await many.stop();
    many.remove();
});

test("a run of very many rows is drawn from what the server thinned, which says of how many", async () => {
    const spec = smallSpec("many rows", "affine", 0.02, { epochs: 16, probe: { schedule: "every", every: 1 } });
    const job = await finishedJob(daemon.base, spec);
    const { steps, sites } = await api(daemon.base, `/jobs/${job.id}/divergence/sites`);
    assert.equal(steps.length, 1024);
    const { page, faults, close } = await watchedPage(browser, daemon.base);
    for (const axis of ["", "?steps=linear"]) {
        await page.goto(`${daemon.base}/run/${job.id}${axis}`);
        await seeAll(page);
        for (const [figure, words] of /** @type {[string, RegExp][]} */ ([
            ["drift", /1,024\s+probed\s+steps, ([\d,]+) drawn/],
            ["promise", /([\d,]+) of 1,024 steps drawn/],
            ["heat", /Up to ([\d,]+) neighbouring steps pooled.*1,024\s+probed\s+steps/],
        ])) {
            await page.locator(`#${figure} svg.plot`).waitFor();
            const caption = (await page.locator(`#${figure} figcaption`).textContent()) ?? "";
            const count = number(words.exec(caption)?.[1]);
            assert.ok(count > 1 && count < steps.length, caption);
            const marks = await marksOf(page, figure);
            assert.ok(marks > 5 && marks <= 1.1 * MARKS, `${figure}${axis}: ${marks} marks`);
        }
        const cells = Number(await page.locator("#heat").getByRole("slider").getAttribute("aria-valuemax"));
        assert.ok(cells > 20 * sites.length && cells <= MARKS, `${cells} cells`);
    }
    // The line has the last step's median, whatever was thinned.
    const { items } = await api(
        daemon.base,
        `/jobs/${job.id}/divergence/summary?site=${sites[0].name}&column=scale&last=1`,
    );
    const reading = (await page.locator("#drift figcaption").textContent()) ?? "";
    const last = number(/, (−?[\d,.]+) at step 1,024/.exec(reading)?.[1]);
    const median = items[0].quantiles["50"];
    assert.ok(Math.abs(last - median) <= 0.006 * Math.abs(median), `${reading}: ${median}`);
    assert.deepEqual(faults, []);
    await close();
});

describe("runs that differ in their seed alone", () => {
    test("are one line of a comparison: merged, with each seed and how far they are apart", async () => {
        const base = smallSpec("", "affine", 0.02, { epochs: 2 });
        const jobs = [];
        for (const [variant, seeds] of /** @type {[string, number[]][]} */ ([
            ["affine", [1, 2, 3]],
            ["affine-like", [1, 2]],
        ]))
            for (const seed of seeds)
                jobs.push(
                    await finishedJob(daemon.base, {
                        ...base,
                        name: `${variant} ${seed}`,
                        model: { ...base.model, variant },
                        seed,
                    }),
                );
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/compare?jobs=${jobs.map((job) => job.id)}`);
        await page.getByRole("heading", { name: "affine and affine-like", exact: true }).waitFor();
        const ids = jobs.map((job) => job.id);
        for (const head of [`affine: ${ids.slice(0, 3).join(", ")}`, `affine-like: ${ids.slice(3).join(", ")}`])
            await page.locator(".diff thead th", { hasText: head }).waitFor();
        assert.equal(await page.locator(".diff thead th").count(), 3);
        await seeAll(page);
        const seeds = await page.locator(".diff tbody tr", { hasText: "/seed" }).locator("td").allTextContents();
        assert.deepEqual(seeds, ["/seed", "1, 2, 3", "1, 2"]);
        const accuracy = (await page.locator(".diff tbody tr", { hasText: "test accuracy" }).textContent()) ?? "";
        const all = jobs.slice(0, 3).map((job) => 100 * job.results["test/accuracy"]);
        const mean = all.reduce((sum, value) => sum + value, 0) / 3;
        assert.ok(accuracy.includes(`${mean.toFixed(1)}\u00a0%`), `${accuracy}: ${mean}`);
        assert.ok(accuracy.includes(`mean of 3, ${Math.min(...all).toFixed(1)}\u00a0%`), accuracy);

        // F0: the samples of all seeds together.
        const summaries = await Promise.all(
            ids.map((id) => api(daemon.base, `/jobs/${id}/divergence/summary?${POOLED}`)),
        );
        const of = (/** @type {number} */ from, /** @type {number} */ to, /** @type {string} */ key) =>
            summaries.slice(from, to).reduce((sum, { items }) => sum + items[0][key], 0);
        const counts = `${of(3, 5, "count")} to ${of(0, 3, "count")}`;
        await page.locator("#glance figcaption", { hasText: `n = ${counts}` }).waitFor();
        await page.locator("#glance figcaption", { hasText: "2 or 3 seeds each" }).waitFor();
        await page.locator("#glance").getByRole("button", { name: "Table" }).click();
        const cells = page.locator("#glance .fig-table tbody tr");
        await cells.nth(5).waitFor();
        assert.equal(await cells.count(), 6, "two lines of three sites");
        const row = await cells.first().locator("td").allTextContents();
        assert.equal(row[4], `${Math.round((100 * of(0, 3, "nonpositive")) / of(0, 3, "count"))}\u00a0%`);
        const medians = summaries.slice(0, 3).map(({ items }) => items[0].quantiles["50"]);
        const median = number(row[7]);
        assert.ok(
            median >= Math.min(...medians) * 0.99 && median <= Math.max(...medians) * 1.01,
            `${median}: ${medians}`,
        );

        // F1: a panel for each line, with the samples of all its seeds.
        const density = await Promise.all(
            ids.slice(0, 3).map((id) => api(daemon.base, `/jobs/${id}/divergence/density?site=1.dense&last=24`)),
        );
        const wanted = density.reduce((sum, one) => sum + one.count + one.undefined, 0);
        await until("the first panel accounts for the samples of all seeds", async () => {
            const heading = (await page.locator("#theory .panel-head").first().textContent()) ?? "";
            const counted = [...heading.matchAll(/([\d,]+) (drawn|with scale|below|above|beside|undefined)/g)];
            return counted.reduce((sum, [, n]) => sum + number(n), 0) === wanted;
        });
        assert.equal(await page.locator("#theory .panel").count(), 2);

        // F2: a thin line for each seed, besides the edges of two bands; two medians on their halos.
        await page.locator("#drift svg.plot").waitFor();
        const lines = (/** @type {string} */ width) =>
            page.locator(`#drift svg.plot g[fill=none][stroke-width="${width}"] path`).count();
        await until("all lines are drawn", async () => (await lines("0.75")) === 5 + 2 * 2);
        assert.deepEqual([await lines("4"), await lines("2")], [2, 2]);

        // F3: a cell is the middle one of the seeds' medians; F9: a height is their mean.
        const first = ids.slice(0, 3);
        const [heat] = await tableRows(page, "heat");
        const at = await Promise.all(
            first.map((id) => api(daemon.base, `/jobs/${id}/divergence/summary?site=1.dense&column=scale&step=1`)),
        );
        const middle = at.map(({ items }) => items[0].quantiles["50"]).sort((a, b) => a - b)[1];
        const counted = at.reduce((sum, { items }) => sum + items[0].count, 0);
        assert.deepEqual([heat[0], heat[1], heat[2], number(heat[5])], ["affine", "1.dense", "1", counted]);
        assert.ok(Math.abs(number(heat[4]) / middle - 1) < 0.01, `${heat[4]}: ${middle}`);
        const [promise] = await tableRows(page, "promise");
        const falls = await Promise.all(first.map((id) => api(daemon.base, `/jobs/${id}/divergence/batch?step=1`)));
        const fall = falls.reduce((sum, { steps: [s] }) => sum + (s.loss_before - s.loss_after) / 3, 0);
        assert.deepEqual(promise.slice(0, 2), ["affine", "1"]);
        assert.ok(Math.abs(number(promise[2]) / fall - 1) < 0.01, `${promise[2]}: ${fall}`);

        // Loss: a line for the batches of each run, and for the test set the mean of the seeds.
        const losses = (await tableRows(page, "loss")).map(([name, step, value]) => ({ name, step, value }));
        const names = [...new Set(losses.map(({ name }) => name))];
        const last = ids[ids.length - 1];
        assert.deepEqual(names.slice(0, 3), ["affine-like", "affine", `affine-like, batches of ${last}`]);
        const tested = jobs.slice(0, 3).reduce((sum, job) => sum + job.results["test/loss"] / 3, 0);
        const shown = losses.filter(({ name }) => name === "affine").pop();
        assert.ok(Math.abs(number(shown?.value ?? "") - tested) < 0.01, `${shown?.value}: ${tested}`);

        // F4: the samples of all seeds, bin by bin.
        const ridges = (await tableRows(page, "ridges")).filter(([run, steps]) => run === "affine" && steps === "1–1");
        assert.equal(
            ridges.reduce((sum, [, , , n]) => sum + number(n), 0),
            counted,
        );
        for (const id of ["heat", "ridges", "promise"])
            assert.equal(await page.locator(`#${id} .panel svg.plot`).count(), 2, id);
        assert.deepEqual(faults, []);
        await close();
    });
    const POOLED = "site=1.dense&pooled=true&column=scale&last=8";
});

test("an open page of a run that goes on does not grow", async () => {
    const spec = { ...longSpec("growing"), probe: { schedule: "log", count: 200 } };
    const { id } = await api(daemon.base, "/jobs", spec);
    const { page, faults, close } = await watchedPage(browser, daemon.base);
    await page.goto(`${daemon.base}/run/${id}`);
    await page.locator(".run-head .state.running").waitFor();
    await seeAll(page);
    await page.locator("#loss canvas").waitFor();
    /** Until the page has told so many more steps. @param {number} updates */
    const follow = (updates) =>
        page.evaluate(async (wanted) => {
            const told = () => /([\d,]+)\s+of/.exec(document.querySelector(".run-head")?.textContent ?? "")?.[1];
            for (let last = told(), seen = 0; seen < wanted; await new Promise(requestAnimationFrame))
                if (told() !== last) [last, seen] = [told(), seen + 1];
        }, updates);
    /** The least of some updates: what an update is at work on is no growth. */
    const leastHeap = async () => {
        let least = Infinity;
        for (let i = 0; i < 5; i++) {
            await follow(3);
            least = Math.min(least, await heapUsed(page));
        }
        return least;
    };
    const before = await leastHeap();
    await follow(12);
    const grown = (await leastHeap()) - before;
    assert.ok(grown < 8 * MEGABYTE, `${(grown / MEGABYTE).toFixed(1)} MB`);
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.locator(".run-head .state.cancelled").waitFor();
    assert.deepEqual(faults, []);
    await close();
});
