// What holds on every page, and for several of them at once.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { api, ask, finishedJob, longSpec, program, smallSpec, startDaemon, temporary } from "../daemon.mjs";
import {
    accessibilityFaults,
    anotherPage,
    number,
    seeAll,
    sidewaysScroll,
    twoRuns,
    VALIDATING,
    watchedPage,
} from "./support.mjs";

const run = promisify(execFile);

const world = twoRuns();

describe("every page", () => {
    const paths = () => [
        "/new",
        "/new?mode=json",
        `/run/${world.affine.id}/site/1.dense`,
        `/run/${world.affine.id}/site/1.dense?step=1&guide=1`,
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
                const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, {
                    theme,
                    width,
                    refused: API,
                });
                for (const path of paths()) {
                    await page.goto(world.daemon.base + path);
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { refused: API });
        const all = ["/", `/run/${world.affine.id}`, `/compare?jobs=${world.affine.id},${world.like.id}`, ...paths()];
        /** @type {"hold" | "break"} */
        let mode = "hold";
        await page.route(/\/api\/v1\/(?!events)/, (route) => (mode === "hold" ? undefined : route.abort()));
        for (mode of /** @type {const} */ (["hold", "break"]))
            for (const path of all) {
                await page.goto(world.daemon.base + path);
                await page.locator("h1").first().waitFor({ state: "attached" });
                if (mode === "break" && !/mode=json|new|claims|nothing/.test(path))
                    await page.getByRole("alert").first().waitFor();
                assert.deepEqual(await accessibilityFaults(page), [], `${mode}: ${path}`);
            }
        await page.goto(world.daemon.base);
        await page.getByRole("alert").waitFor();
        await page.unroute(/\/api\/v1\/(?!events)/);
        await page.getByRole("button", { name: "Retry" }).click();
        await page.getByRole("link", { name: "plain", exact: true }).first().waitFor();
        assert.deepEqual(faults, []);
        await close();
    });
});

