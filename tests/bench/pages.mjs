// How heavy and how fast the pages are, beside what they may be. Usage: PLUMBLINE=build/plumbline node
//     tests/bench/pages.mjs [--only sizes|lists|figures|comparison|heap] [--jobs 10000] [--epochs 41] [--rounds 9] [--seconds 60]
//
// A list of so many jobs; a run whose probe measured every step (41 epochs: a million samples); so many rounds of each
// time; the heap of a page over so many seconds of a run that trains as fast as it can.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { heapUsed, openBrowser, seeAll, watchedPage } from "../browser/support.mjs";
import { api, ended, finishedJob, longSpec, manyJobs, root, smallSpec, startDaemon, temporary } from "../daemon.mjs";

const { values: options } = parseArgs({
    options: {
        only: { type: "string" },
        jobs: { type: "string", default: "10000" },
        epochs: { type: "string", default: "41" },
        rounds: { type: "string", default: "9" },
        seconds: { type: "string", default: "60" },
    },
});
const [jobs, epochs, rounds, seconds] = [options.jobs, options.epochs, options.rounds, options.seconds].map(Number);
/** Requests of each kind of figure's data. */
const REQUESTS = 40;
const HOVERS = 120;
/** Runs that are compared, each of so many steps at least. */
const COMPARED = 20;
const COMPARED_STEPS = 2000;
const MEGABYTE = 1 << 20;

/** @param {number[]} values @param {number} share */
const quantile = (values, share) =>
    [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))];

/** @param {string} what @param {string} found @param {string} bar */
const told = (what, found, bar) => console.log(`| ${what} | ${found} | ${bar} |`);

/** @param {number[]} times in milliseconds */
const times = (times) => `${quantile(times, 0.5).toFixed(1)} ms, 95 % ${quantile(times, 0.95).toFixed(1)} ms`;

