/**
 * What figures over one or several runs share.
 */
import { html, nothing } from "lit-html";
import { segments } from "../dom.js";
import { int, plural } from "../format.js";
import { param, setQuery } from "../router.js";

/**
 * One of the runs of a figure.
 * @typedef {object} Run
 * @property {number} id
 * @property {string} label short, and different for each
 * @property {string | null} variant
 * @property {boolean} hollow a second run of the same variant: hollow shapes, dashed lines
 * @property {boolean} growing it still trains
 * @property {number | null} batch
 * @property {import("../run_data.js").RunData} data
 */

/** Whether only the part of a step that comes from the sample itself is shown. */
export const isSelfPart = () => param("part") === "self";

export const partSwitch = () =>
    segments(
        "Part",
        [
            { key: "full", name: "Full batch" },
            { key: "self", name: "Self part" },
        ],
        isSelfPart() ? "self" : "full",
        (key) => setQuery({ part: key === "self" ? "self" : null }),
    );

/** @param {boolean} shown @param {() => void} fit */
export const fitButton = (shown, fit) =>
    shown ? html`<button class="tool" type="button" @click=${fit}>Fit the axis</button>` : nothing;

/** "step 780", "8 probed steps, 604 to 780". @param {number[]} steps */
export function stepsText(steps) {
    if (!steps.length) return "no probed step";
    if (steps.length === 1) return `Step ${int(steps[0])}`;
    return `The last ${steps.length} probed steps, ${int(steps[0])} to ${int(steps[steps.length - 1])}`;
}

/** "n = 512 samples a site". @param {number[]} counts @param {string} each */
export function countText(counts, each) {
    const least = Math.min(...counts);
    const most = Math.max(...counts);
    return least === most
        ? `n = ${plural(most, "sample")} ${each}`
        : `n = ${int(least)} to ${plural(most, "sample")} ${each}`;
}

/**
 * The first error among readings, if what is shown is older than it.
 * @param {{ state: { value: { error: unknown, at: number } }, refresh: () => void }[]} parts
 */
export function staleOf(parts) {
    const failed = parts.find((part) => part.state.value.error);
    if (!failed) return null;
    return {
        error: failed.state.value.error,
        at: failed.state.value.at,
        retry: () => parts.forEach((part) => part.refresh()),
    };
}
