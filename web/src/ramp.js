/**
 * The keys of the scales of colour: `<plumb-ramp>` repaints itself with the theme.
 */
import { html } from "lit-html";
import { countColour, mismatch } from "./colour.js";
import { int } from "./format.js";
import { theme } from "./theme.js";

class PlumbRamp extends HTMLElement {
    connectedCallback() {
        const canvas = this.querySelector("canvas") ?? document.createElement("canvas");
        canvas.width = 128;
        canvas.height = 1;
        canvas.setAttribute("aria-hidden", "true");
        this.append(canvas);
        const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
        const counts = this.getAttribute("kind") === "count";
        this.leave = theme.subscribe((now) => {
            for (let i = 0; i < canvas.width; i++) {
                const at = i / (canvas.width - 1);
                context.fillStyle = counts ? countColour(at, now) : mismatch(10 ** (6 * at - 3), now);
                context.fillRect(i, 0, 1, 1);
            }
        });
    }
    disconnectedCallback() {
        this.leave?.();
    }
}
customElements.define("plumb-ramp", PlumbRamp);

export const mismatchRamp = () =>
    html`<div class="ramp wide"><plumb-ramp></plumb-ramp><span>≤ 0.001</span><span>1</span><span>≥ 1,000</span></div>`;

/** @param {string} least @param {string} most */
export const countRampOf = (least, most) =>
    html`<div class="ramp"><span>${least}</span><plumb-ramp kind="count"></plumb-ramp><span>${most}</span></div>`;

/** @param {number} fullest */
export const countRamp = (fullest) => countRampOf("1", `${int(fullest)} samples a bin, log`);
