/**
 * F2, drift: quantiles of scale by step at one site, on a signed logarithmic axis, so that a step the wrong way has
 * its place.
 */
import { areaY, lineY, ruleY, text } from "@observablehq/plot";
import { html } from "lit-html";
import { variant as variantMark } from "../dom.js";
import { int, num, tick } from "../format.js";
import { colourOf } from "../variant.js";
import * as kit from "./kit.js";
import { SIGNED, signed, signedDomain, signedTicks } from "./signed.js";

/**
 * @typedef {{ step: number, q: Record<string, number | null>, n: number, undefined: number }} DriftStep
 * @typedef {{ label: string, variant: string | null, dashed: boolean, hollow: boolean, steps: DriftStep[],
 *     bands: { step: number, q: Record<string, number | null> }[] | null, of: number,
 *     seeds: { step: number, q: Record<string, number | null> }[][] }} DriftSeries
 *     bands: merged over neighbouring steps; null: those of each step; of: how many steps there are, drawn or not;
 *     seeds: where several are one line, each by itself
 * @typedef {object} DriftOptions
 * @property {[number, number]} y
 * @property {[number, number]} x
 * @property {boolean} logStep
 * @property {string} name
 */

const TOP = 32;
const BOTTOM = 28;
const LEFT = 56;

/** @param {number} width */
export const driftHeight = (width) => (width < kit.NARROW ? 320 : 400);

/**
 * The limits of the axis: whole decades around all that is to be drawn.
 * @param {DriftSeries[]} series
 * @returns {[number, number]}
 */
export function driftDomain(series) {
    return signedDomain(
        series.flatMap((s) => [
            ...s.steps.map((step) => step.q["50"]),
            ...(s.bands ?? s.steps).flatMap(({ q }) => [q["5"], q["95"]]),
        ]),
    );
}

/**
 * The names and last values at the lines' ends, moved apart where they would meet.
 * @param {DriftSeries[]} series
 * @param {(v: number) => number} y px
 * @param {number} height
 */
function endLabels(series, y, height) {
    const many = series.length > 1;
    /** @type {{ v: number, words: string, strong: boolean, tall: number, top: number }[]} */
    const labels = [];
    for (const s of series) {
        const last = s.steps[s.steps.length - 1]?.q;
        if (!last) continue;
        const median = last["50"];
        const words = many ? `${s.label}\n${num(median)}` : `median ${num(median)}`;
        if (median != null) labels.push({ v: median, words, strong: true, tall: many ? 32 : 16, top: 0 });
        for (const p of many ? ["5", "95"] : ["5", "25", "75", "95"]) {
            const v = (s.bands?.[s.bands.length - 1].q ?? last)[p];
            const value = !many && (p === "5" || p === "95") ? ` ${num(v)}` : "";
            if (v != null) labels.push({ v, words: `${p}\u00a0%${value}`, strong: false, tall: 16, top: 0 });
        }
    }
    labels.sort((a, b) => b.v - a.v);
    labels.forEach((label, i) => {
        label.top = y(label.v) - label.tall / 2;
        const above = labels[i - 1];
        if (above) label.top = Math.max(label.top, above.top + above.tall);
    });
    // What was pushed past the bottom goes up again.
    for (let i = labels.length - 1, floor = height + 8; i >= 0; i--) {
        labels[i].top = Math.min(labels[i].top, floor - labels[i].tall);
        floor = labels[i].top;
    }
    return labels;
}

