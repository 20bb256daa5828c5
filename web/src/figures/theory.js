/** F1 as a figure: a panel a run. */
import { html, nothing } from "lit-html";
import { allRatios, BIN, cloud, cloudDomain, outside, ratioQuantile } from "../bins.js";
import { figure, placeholder } from "../figure.js";
import { int, num, percent, plural, tick } from "../format.js";
import { countRamp } from "../ramp.js";
import { theme } from "../theme.js";
import {
    awaiting,
    axisKey,
    distinct,
    drawn,
    fitButton,
    headed,
    isMeasured,
    isSelfPart,
    panelsView,
    partSwitch,
    seedsText,
    staleOf,
    stepsText,
    variantAt,
} from "./common.js";

/** @typedef {import("./common.js").Run} Run @typedef {import("../bins.js").Cloud} Cloud */

/**
 * A cloud is worked out once for each reading and part.
 * @type {WeakMap<object, { full?: Cloud, self?: Cloud }>}
 */
const worked = new WeakMap();

/** @param {import("../figure_data.js").CloudData} data @param {boolean} selfPart */
function cloudOf(data, selfPart) {
    const known = worked.get(data) ?? {};
    worked.set(data, known);
    const part = selfPart ? "self" : "full";
    return (known[part] ??= cloud(data.density, data.self, selfPart));
}

/** What a panel does not draw, counted. @param {Cloud} c @param {{ x: [number, number], y: [number, number] }} domain */
function countsText(c, domain) {
    const out = outside(c, domain);
    const positive = c.total - c.undefined - c.nonpositive;
    const drawn = positive - out.below - out.above - out.beside;
    const parts = [`${int(drawn)} drawn`, `${int(c.nonpositive)} with scale ≤ 0`];
    parts.push(`${int(out.below)} below ${tick(10 ** domain.y[0])}`);
    if (out.above) parts.push(`${int(out.above)} above ${tick(10 ** domain.y[1])}`);
    if (out.beside) parts.push(`${int(out.beside)} beside the axis`);
    if (c.undefined) parts.push(`${int(c.undefined)} undefined`);
    return parts.join(", ");
}

/** @param {{ run: Run, cloud: Cloud }[]} panels */
function reading(panels) {
    return panels
        .map(({ run, cloud: c }) => {
            const ratios = allRatios(c);
            const total = c.total - c.undefined;
            if (!total) return "";
            const middle = ratioQuantile(ratios, 0.5);
            const lead = panels.length > 1 ? `${run.label}: the` : "The";
            const median = middle > 0 ? `${num(middle)} times the predicted` : "≤ 0";
            return `${lead} median measured scale is ${median}; ${percent(c.nonpositive / total)} of the samples have scale ≤ 0.`;
        })
        .filter(Boolean)
        .join(" ");
}

/** @param {{ run: Run, cloud: Cloud }[]} panels @param {boolean} selfPart */
function caption(panels, selfPart) {
    const batches = [...new Set(panels.map(({ run }) => run.batch))];
    const others = batches.length === 1 && batches[0] ? `the other ${batches[0] - 1} samples` : "the other samples";
    const parts = [];
    if (selfPart)
        parts.push(
            "The self part of a sample’s scale is its self factor by construction: all lie on the dashed line, and that is no evidence.",
        );
    else if (batches.length === 1 && batches[0] === 1)
        parts.push("At batch size 1 there is no interference: all lie on the dashed line.");
    else
        parts.push(
            `What lies off the dashed line is interference from ${others} of the batch; at batch size 1 all would lie on it.`,
        );
    parts.push(
        "A cell: the count of samples in a bin of 1/20 decade; a lone sample is a dot. Below: median and 25–75 % of measured ÷ predicted, samples with scale ≤ 0 counted as below the axis.",
    );
    const steps = distinct(panels.map(({ run }) => stepsText(run.data.cloud.state.value.data?.density.steps ?? [])));
    const network = panels.some(({ run }) => run.data.cloud.state.value.data?.network);
    parts.push(`${steps}; ${network ? "network view, which holds what all earlier layers did" : "layer view"}.`);
    const { of = 0 } = panels[0].run.data.cloud.state.value.data ?? {};
    if (network && panels[0].cloud.total < of)
        parts.push(`The first ${int(panels[0].cloud.total)} of ${int(of)} samples.`);
    return parts.join(" ") + seedsText(panels.map(({ run }) => run));
}

