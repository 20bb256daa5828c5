/**
 * Lines that grow while a job runs, on a canvas: `<plumb-live .lines=${…}>`. New points never move a zoom.
 */
import { Drawn } from "./drawn.js";
import { int } from "./format.js";
import { factsTable, Readout } from "./readout.js";

/**
 * @typedef {object} LiveSeries
 * @property {string} name
 * @property {string} colour a custom property: "var(--ink)"
 * @property {string} ink of its name at the line's end
 * @property {number} width
 * @property {boolean} [faint]
 * @property {boolean} [points]
 * @property {boolean} [dashed]
 * @property {boolean} [named] its name stands at its end, and it is read out
 * @property {boolean} [valued] with its last value
 * @property {(value: number | null) => string} format
 * @property {number[]} steps
 * @property {(number | null)[]} values
 *
 * @typedef {object} LiveOptions
 * @property {number} steps the last planned step: the blank at the right is what is left to do
 * @property {[number, number]} range of the values
 * @property {(value: number) => string} format of the ticks
 * @property {string} name
 */

const HEIGHT = 208;
/** At the right, in px: beside the names, and for a value behind one. */
const ASIDE = 16;
const VALUE = 48;
/** Of a letter, about. */
const LETTER = 7;
/** Lines behind others. */
const FAINT = 0.35;
/** Names take no more of a figure's width than this. */
const NAMES = 0.4;
/** Names at the ends of lines stand so far apart, in px. */
const APART = 16;

// uPlot asks for number formats by navigator.language while it is loaded, and fails where that is no language tag, as
// in a browser under the C locale ("en-US@posix").
try {
    new Intl.NumberFormat(navigator.language);
} catch {
    Object.defineProperty(navigator, "language", { value: "en-GB", configurable: true });
}
const { default: UPlot } = await import("uplot");

/** A custom property's value now. @param {string} colour */
const resolved = (colour) => {
    const match = /^var\((--[\w-]+)\)$/.exec(colour);
    return match ? getComputedStyle(document.documentElement).getPropertyValue(match[1]).trim() : colour;
};

/**
 * The words, or as many of their letters as there is room for.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} words
 * @param {number} room
 */
function fitted(ctx, words, room) {
    let cut = words;
    while (cut.length > 1 && ctx.measureText(cut).width > room) cut = `${cut.slice(0, -2)}…`;
    return cut;
}

/**
 * All series on one ascending row of steps.
 * @param {LiveSeries[]} series
 * @returns {[number[], ...(number | null)[][]]}
 */
function align(series) {
    const steps = [...new Set(series.flatMap((s) => s.steps))].sort((a, b) => a - b);
    const index = new Map(steps.map((step, i) => [step, i]));
    const columns = series.map((s) => {
        /** @type {(number | null)[]} */
        const column = new Array(steps.length).fill(null);
        s.steps.forEach((step, i) => (column[/** @type {number} */ (index.get(step))] = s.values[i]));
        return column;
    });
    return [steps, ...columns];
}

export class PlumbLive extends Drawn {
    constructor() {
        super();
        /** @type {{ series: LiveSeries[], options: LiveOptions } | null} */
        this.present = null;
        this.stage = document.createElement("div");
        this.stage.setAttribute("role", "img");
        this.readout = new Readout(this);
        /** @type {InstanceType<typeof UPlot> | null} */
        this.chart = null;
        /** @type {[number[], ...(number | null)[][]]} */
        this.data = [[]];
        this.made = "";
    }

    connectedCallback() {
        if (!this.stage.isConnected) this.append(this.stage);
        this.style.minHeight = `${HEIGHT}px`;
        super.connectedCallback();
    }

    disconnectedCallback() {
        super.disconnectedCallback();
        this.chart?.destroy();
        this.chart = null;
    }

    /** @param {{ series: LiveSeries[], options: LiveOptions }} next */
    set lines(next) {
        const before = this.present;
        this.present = next;
        const same =
            before?.options.steps === next.options.steps &&
            before.options.range.join() === next.options.range.join() &&
            before.series.every((s, i) => s.values === next.series[i]?.values);
        if (!same) this.touch();
    }

    /** @param {number} width */
    paint(width) {
        if (!this.present) return;
        const { series, options } = this.present;
        this.data = align(series);
        this.stage.setAttribute("aria-label", options.name);
        // Colours and axes are fixed when a chart is made: the theme, the axes or the width ask for a new one.
        const made = [document.documentElement.dataset.theme, width, options.steps, options.range].join();
        if (this.chart && made === this.made) {
            const { min, max } = this.chart.scales.x;
            this.chart.setData(/** @type {any} */ (this.data), false);
            this.chart.setScale("x", { min: min ?? 0, max: max ?? options.steps });
        } else {
            this.chart?.destroy();
            this.made = made;
            this.chart = new UPlot(this.options(width), /** @type {any} */ (this.data), this.stage);
        }
        this.readout.use(this.scrub());
    }

    /** The series with names, and their columns. */
    named() {
        const [, ...columns] = this.data;
        return (this.present?.series ?? []).map((s, i) => ({ s, column: columns[i] })).filter(({ s }) => s.named);
    }

