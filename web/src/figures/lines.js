/** Loss and accuracy as figures: live lines. */
import { html } from "lit-html";
import { figure, placeholder } from "../figure.js";
import { int, loss, percent, plural, tick } from "../format.js";
import { liveReady, needPlots, plots, plotsFailed } from "../plots_loader.js";
import { fitButton } from "./common.js";

/**
 * @typedef {object} Line  a series as it is read and as it grows
 * @property {number[]} steps
 * @property {(number | null)[]} values
 * @property {number} nonfinite values that are not numbers; they are gaps
 * @property {number} of how many the run has
 * @typedef {Record<string, Line>} Metrics
 */

/** @type {Line} */
const NONE = { steps: [], values: [], nonfinite: 0, of: 0 };

/** @type {Record<"loss" | "accuracy", { title: string, key: string, format: (v: any) => string, what: string }>} */
const KINDS = {
    loss: { title: "Loss", key: "loss", format: loss, what: "Mean cross-entropy." },
    accuracy: { title: "Accuracy", key: "accuracy", format: percent, what: "Share of samples classified correctly." },
};

/** A loss so many times its first has left the axis. */
const BLOWN = 20;

/** The greatest loss that the axis holds: nearly all of what is known when the figure opens. @param {Line[]} lines */
function lossRange(lines) {
    const values = /** @type {number[]} */ (lines.flatMap((line) => line.values.filter((v) => v != null)));
    values.sort((a, b) => a - b);
    // Of a run that diverges the axis holds what came before.
    const first = lines.find((line) => line.values.length)?.values[0] ?? values[0];
    const most = values[Math.floor(0.99 * (values.length - 1))];
    const high = values.length ? Math.min(most, BLOWN * Math.max(first, values[0])) : 2.4;
    const unit = 10 ** Math.floor(Math.log10(Math.max(1e-3, high)));
    return /** @type {[number, number]} */ ([0, Math.ceil((high * 1.05) / (unit / 2)) * (unit / 2)]);
}

/** @param {"loss" | "accuracy"} kind @param {Line} test @param {number} perEpoch */
function reading(kind, test, perEpoch) {
    const last = test.values.length - 1;
    const value = test.values[last];
    if (value == null) return "";
    const { format } = KINDS[kind];
    const finite = /** @type {number[]} */ (test.values.filter((v) => v != null));
    const best = kind === "loss" ? Math.min(...finite) : Math.max(...finite);
    const epoch = perEpoch ? ` after epoch ${Math.round(test.steps[last] / perEpoch)}` : "";
    const extreme = best === value ? "" : `; ${kind === "loss" ? "lowest" : "highest"} ${format(best)}`;
    return `Test ${kind} ${format(value)}${epoch}${extreme}.`;
}

/**
 * @param {"loss" | "accuracy"} kind
 * @param {import("./common.js").Run} run
 * @param {{ metrics: Metrics | null, error: unknown, retry: () => void, cls: string,
 *     axes: import("../axes.js").AxisKeeper, empty: import("../dom.js").Part }} o
 */
export function linesFigure(kind, run, { metrics, error, retry, cls, axes, empty }) {
    const { title, key, format, what } = KINDS[kind];
    const about = { id: kind, title, cls };
    if (plotsFailed.value || (error && !metrics) || !metrics || !liveReady.value)
        return placeholder(about, {
            height: 208,
            awaited: "Reading the training log.",
            error: plotsFailed.value ?? error,
            retry,
        });
    const train = metrics[`train/${key}`] ?? NONE;
    const test = metrics[`test/${key}`] ?? NONE;
    if (!train.steps.length && !test.steps.length) return placeholder(about, { height: 208, awaited: "", empty });

    const job = run.data.job.state.value.data;
    const steps = Math.max(job?.progress?.steps ?? 0, train.steps[train.steps.length - 1] ?? 1);
    const perEpoch = job?.progress?.epochs && job.progress.steps ? job.progress.steps / job.progress.epochs : 0;
    const range =
        kind === "loss" ? axes.get("loss", () => lossRange([train, test])) : /** @type {[number, number]} */ ([0, 1]);
    const above = [...train.values, ...test.values].filter((v) => v != null && v > range[1]).length;
    const tickFormat = (/** @type {number} */ v) => (kind === "loss" ? tick(v) : `${Math.round(100 * v)}\u00a0%`);
    /** @type {import("../live.js").LiveSeries[]} */
    const series = [
        {
            name: "train",
            colour: "var(--axis)",
            ink: "var(--ink-2)",
            width: 1,
            points: false,
            valued: false,
            format,
            ...train,
        },
        {
            name: "test",
            colour: "var(--ink)",
            ink: "var(--ink)",
            width: 2,
            points: true,
            valued: true,
            format,
            ...test,
        },
    ].filter((s) => s.steps.length);
    /** @type {import("../live.js").LiveOptions} */
    const options = { steps, range, format: tickFormat, name: `${title} by step` };
    const batch = run.batch ? `, n = ${int(run.batch)}` : "";
    const thinned =
        train.of > train.steps.length
            ? `, ${int(train.steps.length)} of ${int(train.of)} drawn${run.growing ? "" : ", extremes kept"}`
            : "";
    const parts = [`${what} Thin: each training batch${batch}, not smoothed${thinned}.`];
    parts.push(
        test.steps.length ? "Thick: the test set, after each epoch." : "The test set follows after the first epoch.",
    );
    if (above) parts.push(`${plural(above, "value")} above the axis.`);
    const gaps = train.nonfinite + test.nonfinite;
    if (gaps) parts.push(`${plural(gaps, "value")} not finite.`);
    return figure({
        ...about,
        runs: [run.id],
        settings: html`${fitButton(kind === "loss" && lossRange([train, test])[1] > range[1], () => axes.fit("loss"))}`,
        body: html`<plumb-live .lines=${{ series, options }}></plumb-live>`,
        reading: reading(kind, test, perEpoch),
        caption: parts.join(" "),
        table: () => ({
            columns: [
                { name: "series" },
                { name: "step", numeric: true, format: int },
                { name: kind, numeric: true, format },
            ],
            rows: [...series].reverse().flatMap((s) => s.steps.map((step, i) => [s.name, step, s.values[i]])),
        }),
        drawings: async () => {
            await needPlots();
            return plots.value ? [[plots.value.linesPlot(series, options, 640)]] : [];
        },
        stale: error ? { error, at: 0, retry } : null,
    });
}
