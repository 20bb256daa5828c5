/**
 * The start: which page, and when it is drawn.
 */
import { effect, signal, untracked } from "@preact/signals-core";
import { html, render } from "lit-html";
import { locked } from "./api.js";
import { errorNotice, retryButton, startMenus } from "./dom.js";
import { startEvents } from "./events.js";
import { loginView } from "./login.js";
import * as jobs from "./pages/jobs.js";
import { path, startRouter } from "./router.js";
import { shell } from "./shell.js";

/**
 * @typedef {{ title: () => string, view: () => import("./dom.js").Part, close: () => void }} Page
 *     view is drawn anew when a signal it reads changes
 * @typedef {{ open: (...parts: string[]) => Page }} PageModule
 * @typedef {{ pattern: RegExp, nav: string | null, load: () => Promise<PageModule> }} Route
 */

/** @type {Route[]} */
const ROUTES = [
    { pattern: /^\/$/, nav: "Jobs", load: async () => jobs },
    { pattern: /^\/run\/([1-9]\d*)$/, nav: "Jobs", load: () => import("./pages/run.js") },
    { pattern: /^\/run\/([1-9]\d*)\/site\/([^/]+)$/, nav: "Jobs", load: () => import("./pages/site.js") },
    { pattern: /^\/run\/([1-9]\d*)\/sample\/(\d+)$/, nav: "Jobs", load: () => import("./pages/sample.js") },
    { pattern: /^\/new$/, nav: "Jobs", load: () => import("./pages/new.js") },
    { pattern: /^\/studies$/, nav: "Studies", load: () => import("./pages/studies.js") },
    { pattern: /^\/studies\/([\w-]+)$/, nav: "Studies", load: () => import("./pages/study.js") },
    { pattern: /^\/claims$/, nav: "Claims", load: () => import("./pages/claims.js") },
    { pattern: /^\/theory$/, nav: "Theory", load: () => import("./pages/theory.js") },
    { pattern: /^\/view\/([\w-]+)$/, nav: "Compare", load: () => import("./pages/view.js") },
    { pattern: /^\/compare$/, nav: "Compare", load: () => import("./pages/compare.js") },
];
/** @type {Route} */
const NOT_FOUND = { pattern: /^/, nav: null, load: () => import("./pages/not_found.js") };
const NAVIGATION = [
    { name: "Jobs", href: "/" },
    { name: "Compare", href: "/compare" },
    { name: "Studies", href: "/studies" },
    { name: "Claims", href: "/claims" },
    { name: "Theory", href: "/theory" },
];

/** @type {import("@preact/signals-core").Signal<{ page: Page, nav: string | null } | null>} */
const shown = signal(null);
/** @type {import("@preact/signals-core").Signal<unknown>} */
const failed = signal(null);
let visits = 0;

/** @param {string} at */
async function visit(at) {
    const visit = ++visits;
    const route = ROUTES.find(({ pattern }) => pattern.test(at)) ?? NOT_FOUND;
    try {
        const module = await route.load();
        if (visit !== visits) return;
        untracked(() => shown.value?.page.close());
        failed.value = null;
        shown.value = { page: module.open(...(route.pattern.exec(at) ?? []).slice(1)), nav: route.nav };
        if (visit > 1) document.getElementById("main")?.focus({ preventScroll: true });
    } catch (error) {
        // The page's script could not be loaded: an old page after the server was renewed.
        if (visit === visits) failed.value = error;
    }
}

function view() {
    if (locked.value) return shell([], null, loginView());
    if (failed.value)
        return shell(
            NAVIGATION,
            null,
            errorNotice(
                "The page could not be loaded.",
                failed.value,
                retryButton(() => location.reload(), "Load it again"),
            ),
        );
    const current = shown.value;
    document.title = current ? `${current.page.title()} – Plumbline` : "Plumbline";
    return shell(NAVIGATION, current?.nav ?? null, current ? contentOf(current.page) : html``);
}

/** What goes wrong while a page is drawn is told, and does not keep it from being drawn again. @param {Page} page */
function contentOf(page) {
    try {
        return page.view();
    } catch (error) {
        reportError(error);
        return html`<h1 class="vh">${page.title()}</h1>
            ${errorNotice(
                "The page could not be drawn.",
                error,
                retryButton(() => location.reload(), "Load it again"),
            )}`;
    }
}

/**
 * Draws when a signal that was read has changed: once a frame, and never while nobody sees it.
 * @param {HTMLElement} root
 */
function mount(root) {
    /** @type {(() => void) | undefined} */
    let stop;
    const draw = () => {
        stop?.();
        let first = true;
        stop = effect(() => {
            if (first) {
                first = false;
                render(view(), root);
            } else requestAnimationFrame(draw);
        });
    };
    draw();
}

startRouter();
startMenus();
startEvents();
effect(() => {
    const at = path.value;
    untracked(() => visit(at));
});
mount(/** @type {HTMLElement} */ (document.getElementById("app")));
