// A new job: the form over a spec, its grid, and the lines that do the same.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { api, program, smallSpec } from "../daemon.mjs";
import { accessibilityFaults, twoRuns, VALIDATING, watchedPage } from "./support.mjs";

const run = promisify(execFile);

const world = twoRuns();

describe("a new job", () => {
    const start = (page) => page.getByRole("button", { name: /^Start / });

    test("is written in a form; what is wrong stands at its field, and what it costs above", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { refused: VALIDATING });
        await page.goto(`${world.daemon.base}/new`);
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
        const { cost, spec_hash: hash } = await api(world.daemon.base, "/jobs?validate_only=true", spec);
        await page.locator(".netline", { hasText: `${cost.parameters.toLocaleString("en-GB")} in all` }).waitFor();
        assert.equal(await page.locator(".netline li").count(), cost.layers.length + 2);
        await page.reload();
        assert.equal(await page.getByLabel("Width").inputValue(), "24", "the link has what was written");
        await start(page).click();
        await page.getByRole("heading", { name: "written" }).waitFor();
        const id = Number(new URL(page.url()).pathname.split("/").pop());
        assert.equal((await api(world.daemon.base, `/jobs/${id}`)).spec_hash, hash);
        assert.deepEqual(faults, []);
        await close();
    });

    test("has its layers in order, with what each takes; a network that cannot be is refused at its layer", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { refused: VALIDATING });
        const spec = smallSpec("layers", "affine", 0.02);
        await page.goto(`${world.daemon.base}/new?spec=${encodeURIComponent(JSON.stringify(spec))}`);
        await page.locator(".netline li").nth(7).waitFor();
        await page.getByRole("group", { name: "Preset" }).getByRole("button", { name: "layers" }).click();
        const layers = page.locator(".layers > ol > li");
        await layers.nth(5).waitFor();
        assert.equal(await layers.count(), 6);
        const { items } = await api(world.daemon.base, "/layers");
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
        await page.locator(".layer .bad").first().waitFor();
        await page.getByText(/to correct/).waitFor();
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        await page.goto(`${world.daemon.base}/run/${world.affine.id}`);
        await page.getByRole("link", { name: "Clone" }).click();
        await page.getByText("Filled in from").waitFor();
        assert.equal(await page.getByLabel("Depth").inputValue(), "2");
        assert.equal(await page.getByLabel("Width").inputValue(), "32");
        await start(page).click();
        await page.waitForURL(/\/run\/\d+$/);
        const id = Number(new URL(page.url()).pathname.split("/").pop());
        assert.notEqual(id, world.affine.id);
        assert.equal((await api(world.daemon.base, `/jobs/${id}`)).spec_hash, world.affine.spec_hash);
        assert.deepEqual(faults, []);
        await close();
    });

    test("is written as JSON as well, and as a line of curl that does the same", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { refused: VALIDATING });
        await page.goto(`${world.daemon.base}/new?clone=${world.like.id}&mode=json`);
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { refused: VALIDATING });
        const spec = smallSpec("grid", "affine", 0.02, { epochs: 1 });
        await page.goto(`${world.daemon.base}/new?spec=${encodeURIComponent(JSON.stringify(spec))}`);
        const add = page.getByLabel("Add a field to the grid");
        await add.selectOption("/model/variant");
        await page.getByLabel("Add a value of Variant").selectOption("l2");
        await page.getByRole("button", { name: "Remove l2 from Variant" }).waitFor();
        await add.selectOption("/seed");
        await page.getByLabel("Add a value of Seed").fill("2, 3");
        await page.getByLabel("Add a value of Seed").press("Enter");
        await page.getByRole("button", { name: "Start 6 jobs" }).waitFor();
        await page.getByText("2 × 3 = 6").waitFor();
        await add.selectOption("/batch_size");
        await page.getByLabel("Add a value of Batch size").fill("0");
        await page.getByLabel("Add a value of Batch size").press("Enter");
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