/** @param {{ run: Run, cloud: Cloud }[]} panels @returns {import("../figure.js").Table} */
const table = (panels) => ({
    columns: [
        { name: "run" },
        ...["predicted from", "predicted to", "measured from", "measured to"].map((name) => ({
            name,
            numeric: true,
            format: num,
        })),
        { name: "samples", numeric: true, format: int },
    ],
    rows: panels.flatMap(({ run, cloud: c }) => [
        ...[...c.cells]
            .sort((a, b) => b.n - a.n)
            .map(({ x, y, n }) => [
                run.label,
                ...[x, x + BIN, y, y + BIN].map((d) => Number((10 ** d).toPrecision(6))),
                n,
            ]),
        [run.label, null, null, null, 0, c.nonpositive],
        [run.label, null, null, null, null, c.undefined],
    ]),
});

/**
 * @param {Run[]} runs
 * @param {string} site
 * @param {{ cls: string, aside?: boolean, settings?: import("../dom.js").Part,
 *     choose?: (cell: import("../bins.js").Cell, constant: boolean) => void, axes: import("../axes.js").AxisKeeper, empty: import("../dom.js").Part }} o
 */
export function theoryFigure(runs, site, { cls, aside = false, settings = nothing, choose, axes, empty }) {
    const about = { id: "theory", title: `Theory and measurement at ${site}`, cls };
    const readings = runs.map((run) => run.data.cloud);
    const waiting = awaiting(about, readings, {
        height: 560,
        awaited: `Reading the counts of ${site}.`,
        loaded: (data) => data?.site === site,
    });
    if (waiting) return waiting;
    const module = drawn();
    const selfPart = isSelfPart();
    const panels = runs.flatMap((run) => {
        const data = run.data.cloud.state.value.data;
        return data ? [{ run, data, cloud: cloudOf(data, selfPart) }] : [];
    });
    if (!panels.some(({ cloud: c }) => c.cells.length || c.nonpositive)) {
        return placeholder(about, {
            height: 560,
            awaited: "",
            empty: isMeasured(runs)
                ? html`<p>
                      <b>This site has no self factor.</b> It is not linear in its parameters, or the optimiser is not
                      plain: nothing is predicted for a sample alone.
                  </p>`
                : empty,
        });
    }
    const clouds = panels.map((panel) => panel.cloud);
    const key = axisKey(`theory ${site}`, runs);
    const domain = axes.get(key, () => cloudDomain(panels.map(({ data }) => cloudOf(data, false))));
    /** Beside another figure a panel is no taller than that one. */
    const tallest = aside ? 640 : 480;
    const fullest = Math.max(...clouds.map(module.fullestBin));
    const out = clouds.map((c) => outside(c, domain));
    const now = theme.value;
    /** @param {typeof panels[number]} panel */
    const optionsOf = ({ run, data, cloud: c }) => ({
        ...domain,
        tallest,
        fullest,
        variant: variantAt(run, site),
        exact: selfPart ? [] : data.exact,
        name: `Measured scale against predicted self factor at ${site}, ${run.label}, ${countsText(c, domain)}`,
        theme: now,
        choose: choose && ((/** @type {import("../bins.js").Cell} */ cell) => choose(cell, c.constant)),
    });
    return figure({
        ...about,
        aside,
        runs: runs.flatMap((run) => run.ids),
        settings: html`${fitButton(
            out.some((o) => o.above || o.beside),
            () => axes.fit(key),
        )}
        ${settings} ${partSwitch()}`,
        body: panelsView(
            panels.map((panel) => {
                const options = optionsOf(panel);
                return {
                    run: panel.run,
                    variant: options.variant,
                    note: html`<span class="faint">· ${countsText(panel.cloud, domain)}</span>`,
                    plot: {
                        deps: [panel.data, domain, fullest, selfPart, now],
                        height: module.theoryHeight({ ...domain, tallest }, 440),
                        draw: (width) => module.theory(panel.cloud, options, width),
                    },
                };
            }),
            true,
        ),
        key: countRamp(fullest),
        reading: selfPart ? "" : reading(panels),
        exportNote: `Counts from 1 to ${plural(fullest, "sample")} a bin, log.`,
        caption: caption(panels, selfPart),
        table: () => table(panels),
        drawings: async () => {
            const made = panels.map((panel) => {
                const plots = module.theoryPlots(panel.cloud, { ...optionsOf(panel), theme: "light" }, 440);
                headed(plots[0], `${panel.run.label} · ${countsText(panel.cloud, domain)}`);
                return plots;
            });
            return [made.map(([main]) => main), made.map(([, residual]) => residual)];
        },
        stale: staleOf(readings),
    });
}
