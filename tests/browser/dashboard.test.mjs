// The dashboard in a real browser, served by the real daemon, on jobs that are really trained.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { api, finishedJob, smallSpec, startDaemon } from "../daemon.mjs";
import { accessibilityFaults, openBrowser, seeAll, sidewaysScroll, watchedPage } from "./support.mjs";

const FASHION = "/usr/share/datasets/fashion-mnist";

/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let browser;
before(async () => void (browser = await openBrowser()));
after(() => browser?.close());

/** As many as a figure has drawn of a kind of mark. */
const marks = (page, figure, selector) => page.locator(`#${figure} ${selector}`).count();

/** "1,284" as a number. */
const number = (text) => Number(text.replaceAll(",", "").replace("−", "-"));

/** A row of the jobs' list. */
const row = (page, name) => page.locator("table.jobs tbody tr", { has: page.getByRole("link", { name, exact: true }) });

describe("an empty list of jobs", () => {
    let daemon;
    before(async () => void (daemon = await startDaemon()));
    after(async () => {
        await daemon.stop();
        daemon.remove();
    });

    test("offers one step, which measures a pair and leads to its comparison; both can be cancelled", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: /\/jobs$/ });
        await page.goto(daemon.base);
        await page.getByText("There are no jobs yet.").waitFor();
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole("button", { name: "Measure the affine divergence on Fashion-MNIST" }).click();
        if (!existsSync(FASHION)) {
            await page.getByRole("alert").getByText("dataset_not_found").waitFor();
            return close();
        }
        await page.getByRole("heading", { name: "affine and affine-like" }).waitFor();
        await page.locator("#glance .guide").waitFor();
        assert.match((await page.locator("#glance .guide").textContent()) ?? "", /ideal step/);
        await page.getByRole("button", { name: "Without explanations" }).click();
        await page.locator("#glance .guide").waitFor({ state: "detached" });
        const { items } = await api(daemon.base, "/jobs");
        assert.deepEqual(items.map(({ spec }) => spec.optimiser.learning_rate).sort(), [0.05, 0.5]);
        assert.deepEqual(faults, []);
        await close();
    });
});

