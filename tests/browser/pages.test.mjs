// The pages beyond lists and runs: a new job, a site, a sample, studies, claims, theory; and all tabs at once.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { api, finishedJob, longSpec, program, smallSpec, startDaemon, temporary } from "../daemon.mjs";
import { accessibilityFaults, anotherPage, openBrowser, seeAll, sidewaysScroll, watchedPage } from "./support.mjs";

const run = promisify(execFile);

/** @type {Awaited<ReturnType<typeof openBrowser>>} */
let browser;
/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
/** @type {any} */
let affine;
/** @type {any} */
let like;
before(async () => {
    browser = await openBrowser();
    daemon = await startDaemon();
    affine = await finishedJob(daemon.base, smallSpec("plain", "affine", 0.02));
    like = await finishedJob(daemon.base, smallSpec("corrected", "affine-like", 0.3));
});
after(async () => {
    await browser?.close();
    await daemon.stop();
    daemon.remove();
});

/** What a spec that is being written is refused for is no fault of the page. */
const REFUSED = /validate_only/;
/** "1,284" as a number. */
const number = (text) => Number((text ?? "").replaceAll(",", "").replace("−", "-"));
/** @param {import("playwright-core").Page} page @param {string} figure */
const tableRows = async (page, figure) => {
    await page.locator(`#${figure}`).getByRole("button", { name: "Table" }).click();
    await page.locator(`#${figure} .fig-table tbody tr`).first().waitFor();
    const rows = await page.locator(`#${figure} .fig-table tbody tr`).all();
    return Promise.all(rows.map((row) => row.locator("td").allTextContents()));
};

