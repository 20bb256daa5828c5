// What the browser tests share: a daemon of their own, a browser, and a page that is watched.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const fromWeb = createRequire(join(root, "web/package.json"));
const { chromium } = fromWeb("playwright-core");
const AXE = readFileSync(fromWeb.resolve("axe-core/axe.min.js"), "utf8");
const AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/**
 * Starts the daemon under test on a port of the kernel's choice, with a data directory of its own.
 * @param {{ data?: string, listen?: string }} [options] of an earlier one, to start it again
 */
export async function startDaemon({ data = mkdtempSync(join(tmpdir(), "plumbline-browser-")), listen } = {}) {
    const program = resolve(root, process.env.PLUMBLINE ?? "build/plumbline");
    const args = ["serve", "--listen", listen ?? "127.0.0.1:0", "--data", data];
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (errors += text));
    const ended = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
    const base = await new Promise((done, fail) => {
        let output = "";
        const watch = (/** @type {string} */ text) => {
            output += text;
            const match = /at (http:\/\/[\d.]+:\d+)/.exec(output);
            if (match) done(match[1]);
        };
        child.stdout.setEncoding("utf8").on("data", watch);
        child.once("error", fail);
        ended.then(() => fail(new Error(`${program} ended before it listened: ${errors}`)));
    });
    return {
        base,
        data,
        listen: new URL(base).host,
        /** Stops it; it must end by itself, and well. */
        async stop() {
            child.kill("SIGTERM");
            const { code, signal } = await ended;
            assert.deepEqual({ code, signal }, { code: 0, signal: null }, `the daemon's end: ${errors}`);
        },
        /** Takes its data away. */
        remove: () => rmSync(data, { recursive: true, force: true }),
    };
}

export const openBrowser = () =>
    chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

/**
 * A page that notes whatever must not happen: errors, breaches of the content security policy, requests elsewhere.
 * @param {import("playwright-core").Browser} browser
 * @param {string} base
 * @param {{ theme?: "light" | "dark", width?: number }} [options]
 */
export async function watchedPage(browser, base, { theme = "light", width = 1440 } = {}) {
    const context = await browser.newContext({
        viewport: { width, height: 900 },
        colorScheme: theme,
        locale: "en-GB",
        reducedMotion: "reduce",
        acceptDownloads: true,
    });
    const page = await context.newPage();
    /** @type {string[]} */
    const faults = [];
    page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type())) faults.push(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
        const url = new URL(request.url());
        if (/^(https?|wss?):$/.test(url.protocol) && url.origin !== base) faults.push(`request to ${url.origin}`);
    });
    await page.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) =>
            console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`),
        );
    });
    return { page, faults, close: () => context.close() };
}

/**
 * Scrolls through the page, so that every figure is drawn.
 * @param {import("playwright-core").Page} page
 */
export async function seeAll(page) {
    // The figures have their final size when the last one is no longer awaited.
    await page.locator("figure.fig").first().waitFor();
    await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
    await page.evaluate(async () => {
        for (let y = 0; y < document.documentElement.scrollHeight; y += 400) {
            scrollTo(0, y);
            await new Promise((done) => setTimeout(done, 50));
        }
        scrollTo(0, 0);
    });
}

/**
 * What axe finds, in short.
 * @param {import("playwright-core").Page} page
 * @returns {Promise<string[]>}
 */
export async function accessibilityFaults(page) {
    await page.evaluate(AXE);
    return page.evaluate(async (rules) => {
        const { violations } = await /** @type {any} */ (globalThis).axe.run(document, { runOnly: rules });
        return violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes[0].html} (${v.nodes.length})`);
    }, AXE_RULES);
}

/** How far the page scrolls sideways, in px. @param {import("playwright-core").Page} page */
export const sidewaysScroll = (page) =>
    page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth));

/**
 * A small job that needs no data: two hidden layers on Gaussian classes of unequal norm.
 * @param {string} name
 * @param {string} variant
 * @param {number} learningRate
 * @param {object} [more]
 */
export const smallSpec = (name, variant, learningRate, more = {}) => ({
    name,
    dataset: { name: "synthetic", classes: 4, features: 16, train: 2048, test: 512, norm_spread: 1, seed: 1 },
    model: { preset: "mlp", width: 32, depth: 2, variant, activation: "tanh" },
    optimiser: { name: "sgd", learning_rate: learningRate },
    batch_size: 32,
    epochs: 4,
    seed: 1,
    probe: { schedule: "log", count: 40 },
    ...more,
});

/**
 * @param {string} base
 * @param {string} path
 * @param {object} [body]
 */
export async function api(base, path, body) {
    const answer = await fetch(`${base}/api/v1${path}`, {
        method: body ? "POST" : "GET",
        headers: body ? { "Content-Type": "application/json" } : {},
        body: body && JSON.stringify(body),
    });
    const json = await answer.json();
    assert.ok(answer.ok, `${path}: ${answer.status} ${JSON.stringify(json)}`);
    return json;
}

/**
 * Submits a job and waits until it has finished.
 * @param {string} base
 * @param {object} spec
 * @returns {Promise<any>}
 */
export async function finishedJob(base, spec) {
    const { id } = await api(base, "/jobs", spec);
    for (;;) {
        const job = await api(base, `/jobs/${id}`);
        if (job.state === "finished") return job;
        assert.ok(["queued", "running"].includes(job.state), `job ${id} is ${job.state}: ${job.reason}`);
        await new Promise((done) => setTimeout(done, 100));
    }
}
