// The pages of a run, a site, a sample, of theory and claims.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { api, finishedJob, longSpec, smallSpec } from "../daemon.mjs";
import { accessibilityFaults, number, seeAll, tableRows, twoRuns, VALIDATING, watchedPage } from "./support.mjs";

const world = twoRuns();

describe("a run", () => {
    test("is paused, goes on, is cancelled, and is tried again as another", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        const { id } = await api(world.daemon.base, "/jobs", longSpec("controlled"));
        await page.goto(`${world.daemon.base}/run/${id}`);
        const state = (name) => page.locator(`.run-head .state.${name}`).waitFor();
        const press = (name) => page.getByRole("button", { name, exact: true }).click();
        await state("running");
        await press("Pause");
        await page.getByRole("status").getByText("is paused").waitFor();
        await state("paused");
        await page.locator(".actions").getByRole("button", { name: "Resume", exact: true }).click();
        await state("running");
        await press("Cancel");
        await state("cancelled");
        await press("Retry");
        await page.waitForURL((url) => url.pathname !== `/run/${id}`);
        await state("running");
        const again = Number(new URL(page.url()).pathname.split("/").pop());
        assert.equal((await api(world.daemon.base, `/jobs/${again}`)).retry_of, id);
        await press("Cancel");
        await state("cancelled");
        assert.deepEqual(faults, []);
        await close();
    });

    test("goes to the trash, and comes back; its name, tags and note are written", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, {
            refused: /\/jobs\/\d+$/,
        });
        const job = await finishedJob(world.daemon.base, smallSpec("thrown", "affine", 0.02, { epochs: 1 }));
        await page.goto(`${world.daemon.base}/run/${job.id}`);
        await page.getByRole("button", { name: "Add tags or a note" }).click();
        await page.getByLabel("Name").fill("renamed");
        await page.getByLabel(/^Tags/).fill("one, two");
        await page.getByLabel("Note").fill("to be kept");
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole("button", { name: "Save" }).click();
        await page.getByRole("heading", { name: "renamed" }).waitFor();
        await page.getByText("to be kept").waitFor();
        const { name, tags, note } = await api(world.daemon.base, `/jobs/${job.id}`);
        assert.deepEqual({ name, tags, note }, { name: "renamed", tags: ["one", "two"], note: "to be kept" });
        await page.getByRole("button", { name: "Move to trash" }).click();
        await page.waitForURL(`${world.daemon.base}/`);
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { refused: /filter=/ });
        await page.goto(world.daemon.base);
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
        assert.match((await page.locator("#filter-about").textContent()) ?? "", /column 1: there is no field nothing/);
        assert.deepEqual(await accessibilityFaults(page), []);
        await page.getByRole("button", { name: "Without a filter" }).click();
        await names.nth(1).waitFor();
        assert.deepEqual(faults, []);
        await close();
    });

    test("is compared under a short address that the server keeps", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/compare?jobs=${world.affine.id},${world.like.id}&part=self`);
        await page.locator("#glance svg.plot").waitFor();
        await page.getByRole("button", { name: "Save view" }).click();
        await page
            .getByRole("status")
            .getByText(/^Saved/)
            .waitFor();
        const [{ id, path }] = (await api(world.daemon.base, "/views")).items;
        assert.equal(path, `/compare?jobs=${world.affine.id},${world.like.id}&part=self`);
        await page.goto(`${world.daemon.base}/view/${id}`);
        await page.waitForURL(world.daemon.base + path);
        await page.goto(`${world.daemon.base}/compare`);
        await page.getByRole("button", { name: /^Remove the view/ }).click();
        await page.getByRole("button", { name: /^Remove the view/ }).waitFor({ state: "detached" });
        assert.deepEqual((await api(world.daemon.base, "/views")).items, []);
        assert.deepEqual(faults, []);
        await close();
    });
});

describe("a site", () => {
    test("shows what the API tells of it; its steps are chosen by keys, and are in the link", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/run/${world.affine.id}/site/1.dense`);
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
            const { items } = await api(world.daemon.base, `/jobs/${world.affine.id}/divergence/summary?${query}`);
            for (const item of items) {
                const shown = number(rows.find((cells) => cells[1] === item.site)?.[index]);
                const median = item.quantiles["50"];
                assert.ok(Math.abs(shown - median) <= 0.006 * Math.abs(median), `${item.site} ${column}: ${shown}`);
            }
        }

        // F5: every sample is in a bin, or counted beside them.
        const bins = await tableRows(page, "direction");
        const density = await api(
            world.daemon.base,
            `/jobs/${world.affine.id}/divergence/density?site=1.dense&x=cosine&y=relative_interference&last=24`,
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/run/${world.affine.id}/site/1.dense`);
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/run/${world.affine.id}/site/9.conv`);
        await page.getByRole("heading", { name: "There is no site 9.conv in this run" }).waitFor();
        await page.getByRole("link", { name: "3.dense" }).click();
        await page.getByRole("heading", { name: "3.dense", exact: true }).waitFor();
        assert.deepEqual(faults, []);
        await close();
    });

    test("is reached from the heat map, at the step of the cell", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/run/${world.affine.id}`);
        await seeAll(page);
        const cells = page.locator("#heat").getByRole("slider");
        const { steps, sites } = await api(world.daemon.base, `/jobs/${world.affine.id}/divergence/sites`);
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
        const spec = smallSpec("watched", "affine", 0.02, {
            probe: { count: 8, watch: [5], contributors: 20 },
        });
        const job = await finishedJob(world.daemon.base, spec);
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/run/${job.id}/sample/5`);
        await page.getByRole("heading", { name: /^Sample 5/ }).waitFor();
        await seeAll(page);
        const sample = await api(world.daemon.base, `/jobs/${job.id}/samples/5`);
        const { steps } = await api(world.daemon.base, `/jobs/${job.id}/divergence/sites`);
        assert.equal(sample.steps.length, steps.length, "watched: measured at every probed step");
        const rows = await tableRows(page, "steps");
        assert.equal(rows.length, sample.rows.length);
        // F8: the parts add up to the scale; a sample that is watched from outside has no part of its own.
        const { sites } = await api(world.daemon.base, `/jobs/${job.id}/divergence/sites`);
        const last = steps[steps.length - 1];
        const inside = await api(
            world.daemon.base,
            `/jobs/${job.id}/divergence?site=${sites[0].name}&step=${last}&max_results=100`,
        );
        for (const { sample: index, scale } of [
            sample.rows.find((row) => row.step === last && row.site === sites[0].name),
            inside.items.find((row) => row.sample !== 5),
        ].map((row) => ({ sample: 5, ...row }))) {
            await page.goto(`${world.daemon.base}/run/${job.id}/sample/${index}?step=${last}&site=${sites[0].name}`);
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
        const { items } = await api(
            world.daemon.base,
            `/jobs/${world.affine.id}/divergence?site=1.dense&max_results=10000`,
        );
        const measured = new Set(items.map((row) => row.sample));
        const other = Array.from({ length: 2048 }, (_, i) => i).find((i) => !measured.has(i));
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/run/${world.affine.id}/sample/${other}`);
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/theory`);
        await page.locator(".registry table").first().waitFor();
        const { items } = await api(world.daemon.base, "/layers");
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { refused: VALIDATING });
        await page.goto(`${world.daemon.base}/claims`);
        await page.locator(".claim").nth(2).waitFor();
        assert.equal(await page.locator(".claim").count(), 3);
        assert.equal(await page.getByText("Not yet tested here").count(), 3);
        for (const link of await page.locator(".claim a.btn").all()) {
            const target = new URL((await link.getAttribute("href")) ?? "", world.daemon.base).searchParams;
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
                await api(world.daemon.base, "/jobs?validate_only=true", {
                    ...base,
                    model: { ...spec.model, variant },
                });
        }
        assert.deepEqual(faults, []);
        await close();
    });
});