describe("a new job", () => {
    const start = (page) => page.getByRole("button", { name: /^Start / });

    test("is written in a form; what is wrong stands at its field, and what it costs above", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: REFUSED });
        await page.goto(`${daemon.base}/new`);
        await page.getByLabel("Data set").selectOption("synthetic");
        await page.getByLabel("Name").fill("written");
        await page.getByLabel("Width").fill("24");
        const rate = page.getByLabel("Learning rate");
        await rate.fill("−0.05");
        await page.getByText("Must be above 0").waitFor();
        assert.equal(await rate.getAttribute("aria-invalid"), "true");
        const described = (await rate.getAttribute("aria-describedby")) ?? "";
        assert.match((await page.locator(`#${described}`).textContent()) ?? "", /would climb the loss/);
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByLabel("Name").focus();
        await start(page).click();
        assert.equal(await rate.evaluate((field) => field === document.activeElement), true, "the first wrong field");

        await rate.fill("0.2");
        await rate.and(page.locator(":not([aria-invalid])")).waitFor();
        const spec = {
            dataset: { name: "synthetic" },
            model: { preset: "mlp", width: 24, depth: 3, variant: "affine-like", activation: "tanh" },
            optimiser: { learning_rate: 0.2 },
        };
        const { cost, spec_hash: hash } = await api(daemon.base, "/jobs?validate_only=true", spec);
        await page.locator(".netline", { hasText: `${cost.parameters.toLocaleString("en-GB")} in all` }).waitFor();
        assert.equal(await page.locator(".netline li").count(), cost.layers.length + 2);
        await page.reload();
        assert.equal(await page.getByLabel("Width").inputValue(), "24", "the link has what was written");
        await start(page).click();
        await page.getByRole("heading", { name: "written" }).waitFor();
        const id = Number(new URL(page.url()).pathname.split("/").pop());
        assert.equal((await api(daemon.base, `/jobs/${id}`)).spec_hash, hash);
        assert.deepEqual(faults, []);
        await close();
    });

    test("has its layers in order, with what each takes; a network that cannot be is refused at its layer", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: REFUSED });
        const spec = smallSpec("layers", "affine", 0.02);
        await page.goto(`${daemon.base}/new?spec=${encodeURIComponent(JSON.stringify(spec))}`);
        await page.locator(".netline li").nth(7).waitFor();
        await page.getByRole("group", { name: "Preset" }).getByRole("button", { name: "layers" }).click();
        const layers = page.locator(".layers > ol > li");
        await layers.nth(5).waitFor();
        assert.equal(await layers.count(), 6);
        const { items } = await api(daemon.base, "/layers");
        assert.deepEqual(
            await layers.first().locator("select option").allTextContents(),
            items.map((layer) => layer.type),
        );
        for (const { type, options } of items) {
            await page.getByLabel("Type of layer 1").selectOption(type);
            const shown = options.filter((option) => option.kind !== "layers").length;
            await page.waitForFunction(
                (n) => document.querySelectorAll(".layers > ol > li:nth-child(2) > .fields > .field").length === n,
                shown,
            );
        }
        await page.getByLabel("Type of layer 1").selectOption("conv");
        await page.getByText(/field to correct/).waitFor();
        assert.ok((await page.locator(".layer .bad").count()) > 0, "a fault at its layer");
        await page.getByLabel("Type of layer 1").selectOption("dense");
        await page.getByText(/to correct/).waitFor({ state: "detached" });
        await page.getByRole("button", { name: "Move layer 2, tanh up" }).click();
        await page.locator(".netline li").nth(2).getByText("tanh").waitFor();
        await page.getByRole("button", { name: "Remove layer 1, tanh" }).click();
        await page.waitForFunction(() => document.querySelectorAll(".layers > ol > li").length === 5);
        assert.deepEqual(await accessibilityFaults(page), []);
        assert.deepEqual(faults, []);
        await close();
    });

    test("is cloned: the same spec again, with its width and depth as fields", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}`);
        await page.getByRole("link", { name: "Clone" }).click();
        await page.getByText("Filled in from").waitFor();
        assert.equal(await page.getByLabel("Depth").inputValue(), "2");
        assert.equal(await page.getByLabel("Width").inputValue(), "32");
        await start(page).click();
        await page.waitForURL(/\/run\/\d+$/);
        const id = Number(new URL(page.url()).pathname.split("/").pop());
        assert.notEqual(id, affine.id);
        assert.equal((await api(daemon.base, `/jobs/${id}`)).spec_hash, affine.spec_hash);
        assert.deepEqual(faults, []);
        await close();
    });

    test("is written as JSON as well, and as a line of curl that does the same", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: REFUSED });
        await page.goto(`${daemon.base}/new?clone=${like.id}&mode=json`);
        const field = page.getByLabel(/^Spec as JSON/);
        await field.waitFor();
        const spec = JSON.parse(await field.inputValue());
        await field.fill("{");
        await page.getByText("Not JSON").waitFor();
        await field.fill(JSON.stringify({ ...spec, seed: 7, name: "o'clock" }));
        await page.getByText("What is left out has its default.").waitFor();
        await page.getByRole("button", { name: "Form", exact: true }).click();
        assert.equal(await page.getByLabel("Seed", { exact: true }).inputValue(), "7");
        const curl = (await page.locator(".command pre").first().textContent()) ?? "";
        const { stdout } = await run("sh", ["-c", `${curl} --silent`]);
        const job = JSON.parse(stdout);
        assert.equal(job.name, "o'clock");
        assert.equal(job.spec.seed, 7);
        const submit = (await page.locator(".command pre").nth(1).textContent()) ?? "";
        const other = await run("sh", ["-c", submit.replace("plumbline submit -", `${program} submit - --json`)]);
        assert.equal(JSON.parse(other.stdout).spec_hash, job.spec_hash);
        assert.deepEqual(faults, []);
        await close();
    });

    test("is many jobs where a field has several values; each value is checked", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: REFUSED });
        const spec = smallSpec("grid", "affine", 0.02, { epochs: 1 });
        await page.goto(`${daemon.base}/new?spec=${encodeURIComponent(JSON.stringify(spec))}`);
        const add = page.getByLabel("Add a field to the grid");
        await add.selectOption("/model/variant");
        await page.getByLabel("Add a value of Variant").selectOption("l2");
        await add.selectOption("/seed");
        await page.getByLabel("Add a value of Seed").fill("2, 3");
        await page.keyboard.press("Enter");
        await page.getByRole("button", { name: "Start 6 jobs" }).waitFor();
        await page.getByText("2 × 3 = 6").waitFor();
        await add.selectOption("/batch_size");
        await page.getByLabel("Add a value of Batch size").fill("0");
        await page.keyboard.press("Enter");
        await page.getByText("0: Must be at least 1").waitFor();
        await page.getByRole("button", { name: "Remove 0 from Batch size" }).click();
        await page.getByText(/to correct/).waitFor({ state: "detached" });
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole("button", { name: "Start 6 jobs" }).click();
        await page.waitForURL(/\/studies\/\d+$/);
        await page.getByRole("heading", { name: "grid" }).waitFor();
        await page.locator(".study-points tbody tr").nth(1).waitFor();
        assert.deepEqual(faults, []);
        await close();
    });
});

describe("a run", () => {
    test("is paused, goes on, is cancelled, and is tried again as another", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        const { id } = await api(daemon.base, "/jobs", longSpec("controlled"));
        await page.goto(`${daemon.base}/run/${id}`);
        const state = (name) => page.locator(`.run-head .state.${name}`).waitFor();
        const press = (name) => page.getByRole("button", { name, exact: true }).click();
        await state("running");
        await press("Pause");
        await state("paused");
        await page.getByRole("status").getByText("is paused").waitFor();
        await page.locator(".actions").getByRole("button", { name: "Resume", exact: true }).click();
        await state("running");
        await press("Cancel");
        await state("cancelled");
        await press("Retry");
        await page.waitForURL((url) => url.pathname !== `/run/${id}`);
        await state("running");
        const again = Number(new URL(page.url()).pathname.split("/").pop());
        assert.equal((await api(daemon.base, `/jobs/${again}`)).retry_of, id);
        await press("Cancel");
        await state("cancelled");
        assert.deepEqual(faults, []);
        await close();
    });

    test("goes to the trash, and comes back; its name, tags and note are written", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: /\/jobs\/\d+$/ });
        const job = await finishedJob(daemon.base, smallSpec("thrown", "affine", 0.02, { epochs: 1 }));
        await page.goto(`${daemon.base}/run/${job.id}`);
        await page.getByRole("button", { name: "Add tags or a note" }).click();
        await page.getByLabel("Name").fill("renamed");
        await page.getByLabel(/^Tags/).fill("one, two");
        await page.getByLabel("Note").fill("to be kept");
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByRole("heading", { name: "renamed" }).waitFor();
        await page.getByText("to be kept").waitFor();
        const { name, tags, note } = await api(daemon.base, `/jobs/${job.id}`);
        assert.deepEqual({ name, tags, note }, { name: "renamed", tags: ["one", "two"], note: "to be kept" });
        await page.getByRole("button", { name: "Move to trash" }).click();
        await page.waitForURL(`${daemon.base}/`);
        const row = page.locator("table.jobs tbody tr", { hasText: "renamed" });
        await page.locator("table.jobs tbody tr").first().waitFor();
        assert.equal(await row.count(), 0);
        await page.getByRole("group", { name: "State" }).getByRole("button", { name: "Trash" }).click();
        await row.waitFor();
        await page.getByRole("status").getByRole("button", { name: "Undo" }).click();
        await row.waitFor({ state: "detached" });
        await page.getByRole("group", { name: "State" }).getByRole("button", { name: /^All/ }).click();
        await row.waitFor();
        assert.deepEqual(faults, []);
        await close();
    });

    test("is found by words, and by an expression; one that is none says where", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: /filter=/ });
        await page.goto(daemon.base);
        const names = page.locator("table.jobs td.name a");
        await names.nth(1).waitFor();
        const filter = page.getByLabel("Filter");
        await filter.fill("correc");
        await page.waitForFunction(() => document.querySelectorAll("table.jobs tbody tr").length === 1);
        assert.equal(await names.first().textContent(), "corrected");
        await filter.fill("spec./optimiser/learning_rate = 0.02 AND name = 'plain'");
        await page.waitForFunction(() => document.querySelector("table.jobs td.name a")?.textContent === "plain");
        await page.reload();
        await page.waitForFunction(() => document.querySelectorAll("table.jobs tbody tr").length >= 1);
        assert.deepEqual([...new Set(await names.allTextContents())], ["plain"]);
        await filter.fill("nothing = ");
        await page.getByText("The filter cannot be used.").waitFor();
        assert.match((await page.locator("#filter-about").textContent()) ?? "", /there is no field nothing/);
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole("button", { name: "Without a filter" }).click();
        await names.nth(1).waitFor();
        assert.deepEqual(faults, []);
        await close();
    });

    test("is compared under a short address that the server keeps", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/compare?jobs=${affine.id},${like.id}&part=self`);
        await page.locator("#glance svg.plot").waitFor();
        await page.getByRole("button", { name: "Save view" }).click();
        await page
            .getByRole("status")
            .getByText(/^Saved/)
            .waitFor();
        const [{ id, path }] = (await api(daemon.base, "/views")).items;
        assert.equal(path, `/compare?jobs=${affine.id},${like.id}&part=self`);
        await page.goto(`${daemon.base}/view/${id}`);
        await page.waitForURL(daemon.base + path);
        await page.goto(`${daemon.base}/compare`);
        await page.getByRole("button", { name: /^Remove the view/ }).click();
        await page.getByRole("button", { name: /^Remove the view/ }).waitFor({ state: "detached" });
        assert.deepEqual((await api(daemon.base, "/views")).items, []);
        assert.deepEqual(faults, []);
        await close();
    });
});

