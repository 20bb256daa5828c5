/** The figures of one sample: its scale by site, who moved it, and all that was measured of it. */
import { html, nothing } from "lit-html";
import { className, pictureOf } from "../classes.js";
import { segments } from "../dom.js";
import { figure, placeholder, plotHost } from "../figure.js";
import { int, loss, num, plural } from "../format.js";
import { mismatchRamp } from "../ramp.js";
import { go, setQuery } from "../router.js";
import { painted } from "../strip.js";
import { colourOf } from "../variant.js";
import { awaiting, drawn, fitButton, staleOf } from "./common.js";

/**
 * @typedef {import("../pages/sample.js").SampleStep} SampleStep @typedef {import("../api.js").Row} Row
 * @typedef {object} SampleView
 * @property {import("../api.js").Job} job
 * @property {number} sample
 * @property {import("../run_data.js").RunData} data
 * @property {number | null} label
 * @property {SampleStep | null} step
 * @property {SampleStep[]} steps
 * @property {Row[]} rows all that was measured
 * @property {Row[]} here those of the chosen step
 * @property {string | null} site
 * @property {import("../resource.js").Resource<any>} batch
 * @property {import("../resource.js").Resource<import("../pages/sample.js").Contributors | null>} movers
 * @property {import("../axes.js").AxisKeeper} axes
 */

/** @param {SampleView} o @param {string} name */
const variantOf = ({ data }, name) =>
    data.sites.state.value.data?.sites.find((site) => site.name === name)?.variant ?? null;

/** The sites in depth order. @param {SampleView} o */
function sitesOf({ data, rows }) {
    const order = (data.sites.state.value.data?.sites ?? []).map((site) => site.name);
    const found = [...new Set(rows.map((row) => row.site))];
    return found.sort((a, b) => order.indexOf(a) - order.indexOf(b));
}

/** @param {SampleView} o @param {import("../dom.js").Part} steps the switch of steps */
export function bySiteFigure(o, steps) {
    const about = { id: "by-site", title: "Scale by site", cls: "c7" };
    const waiting = awaiting(about, [o.batch, o.data.sites], {
        height: 240,
        awaited: "Reading the batch at this step.",
    });
    if (waiting) return waiting;
    const { bySite, bySiteDomain, bySiteHeight } = drawn();
    const summaries = /** @type {import("../api.js").Summary[]} */ (o.batch.state.value.data.items);
    const rows = sitesOf(o).flatMap((site) => {
        const row = o.here.find((other) => other.site === site);
        if (!row) return [];
        const batch = summaries.find((item) => item.site === site)?.quantiles ?? {};
        return [{ site, variant: variantOf(o, site), scale: row.scale, self: row.self_factor, batch }];
    });
    const domain = o.axes.get("by-site", () => bySiteDomain(rows));
    const best = bySiteDomain(rows);
    const options = {
        domain,
        name: `Scale of sample ${o.sample} by site`,
        open: (/** @type {string} */ site) => setQuery({ site }),
    };
    const below = rows.filter((row) => Number(row.scale) <= 0 && row.scale != null);
    const n = Math.max(0, ...summaries.map((item) => item.count));
    return figure({
        ...about,
        runs: [o.job.id],
        settings: html`${fitButton(best.join() !== domain.join(), () => o.axes.fit("by-site"))}
            <span class="small quiet">Step</span> ${steps}`,
        body: plotHost({
            deps: [o.batch.state.value.data, domain, o.step?.step, o.rows],
            height: bySiteHeight(rows),
            draw: (width) => bySite(rows, options, width),
        }),
        reading: below.length ? `Moved away from its ideal at ${below.map((row) => row.site).join(", ")}.` : "",
        caption: `Mark: this sample’s scale, hollow where it is ≤ 0; upright bar: its self factor, which theory predicts for it alone; line below: its batch, 5–95 % and 25–75 %, n = ${int(n)}. Step ${int(o.step?.step ?? 0)}, layer view.`,
        table: () => ({
            columns: [
                { name: "site" },
                ...["scale", "self factor", "batch 5 %", "batch 50 %", "batch 95 %"].map((name) => ({
                    name,
                    numeric: true,
                    format: num,
                })),
            ],
            rows: rows.map((row) => [
                row.site,
                row.scale,
                row.self,
                ...["5", "50", "95"].map((p) => row.batch[p] ?? null),
            ]),
        }),
        drawings: async () => [bySite(rows, options, 640).nodes],
        stale: staleOf([o.batch]),
    });
}

