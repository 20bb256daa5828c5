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
