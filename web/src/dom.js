/**
 * Parts that appear on every page: icons, states, variants, buttons, switches, notices, the toast.
 */
import { html, noChange, nothing, svg } from "lit-html";
import { Directive, directive } from "lit-html/directive.js";
import { signal } from "@preact/signals-core";
import { int, sentence } from "./format.js";
import { colourOf, isHollow, shapeOf } from "./variant.js";

/** @typedef {import("lit-html").TemplateResult | typeof nothing | string | number | null | undefined} Part */

class StyleDirective extends Directive {
    /** @param {Record<string, string | null>} _styles */
    render(_styles) {
        return noChange;
    }
    /**
     * @param {import("lit-html/directive.js").ElementPart} part
     * @param {[Record<string, string | null>]} args
     */
    update(part, [styles]) {
        const { style } = /** @type {HTMLElement} */ (part.element);
        for (const [name, value] of Object.entries(styles)) style.setProperty(name, value);
        return noChange;
    }
}
/** Styles set as properties: the content security policy refuses style attributes. */
export const css = directive(StyleDirective);

/** @type {Record<string, string>} */
const ICONS = {
    pause: "M6 4v8M10 4v8",
    play: "M5 3.5v9l7-4.5Z",
    theme: "M8 2a6 6 0 1 0 0 12V2Z",
    down: "m4 6 4 4 4-4",
    up: "m4 10 4-4 4 4",
    left: "M10 4 6 8l4 4",
    right: "m6 4 4 4-4 4",
    plus: "M8 3v10M3 8h10",
    retry: "M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.5V6H9.5",
    close: "m4 4 8 8M12 4l-8 8",
};

/** @param {string} name */
export const icon = (name) =>
    html`<svg
        class="icon"
        viewBox="0 0 16 16"
        fill=${name === "theme" ? "currentColor" : "none"}
        stroke="currentColor"
        stroke-width="1.5"
        stroke-linecap="round"
        stroke-linejoin="round"
        aria-hidden="true"
    >
        <path d=${ICONS[name]}></path>
    </svg>`;

export const mark = () =>
    html`<svg viewBox="0 0 24 24" fill="none" aria-hidden="true">
        <path d="M8 2.5 18.5 21.5" stroke="var(--mark-lean)" stroke-width="2" stroke-linecap="round"></path>
        <path d="M8 2.5V13" stroke="currentColor" stroke-width="2" stroke-linecap="round"></path>
        <path
            d="M4.8 13h6.4L8 21.8Z"
            fill="currentColor"
            stroke="currentColor"
            stroke-width="1.2"
            stroke-linejoin="round"
        ></path>
    </svg>`;

/** Each state has its own shape, so that none is told by colour alone. */
/** @type {Record<string, import("lit-html").TemplateResult>} */
const STATES = {
    queued: svg`<circle cx="8" cy="8" r="6" stroke-dasharray="2.2 2.5"></circle>`,
    running: svg`<circle cx="8" cy="8" r="6" opacity=".28"></circle><path class="arc" d="M8 2a6 6 0 0 1 6 6"></path>`,
    paused: svg`<path d="M6 4v8M10 4v8"></path>`,
    finished: svg`<path d="m3.5 8.5 3 3 6-7"></path>`,
    failed: svg`<path d="m4 4 8 8M12 4l-8 8"></path>`,
    diverged: svg`<path d="M2 12.5c5 0 7-2 8.5-9.5"></path><path d="m7.5 5.5 3-3 2.5 3.5"></path>`,
    cancelled: svg`<circle cx="8" cy="8" r="6"></circle><path d="m4 12 8-8"></path>`,
};

/** @param {string} state */
export const stateMark = (state) =>
    html`<span class="state ${state}"
        ><svg
            viewBox="0 0 16 16"
            fill="none"
            stroke="currentColor"
            stroke-width="1.8"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
        >
            ${STATES[state] ?? nothing}</svg
        >${state[0].toUpperCase() + state.slice(1)}</span
    >`;

/**
 * A variant's shape in a box of 12 px, hollow for patch variants and where a second run of one variant needs telling.
 * @param {string | null} name
 * @param {boolean} [hollow]
 * @param {boolean} [halo] a ring of the page around it, where lines pass behind
 */
export function variantShape(name, hollow = isHollow(name), halo = false) {
    const edge = hollow ? colourOf(name) : halo ? "var(--surface)" : "none";
    return svg`<path d=${shapeOf(name)} fill=${hollow ? "var(--surface)" : colourOf(name)} stroke=${edge}
        stroke-width=${hollow ? 1.8 : 1.5} paint-order=${hollow ? "normal" : "stroke"}></path>`;
}

/**
 * @param {string | null} name
 * @param {Part} [label]
 * @param {boolean} [hollow]
 */
export const variant = (name, label = name ?? "no variant", hollow) =>
    html`<span class="variant"
        ><svg viewBox="0 0 12 12" aria-hidden="true">${variantShape(name, hollow)}</svg>${label}</span
    >`;

/**
 * A switch: one of a few names.
 * @param {string} label
 * @param {{ key: string, name: string }[]} options
 * @param {string} chosen
 * @param {(key: string) => void} choose
 */
export const segments = (label, options, chosen, choose) =>
    html`<div class="seg" role="group" aria-label=${label}>
        ${options.map(
            ({ key, name }) =>
                html`<button type="button" aria-pressed=${key === chosen} @click=${() => choose(key)}>${name}</button>`,
        )}
    </div>`;

/**
 * A button that opens a short list of actions.
 * @param {{ label: Part, name?: string, cls?: string, items: { name: string, run?: () => void, href?: string, download?: string }[] }} o
 */