    /** @param {number} width @returns {import("uplot").Options} */
    options(width) {
        const { series, options } = /** @type {NonNullable<typeof this.present>} */ (this.present);
        const names = this.named().map(({ s }) => s.name.length * LETTER + (s.valued ? VALUE : 0));
        const font = `12px ${resolved("var(--ui)")}`;
        const axis = {
            font,
            stroke: resolved("var(--ink-2)"),
            ticks: { stroke: resolved("var(--axis)"), width: 1, size: 4 },
            gap: 4,
        };
        return {
            width,
            height: HEIGHT,
            padding: [12, Math.round(Math.min(NAMES * width, ASIDE + Math.max(...names))), 0, 0],
            legend: { show: false },
            cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: true } },
            scales: { x: { time: false, auto: false, min: 0, max: options.steps }, y: { range: options.range } },
            axes: [
                {
                    ...axis,
                    size: 28,
                    grid: { show: false },
                    space: 64,
                    values: (_, ticks) => ticks.map((t) => int(t)),
                },
                {
                    ...axis,
                    size: 48,
                    space: 28,
                    grid: { stroke: resolved("var(--grid)"), width: 1 },
                    values: (_, ticks) => ticks.map(options.format),
                },
            ],
            series: [
                {},
                ...series.map((s) => ({
                    stroke: resolved(s.colour),
                    width: s.width,
                    alpha: s.faint ? FAINT : 1,
                    dash: s.dashed ? [6, 4] : undefined,
                    spanGaps: true,
                    points: { show: s.points ?? false, size: 5, fill: resolved(s.colour) },
                })),
            ],
            hooks: {
                draw: [(chart) => this.names(chart)],
                setCursor: [(chart) => this.follow(chart)],
                ready: [
                    (chart) =>
                        chart.over.addEventListener("dblclick", () =>
                            chart.setScale("x", { min: 0, max: options.steps }),
                        ),
                ],
            },
        };
    }

    /** The names of the series at the ends of their lines. @param {InstanceType<typeof UPlot>} chart */
    names(chart) {
        const ratio = devicePixelRatio;
        const { ctx, bbox } = chart;
        const family = resolved("var(--ui)");
        ctx.save();
        ctx.textBaseline = "middle";
        ctx.textAlign = "right";
        ctx.font = `${12 * ratio}px ${family}`;
        ctx.fillStyle = resolved("var(--ink-2)");
        ctx.fillText("step", ctx.canvas.width - 4 * ratio, bbox.top + bbox.height + 15 * ratio);
        const labels = this.named().flatMap(({ s }) => {
            let last = s.values.length - 1;
            while (last >= 0 && s.values[last] == null) last--;
            if (last < 0) return [];
            const value = /** @type {number} */ (s.values[last]);
            const x = chart.valToPos(s.steps[last], "x", true);
            const y = Math.min(bbox.top + bbox.height, Math.max(bbox.top, chart.valToPos(value, "y", true)));
            return [{ s, x, y, words: s.valued ? `${s.name} ${s.format(value)}` : s.name }];
        });
        // All names stand behind the longest line: behind its own end a shorter one's would stand in it.
        const end = Math.max(...labels.map((label) => label.x));
        labels.sort((a, b) => a.y - b.y);
        labels.forEach((label, i) => {
            if (i) label.y = Math.max(label.y, labels[i - 1].y + APART * ratio);
        });
        for (const { s, y, words } of labels) {
            ctx.font = `${s.width > 1 ? 500 : 400} ${12 * ratio}px ${family}`;
            ctx.fillStyle = resolved(s.ink);
            ctx.textAlign = "left";
            ctx.lineWidth = 4 * ratio;
            ctx.strokeStyle = resolved("var(--surface)");
            const shown = fitted(ctx, words, ctx.canvas.width - end - 12 * ratio);
            ctx.strokeText(shown, end + 8 * ratio, y);
            ctx.fillText(shown, end + 8 * ratio, y);
        }
        ctx.restore();
    }

    /** @param {InstanceType<typeof UPlot>} chart */
    follow(chart) {
        const { idx, left } = chart.cursor;
        if (idx == null || left == null || left < 0) this.readout.hide();
        else this.readout.show(idx);
    }

    /** @returns {import("./readout.js").Scrub | undefined} */
    scrub() {
        const chart = this.chart;
        const { options } = /** @type {NonNullable<typeof this.present>} */ (this.present);
        if (!chart || !this.data[0].length) return undefined;
        const ratio = devicePixelRatio;
        const [steps] = this.data;
        /** The last value known at a step. @param {number} i @param {(number | null)[]} column */
        const known = (i, column) => {
            while (i >= 0 && column[i] == null) i--;
            return i < 0 ? null : column[i];
        };
        /** @param {number} i @returns {[string, string][]} */
        const values = (i) => this.named().map(({ s, column }) => [s.name, s.format(known(i, column))]);
        return {
            label: `${options.name}, step`,
            left: chart.bbox.left / ratio,
            top: chart.bbox.top / ratio,
            width: chart.bbox.width / ratio,
            height: chart.bbox.height / ratio,
            count: steps.length,
            x: (i) => chart.valToPos(steps[i], "x"),
            key: (i) => steps[i],
            text: (i) => [`step ${int(steps[i])}`, ...values(i).map((fact) => fact.join(" "))].join("; "),
            body: (i) => factsTable(`step ${int(steps[i])}`, values(i)),
            below: false,
            passive: true,
        };
    }
}
customElements.define("plumb-live", PlumbLive);
