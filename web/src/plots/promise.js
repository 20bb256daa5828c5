/**
 * F9, promise and outcome: how far the loss should fall to first order, stacked by site, and how far it fell.
 */
import { areaY, dot, lineY, ruleY } from "@observablehq/plot";
import { int, num } from "../format.js";
import { factsTable } from "../readout.js";
import * as kit from "./kit.js";

/**
 * @typedef {import("../figure_data.js").PromiseData} PromiseData
 * @typedef {object} PromiseOptions
 * @property {[number, number]} y
 * @property {number} end the last step of the axis
 * @property {boolean} logStep
 * @property {(site: string) => string} fill
 * @property {string} name
 */

const LEFT = 56;
const TOP = 28;
const BOTTOM = 28;
const HEIGHT = 280;

/** How far the loss fell over a step. @param {PromiseData["steps"][number]} step */
export const fell = ({ before, after }) => (before == null || after == null ? null : before - after);

/** @param {PromiseData["steps"][number]} step */
export const promised = ({ sites }) => sites.reduce((/** @type {number} */ sum, v) => sum + (v ?? 0), 0);

/**
 * The limits of the axis: nearly all of what is known when the figure opens.
 * @param {PromiseData["steps"]} steps
 * @returns {[number, number]}
 */
export function promiseDomain(steps) {
    const values = steps.flatMap((step) => [promised(step), fell(step) ?? 0]).sort((a, b) => a - b);
    const at = (/** @type {number} */ f) => values[Math.round(f * (values.length - 1))] ?? 0;
    const [low, high] = [Math.min(0, at(0.01)), Math.max(1e-6, at(0.98))];
    const unit = 10 ** Math.floor(Math.log10(Math.max(high, -low))) / 2;
    return [Math.floor(low / unit) * unit, Math.ceil(high / unit) * unit];
}

/** @param {PromiseData} data @param {PromiseOptions} o @param {number} width @returns {import("../drawn.js").Drawing} */
export function promise(data, o, width) {
    const { steps, sites } = data;
    const right = 72;
    const [low, high] = o.y;
    /** @param {number} v */
    const clip = (v) => Math.min(high, Math.max(low, v));
    const measured = steps.flatMap((step) => {
        const fall = fell(step);
        return fall == null ? [] : [{ step: step.step, fall: clip(fall) }];
    });
    let below = steps.map(() => 0);
    const layers = sites.map((name, site) => {
        const from = below;
        below = steps.map((step, i) => from[i] + (step.sites[site] ?? 0));
        const to = below;
        return areaY(
            steps.map((step, i) => ({ step: step.step, y1: clip(from[i]), y2: clip(to[i]) })),
            {
                x: "step",
                y1: "y1",
                y2: "y2",
                fill: o.fill(name),
                // A rim would hide heights that are no wider than it.
                stroke: steps.length > 100 ? "none" : kit.SURFACE,
                strokeWidth: sites.length > 8 ? 0.2 : 0.5,
            },
        );
    });
    const ends = [
        { words: "promised", strong: false, v: clip(below[below.length - 1]) },
        { words: "measured", strong: true, v: measured[measured.length - 1]?.fall },
    ].filter((label) => label.v != null);
    const inner = HEIGHT - TOP - BOTTOM;
    const place = (/** @type {number} */ v) => ((high - v) / (high - low)) * inner;
    const close = ends.length > 1 && Math.abs(place(ends[0].v) - place(ends[1].v)) < 16;
    const shift = (/** @type {number} */ i) =>
        close ? (ends[i].v >= ends[1 - i].v && (ends[i].v > ends[1 - i].v || i === 0) ? -8 : 8) : 0;
    const xTicks = kit.stepTicks(o.end, o.logStep, width < kit.NARROW);
    const svg = kit.draw(
        {
            width,
            height: HEIGHT,
            marginLeft: LEFT,
            marginRight: right,
            marginTop: TOP,
            marginBottom: BOTTOM,
            x: { type: o.logStep ? "log" : "linear", domain: [1, o.end], axis: null },
            y: { domain: o.y, axis: null },
            marks: [
                kit.gridY(5),
                ...layers,
                ruleY([0], { stroke: kit.AXIS }),
                lineY(measured, { x: "step", y: "fall", stroke: kit.SURFACE, strokeWidth: 4 }),
                lineY(measured, { x: "step", y: "fall", stroke: kit.INK, strokeWidth: 2 }),
                measured.length < 120 ? dot(measured, { x: "step", y: "fall", r: 2, fill: kit.INK }) : null,
                ...ends.map(({ words, strong, v }, i) =>
                    kit.note(words, {
                        frameAnchor: "right",
                        y: () => v,
                        dx: 8,
                        dy: shift(i),
                        textAnchor: "start",
                        fill: strong ? kit.INK : kit.INK_2,
                        fontWeight: strong ? 500 : 400,
                    }),
                ),
                kit.leftAxis(/** @type {any} */ (5), { tickFormat: (/** @type {number} */ d) => num(d) }),
                kit.note("fall of the loss", { frameAnchor: "top-left", dx: -LEFT, dy: -24, textAnchor: "start" }),
                ...kit.stepAxis(xTicks, o.logStep, { dx: right }),
            ],
        },
        o.name,
    );
    const scale = /** @type {any} */ (svg).scale("x");
    /** @param {number} i @returns {import("../readout.js").Fact[]} */
    const facts = (i) => {
        const step = steps[i];
        const largest = sites.map((site, k) => ({ site, fall: step.sites[k], own: step.own[k] }));
        largest.sort((a, b) => Number(b.fall) - Number(a.fall));
        return [
            ["measured", num(fell(step))],
            ["promised", num(promised(step))],
            ...largest.slice(0, 8).map(({ site, fall, own }) => {
                const share = own == null ? "" : `, own share ${num(own)}`;
                return /** @type {import("../readout.js").Fact} */ ([site, `${num(fall)}${share}`]);
            }),
        ];
    };
    return {
        nodes: [svg],
        scrub: {
            label: `${o.name}, step`,
            left: LEFT,
            top: TOP,
            width: width - LEFT - right,
            height: inner,
            count: steps.length,
            x: (i) => scale.apply(steps[i].step) - LEFT,
            key: (i) => steps[i].step,
            text: (i) => [`step ${int(steps[i].step)}`, ...facts(i).map((fact) => fact.join(" "))].join("; "),
            body: (i) => factsTable(`step ${int(steps[i].step)}`, facts(i)),
            below: width < kit.NARROW,
        },
    };
}