/** @param {SampleView} o */
export function moversFigure(o) {
    const about = { id: "movers", title: `Who moved this sample${o.site ? ` at ${o.site}` : ""}`, cls: "c7" };
    const { data } = o.movers.state.value;
    // Nothing was kept of it: no fault, but a choice of the run's spec.
    if (!o.job.spec.probe?.contributors)
        return placeholder(about, {
            height: 240,
            awaited: "",
            empty: html`<p>
                    <b>It was not kept who moved it.</b> A run keeps the strongest contributors of each sample at probed
                    steps when its probe asks for <code>contributors</code>.
                </p>
                <a class="btn" href="/new?clone=${o.job.id}&contributors=20">Clone with 20 contributors</a>`,
        });
    const waiting = awaiting(about, [o.movers], {
        height: 560,
        awaited: "Reading the contributors.",
        loaded: (found) => found?.site === o.site && found.step === o.step?.step,
    });
    if (waiting) return waiting;
    const { movers, moversHeight } = drawn();
    const known = /** @type {import("../pages/sample.js").Contributors} */ (data);
    const row = o.here.find((other) => other.site === o.site);
    const colour = colourOf(variantOf(o, o.site ?? ""));
    /** @type {import("../plots/movers.js").Mover[]} */
    const bars = known.items.map(({ sample, part, label }) => ({
        key: String(sample),
        label: `${className(o.job.spec, label)} ${int(sample)}`,
        part,
        kind: label === o.label ? "same" : "other",
        picture: pictureOf(o.job, sample),
        open: () => go(`/run/${o.job.id}/sample/${sample}?site=${o.site}&step=${known.step}`),
    }));
    // Watched from outside, a sample has no part in the batch's step.
    const inBatch = Boolean(o.step?.in_batch);
    const own = inBatch ? row?.self_factor : null;
    if (inBatch && row?.scale_within != null)
        bars.unshift({
            key: "within",
            label: "its other positions",
            part: row.scale_within,
            kind: "same",
            picture: null,
        });
    if (own != null)
        bars.unshift({
            key: "self",
            label: "this sample itself",
            part: own,
            kind: "self",
            picture: pictureOf(o.job, o.sample),
        });
    const all = (o.job.spec.batch_size ?? 0) - (inBatch ? 1 : 0);
    const left = Math.max(0, all - known.items.length);
    if (left)
        bars.push({
            key: "rest",
            label: plural(left, "other"),
            part: known.rest.part,
            kind: "rest",
            picture: null,
        });
    const others = known.items.reduce((sum, item) => sum + item.part, 0) + known.rest.part;
    const options = { colour, name: `Parts of other samples in the step of sample ${o.sample} at ${o.site}` };
    const choose = segments(
        "Site",
        sitesOf(o).map((site) => ({ key: site, name: site })),
        o.site ?? "",
        (site) => setQuery({ site }),
    );
    return figure({
        ...about,
        runs: [o.job.id],
        settings: choose,
        body: plotHost({
            deps: [known, o.rows, o.step?.step],
            height: moversHeight(bars),
            draw: (width) => movers(bars, options, width),
        }),
        reading:
            own != null && row?.scale != null
                ? `Self ${num(own)} + others ${num(row.scale - own)} = scale ${num(row.scale)}.`
                : `The others together: ${num(others)}${inBatch ? "" : "; the sample was not in this batch, so nothing of its step is its own"}.`,
        caption: `Each bar: the part of one other sample of the batch in this sample’s step along its ideal, in multiples of that ideal. Filled: same class; hollow: another class. The strongest ${int(known.items.length)} of ${int(all)}${left ? "; the rest as one grey bar" : ""}. Step ${int(known.step)}, layer view.`,
        table: () => ({
            columns: [{ name: "sample" }, { name: "class" }, { name: "part", numeric: true, format: num }],
            rows: bars.map((bar) => [bar.label, bar.kind, bar.part]),
        }),
        drawings: async () => {
            // A picture of another address would be missing in a file: pictures stay out.
            const plain = bars.map((bar) => ({ ...bar, picture: null }));
            return [movers(plain, options, 640).nodes];
        },
        stale: staleOf([o.movers]),
    });
}

/** Steps side by side on the page; the others are in the table. */
const COLUMNS = 8;

/** @param {SampleView} o */
export function tableFigure(o) {
    const sites = sitesOf(o);
    const at = o.steps.findIndex((s) => s.step === o.step?.step);
    const from = Math.max(0, Math.min(o.steps.length - COLUMNS, at - (COLUMNS >> 1)));
    const shown = o.steps.slice(from, from + COLUMNS);
    const scale = (/** @type {string} */ site, /** @type {number} */ step) =>
        o.rows.find((row) => row.site === site && row.step === step)?.scale;
    const below = o.rows.filter((row) => row.scale != null && row.scale <= 0).length;
    return figure({
        id: "steps",
        title: "By site and step",
        cls: "c5",
        runs: [o.job.id],
        body: html`<div class="scroll-x" role="region" aria-label="Scale by site and step" tabindex="0">
            <table class="heat">
                <thead>
                    <tr>
                        <th scope="col">step</th>
                        ${shown.map(
                            ({ step, in_batch: inBatch }) =>
                                html`<th scope="col" class="r">
                                    <button
                                        type="button"
                                        class="plain-link"
                                        aria-pressed=${step === o.step?.step}
                                        @click=${() => setQuery({ step: String(step) })}
                                    >
                                        ${int(step)}${inBatch ? nothing : html`<span class="vh"> watched</span>`}
                                    </button>
                                </th>`,
                        )}
                    </tr>
                </thead>
                <tbody>
                    ${sites.map(
                        (site) =>
                            html`<tr>
                                <th scope="row">${site}</th>
                                ${shown.map(({ step }) => html`<td>${painted(scale(site, step), "fill")}</td>`)}
                            </tr>`,
                    )}
                    <tr>
                        <th scope="row">loss</th>
                        ${shown.map((step) => html`<td class="r quiet">${loss(step.loss)}</td>`)}
                    </tr>
                </tbody>
            </table>
        </div>`,
        key: mismatchRamp(),
        reading: `Scale ≤ 0 in ${int(below)} of ${plural(o.rows.length, "measurement")}.`,
        caption: `Scale of this sample each time it was measured${o.steps.length > shown.length ? `: ${shown.length} of ${int(o.steps.length)} steps, around the chosen one` : ""}. Hatched: scale ≤ 0, a step away from its ideal. Layer view.`,
        table: () => ({
            columns: [
                { name: "step", numeric: true, format: int },
                { name: "site" },
                ...["scale", "self factor", "loss"].map((name) => ({ name, numeric: true, format: num })),
            ],
            rows: o.rows.map((row) => [row.step, row.site, row.scale, row.self_factor, row.loss]),
        }),
    });
}
