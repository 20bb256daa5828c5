/**
 * The frame of every page: top bar, connection, theme.
 */
import { html, nothing } from "lit-html";
import { icon, mark, toastRegion } from "./dom.js";
import { connection, heard, paused, reconnectNow } from "./events.js";
import { clock } from "./format.js";
import { theme, toggleTheme } from "./theme.js";

/** @type {Record<string, string>} */
const CONNECTION = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting" };

function connectionState() {
    const state = paused.value && connection.value === "live" ? "paused" : connection.value;
    const text = state === "paused" ? "Paused" : CONNECTION[state];
    return html`<span class="link-state ${state}" role="status"><i></i><span>${text}</span></span>`;
}

const pauseButton = () => {
    const text = paused.value ? "Resume updates" : "Pause updates";
    return html`<button
        class="btn plain"
        type="button"
        title=${text}
        aria-label=${text}
        @click=${() => (paused.value = !paused.value)}
    >
        ${icon(paused.value ? "play" : "pause")}<span>${text}</span>
    </button>`;
};

const themeButton = () => {
    const text = theme.value === "dark" ? "Use the light theme" : "Use the dark theme";
    return html`<button class="btn plain" type="button" title=${text} aria-label=${text} @click=${toggleTheme}>
        ${icon("theme")}
    </button>`;
};

const banner = () =>
    connection.value === "reconnecting"
        ? html`<div class="banner" role="status">
              <span>
                  <b>Reconnecting.</b> Shown is what was known at ${clock(heard.value)}; nothing will be lost.
              </span>
              <button class="tool" type="button" @click=${reconnectNow}>Try now</button>
          </div>`
        : nothing;

/**
 * @param {{ name: string, href: string }[]} entries of the navigation: pages that exist
 * @param {string | null} current
 * @param {import("./dom.js").Part} content
 */
export const shell = (entries, current, content) => html`
    <header class="top">
        <a class="brand" href="/">${mark()}<span>Plumbline</span></a>
        <nav class="nav" aria-label="Main">
            ${entries.map(
                ({ name, href }) =>
                    html`<a href=${href} aria-current=${name === current ? "page" : nothing}>${name}</a>`,
            )}
        </nav>
        <div class="right">${connectionState()} ${pauseButton()} ${themeButton()}</div>
    </header>
    <main id="main" tabindex="-1">${banner()} ${content}</main>
    ${toastRegion()}
`;
