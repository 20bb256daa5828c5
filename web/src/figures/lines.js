/** Loss and accuracy as figures, of one run or of several: live lines. */
import { html } from "lit-html";
import { figure, placeholder } from "../figure.js";
import { int, loss, percent, plural, tick } from "../format.js";
import { liveReady, needPlots, plots, plotsFailed } from "../plots_loader.js";
import { NO_LINE } from "../training_log.js";
import { colourOf } from "../variant.js";
import { axisKey, fitButton, lastStep, seedsText } from "./common.js";

/**
 * @typedef {"loss" | "accuracy"} Kind
 * @typedef {import("./common.js").Run} Run
 * @typedef {import("../training_log.js").Line} Line @typedef {import("../training_log.js").Metrics} Metrics
 * @typedef {import("../live.js").LiveSeries} LiveSeries
 * @typedef {{ error: unknown, retry: () => void, cls: string, axes: import("../axes.js").AxisKeeper,
 *     empty: import("../dom.js").Part }} Options
 */

/** @type {Record<Kind, { title: string, key: string, format: (v: any) => string, what: string }>} */
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

/** @param {Kind} kind @param {Line} test @param {number} perEpoch */
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
 * The figure of some lines, or what stands in its place.
 * @param {Kind} kind
 * @param {Run[]} runs
 * @param {{ lines: Line[] | null, seriesOf: () => LiveSeries[], told: () => { reading: string, words: string[] } }} shown
 *     lines: null while they are read
 * @param {Options} o
 */
