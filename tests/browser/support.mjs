// What the browser tests share: a browser, and a page that is watched.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../daemon.mjs";

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

export const openBrowser = () =>
    chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });

/**
 * A page that notes whatever must not happen: errors, breaches of the content security policy, requests elsewhere.
 * @param {import("playwright-core").Browser} browser
 * @param {string} base
 * @param {{ theme?: "light" | "dark", width?: number, refused?: RegExp }} [options]
 *     refused: requests that the server refuses in this test; the browser's own word on each is no fault of the page
 */
export async function watchedPage(browser, base, { theme = "light", width = 1440, refused } = {}) {
    const context = await browser.newContext({
        viewport: { width, height: 900 },
        colorScheme: theme,
        locale: "en-GB",
        reducedMotion: "reduce",
        acceptDownloads: true,
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
    page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
    page.on("console", (message) => {
        if (!["error", "warning"].includes(message.type())) return;
        if (refused?.test(message.location().url)) return;
        faults.push(`console: ${message.text()} ${message.location().url}`);
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