describe("a site", () => {
    test("shows what the API tells of it; its steps are chosen by keys, and are in the link", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}/site/1.dense`);
        await seeAll(page);
        await page.locator("#direction svg.plot").waitFor();
        await page.locator("#made svg.plot").waitFor();

        // F10: the medians of the parts.
        const rows = await tableRows(page, "made");
        for (const [index, column] of [
            [2, "self_factor"],
            [4, "scale_across"],
            [5, "scale"],
        ]) {
            const query = `pooled=true&column=${column}&last=24`;
            const { items } = await api(daemon.base, `/jobs/${affine.id}/divergence/summary?${query}`);
            for (const item of items) {
                const shown = number(rows.find((cells) => cells[1] === item.site)?.[index]);
                const median = item.quantiles["50"];
                assert.ok(Math.abs(shown - median) <= 0.006 * Math.abs(median), `${item.site} ${column}: ${shown}`);
            }
        }

        // F5: every sample is in a bin, or counted beside them.
        const bins = await tableRows(page, "direction");
        const density = await api(
            daemon.base,
            `/jobs/${affine.id}/divergence/density?site=1.dense&x=cosine&y=relative_interference&last=24`,
        );
        const shown = bins.reduce((sum, cells) => sum + number(cells[5]), 0);
        const none = /([\d,]+) that no other moves/.exec(
            (await page.locator("#direction figcaption").textContent()) ?? "",
        );
        assert.equal(shown + number(none?.[1]), density.count);

        const slider = page.getByRole("slider", { name: "Probed step" });
        await slider.focus();
        await page.keyboard.press("Home");
        await page.waitForURL(/step=1$/);
        await page.locator("#theory figcaption", { hasText: "Step 1; layer view" }).waitFor();
        await page.keyboard.press("ArrowRight");
        await page.waitForURL(/step=2$/);
        await page.reload();
        await page.locator("#theory figcaption", { hasText: "Step 2; layer view" }).waitFor();
        await page.getByRole("link", { name: "Next" }).click();
        await page.getByRole("heading", { name: "3.dense", exact: true }).waitFor();
        assert.match(page.url(), /3\.dense\?table=made,direction&step=2$/);
        assert.deepEqual(faults, []);
        await close();
    });

    test("lists the samples of a bin that is chosen by keys", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}/site/1.dense`);
        await seeAll(page);
        const bins = page.locator("#theory").getByRole("slider");
        await bins.focus();
        await page.keyboard.press("Home");
        const words = (await bins.getAttribute("aria-valuetext")) ?? "";
        const count = number(/^([\d,]+)/.exec(words)?.[1]);
        assert.ok(count > 0, words);
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { name: "Samples of the chosen bin" }).waitFor();
        assert.match(page.url(), /bin=\d+,\d+/);
        await page.locator("#samples li").first().waitFor();
        assert.equal(await page.locator("#samples li").count(), count);
        await page.getByRole("button", { name: "Show the extremes" }).click();
        await page.getByRole("heading", { name: "Samples of lowest scale" }).waitFor();
        const scales = await page.locator("#samples li").allTextContents();
        const values = scales.map((text) => number(/scale (−?[\d.,]+)/.exec(text)?.[1]));
        assert.deepEqual(
            values,
            [...values].sort((a, b) => a - b),
        );
        assert.deepEqual(faults, []);
        await close();
    });

    test("that is no site of the run says which there are", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}/site/9.conv`);
        await page.getByRole("heading", { name: "There is no site 9.conv in this run" }).waitFor();
        await page.getByRole("link", { name: "3.dense" }).click();
        await page.getByRole("heading", { name: "3.dense", exact: true }).waitFor();
        assert.deepEqual(faults, []);
        await close();
    });

    test("is reached from the heat map, at the step of the cell", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}`);
        await seeAll(page);
        const cells = page.locator("#heat").getByRole("slider");
        const { steps, sites } = await api(daemon.base, `/jobs/${affine.id}/divergence/sites`);
        assert.equal(Number(await cells.getAttribute("aria-valuemax")), steps.length * sites.length);
        await cells.focus();
        await page.keyboard.press("Home");
        await page.keyboard.press("ArrowRight");
        await page.keyboard.press("PageDown");
        assert.match(
            (await cells.getAttribute("aria-valuetext")) ?? "",
            new RegExp(`^${sites[1].name}, step ${steps[1]}, `),
        );
        await page.locator("#heat .readout", { hasText: "median scale" }).waitFor();
        await page.keyboard.press("Enter");
        await page.getByRole("heading", { name: sites[1].name, exact: true }).waitFor();
        assert.match(page.url(), new RegExp(`step=${steps[1]}$`));
        assert.deepEqual(faults, []);
        await close();
    });
});

