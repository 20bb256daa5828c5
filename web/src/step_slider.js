/**
 * One step or the last ones together: a slider over the steps that were probed.
 */
import { html } from "lit-html";
import { segments } from "./dom.js";
import { CLOUD_STEPS } from "./figure_data.js";
import { int } from "./format.js";
import { param, setQuery } from "./router.js";

/** The link changes at most this often while the slider is drawn along, in milliseconds. */
const INTERVAL = 120;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** The step in the link, if it was probed. @param {number[]} steps */
export function chosenStep(steps) {
    const asked = Number(param("step"));
    return steps.includes(asked) ? asked : null;
}

/** @param {number[]} steps */
export function stepSlider(steps) {
    if (!steps.length) return html``;
    const step = chosenStep(steps);
    const last = steps.length - 1;
    const at = step == null ? last : steps.indexOf(step);
    const few = Math.min(CLOUD_STEPS, steps.length);
    const move = (/** @type {Event} */ event) => {
        const next = steps[Number(/** @type {HTMLInputElement} */ (event.target).value)];
        clearTimeout(timer);
        timer = setTimeout(() => setQuery({ step: String(next) }), INTERVAL);
    };
    return html`<div class="steps">
        ${segments(
            "Steps",
            [
                { key: "last", name: few > 1 ? `Last ${few} steps` : "Last step" },
                { key: "one", name: "One step" },
            ],
            step == null ? "last" : "one",
            (key) => setQuery({ step: key === "one" ? String(steps[at]) : null }),
        )}
        <input
            type="range"
            min="0"
            max=${last}
            .value=${String(at)}
            aria-label="Probed step"
            aria-valuetext=${`step ${int(steps[at])}`}
            @input=${move}
        />
        <output>${step == null ? `${int(steps[steps.length - few])} to ${int(steps[last])}` : int(step)}</output>
    </div>`;
}
