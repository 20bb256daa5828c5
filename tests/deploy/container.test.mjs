// The pages of a server that is elsewhere: PLUMBLINE_SERVER, with PLUMBLINE_TOKEN for its login page. It has one job.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessibilityFaults, openBrowser, seeAll, watchedPage } from "../browser/support.mjs";

const { PLUMBLINE_SERVER: server = "", PLUMBLINE_TOKEN: token = "" } = process.env;

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
    browser = await openBrowser();
});
after(() => browser?.close());

test("logs in, and shows the job with its figures", async () => {
    const { page, faults, close } = await watchedPage(browser, server, { refused: /api\/v1/ });
    await page.goto(server);
    await page.getByLabel(/token/i).fill(token);
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "in a container" }).first().click();
    await page.locator(".run-head .state.finished").waitFor();
    await seeAll(page);
    assert.deepEqual(await accessibilityFaults(page), []);
    assert.ok((await page.locator("figure.fig svg, figure.fig canvas").count()) > 0, "there are figures");
    assert.deepEqual(faults, []);
    await close();
});