describe("a sample", () => {
    test("shows its scale at every site, who moved it, and every time it was measured", async () => {
        const spec = smallSpec("watched", "affine", 0.02, { probe: { count: 8, watch: [5], contributors: 20 } });
        const job = await finishedJob(daemon.base, spec);
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${job.id}/sample/5`);
        await page.getByRole("heading", { name: /^Sample 5/ }).waitFor();
        await seeAll(page);
        const sample = await api(daemon.base, `/jobs/${job.id}/samples/5`);
        const { steps } = await api(daemon.base, `/jobs/${job.id}/divergence/sites`);
        assert.equal(sample.steps.length, steps.length, "watched: measured at every probed step");
        const rows = await tableRows(page, "steps");
        assert.equal(rows.length, sample.rows.length);
        // F8: the parts add up to the scale; a sample that is watched from outside has no part of its own.
        const { sites } = await api(daemon.base, `/jobs/${job.id}/divergence/sites`);
        const last = steps[steps.length - 1];
        const inside = await api(
            daemon.base,
            `/jobs/${job.id}/divergence?site=${sites[0].name}&step=${last}&max_results=100`,
        );
        for (const { sample: index, scale } of [
            sample.rows.find((row) => row.step === last && row.site === sites[0].name),
            inside.items.find((row) => row.sample !== 5),
        ].map((row) => ({ sample: 5, ...row }))) {
            await page.goto(`${daemon.base}/run/${job.id}/sample/${index}?step=${last}&site=${sites[0].name}`);
            await page.locator("#movers figcaption").waitFor();
            const movers = await tableRows(page, "movers");
            assert.equal(movers[0][0] === "this sample itself", index !== 5, `sample ${index}`);
            const parts = movers.reduce((sum, cells) => sum + number(cells[2]), 0);
            const size = movers.reduce((sum, cells) => sum + Math.abs(number(cells[2])), 0);
            assert.ok(Math.abs(parts - scale) <= 0.006 * size, `sample ${index}: ${parts}, ${scale}`);
        }
        assert.deepEqual(await accessibilityFaults(page), []);
        assert.deepEqual(faults, []);
        await close();
    });

    test("that was never measured is watched in a clone", async () => {
        const { items } = await api(daemon.base, `/jobs/${affine.id}/divergence?site=1.dense&max_results=10000`);
        const measured = new Set(items.map((row) => row.sample));
        const other = Array.from({ length: 2048 }, (_, i) => i).find((i) => !measured.has(i));
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/run/${affine.id}/sample/${other}`);
        await page.getByText("This sample was never measured.").waitFor();
        await page.getByRole("link", { name: /^Watch it in a clone/ }).click();
        await page.getByText("Filled in from").waitFor();
        assert.equal(await page.getByLabel("Watched samples").inputValue(), String(other));
        assert.deepEqual(faults, []);
        await close();
    });
});

