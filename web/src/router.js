/**
 * Where the page is: the path, and the state of the view in the query.
 */
import { computed, signal } from "@preact/signals-core";

/** Keys that every page knows. */
const COMMON = ["theme"];

const here = signal(new URL(location.href));

export const path = computed(() => here.value.pathname);
export const query = computed(() => here.value.searchParams);

/** @param {string} name */
export const param = (name) => query.value.get(name);

/** A query to be read: commas and slashes need no escape there. @param {string} search */
export const readable = (search) => search.replaceAll("%2C", ",").replaceAll("%2F", "/");

/**
 * Changes keys of the query in place; null takes a key out. Values that are the default belong out.
 * @param {Record<string, string | null>} changes
 */
export function setQuery(changes) {
    const url = new URL(location.href);
    for (const [key, value] of Object.entries(changes))
        if (value == null) url.searchParams.delete(key);
        else url.searchParams.set(key, value);
    url.search = readable(url.search);
    history.replaceState(history.state, "", url);
    here.value = url;
}

/**
 * Goes to a page of this site.
 * @param {string} target
 * @param {boolean} [instead] of this page, in the history as well
 */
export function go(target, instead = false) {
    const url = new URL(target, location.href);
    const theme = query.value.get("theme");
    if (theme && !url.searchParams.has("theme")) url.searchParams.set("theme", theme);
    if (instead) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    here.value = url;
    scrollTo(0, 0);
}

/**
 * Keys of the query that the page does not know; they are ignored, and the page says so.
 * @param {string[]} known
 */
export const unknownKeys = (known) =>
    [...new Set(query.value.keys())].filter((key) => !known.includes(key) && !COMMON.includes(key));

/** Follows links of this site without loading the page anew. */
export function startRouter() {
    addEventListener("popstate", () => (here.value = new URL(location.href)));
    addEventListener("click", (event) => {
        if (event.defaultPrevented || event.button !== 0) return;
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        const link = /** @type {Element} */ (event.target).closest?.("a[href]");
        if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
        if (link.origin !== location.origin || link.pathname.startsWith("/api/") || link.hash) return;
        // A file: the name of a site has a dot as well, but stands deeper.
        if (/^\/[^/]*\.|^\/assets\//.test(link.pathname)) return;
        event.preventDefault();
        go(link.href);
    });
}