export const menu = ({ label, name, cls = "btn", items }) =>
    html`<details class="menu" @focusout=${leaveMenu}>
        <summary class=${cls} aria-label=${name ?? nothing}>${label}</summary>
        <div class="menu-items">
            ${items.map((item) =>
                item.href
                    ? html`<a href=${item.href} download=${item.download ?? ""} @click=${closeMenu}>${item.name}</a>`
                    : html`<button
                          type="button"
                          @click=${(/** @type {Event} */ event) => {
                              closeMenu(event);
                              item.run?.();
                          }}
                      >
                          ${item.name}
                      </button>`,
            )}
        </div>
    </details>`;

/** @param {Event} event */
function closeMenu(event) {
    const details = /** @type {Element} */ (event.currentTarget).closest("details");
    if (!details) return;
    details.open = false;
    details.querySelector("summary")?.focus();
}
/** @param {FocusEvent} event */
function leaveMenu(event) {
    const details = /** @type {HTMLDetailsElement} */ (event.currentTarget);
    if (event.relatedTarget instanceof Node && !details.contains(event.relatedTarget)) details.open = false;
}
/** Closes open menus by Escape and by a click beside them. */
export function startMenus() {
    const open = () => /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("details.menu[open]"));
    addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        for (const details of open()) {
            details.open = false;
            details.querySelector("summary")?.focus();
        }
    });
    addEventListener("pointerdown", (event) => {
        for (const details of open())
            if (event.target instanceof Node && !details.contains(event.target)) details.open = false;
    });
}

/**
 * The progress of a job as a bar.
 * @param {number} share 0 … 1
 * @param {boolean} moving
 * @param {string} label
 */
export const bar = (share, moving, label) =>
    html`<div
        class="bar ${moving ? "" : "still"}"
        role="progressbar"
        aria-valuenow=${Math.round(100 * share)}
        aria-valuemin="0"
        aria-valuemax="100"
        aria-label=${label}
    >
        <i ${css({ width: `${(100 * share).toFixed(2)}%` })}></i>
    </div>`;

/**
 * What went wrong, and one action.
 * @param {Part} text
 * @param {Part} [action]
 */
export const notice = (text, action = nothing) =>
    html`<div class="notice" role="alert"><span>${text}</span>${action}</div>`;

/**
 * An error as a notice, with what the server said at which place.
 * @param {string} lead
 * @param {unknown} error
 * @param {Part} [action]
 */
export function errorNotice(lead, error, action = nothing) {
    const about = /** @type {import("./api.js").Problem} */ (error);
    const places = about.errors?.length
        ? html`<ul>
              ${about.errors.map((e) => html`<li><code>${e.pointer || "/"}</code> ${e.detail}</li>`)}
          </ul>`
        : nothing;
    return notice(html`<b>${lead}</b> ${sentence(about.message ?? "")} ${about.reference ?? ""}${places}`, action);
}

/** @param {() => void} run @param {string} [label] */
export const retryButton = (run, label = "Retry") =>
    html`<button class="btn" type="button" @click=${run}>${icon("retry")}<span>${label}</span></button>`;

/** @typedef {{ text: string, action?: { name: string, run: () => void } }} Toast */
/** @type {import("@preact/signals-core").Signal<Toast | null>} */
const toastShown = signal(null);
/** @type {ReturnType<typeof setTimeout> | undefined} */
let toastTimer;
const TOAST_TIME = 8000;

const startToast = () => {
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => (toastShown.value = null), TOAST_TIME);
};
/** @param {Toast} shown */
export function toast(shown) {
    toastShown.value = shown;
    startToast();
}
const holdToast = () => clearTimeout(toastTimer);

/** The region is always there, so that what appears in it is announced. */
export const toastRegion = () =>
    html`<div class="toasts" role="status">
        ${
            toastShown.value
                ? html`<div
                      class="toast"
                      @pointerenter=${holdToast}
                      @pointerleave=${startToast}
                      @focusin=${holdToast}
                      @focusout=${startToast}
                  >
                      <span>${toastShown.value.text}</span>
                      ${
                          toastShown.value.action
                              ? html`<button
                                    class="tool"
                                    type="button"
                                    @click=${() => {
                                        const run = toastShown.value?.action?.run;
                                        toastShown.value = null;
                                        run?.();
                                    }}
                                >
                                    ${toastShown.value.action.name}
                                </button>`
                              : nothing
                      }
                  </div>`
                : nothing
        }
    </div>`;

/** @param {string[]} keys */
export const unknownKeysNotice = (keys) =>
    keys.length
        ? html`<p class="banner" role="status">
              <span
                  >The link asks for ${keys.map((key, i) => html`${i ? ", " : ""}<code>${key}</code>`)}, which this page
                  does not know: ${keys.length > 1 ? "they are" : "it is"} ignored.</span
              >
          </p>`
        : nothing;

/** @param {string} text */
export async function copyText(text) {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        // No clipboard where the page is not a secure context: the old way.
        const field = document.createElement("textarea");
        field.value = text;
        field.className = "vh";
        document.body.append(field);
        field.select();
        const done = document.execCommand("copy");
        field.remove();
        return done;
    }
}

/** A formula: what stands after _ is an index, after ^ a power. @param {string | null} text */
export const formula = (text) =>
    (text ?? "–").split(/([_^](?:\([^)]*\)|[\p{L}\d−]+(?:≠\w)?))/u).map((part) => {
        const inner = part.slice(1).replace(/^\(|\)$/g, "");
        if (part[0] === "_") return html`<sub>${inner}</sub>`;
        return part[0] === "^" ? html`<sup>${inner}</sup>` : part;
    });

/** @param {number} n @param {string} what */
export const counted = (n, what) => html`${what} <span>${int(n)}</span>`;
