/**
 * What figures over one or several runs share.
 */
import { html, nothing } from "lit-html";
import { segments, variant } from "../dom.js";
import { placeholder, plotHost } from "../figure.js";
import { int, plural } from "../format.js";
import { isFinal, title } from "../job.js";
import { plots, plotsFailed } from "../plots_loader.js";
import { param, setQuery } from "../router.js";
import { mainVariant } from "../spec_summary.js";

/**
 * One of the runs of a figure.
 * @typedef {object} Run
 * @property {number} id of the first, where several seeds are one
 * @property {number[]} ids
 * @property {string} label short, and different for each
 * @property {string | null} variant
 * @property {boolean} hollow a second run of the same variant: hollow shapes, dashed lines
 * @property {boolean} growing it still trains
 * @property {number | null} batch
 * @property {import("../run_data.js").RunData} data
 */

/** The run of one job, alone in its figures. @param {import("../api.js").Job} job @param {Run["data"]} data @returns {Run} */
export const runOf = (job, data) => ({
    id: job.id,
    ids: [job.id],
    label: mainVariant(job.spec) ?? title(job),
    variant: mainVariant(job.spec),
    hollow: false,
    growing: !isFinal(job.state),
    batch: job.spec.batch_size ?? null,
    data,
});

/** What is said of runs that are one but for their seeds. @param {Run[]} runs */
export function seedsText(runs) {
    const sizes = [...new Set(runs.map((run) => run.ids.length))].sort((a, b) => a - b);
    if (sizes[sizes.length - 1] === 1) return "";
    return ` Runs that differ in their seed alone are merged: ${sizes.join(" or ")} seeds each.`;
}

/**
 * @typedef {object} Panel
 * @property {Run} run
 * @property {string | null} [variant] of what is drawn, where it need not be the run's
 * @property {import("../dom.js").Part} [note] beside the run's name
 * @property {import("../drawn.js").PlotSpec} plot
 */

/** A panel a run, under the run's name where there are several. @param {Panel[]} panels @param {boolean} named */
export const panelsView = (panels, named) =>
    html`<div class="panels">
        ${panels.map(
            ({ run, variant: shown = run.variant, note = nothing, plot }) =>
                html`<div class="panel">
                    ${
                        named
                            ? html`<p class="panel-head">
                                  ${variant(shown, html`<b>${run.label}</b>`, run.hollow || undefined)} ${note}
                              </p>`
                            : nothing
                    }
                    ${plotHost(plot)}
                </div>`,
        )}
    </div>`;

/** A panel's drawing in an export. @param {SVGSVGElement} svg @param {string} heading */
export function headed(svg, heading) {
    if (heading) svg.dataset.heading = heading;
    return svg;
}

/** A run's name, where there are several. @param {Run} run @param {Run[]} runs */
export const nameAmong = (run, runs) => (runs.length > 1 ? run.label : "");

/** What a sentence about one of the runs begins with. @param {Run} run @param {Run[]} runs */
export const leadOf = (run, runs) => (runs.length > 1 ? `${run.label}: ` : "");

/** The texts that differ, in their order. @param {string[]} texts */
export const distinct = (texts) => [...new Set(texts)].join("; ");

/** A figure's axes belong to the runs it shows. @param {string} name @param {Run[]} runs */
export const axisKey = (name, runs) => `${name} ${runs.map((run) => run.ids)}`;

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

/** @typedef {import("../resource.js").Resource<any>} AnyResource */

/**
 * What stands in a figure's place until its data and the plots are there; then null.
 * @param {Pick<import("../figure.js").Figure, "id" | "title" | "cls">} about
 * @param {AnyResource[]} readings
 * @param {{ height: number, awaited: string, loaded?: (data: any) => boolean }} o
 *     loaded: whether what was read is what is asked for now
 */
export function awaiting(about, readings, { height, awaited, loaded = (data) => data != null }) {
    const failed = readings.find(({ state: { value } }) => value.error && !value.data);
    const error = plotsFailed.value ?? failed?.state.value.error;
    if (!error && plots.value && readings.every((reading) => loaded(reading.state.value.data))) return null;
    return placeholder(about, { height, awaited, error, retry: () => readings.forEach((r) => r.refresh()) });
}

/** The drawing module; there once `awaiting` is over. */
export const drawn = () => /** @type {typeof import("../plots/index.js")} */ (plots.value);

/** Whether the axis of steps is logarithmic. */
export const isLogStep = () => param("steps") !== "linear";

export const stepSwitch = () =>
    segments(
        "Step axis",
        [
            { key: "log", name: "log step" },
            { key: "linear", name: "linear step" },
        ],
        isLogStep() ? "log" : "linear",
        (key) => setQuery({ steps: key === "linear" ? "linear" : null }),
    );

/**
 * The last step of an axis of steps: of a run that goes on, the last planned.
 * @param {Run[]} runs
 * @param {number[]} measured the last measured step of each
 */
export const lastStep = (runs, measured) =>
    Math.max(
        2,
        ...measured,
        ...runs.map((run) => (run.growing ? (run.data.job.state.value.data?.progress?.steps ?? 0) : 0)),
    );

/** The variant of a site in a run; the run's own where the site has none. @param {Run} run @param {string} name */
export const variantAt = (run, name) =>
    run.data.sites.state.value.data?.sites.find((site) => site.name === name)?.variant ?? run.variant;

/** Whether anything was measured: what is missing then is not defined. @param {Run[]} runs */
export const isMeasured = (runs) => runs.some((run) => run.data.sites.state.value.data?.steps.length);