/** @param {DriftSeries[]} series @param {DriftOptions} o @param {number} width */
export function driftPlot(series, o, width) {
    const narrow = width < kit.NARROW;
    const many = series.length > 1;
    const height = driftHeight(width);
    const longest = Math.max(...series.map((s) => kit.textWidth(s.label)), 0);
    const right = many ? Math.min(140, Math.max(72, longest + 16)) : 104;
    const [low, high] = o.y;
    /** @param {number | null | undefined} v */
    const clip = (v) => (v == null ? NaN : Math.min(high, Math.max(low, v)));
    const frame = height - TOP - BOTTOM;
    /** @param {number} v px below the frame's top */
    const py = (v) => ((signed(high) - signed(clip(v))) / (signed(high) - signed(low))) * frame;
    const ticks = signedTicks(o.y, frame);

    /** @type {import("@observablehq/plot").Markish[]} */
    const marks = [
        ruleY(
            ticks.filter((t) => t),
            { stroke: kit.GRID },
        ),
        ruleY([0], { stroke: kit.AXIS, strokeDasharray: "2,3" }),
    ];
    /** @param {string} p */
    const at = (p) => (/** @type {{ q: Record<string, number | null> }} */ d) => clip(d.q[p]);
    for (const s of series) {
        const stroke = colourOf(s.variant);
        const bands = s.bands ?? s.steps;
        const area = (/** @type {string} */ a, /** @type {string} */ b, /** @type {number} */ fillOpacity) =>
            areaY(bands, { x: "step", y1: at(a), y2: at(b), fill: stroke, fillOpacity });
        if (!many) marks.push(area("5", "95", 0.14));
        marks.push(area("25", "75", 0.22));
        for (const p of ["5", "95"]) marks.push(lineY(bands, { x: "step", y: at(p), stroke, strokeWidth: 0.75 }));
    }
    for (const s of series)
        for (const steps of s.seeds)
            marks.push(lineY(steps, { x: "step", y: at("50"), stroke: colourOf(s.variant), strokeWidth: 0.75 }));
    marks.push(ruleY([1], kit.RULE));
    for (const s of series) {
        const line = { x: "step", y: at("50") };
        marks.push(
            lineY(s.steps, { ...line, stroke: kit.SURFACE, strokeWidth: 4 }),
            lineY(s.steps, {
                ...line,
                stroke: colourOf(s.variant),
                strokeWidth: 2,
                strokeDasharray: s.dashed ? "6,3" : undefined,
            }),
        );
    }
    const end = Math.max(...series.map((s) => s.steps[s.steps.length - 1]?.step ?? o.x[0]));
    for (const label of endLabels(series, py, frame))
        marks.push(
            text([label], {
                x: () => end,
                y: () => clip(label.v),
                dy: label.top + label.tall / 2 - py(label.v),
                text: () => label.words,
                lineAnchor: "middle",
                textAnchor: "start",
                dx: 8,
                fill: label.strong ? kit.INK : kit.INK_2,
                fontWeight: label.strong ? 500 : 400,
                lineHeight: 1.3,
                stroke: kit.SURFACE,
                strokeWidth: 3,
            }),
        );
    const xTicks = kit.stepTicks(o.x[1], o.logStep, narrow);
    marks.push(
        text([1], {
            y: (d) => d,
            frameAnchor: "left",
            text: () => "ideal 1",
            textAnchor: "end",
            dx: -8,
            fill: kit.INK,
            fontWeight: 500,
        }),
        kit.leftAxis(ticks, { tickFormat: tick }),
        kit.note("scale, signed log", { frameAnchor: "top-left", dx: -LEFT, dy: -28, textAnchor: "start" }),
        ...kit.stepAxis(xTicks, o.logStep, { dx: right }),
    );
    return kit.draw(
        {
            width,
            height,
            marginLeft: LEFT,
            marginRight: right,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { type: o.logStep ? "log" : "linear", domain: o.x, axis: null },
            y: { ...SIGNED, domain: o.y },
            marks,
        },
        o.name,
    );
}

/**
 * The plot with its readout.
 * @param {DriftSeries[]} series
 * @param {DriftOptions} o
 * @param {number} width
 * @returns {import("../drawn.js").Drawing}
 */
export function drift(series, o, width) {
    const svg = driftPlot(series, o, width);
    const scale = /** @type {any} */ (svg).scale("x");
    const steps = [...new Set(series.flatMap((s) => s.steps.map((step) => step.step)))].sort((a, b) => a - b);
    const many = series.length > 1;
    const right = width - LEFT - (scale.range[1] - scale.range[0]);
    /** @param {DriftSeries} s @param {number} i */
    const find = (s, i) => s.steps.find((step) => step.step === steps[i])?.q;
    /** @param {Record<string, number | null> | undefined} q */
    const words = (q) =>
        q
            ? `median ${num(q["50"])}, 25 to 75 percent ${num(q["25"])} to ${num(q["75"])}, 5 to 95 percent ${num(q["5"])} to ${num(q["95"])}`
            : "not measured";
    return {
        nodes: [svg],
        scrub: {
            label: `${o.name}, step`,
            left: LEFT,
            top: TOP,
            width: width - LEFT - right,
            height: driftHeight(width) - TOP - BOTTOM,
            count: steps.length,
            x: (i) => scale.apply(steps[i]) - LEFT,
            key: (i) => steps[i],
            text: (i) =>
                `step ${int(steps[i])}; ${series.map((s) => `${many ? `${s.label}: ` : ""}${words(find(s, i))}`).join("; ")}`,
            body: (i) =>
                html`<b>step ${int(steps[i])}</b>
                    <table>
                        <tbody>
                            ${series.map((s) => readoutRows(s, find(s, i), many))}
                        </tbody>
                    </table>`,
            below: width < kit.NARROW,
        },
    };
}

/** @param {DriftSeries} s @param {Record<string, number | null> | undefined} q @param {boolean} many */
const readoutRows = (s, q, many) =>
    html`${
            many
                ? html`<tr>
                      <td colspan="2">${variantMark(s.variant, s.label, s.hollow)}</td>
                  </tr>`
                : ""
        }
        <tr>
            <td>median</td>
            <td class="r">${num(q?.["50"])}</td>
        </tr>
        <tr>
            <td>25–75 %</td>
            <td class="r">${num(q?.["25"])} to ${num(q?.["75"])}</td>
        </tr>
        <tr>
            <td>5–95 %</td>
            <td class="r">${num(q?.["5"])} to ${num(q?.["95"])}</td>
        </tr>`;
