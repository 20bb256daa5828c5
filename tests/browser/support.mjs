// What the browser tests share: a browser, and a page that is watched.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before } from "node:test";
import { finishedJob, root, smallSpec, startDaemon } from "../daemon.mjs";

const fromWeb = createRequire(join(root, "web/package.json"));
const { chromium } = fromWeb("playwright-core");
const AXE = readFileSync(fromWeb.resolve("axe-core/axe.min.js"), "utf8");
const AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** How long anything may take before a test fails, in milliseconds: the machine may have much else to do. */
const DEADLINE = 90_000;
const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

export const openBrowser = () =>
    chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

/**
 * A page that notes whatever must not happen: errors, breaches of the content security policy, requests elsewhere.
 * @param {import("playwright-core").Browser} browser
 * @param {string} base
 * @param {{ theme?: "light" | "dark", width?: number, height?: number, refused?: RegExp } &
 *     import("playwright-core").BrowserContextOptions} [options]
 *     refused: requests that the server refuses in this test; the browser's own word on each is no fault of the page
 */
export async function watchedPage(
    browser,
    base,
    { theme = "light", width = 1440, height = 900, refused, ...more } = {},
) {
    const context = await browser.newContext({
        viewport: { width, height },
        colorScheme: theme,
        locale: "en-GB",
        reducedMotion: "reduce",
        acceptDownloads: true,
        ...more,
    });
    /** @type {string[]} */
    const faults = [];
    const page = await anotherPage(context, base, faults, refused);
    return { page, faults, context, close: () => context.close() };
}

/**
 * One more page of a browser's user, watched as well.
 * @param {import("playwright-core").BrowserContext} context
 * @param {string} base
 * @param {string[]} faults
 * @param {RegExp} [refused]
 */
export async function anotherPage(context, base, faults, refused) {
    const page = await context.newPage();
    page.setDefaultTimeout(DEADLINE);
    /** What a test that waits in vain does not come to say. @param {string} fault */
    const found = (fault) => {
        console.error(`page: ${fault}`);
        faults.push(fault);
    };
    page.on("pageerror", (error) => found(`error: ${error.message}`));
    page.on("console", (message) => {
        if (!["error", "warning"].includes(message.type())) return;
        if (refused?.test(message.location().url)) return;
        found(`console: ${message.text()} ${message.location().url}`);
    });
    page.on("request", (request) => {
        const url = new URL(request.url());
        if (/^(https?|wss?):$/.test(url.protocol) && url.origin !== base) found(`request to ${url.origin}`);
    });
    await page.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) =>
            console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI}`),
        );
    });
    return page;
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

/** What a spec that is being written is refused for is no fault of the page. */
export const VALIDATING = /validate_only/;

/** "1,284" as a number. @param {string | null | undefined} text */
export const number = (text) => Number((text ?? "").replaceAll(",", "").replace("−", "-"));

/**
 * The cells of a figure's table, which is opened.
 * @param {import("playwright-core").Page} page
 * @param {string} figure
 */
export async function tableRows(page, figure) {
    await page.locator(`#${figure}`).getByRole("button", { name: "Table" }).click();
    await page.locator(`#${figure} .fig-table tbody tr`).first().waitFor();
    const rows = await page.locator(`#${figure} .fig-table tbody tr`).all();
    return Promise.all(rows.map((row) => row.locator("td").allTextContents()));
}

/**
 * A browser, a daemon, and in it two runs that have finished: plain, and corrected. They are there when the tests of a
 * file begin, and gone when these have ended.
 */
export function twoRuns() {
    /** @type {{ browser: import("playwright-core").Browser, daemon: Awaited<ReturnType<typeof startDaemon>>, affine: any,
     *     like: any }} */
    const world = /** @type {any} */ ({});
    before(async () => {
        world.browser = await openBrowser();
        world.daemon = await startDaemon();
        world.affine = await finishedJob(world.daemon.base, smallSpec("plain", "affine", 0.02));
        world.like = await finishedJob(world.daemon.base, smallSpec("corrected", "affine-like", 0.3));
    });
    after(async () => {
        await world.browser?.close();
        await world.daemon?.stop();
        world.daemon?.remove();
    });
    return world;
}

/**
 * What is drawn of a figure: the points of its lines and areas, and the marks that stand by themselves.
 * @param {import("playwright-core").Page} page
 * @param {string} figure
 */
export const marksOf = (page, figure) =>
    page.locator(`#${figure} svg.plot`).evaluateAll((plots) => {
        const points = plots
            .flatMap((plot) => [...plot.querySelectorAll("path")])
            .map((path) => {
                const points = (path.getAttribute("d") ?? "").match(/[ML]/g)?.length ?? 0;
                // An area goes along its points and back.
                return /Z/.test(path.getAttribute("d") ?? "") ? points / 2 : points;
            });
        const single = plots.reduce(
            (sum, plot) => sum + plot.querySelectorAll("circle, rect, line, text, image").length,
            0,
        );
        return points.reduce((sum, n) => sum + n, single);
    });

/**
 * Bytes of the page's script heap, after what is no longer used was given back.
 * @param {import("playwright-core").Page} page
 */
export async function heapUsed(page) {
    const session = await page.context().newCDPSession(page);
    await session.send("HeapProfiler.enable");
    for (let i = 0; i < 3; i++) await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    await session.detach();
    return usedSize;
}