/** The sizes, as the build tells them and holds them to what they may be. */
function weigh() {
    const folder = temporary("plumbline-weigh-");
    const said = execFileSync("node", ["build.mjs", join(folder, "assets.c")], {
        cwd: join(root, "web"),
        encoding: "utf8",
    });
    rmSync(folder, { recursive: true });
    const [, first, firstBar, all, allBar] = /route (.*) of (.*), all (.*) of (.*) \(/.exec(said) ?? [];
    told("first route, gzip", first, firstBar);
    told("all of it, gzip", all, allBar);
}

/** @type {Awaited<ReturnType<typeof openBrowser>>} */
const browser = await openBrowser();

/**
 * From the navigation's start until something is there, each time in a browser that has nothing of the page.
 * @param {string} url
 * @param {string} selector
 */
async function appears(url, selector) {
    const took = [];
    for (let i = 0; i < rounds; i++) {
        const { page, close } = await watchedPage(browser, new URL(url).origin);
        await page.addInitScript((wanted) => {
            const look = () => {
                if (document.querySelector(wanted)) /** @type {any} */ (globalThis).appeared = performance.now();
                else requestAnimationFrame(look);
            };
            look();
        }, selector);
        await page.goto(url);
        await page.waitForFunction(() => "appeared" in globalThis);
        took.push(await page.evaluate(() => /** @type {any} */ (globalThis).appeared));
        await close();
    }
    return took;
}

/** Script, style and layout of each move of the pointer over a plot. @param {import("playwright-core").Locator} plot */
const hover = (plot) =>
    plot.evaluate((node, moves) => {
        const { left, top, width, height } = node.getBoundingClientRect();
        const took = [];
        for (let i = 0; i < moves; i++) {
            const place = {
                clientX: left + width * (0.1 + (0.75 * i) / moves),
                clientY: top + height / 2,
                bubbles: true,
            };
            const at = document.elementFromPoint(place.clientX, place.clientY) ?? node;
            const begun = performance.now();
            at.dispatchEvent(new PointerEvent("pointermove", place));
            at.dispatchEvent(new MouseEvent("mousemove", place));
            node.getBoundingClientRect();
            took.push(performance.now() - begun);
        }
        return took;
    }, HOVERS);

/** Script of each zoom into a live chart, by a drag of the pointer, and out of it again. @param {import("playwright-core").Locator} chart */
const zoom = (chart) =>
    chart.evaluate(async (node, times) => {
        const { left, top, width, height } = node.getBoundingClientRect();
        const at = (/** @type {number} */ share) => ({
            clientX: left + width * share,
            clientY: top + height / 2,
            bubbles: true,
            button: 0,
            buttons: 1,
        });
        const took = [];
        for (let i = 0; i < times; i++) {
            node.dispatchEvent(new MouseEvent("mousedown", at(0.3)));
            document.dispatchEvent(new MouseEvent("mousemove", at(0.6)));
            node.dispatchEvent(new MouseEvent("mousemove", at(0.6)));
            for (const last of [new MouseEvent("mouseup", at(0.6)), new MouseEvent("dblclick", at(0.5))]) {
                const begun = performance.now();
                node.dispatchEvent(last);
                await Promise.resolve(); // the chart draws when the event is over
                took.push(performance.now() - begun);
            }
        }
        return took;
    }, HOVERS / 4);

async function lists() {
    const first = await startDaemon();
    await finishedJob(first.base, smallSpec("one of many", "affine", 0.02));
    await first.stop();
    manyJobs(first.data, jobs);
    const daemon = await startDaemon({ data: first.data });
    const took = await appears(daemon.base, "table.jobs tbody tr");
    told(`first row of ${jobs} jobs`, times(took), "300 ms");
    await daemon.stop();
    daemon.remove();
}

async function figures() {
    const daemon = await startDaemon();
    const spec = smallSpec("every step", "affine", 0.02, {
        dataset: { name: "synthetic", classes: 4, features: 16, train: 8192, test: 512, norm_spread: 1, seed: 1 },
        model: { preset: "mlp", width: 8, depth: 2, variant: "affine", activation: "tanh" },
        batch_size: 128,
        epochs,
        probe: { schedule: "every", every: 1 },
    });
    const { id } = await finishedJob(daemon.base, spec);
    const { steps, sites, samples } = await api(daemon.base, `/jobs/${id}/divergence/sites`);
    const rows = `${((steps.length * sites.length * samples) / 1e6).toFixed(2)} million samples`;
    const site = `site=${sites[0].name}`;
    for (const [figure, path] of [
        ["F0", "summary?pooled=true&column=scale&last=8"],
        ["F1", `density?x=self_factor&y=scale&${site}&last=24`],
        ["F2", `summary?${site}&column=scale&max_points=400&log_steps=true`],
        ["F3", `summary?column=scale&pooled=true&windows=240&log_steps=true`],
        ["F4", `histogram?${site}&column=scale&pooled=true&windows=12&log_steps=true`],
        ["F5", `density?x=cosine&y=relative_interference&${site}&last=24`],
        ["F9", "batch?max_points=500&log_steps=true"],
        ["F10", "summary?pooled=true&column=scale_across&last=24"],
    ]) {
        const took = [];
        for (let i = -2; i < REQUESTS; i++) {
            const begun = performance.now();
            await (await fetch(`${daemon.base}/api/v1/jobs/${id}/divergence/${path}`)).arrayBuffer();
            if (i >= 0) took.push(performance.now() - begun);
        }
        told(`${figure} of ${rows}`, times(took), "95 % 100 ms");
    }
    const took = await appears(`${daemon.base}/run/${id}`, "svg.plot, canvas");
    told(`first plot of ${rows}`, times(took), "800 ms");

    const { page, close } = await watchedPage(browser, daemon.base);
    await page.goto(`${daemon.base}/run/${id}`);
    await seeAll(page);
    for (const [figure, plot] of [
        ["loss, 2 lines of up to 2,000 points", "#loss canvas"],
        ["F2, 5 lines of up to 400 points", "#drift svg.plot"],
    ]) {
        await page.locator(plot).scrollIntoViewIfNeeded();
        told(`a move over ${figure}`, times(await hover(page.locator(plot))), "16.7 ms");
    }
    await close();
    await daemon.stop();
    daemon.remove();
}

/** Many runs in one figure. */
async function comparison() {
    const daemon = await startDaemon();
    const ids = [];
    for (let seed = 1; seed <= COMPARED; seed++)
        ids.push(
            api(daemon.base, "/jobs", smallSpec("", "affine", 0.02, { epochs: Math.ceil(COMPARED_STEPS / 64), seed })),
        );
    const jobs = await Promise.all(ids);
    for (const { id } of jobs) await ended(daemon.base, id);
    const { page, close } = await watchedPage(browser, daemon.base);
    await page.goto(`${daemon.base}/compare?jobs=${jobs.map(({ id }) => id)}`);
    await seeAll(page);
    const answer = await api(
        daemon.base,
        `/compare?jobs=${jobs.map(({ id }) => id)}&keys=train/loss&max_points=${COMPARED_STEPS}`,
    );
    const what = `the losses of ${COMPARED} runs, ${answer.series[0].steps.length} steps each`;
    await page.locator("#loss canvas").scrollIntoViewIfNeeded();
    told(`a move over ${what}`, times(await hover(page.locator("#loss canvas"))), "16.7 ms");
    told(`a zoom into ${what}`, times(await zoom(page.locator("#loss .u-over"))), "16.7 ms");
    const lost = page.evaluate(
        () =>
            new Promise((done) => {
                const look = () =>
                    /Reconnecting/.test(document.body.textContent ?? "")
                        ? done(Date.now())
                        : requestAnimationFrame(look);
                look();
            }),
    );
    const killed = Date.now();
    daemon.kill("SIGKILL");
    told("the server is killed: the page says so after", `${(await lost) - killed} ms`, "2000 ms");
    await close();
    daemon.remove();
}

async function heap() {
    const daemon = await startDaemon();
    const { id } = await api(daemon.base, "/jobs", {
        ...longSpec("endless"),
        probe: { schedule: "every", every: 500 },
    });
    const { page, close } = await watchedPage(browser, daemon.base);
    await page.goto(`${daemon.base}/run/${id}`);
    await seeAll(page);
    const pause = () => new Promise((done) => setTimeout(done, 5000));
    await pause();
    const before = await heapUsed(page);
    const [first, begun] = [await lastEvent(daemon.base), performance.now()];
    while (performance.now() - begun < 1000 * seconds) await pause();
    const grown = ((await heapUsed(page)) - before) / MEGABYTE;
    const events = (await lastEvent(daemon.base)) - first;
    told(`heap after ${events} events in ${seconds} s`, `${grown.toFixed(1)} MB more`, "20 MB");
    await close();
    await daemon.stop();
    daemon.remove();
}

/** The newest event's number. @param {string} base */
async function lastEvent(base) {
    const answer = await fetch(`${base}/api/v1/events`);
    let text = "";
    for await (const piece of /** @type {any} */ (answer.body)) {
        text += Buffer.from(piece).toString();
        const match = /^id: (\d+)$/m.exec(text);
        if (match) return Number(match[1]);
    }
    throw new Error("the stream of events ended");
}

console.log("\n| the pages | found | may be |\n|---|---|---|");
for (const [name, measure] of Object.entries({ sizes: weigh, lists, figures, comparison, heap }))
    if (!options.only || options.only === name) await measure();
await browser.close();