describe("readers who see it otherwise", () => {
    /** Six sites in one residual: the network's longest strip that must wrap. */
    const deep = () => {
        const spec = smallSpec("a strip that wraps", "affine", 0.02, { epochs: 1, probe: { count: 4 } });
        const inner = Array.from({ length: 6 }, () => ({ type: "dense", units: 16, variant: "affine" }));
        const layers = [
            { type: "residual", layers: inner },
            { type: "dense", units: 4, variant: "affine" },
        ];
        return { ...spec, model: { layers } };
    };

    test("at 400 % no page scrolls sideways, and what has focus is seen", async () => {
        const { id } = await finishedJob(world.daemon.base, deep());
        // A window of 1,280 by 900 at 400 %.
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, {
            width: 320,
            height: 225,
            refused: VALIDATING,
        });
        for (const path of [
            "/",
            `/run/${id}`,
            `/run/${id}/site/1.dense`,
            `/run/${id}/sample/0`,
            `/compare?jobs=${world.affine.id},${world.like.id}`,
            "/compare",
            "/new",
        ]) {
            await page.goto(world.daemon.base + path);
            await page.locator("h1").first().waitFor();
            if (/run|jobs=/.test(path)) await page.locator("figure.fig, .empty").first().waitFor();
            await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
            if (/run\/\d+$|jobs=/.test(path)) await seeAll(page);
            assert.equal(await sidewaysScroll(page), 0, path);
        }
        const rate = page.getByLabel("Learning rate");
        await rate.focus();
        const seen = await rate.evaluate((field) => {
            const { left, top, width, height } = field.getBoundingClientRect();
            return document.elementFromPoint(left + width / 2, top + height / 2) === field;
        });
        assert.ok(seen, "nothing that stays at the top hides the field");
        assert.deepEqual(faults, []);
        await close();
    });

    test("with forced colours what is chosen, what has focus and what is drawn stay apart", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { forcedColors: "active" });
        await page.goto(`${world.daemon.base}/run/${world.affine.id}`);
        await seeAll(page);
        await page.locator("#glance svg.plot").waitFor();
        const edge = (/** @type {import("playwright-core").Locator} */ part) =>
            part.evaluate((node) => {
                const { borderBottomWidth: width, borderBottomStyle: style } = getComputedStyle(node);
                return style === "none" ? 0 : parseFloat(width);
            });
        for (const name of ["Full batch", "log step"])
            assert.equal(await edge(page.getByRole("button", { name, exact: true }).first()), 2, name);
        assert.notEqual(await edge(page.getByRole("button", { name: "Self part", exact: true }).first()), 2);
        assert.equal(await edge(page.getByRole("navigation").getByRole("link", { name: "Jobs" })), 2);
        const fills = await page
            .locator("#network .fill")
            .evaluateAll((cells) => cells.map((cell) => getComputedStyle(cell).backgroundColor));
        assert.ok(new Set(fills).size > 1, `the cells have their colours: ${fills}`);
        await page.keyboard.press("Tab");
        const outline = await page.evaluate(
            () => getComputedStyle(document.activeElement ?? document.body).outlineStyle,
        );
        assert.notEqual(outline, "none");
        assert.deepEqual(await accessibilityFaults(page), []);
        assert.deepEqual(faults, []);
        await close();
    });

    test("where motion is not wanted, nothing moves; else only the mark of what runs", async () => {
        const { id } = await api(world.daemon.base, "/jobs", longSpec("moving"));
        for (const [reducedMotion, moves] of /** @type {const} */ ([
            ["no-preference", true],
            ["reduce", false],
        ])) {
            const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { reducedMotion });
            await page.goto(`${world.daemon.base}/run/${id}`);
            await page.locator(".run-head .state.running").waitFor();
            const moving = await page.evaluate(() => {
                // What only appears after a while has no duration.
                const effects = document.getAnimations().map((one) => /** @type {KeyframeEffect} */ (one.effect));
                const lasting = effects.filter((effect) => Number(effect.getComputedTiming().duration) > 0);
                return lasting.map(({ target }) => Boolean(target?.closest(".state.running")));
            });
            assert.deepEqual(moving, moves ? [true] : []);
            if (!moves) {
                await page.getByRole("button", { name: "Cancel", exact: true }).click();
                await page.locator(".run-head .state.cancelled").waitFor();
            }
            assert.deepEqual(faults, []);
            await close();
        }
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
    const { page, faults, close } = await watchedPage(world.browser, first.base, { refused: /\/api\/v1\// });
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
        const { page, faults, context, close } = await watchedPage(world.browser, world.daemon.base);
        let streams = 0;
        context.on("request", (request) => void (streams += request.url().includes("/events") ? 1 : 0));
        const pages = [page];
        for (let i = 1; i < 8; i++) pages.push(await anotherPage(context, world.daemon.base, faults));
        for (const one of pages) {
            await one.goto(world.daemon.base);
            await one.getByText("Live", { exact: true }).waitFor();
        }
        assert.equal(streams, 1);
        await pages[0].close();
        await finishedJob(world.daemon.base, smallSpec("for all tabs", "affine", 0.02));
        const last = pages[7];
        await last.bringToFront();
        const row = last.locator("table.jobs tbody tr", { hasText: "for all tabs" });
        await row.getByText("Finished", { exact: true }).waitFor();
        assert.equal(streams, 2, "one more, by the next tab");
        assert.deepEqual(faults, []);
        await close();
    });

    test("a server that is killed under an open run is followed when it is back, with nothing lost", async () => {
        const first = await startDaemon({ flags: ["--workers", "1"] });
        const { page, faults, close } = await watchedPage(world.browser, first.base, { refused: /./ });
        // It waits for the one worker until the page is open, so that it cannot have ended by then.
        const before = await api(first.base, "/jobs", longSpec("before it"));
        const spec = smallSpec("survivor", "affine", 0.02, { epochs: 1500, checkpoint_every: 200 });
        const { id } = await api(first.base, "/jobs", spec);
        await page.goto(`${first.base}/run/${id}`);
        await page.locator(".run-head .state.queued").waitFor();
        await ask(first.base, `/jobs/${before.id}/cancel`, { method: "POST" });
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
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base, { refused: VALIDATING });
        /** @param {import("playwright-core").Locator} target */
        const press = async (target, key = "Enter") => {
            await target.focus();
            await page.keyboard.press(key);
        };
        await page.goto(world.daemon.base);
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
    test("every figure leaves as an SVG that LaTeX's converter takes, with runs, version and link", async () => {
        const { page, faults, close } = await watchedPage(world.browser, world.daemon.base);
        const { version } = await api(world.daemon.base, "/version");
        for (const [path, ids] of [
            [`/run/${world.affine.id}`, ["heat", "promise"]],
            [`/run/${world.affine.id}/site/1.dense`, ["direction", "made", "ridges"]],
            [`/compare?jobs=${world.affine.id},${world.like.id}`, ["glance", "direction", "made"]],
        ]) {
            await page.goto(world.daemon.base + path);
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
                assert.match(text, new RegExp(`Runs? ${world.affine.id}`), `${id}: the runs`);
                assert.doesNotMatch(text, /var\(--|style=/, `${id}: colours are values`);
                const { stdout } = await run("rsvg-convert", ["-f", "pdf", file], { encoding: "buffer" });
                assert.equal(stdout.subarray(0, 4).toString(), "%PDF");
            }
        }
        assert.deepEqual(faults, []);
        await close();
    });
});