function figureOf(kind, runs, { lines, seriesOf, told }, { error, retry, cls, axes, empty }) {
    const { title, format } = KINDS[kind];
    const about = { id: kind, title, cls };
    if (plotsFailed.value || !lines || !liveReady.value)
        return placeholder(about, {
            height: 208,
            awaited: "Reading the training log.",
            error: plotsFailed.value ?? (lines ? null : error),
            retry,
        });
    if (!lines.some((line) => line.steps.length)) return placeholder(about, { height: 208, awaited: "", empty });
    const key = axisKey("loss", runs);
    const best = kind === "loss" ? lossRange(lines) : /** @type {[number, number]} */ ([0, 1]);
    const range = kind === "loss" ? axes.get(key, () => best) : best;
    const steps = lastStep(
        runs,
        lines.map((line) => line.steps[line.steps.length - 1] ?? 1),
    );
    const above = lines.flatMap((line) => line.values).filter((v) => v != null && v > range[1]).length;
    const gaps = lines.reduce((sum, line) => sum + line.nonfinite, 0);
    const series = seriesOf().filter((s) => s.steps.length);
    const tickFormat = (/** @type {number} */ v) => (kind === "loss" ? tick(v) : `${Math.round(100 * v)}\u00a0%`);
    /** @type {import("../live.js").LiveOptions} */
    const options = { steps, range, format: tickFormat, name: `${title} by step` };
    const { reading, words } = told();
    if (above) words.push(`${plural(above, "value")} above the axis.`);
    if (gaps) words.push(`${plural(gaps, "value")} not finite.`);
    return figure({
        ...about,
        runs: runs.flatMap((run) => run.ids),
        settings: fitButton(best[1] > range[1], () => axes.fit(key)),
        body: html`<plumb-live .lines=${{ series, options }}></plumb-live>`,
        reading,
        caption: words.join(" "),
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

/**
 * One run: each batch it was trained on, and the test set.
 * @param {Kind} kind
 * @param {Run} run
 * @param {Options & { metrics: Metrics | null }} o
 */
export function linesFigure(kind, run, { metrics, ...o }) {
    const { key, format, what } = KINDS[kind];
    const train = metrics?.[`train/${key}`] ?? NO_LINE;
    const test = metrics?.[`test/${key}`] ?? NO_LINE;
    const seriesOf = () => [
        { name: "train", colour: "var(--axis)", ink: "var(--ink-2)", width: 1, named: true, format, ...train },
        {
            name: "test",
            colour: "var(--ink)",
            ink: "var(--ink)",
            width: 2,
            points: true,
            valued: true,
            named: true,
            format,
            ...test,
        },
    ];
    const told = () => {
        const { steps: planned, epochs } = run.data.job.state.value.data?.progress ?? {};
        const batch = run.batch ? `, n = ${int(run.batch)}` : "";
        const thinned =
            train.of > train.steps.length
                ? `, ${int(train.steps.length)} of ${int(train.of)} drawn${run.growing ? "" : ", extremes kept"}`
                : "";
        return {
            reading: reading(kind, test, planned && epochs ? planned / epochs : 0),
            words: [
                `${what} Thin: each training batch${batch}, not smoothed${thinned}.`,
                test.steps.length
                    ? "Thick: the test set, after each epoch."
                    : run.growing
                      ? "The test set follows after the first epoch."
                      : "No epoch was completed, after which the test set would follow.",
            ],
        };
    };
    return figureOf(kind, [run], { lines: metrics && [train, test], seriesOf, told }, o);
}

/**
 * Means are worked out once for each reading.
 * @type {WeakMap<Map<number, Metrics>, Map<string, Line>>}
 */
const worked = new WeakMap();

/** The mean of a scalar over jobs. @param {Map<number, Metrics>} compared @param {number[]} ids @param {string} key */
function meanOf(compared, ids, key) {
    const known = worked.get(compared) ?? new Map();
    worked.set(compared, known);
    const name = `${key} ${ids}`;
    if (!known.has(name)) known.set(name, meanLine(ids.map((id) => compared.get(id)?.[key] ?? NO_LINE)));
    return /** @type {Line} */ (known.get(name));
}

/** The mean of several lines, where all that have begun have a value. @param {Line[]} all @returns {Line} */
function meanLine(all) {
    const lines = all.filter((line) => line.steps.length);
    if (lines.length < 2) return lines[0] ?? NO_LINE;
    const at = lines.map(({ steps, values }) => new Map(steps.map((step, i) => [step, values[i]])));
    const shared = lines[0].steps.filter((step) => at.every((line) => line.get(step) != null));
    const mean = (/** @type {number} */ step) => at.reduce((sum, line) => sum + Number(line.get(step)), 0) / at.length;
    return { steps: shared, values: shared.map(mean), nonfinite: 0, of: shared.length };
}

/**
 * Several runs: a thin line for the batches of each, a thick one for the test set of those that are one.
 * @param {Kind} kind
 * @param {Run[]} runs
 * @param {Options & { compared: Map<number, Metrics> | null }} o
 */
export function comparedLinesFigure(kind, runs, { compared, ...o }) {
    const { key, format, what } = KINDS[kind];
    const linesOf = (/** @type {Run} */ run, /** @type {string} */ name) =>
        run.ids.map((id) => compared?.get(id)?.[name] ?? NO_LINE);
    const trained = runs.map((run) => linesOf(run, `train/${key}`));
    const tested = runs.map((run) => linesOf(run, `test/${key}`));
    const means = runs.map((run) => (compared ? meanOf(compared, run.ids, `test/${key}`) : NO_LINE));
    const seriesOf = () => {
        const look = runs.map((run) => ({
            colour: colourOf(run.variant),
            ink: "var(--ink)",
            dashed: run.hollow,
            format,
        }));
        return [
            ...runs.flatMap((run, i) =>
                trained[i].map((line, k) => ({
                    ...look[i],
                    ...line,
                    name: `${run.label}, batches of ${run.ids[k]}`,
                    width: 0.5,
                    faint: true,
                })),
            ),
            ...runs.map((run, i) => ({
                ...look[i],
                ...means[i],
                name: run.label,
                width: 2,
                points: true,
                valued: true,
                named: true,
            })),
        ];
    };
    const told = () => {
        const drawn = Math.max(...trained.flat().map((line) => line.steps.length));
        const of = Math.max(...trained.flat().map((line) => line.of));
        return {
            reading: runs
                .flatMap((run, i) => {
                    const last = means[i].values[means[i].values.length - 1];
                    return last == null ? [] : [`${run.label}: test ${kind} ${format(last)}.`];
                })
                .join(" "),
            words: [
                `${what} Thin: each training batch of each run, not smoothed${of > drawn ? `, ${int(drawn)} of ${int(of)} drawn, extremes kept` : ""}. Thick: the test set, after each epoch${runs.some((run) => run.ids.length > 1) ? ", the mean of the seeds" : ""}.${seedsText(runs)}`,
            ],
        };
    };
    return figureOf(kind, runs, { lines: compared && [...trained.flat(), ...tested.flat()], seriesOf, told }, o);
}
