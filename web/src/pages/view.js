/**
 * A saved view: a short address that stands for a long one.
 */
import { signal } from "@preact/signals-core";
import { html } from "lit-html";
import { errorNotice, retryButton } from "../dom.js";
import { go } from "../router.js";
import { readViews } from "../views.js";

/** @type {import("../main.js").PageModule["open"]} */
export function open(id) {
    /** @type {import("@preact/signals-core").Signal<unknown>} */
    const failed = signal(null);
    const missing = signal(false);
    let closed = false;
    async function read() {
        failed.value = null;
        try {
            const view = (await readViews()).find((one) => String(one.id) === id);
            if (closed) return;
            if (view) go(view.path, true);
            else missing.value = true;
        } catch (error) {
            failed.value = error;
        }
    }
    read();
    return {
        title: () => `View ${id}`,
        view: () =>
            html`<div class="page-head"><h1>${missing.value ? `There is no view ${id}` : `View ${id}`}</h1></div>
                ${
                    missing.value
                        ? html`<p class="lead-text">It may have been removed. <a href="/compare">Go to Compare</a>.</p>`
                        : failed.value
                          ? errorNotice("The view could not be read.", failed.value, retryButton(read))
                          : html`<div class="skeleton" aria-busy="true"></div>`
                }`,
        close: () => void (closed = true),
    };
}
