/**
 * Light or dark: by ?theme=, then by what was chosen here before, then by the system.
 */
import { signal } from "@preact/signals-core";

/** @typedef {import("./colour.js").Theme} Theme */

const KEY = "plumbline.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** @param {string | null} text @returns {Theme | null} */
const valid = (text) => (text === "light" || text === "dark" ? text : null);

/** Storage is refused in some private windows: then the choice lasts as long as the page. */
function remembered() {
    try {
        return valid(localStorage.getItem(KEY));
    } catch {
        return null;
    }
}

/** @returns {Theme} */
function present() {
    const asked = valid(new URLSearchParams(location.search).get("theme"));
    return asked ?? remembered() ?? (system.matches ? "dark" : "light");
}

export const theme = signal(present());

theme.subscribe((value) => {
    document.documentElement.dataset.theme = value;
});
system.addEventListener("change", () => (theme.value = present()));

/** Turns to the other theme; the choice is kept, and a link that names one keeps naming it. */
export function toggleTheme() {
    const next = theme.value === "dark" ? "light" : "dark";
    try {
        localStorage.setItem(KEY, next);
    } catch {
        // not kept
    }
    const url = new URL(location.href);
    if (url.searchParams.has("theme")) {
        url.searchParams.set("theme", next);
        history.replaceState(history.state, "", url);
    }
    theme.value = next;
}
