/** F2 as a figure. */
import { html } from "lit-html";
import { figure, placeholder, plotHost } from "../figure.js";
import { int, num, plural } from "../format.js";
import {
    awaiting,
    axisKey,
    countText,
    drawn,
    fitButton,
    isLogStep,
    lastStep,
    seedsText,
    staleOf,
    stepSwitch,
} from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../plots/drift.js").DriftSeries} DriftSeries */

const QUANTILES = ["5", "25", "50", "75", "95"];
/**
 * Merged bands from the first step to the last; each group's stand at its middle.
 * @param {Run} run
 */
function bandsOf(run) {
    const bands = run.data.drift.state.value.data?.bands ?? [];
    if (!bands.length) return null;
    const [first, last] = [bands[0], bands[bands.length - 1]];
    const inner = bands.map(({ at, q }) => ({ step: at, q }));
    return [{ step: first.from, q: first.q }, ...inner, { step: last.to, q: last.q }];
}

/** @param {Run[]} runs @returns {DriftSeries[]} */
const seriesOf = (runs) =>
    runs.map((run) => {
        const site = run.data.sites.state.value.data?.sites.find(
            (s) => s.name === run.data.drift.state.value.data?.site,
        );
        const items = run.data.drift.state.value.data?.items ?? [];
        return {
            label: run.label,
            variant: site?.variant ?? run.variant,
            dashed: runs.length > 1 && (run.variant === "affine" || run.hollow),
            hollow: run.hollow,
            bands: bandsOf(run),
            of: run.data.drift.state.value.data?.all.of ?? 0,
            seeds: (run.data.drift.state.value.data?.seeds ?? []).map((items) =>
                items.map((item) => ({ step: Number(item.step), q: item.quantiles })),
            ),
            steps: items
                .filter((item) => item.count > 0)
                .map((item) => ({
                    step: /** @type {number} */ (item.step),
                    q: item.quantiles,
                    n: item.count,
                    undefined: item.undefined,
                })),
        };
    });

/** @param {DriftSeries[]} series */
function reading(series) {
    const parts = series.flatMap((s) => {
        const [first, last] = [s.steps[0], s.steps[s.steps.length - 1]];
        if (!last) return [];
        const below = s.steps.filter((step) => Number(step.q["5"]) <= 0).length;
        const share =
            s.of > s.steps.length ? "" : `; the 5 % quantile is ≤ 0 at ${below} of ${s.steps.length} probed steps`;
        const lead = series.length > 1 ? `${s.label}: median` : "Median";
        const went =
            first === last
                ? `${num(last.q["50"])} at step ${int(last.step)}`
                : `${num(first.q["50"])} at step ${int(first.step)}, ${num(last.q["50"])} at step ${int(last.step)}`;
        return [`${lead} ${went}${share}.`];
    });
    return parts.join(" ");
}

/** @param {DriftSeries[]} series @param {Run[]} runs */
function caption(series, runs) {
    const steps = series.flatMap((s) => s.steps);
    const gone = runs.reduce((sum, run) => sum + (run.data.drift.state.value.data?.all.undefined ?? 0), 0);
    const all = series.map((s) => s.of);
    const bands = series.length > 1 ? "bands: 25–75 %; thin: 5 % and 95 %" : "bands: 25–75 % and 5–95 %";
    const shown = series.map((s) => s.steps.length);
    const sizes = runs.flatMap(({ data }) => data.drift.state.value.data?.bands.map((band) => band.steps) ?? []);
    const pooling = sizes.length
        ? `bands over up to ${Math.max(...sizes)} neighbouring ones by merging histograms, medians not pooled`
        : "not pooled";
    const thin = all.some((n, i) => n > shown[i])
        ? `, ${int(Math.max(...shown))} drawn: of each stretch ${runs.some((run) => run.data.drift.state.value.data?.even) ? "the last" : "those of the lowest and highest quantiles"}`
        : "";
    const seeds = series.some((s) => s.seeds.length)
        ? " The thick line is the middle one of the seeds’ medians, thin without a name: those of each seed."
        : "";
    return `Scale by step at one site. Thick: median of the batch; ${bands}. Signed log axis, linear from −0.1 to 0.1: below 0 a sample is moved away from its ideal. ${plural(Math.max(...all), "probed step")}${thin}, ${pooling}, ${countText(
        steps.map((step) => step.n),
        "each",
    )}, ${int(gone)} undefined.${seedsText(runs)}${seeds}`;
}

/** @param {Run[]} runs @returns {import("../figure.js").Table} */
const table = (runs) => ({
    columns: [
        { name: "run" },
        { name: "step", numeric: true, format: int },
        ...QUANTILES.map((p) => ({ name: `${p} %`, numeric: true, format: num })),
        { name: "n", numeric: true, format: int },
        { name: "n ≤ 0", numeric: true, format: int },
        { name: "undefined", numeric: true, format: int },
    ],
    rows: runs.flatMap((run) =>
        (run.data.drift.state.value.data?.items ?? []).map((item) => [
            run.label,
            item.step ?? null,
            ...QUANTILES.map((p) => item.quantiles[p] ?? null),
            item.count,
            item.nonpositive,
            item.undefined,
        ]),
    ),
});

/**
 * @param {Run[]} runs
 * @param {string} site
 * @param {{ cls: string, aside?: boolean, axes: import("../axes.js").AxisKeeper, empty: import("../dom.js").Part }} o
 */
export function driftFigure(runs, site, { cls, aside = false, axes, empty }) {
    const about = { id: "drift", title: `Drift at ${site}`, cls };
    const readings = runs.map((run) => run.data.drift);
    const waiting = awaiting(about, readings, {
        height: 400,
        awaited: `Reading the summaries of ${site}.`,
        loaded: (data) => data?.site === site,
    });
    if (waiting) return waiting;
    const module = drawn();
    const series = seriesOf(runs);
    if (!series.some((s) => s.steps.length)) return placeholder(about, { height: 400, awaited: "", empty });

    const key = axisKey(`drift ${site}`, runs);
    const y = axes.get(key, () => module.driftDomain(series));
    const best = module.driftDomain(series);
    const grown = best[0] < y[0] || best[1] > y[1];
    const end = lastStep(
        runs,
        series.map((s) => s.steps[s.steps.length - 1]?.step ?? 0),
    );
    const logStep = isLogStep();
    /** @type {import("../plots/drift.js").DriftOptions} */
    const options = { y, x: [1, end], logStep, name: `Scale by step at ${site}` };
    const measured = series.filter((s) => s.steps.length);
    return figure({
        ...about,
        aside,
        runs: runs.flatMap((run) => run.ids),
        settings: html`${fitButton(grown, () => axes.fit(key))} ${stepSwitch()}`,
        body: plotHost({
            deps: [y, end, logStep, ...readings.map((r) => r.state.value.data), runs.map((r) => r.label).join()],
            height: 400,
            draw: (width) => module.drift(measured, options, width),
        }),
        reading: reading(measured),
        caption: caption(measured, runs),
        table: () => table(runs),
        drawings: async () => [[module.driftPlot(measured, options, 880)]],
        stale: staleOf(readings),
    });
}