describe("theory and claims", () => {
    test("theory has every variant of the program, with its formula", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        await page.goto(`${daemon.base}/theory`);
        await page.locator(".registry table").first().waitFor();
        const { items } = await api(daemon.base, "/layers");
        const shown = (await page.locator(".registry").textContent()) ?? "";
        const flat = (text) => text.replaceAll(/[_()]/g, "");
        for (const layer of items) {
            assert.ok(shown.includes(layer.type), layer.type);
            for (const { name, formula } of layer.variants) {
                assert.ok(shown.includes(name), name);
                assert.ok(flat(shown).includes(flat(formula).replaceAll("^", "")), formula);
            }
        }
        assert.deepEqual(faults, []);
        await close();
    });

    test("a claim that is not tested leads to a study of it that the server accepts", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: REFUSED });
        await page.goto(`${daemon.base}/claims`);
        await page.locator(".claim").nth(2).waitFor();
        assert.equal(await page.locator(".claim").count(), 3);
        assert.equal(await page.getByText("Not yet tested here").count(), 3);
        for (const link of await page.locator(".claim a.btn").all()) {
            const target = new URL((await link.getAttribute("href")) ?? "", daemon.base).searchParams;
            const spec = JSON.parse(target.get("spec") ?? "");
            const grid = JSON.parse(target.get("grid") ?? "");
            assert.match(
                (await link.textContent()) ?? "",
                new RegExp(`of ${Object.values(grid).reduce((n, v) => n * v.length, 1)} jobs`),
            );
            // On data that is there: each value of the grid by itself.
            const base = { ...spec, dataset: { name: "synthetic" } };
            if (spec.model.preset === "cnn") continue;
            for (const variant of grid["/model/variant"])
                await api(daemon.base, "/jobs?validate_only=true", { ...base, model: { ...spec.model, variant } });
        }
        assert.deepEqual(faults, []);
        await close();
    });
});