describe("the dashboard on two finished jobs", () => {
    let daemon;
    let affine;
    let like;
    before(async () => {
        daemon = await startDaemon();
        affine = await finishedJob(daemon.base, smallSpec("plain", "affine", 0.02));
        like = await finishedJob(daemon.base, smallSpec("corrected", "affine-like", 0.3));
    });
    after(async () => {
        await daemon.stop();
        daemon.remove();
    });

    test("a job that is submitted elsewhere appears, runs and finishes on the open page", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(daemon.base);
        await row(page, "plain").waitFor();
        await page.evaluate(() => (globalThis.sameDocument = true));
        const { id } = await api(daemon.base, "/jobs", smallSpec("watched", "affine-like", 0.3, { epochs: 12 }));
        await row(page, "watched").getByText("Finished", { exact: true }).waitFor();
        assert.equal(await page.evaluate(() => globalThis.sameDocument), true, "the page was not loaded anew");

        const job = await api(daemon.base, `/jobs/${id}`);
        const accuracy = `${(100 * job.results["test/accuracy"]).toFixed(1)}\u00a0%`;
        await row(page, "watched").getByText(accuracy).waitFor();
        const sites = Object.keys(job.results.median_scale).length;
        assert.equal(sites, 3);
        // A tick a site, besides the four lines of the axis.
        assert.equal(await row(page, "watched").locator("td.scale line").count(), 4 + sites);
        await page.getByRole("group", { name: "State" }).getByRole("button", { name: "Finished 3" }).click();
        assert.match(page.url(), /\?state=finished$/);
        await page.waitForFunction(() => document.querySelectorAll("table.jobs tbody tr").length === 3);
        assert.deepEqual(faults, []);
        await close();
    });

    test("chosen jobs are cancelled together, and can be started again", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        const names = ["endless one", "endless two"];
        for (const name of names)
            await api(daemon.base, "/jobs", smallSpec(name, "affine", 0.001, { epochs: 1000000 }));
        await page.goto(daemon.base);
        for (const name of names) await page.getByLabel(`Select ${name}`, { exact: true }).check();
        await page.getByRole("toolbar").getByRole("button", { name: "Cancel" }).click();
        for (const name of names) await row(page, name).getByText("Cancelled", { exact: true }).waitFor();
        await page.getByRole("status").getByText("2 jobs are cancelled").waitFor();
        await page.getByRole("status").getByRole("button", { name: "Start again" }).waitFor();
        assert.equal(await page.getByRole("toolbar").count(), 0, "nothing is chosen any more");
        assert.deepEqual(faults, []);
        await close();
    });

    test("a run that trains is followed: its lines, its figures, its log", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        const spec = smallSpec("followed", "affine", 0.02, { epochs: 100, probe: { schedule: "every", every: 20 } });
        const { id } = await api(daemon.base, "/jobs", spec);
        await page.goto(`${daemon.base}/run/${id}`);
        await page.getByRole("heading", { name: "followed" }).waitFor();
        await page.evaluate(() => (globalThis.sameDocument = true));
        await page.locator(".run-head .state.finished").waitFor();
        await seeAll(page);
        await page.locator("#glance svg.plot").waitFor();
        await page.locator("#loss canvas").waitFor();
        await page.locator("#loss figcaption", { hasText: "after epoch 100" }).waitFor();
        await page.locator("#drift figcaption", { hasText: "probed steps" }).waitFor();
        assert.ok((await page.locator(".log li").count()) > 0, "log lines");
        assert.equal(await page.evaluate(() => globalThis.sameDocument), true, "the page was not loaded anew");
        assert.deepEqual(faults, []);
        await close();
    });

    test("the run page draws what the API tells", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}`);
        await seeAll(page);
        for (const id of ["glance", "drift", "theory"]) await page.locator(`#${id} svg.plot`).first().waitFor();

        // F0: a row a site, with the medians of the pooled summaries.
        const query = "pooled=true&column=scale&last=8";
        const { items } = await api(daemon.base, `/jobs/${affine.id}/divergence/summary?${query}`);
        assert.equal(items.length, 3);
        await page.locator("#glance").getByRole("button", { name: "Table" }).click();
        const cells = page.locator("#glance .fig-table tbody tr");
        await cells.nth(2).waitFor();
        assert.equal(await cells.count(), 3);
        for (const item of items) {
            const shown = await page
                .locator("#glance .fig-table tr", { hasText: item.site })
                .locator("td")
                .allTextContents();
            const median = item.quantiles["50"];
            assert.ok(
                Math.abs(number(shown[7]) - median) <= 0.006 * Math.abs(median),
                `${item.site}: ${shown[7]}, ${median}`,
            );
            assert.equal(
                shown[4],
                item.nonpositive ? `${Math.round((100 * item.nonpositive) / item.count)}\u00a0%` : "0",
            );
        }
        assert.ok((await marks(page, "glance", "svg.plot path")) >= 3, "medians");

        // F1: the heading accounts for every sample.
        const density = await api(
            daemon.base,
            `/jobs/${affine.id}/divergence/density?x=self_factor&y=scale&site=${items[0].site}&last=24`,
        );
        const heading = (await page.locator("#theory .panel-head").textContent()) ?? "";
        const counts = [...heading.matchAll(/([\d,]+) (drawn|with scale|below|above|beside|undefined)/g)];
        assert.equal(
            counts.reduce((sum, [, n]) => sum + number(n), 0),
            density.count + density.undefined,
            heading,
        );
        assert.equal(number(counts[1][1]), density.y_nonpositive);
        assert.equal(await marks(page, "theory", "svg.plot image"), 1);
        assert.ok((await marks(page, "theory", "svg.plot rect")) > 0, "residuals");

        // F2: two bands, their edges and the median.
        assert.ok((await marks(page, "drift", "svg.plot path")) >= 6, "bands and lines");

        // The live lines: paint on the canvas.
        for (const id of ["loss", "accuracy"]) {
            await page.waitForFunction((figure) => {
                const canvas = document.querySelector(`#${figure} canvas`);
                const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
                let painted = 0;
                for (let i = 3; i < data.length; i += 4) if (data[i]) painted++;
                return painted > 500;
            }, id);
        }
        assert.deepEqual(faults, []);
        await close();
    });

    test("the view is in the link", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}`);
        await page.locator("#network .cell").nth(1).click();
        const site = (await page.locator("#network .cell .what").nth(1).textContent()) ?? "";
        await page.locator("#glance").getByRole("button", { name: "Self part" }).click();
        await page.locator("#drift").getByRole("button", { name: "linear step" }).click();
        assert.equal(new URL(page.url()).search, `?site=${site}&part=self&steps=linear`);
        await page.reload();
        await page.getByRole("heading", { name: `Drift at ${site}` }).waitFor();
        assert.equal(await page.locator("#network .cell").nth(1).getAttribute("aria-pressed"), "true");
        await page.goto(`${page.url()}&colour=red`);
        await page.getByText("does not know").waitFor();
        assert.deepEqual(faults, []);
        await close();
    });

    test("figures can be taken away, and lead back", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        const link = `${daemon.base}/run/${affine.id}#`;
        /** @type {Record<string, (id: string, file: Buffer) => void>} */
        const checks = {
            SVG(id, file) {
                assert.ok(file.includes(`${link}${id}`), `${id}: the link`);
                assert.doesNotMatch(file.toString(), /var\(--|style=/, `${id}: colours are values`);
            },
            CSV(id, file) {
                assert.ok(file.includes(`${link}${id}`), `${id}: the link`);
                assert.ok(file.toString().split("\r\n").length > 6, `${id}: ${file}`);
            },
            PNG(id, file) {
                assert.equal(file.subarray(1, 4).toString(), "PNG");
                assert.ok(file.length > 5000, `${id}: a picture of ${file.length} bytes`);
            },
        };
        for (const [kind, check] of Object.entries(checks)) {
            // A page anew for each: Chromium drops more than ten downloads of one page in a second.
            await page.goto(`${daemon.base}/run/${affine.id}`);
            await seeAll(page);
            for (const id of ["glance", "loss", "network", "drift", "theory"]) {
                await page.locator(`#${id} summary`).click();
                const [download] = await Promise.all([
                    page.waitForEvent("download"),
                    page.locator(`#${id}`).getByRole("button", { name: kind, exact: true }).click(),
                ]);
                check(id, await readFile(await download.path()));
            }
        }
        assert.deepEqual(faults, []);
        await close();
    });

    test("two runs are compared: what differs, and the figures of both", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(daemon.base);
        for (const name of ["plain", "corrected"]) await page.getByLabel(`Select ${name}`, { exact: true }).check();
        await page.getByRole("toolbar").getByRole("button", { name: "Compare" }).click();
        await page.getByRole("heading", { name: "affine and affine-like" }).waitFor();
        assert.equal(new URL(page.url()).search, `?jobs=${affine.id},${like.id}`);
        const differing = await page.locator(".diff tbody tr:not(.final) td:first-child").allTextContents();
        assert.equal(differing.length, 2, differing.join());
        assert.ok(differing.some((pointer) => /^\/model\/layers\/.*\/variant$/.test(pointer)));
        assert.ok(differing.includes("/optimiser/learning_rate"));
        await seeAll(page);
        await page.locator("#drift svg.plot").waitFor();
        await page.locator("#theory .panel").nth(1).locator("svg.plot image").waitFor();
        assert.equal(await page.locator("#theory .panel").count(), 2);
        await page.locator("#drift svg.plot text", { hasText: "affine-like" }).first().waitFor();
        assert.deepEqual(faults, []);
        await close();
    });

    test("a plot is read with the keys, and keeps its place", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}`);
        await seeAll(page);
        const slider = page.locator("#drift").getByRole("slider");
        await slider.focus();
        await page.keyboard.press("Home");
        assert.match((await slider.getAttribute("aria-valuetext")) ?? "", /^step 1; median /);
        await page.keyboard.press("ArrowRight");
        assert.match((await slider.getAttribute("aria-valuetext")) ?? "", /^step 2; median /);
        await page.locator("#drift .readout", { hasText: "step 2" }).waitFor();
        await page.keyboard.press("t");
        await page.locator("#drift .fig-table").waitFor();
        assert.match(page.url(), /table=drift/);
        assert.deepEqual(faults, []);
        await close();
    });

    for (const theme of /** @type {const} */ (["light", "dark"]))
        for (const width of [1440, 390])
            test(`every page is accessible and keeps its width: ${theme}, ${width} px`, async () => {
                const { page, faults, close } = await watchedPage(browser, daemon.base, {
                    theme,
                    width,
                    refused: /\/views/,
                });
                const pages = [
                    "/",
                    `/run/${affine.id}?table=glance,theory`,
                    `/compare?jobs=${affine.id},${like.id}`,
                    "/compare",
                ];
                for (const path of pages) {
                    await page.goto(daemon.base + path);
                    await page.locator("h1").first().waitFor();
                    await page.waitForLoadState("load");
                    if (path.startsWith("/run") || path.includes("jobs=")) {
                        await page.locator("#theory").waitFor();
                        await seeAll(page);
                        await page.locator("#theory svg.plot").first().waitFor();
                    }
                    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), theme);
                    assert.deepEqual(await accessibilityFaults(page), [], path);
                    assert.equal(await sidewaysScroll(page), 0, path);
                }
                assert.deepEqual(faults, []);
                await close();
            });

    test("the theme is asked for by the link, and turned by the button", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { theme: "light" });
        await page.goto(`${daemon.base}/?theme=dark`);
        const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
        const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
        await page.getByRole("button", { name: "Use the light theme" }).waitFor();
        assert.deepEqual([await theme(), await ground()], ["dark", "rgb(21, 23, 26)"]);
        await page.getByRole("button", { name: "Use the light theme" }).click();
        assert.deepEqual([await theme(), await ground()], ["light", "rgb(255, 255, 255)"]);
        assert.match(page.url(), /theme=light/);
        assert.deepEqual(faults, []);
        await close();
    });

    test("paused, the page stands still; resumed, it has caught up", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(daemon.base);
        await row(page, "plain").waitFor();
        await page.getByText("Live", { exact: true }).waitFor();
        await page.getByRole("button", { name: "Pause updates" }).click();
        await finishedJob(daemon.base, smallSpec("meanwhile", "affine", 0.02));
        // The stream has told of it by now: what was told later than the job's end has come.
        await page.waitForTimeout(1000);
        assert.equal(await row(page, "meanwhile").count(), 0);
        await page.getByRole("button", { name: "Resume updates" }).click();
        await row(page, "meanwhile").getByText("Finished", { exact: true }).waitFor();
        assert.deepEqual(faults, []);
        await close();
    });
});

test("a daemon that goes is missed, and followed when it is back", async () => {
    const first = await startDaemon();
    const { page, close } = await watchedPage(browser, first.base);
    await page.goto(first.base);
    await page.getByText("Live", { exact: true }).waitFor();
    await first.stop();
    await page.getByText("Reconnecting. Shown is what was known").waitFor();
    const second = await startDaemon({ data: first.data, listen: first.listen });
    await page.getByText("Live", { exact: true }).waitFor();
    await api(second.base, "/jobs", smallSpec("after the pause", "affine", 0.02));
    await row(page, "after the pause").getByText("Finished", { exact: true }).waitFor();
    await close();
    await second.stop();
    second.remove();
});