describe("every page", () => {
    const paths = () => [
        "/new",
        "/new?mode=json",
        `/run/${affine.id}/site/1.dense`,
        `/run/${affine.id}/site/1.dense?step=1&guide=1`,
        "/claims",
        "/theory",
        "/studies",
        "/studies/999",
        "/nothing",
    ];
    const API = /\/api\/v1\//;

    // 320 px is a page of 1,280 at 400 %.
    for (const [theme, widths] of /** @type {const} */ ([
        ["light", [1440, 320]],
        ["dark", [1440, 360]],
    ]))
        for (const width of widths)
            test(`is accessible and keeps its width: ${theme}, ${width} px`, async () => {
                const { page, faults, close } = await watchedPage(browser, daemon.base, { theme, width, refused: API });
                for (const path of paths()) {
                    await page.goto(daemon.base + path);
                    await page.locator("h1").first().waitFor();
                    if (path.includes("/site/")) await seeAll(page);
                    await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
                    assert.deepEqual(await accessibilityFaults(page), [], path);
                    assert.equal(await sidewaysScroll(page), 0, path);
                }
                assert.deepEqual(faults, []);
                await close();
            });

    test("is accessible while it waits, and where the server fails; then it can be asked again", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: API });
        const all = ["/", `/run/${affine.id}`, `/compare?jobs=${affine.id},${like.id}`, ...paths()];
        /** @type {"hold" | "break"} */
        let mode = "hold";
        await page.route(/\/api\/v1\/(?!events)/, (route) => (mode === "hold" ? undefined : route.abort()));
        for (mode of /** @type {const} */ (["hold", "break"]))
            for (const path of all) {
                await page.goto(daemon.base + path);
                await page.locator("h1").first().waitFor({ state: "attached" });
                if (mode === "break" && !/mode=json|new|claims|nothing/.test(path))
                    await page.getByRole("alert").first().waitFor();
                assert.deepEqual(await accessibilityFaults(page), [], `${mode}: ${path}`);
            }
        await page.goto(daemon.base);
        await page.getByRole("alert").waitFor();
        await page.unroute(/\/api\/v1\/(?!events)/);
        await page.getByRole("button", { name: "Retry" }).click();
        await page.getByRole("link", { name: "plain", exact: true }).first().waitFor();
        assert.deepEqual(faults, []);
        await close();
    });
});

test("a server that asks for a token is opened with it, and keeps it", async () => {
    const data = temporary();
    // The first start tells the token, once.
    const child = spawn(program, ["serve", "--listen", "127.0.0.1:0", "--data", data, "--first-token"]);
    let told = "";
    for await (const text of child.stdout.setEncoding("utf8")) {
        told += text;
        if (/ at http/.test(told)) child.kill("SIGTERM");
    }
    const token = /\bplumbline_\S+/.exec(told)?.[0] ?? "";
    assert.ok(token, told);
    const first = await startDaemon({ data, flags: ["--require-token"] });
    const { page, faults, close } = await watchedPage(browser, first.base, { refused: /\/api\/v1\// });
    await page.goto(`${first.base}/theory`);
    await page.getByRole("heading", { name: "Who is there?" }).waitFor();
    assert.deepEqual(await accessibilityFaults(page), []);
    await page.getByLabel("Token").fill("nobody");
    await page.getByRole("button", { name: "Go on" }).click();
    await page.getByRole("alert").getByText("That is not known here.").waitFor();
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await page.locator(".registry table").first().waitFor();
    await page.reload();
    await page.locator(".registry table").first().waitFor();
    assert.deepEqual(faults, []);
    await close();
    await first.stop();
    first.remove();
});

describe("all together", () => {
    test("eight tabs share one stream; when the tab that reads it goes, the others go on", async () => {
        const { page, faults, context, close } = await watchedPage(browser, daemon.base);
        let streams = 0;
        context.on("request", (request) => void (streams += request.url().includes("/events") ? 1 : 0));
        const pages = [page];
        for (let i = 1; i < 8; i++) pages.push(await anotherPage(context, daemon.base, faults));
        for (const one of pages) {
            await one.goto(daemon.base);
            await one.getByText("Live", { exact: true }).waitFor();
        }
        assert.equal(streams, 1);
        await pages[0].close();
        await finishedJob(daemon.base, smallSpec("for all tabs", "affine", 0.02));
        const last = pages[7];
        await last.bringToFront();
        const row = last.locator("table.jobs tbody tr", { hasText: "for all tabs" });
        await row.getByText("Finished", { exact: true }).waitFor();
        assert.equal(streams, 2, "one more, by the next tab");
        assert.deepEqual(faults, []);
        await close();
    });

    test("a server that is killed under an open run is followed when it is back, with nothing lost", async () => {
        const first = await startDaemon();
        const { page, faults, close } = await watchedPage(browser, first.base, { refused: /./ });
        const spec = smallSpec("survivor", "affine", 0.02, { epochs: 400, checkpoint_every: 200 });
        const { id } = await api(first.base, "/jobs", spec);
        await page.goto(`${first.base}/run/${id}`);
        await page.locator(".run-head .state.running").waitFor();
        first.kill("SIGKILL");
        await first.ended;
        await page.getByText("Reconnecting. Shown is what was known").waitFor();
        const second = await startDaemon({ data: first.data, listen: first.listen });
        await page.getByText("Live", { exact: true }).waitFor();
        await page.locator(".run-head .state.finished").waitFor();
        const job = await api(second.base, `/jobs/${id}`);
        const accuracy = (100 * job.results["test/accuracy"]).toFixed(1);
        await page.locator("#accuracy figcaption", { hasText: `Test accuracy ${accuracy}` }).waitFor();
        assert.deepEqual(faults, []);
        await close();
        await second.stop();
        second.remove();
    });

    test("without a mouse: submit, watch, compare, the sample of lowest scale, and take a figure away", async () => {
        const { page, faults, close } = await watchedPage(browser, daemon.base, { refused: REFUSED });
        /** @param {import("playwright-core").Locator} target */
        const press = async (target, key = "Enter") => {
            await target.focus();
            await page.keyboard.press(key);
        };
        await page.goto(daemon.base);
        await press(page.getByRole("link", { name: "New job" }));
        await page.getByLabel("Data set").focus();
        await page.keyboard.type("syn");
        await page.getByLabel("Name").focus();
        await page.keyboard.type("by keys");
        await page.locator(".netline", { hasText: "synthetic" }).waitFor();
        await press(page.getByRole("button", { name: "Start the job" }));
        await page.getByRole("heading", { name: "by keys" }).waitFor();
        await page.locator(".run-head .state.finished").waitFor();
        await press(page.getByRole("link", { name: "Jobs", exact: true }).first());
        for (const name of ["by keys", "plain"])
            await press(page.getByLabel(`Select ${name}`, { exact: true }).first(), "Space");
        await press(page.getByRole("toolbar").getByRole("button", { name: "Compare" }));
        await page.locator("#glance svg.plot").waitFor();
        await press(page.locator("table.diff").getByRole("link", { name: "by keys" }));
        await press(page.getByRole("link", { name: /^More of / }));
        await page.locator("#samples li a").first().waitFor();
        const lowest = (await page.locator("#samples li").first().textContent()) ?? "";
        await press(page.locator("#samples li a").first());
        await page.waitForURL(/\/sample\/\d+/);
        const sample = number(/^\s*([\d,]+)/.exec(lowest)?.[1]);
        assert.equal(Number(new URL(page.url()).pathname.split("/").pop()), sample);
        await page.goBack();
        await seeAll(page);
        await page.locator("#made svg.plot").waitFor();
        await page.locator("#made").getByRole("slider").focus();
        await page.keyboard.press("e");
        await page.locator("#made .menu[open]").waitFor();
        const [download] = await Promise.all([page.waitForEvent("download"), page.keyboard.press("Enter")]);
        assert.match(download.suggestedFilename(), /^plumbline-run\d+-made\.svg$/);
        assert.deepEqual(faults, []);
        await close();
    });
    test("every figure leaves as an SVG that LaTeX's converter takes, with runs, version and link", async (t) => {
        const { page, faults, close } = await watchedPage(browser, daemon.base);
        const { version } = await api(daemon.base, "/version");
        const converter = ["/usr/bin/rsvg-convert", "/usr/local/bin/rsvg-convert"].find(existsSync);
        if (!converter) t.diagnostic("rsvg-convert is not here: the SVGs are not converted");
        for (const [path, ids] of [
            [`/run/${affine.id}`, ["heat", "promise"]],
            [`/run/${affine.id}/site/1.dense`, ["direction", "made", "ridges"]],
            [`/compare?jobs=${affine.id},${like.id}`, ["glance", "direction", "made"]],
        ]) {
            await page.goto(daemon.base + path);
            await seeAll(page);
            for (const id of ids) {
                await page.locator(`#${id} summary`).click();
                const [download] = await Promise.all([
                    page.waitForEvent("download"),
                    page.locator(`#${id}`).getByRole("button", { name: "SVG", exact: true }).click(),
                ]);
                const file = await download.path();
                const text = (await readFile(file)).toString();
                assert.ok(text.includes(`Plumbline ${version}`), `${id}: the version`);
                assert.match(text, new RegExp(`Runs? ${affine.id}`), `${id}: the runs`);
                assert.doesNotMatch(text, /var\(--|style=/, `${id}: colours are values`);
                if (converter) {
                    const { stdout } = await run(converter, ["-f", "pdf", file], { encoding: "buffer" });
                    assert.equal(stdout.subarray(0, 4).toString(), "%PDF");
                }
            }
        }
        assert.deepEqual(faults, []);
        await close();
    });
});
