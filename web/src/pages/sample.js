/**
 * Sample: one sample of the training set, at the probed steps at which it was measured.
 */
import { computed, effect } from "@preact/signals-core";
import { html, nothing } from "lit-html";
import { Problem, request, withQuery } from "../api.js";
import { axisKeeper } from "../axes.js";
import { className, pictureOf } from "../classes.js";
import { css, errorNotice, icon, retryButton, segments, unknownKeysNotice } from "../dom.js";
import { bySiteFigure, moversFigure, tableFigure } from "../figures/sample.js";
import { follow } from "../follow.js";
import { int, loss, num, percent, plural } from "../format.js";
import { title } from "../job.js";
import { needPlots } from "../plots_loader.js";
import { resource } from "../resource.js";
import { param, query, readable, setQuery, unknownKeys } from "../router.js";
import { runData } from "../run_data.js";

/**
 * @typedef {import("../api.js").Job} Job @typedef {import("../api.js").Row} Row
 * @typedef {{ step: number, loss: number | null, label: number | null, predicted: number | null, in_batch: 0 | 1,
 *     likeliest: [number, number | null][] }} SampleStep  likeliest: classes with their probabilities
 * @typedef {{ sample: number, steps: SampleStep[], rows: Row[] }} Sample
 * @typedef {{ site: string, step: number, sample: number, items: { sample: number, part: number, label: number }[],
 *     rest: { part: number } }} Contributors
 */

/** So many steps are a switch; more are a list. */
const SWITCH = 6;

/** @type {import("../main.js").PageModule["open"]} */
export function open(text, number) {
    const id = Number(text);
    const index = Number(number);
    const base = `/jobs/${id}`;
    const axes = axisKeeper();
    const data = runData(id, () => ({ site: null }), { figures: [], begin: () => sample.refresh() });
    const sample = resource(
        async (abort) => /** @type {Sample} */ (await request(`${base}/samples/${index}`, { signal: abort })),
    );
    const rows = computed(() => sample.state.value.data?.rows ?? []);
    /** Steps with rows, and whether the sample was in their batch. */
    const steps = computed(() => {
        const measured = new Set(rows.value.map((row) => row.step));
        return (sample.state.value.data?.steps ?? []).filter((step) => measured.has(step.step));
    });
    const step = computed(() => {
        const asked = Number(param("step"));
        return steps.value.find((s) => s.step === asked) ?? steps.value[steps.value.length - 1] ?? null;
    });
    const here = computed(() => rows.value.filter((row) => row.step === step.value?.step));
    const site = computed(() => {
        const asked = param("site");
        return (here.value.find((row) => row.site === asked) ?? here.value[0])?.site ?? null;
    });
    const batch = resource(async (abort) => {
        if (!step.peek()) return null;
        const path = withQuery(`${base}/divergence/summary`, { column: "scale", step: step.peek()?.step });
        return { step: step.peek()?.step, items: (await request(path, { signal: abort })).items };
    });
    /** Whether the run keeps who moved a sample. */
    const keepsMovers = () => (data.job.state.peek().data?.spec.probe?.contributors ?? 0) > 0;
    const movers = resource(async (abort) => {
        const at = { site: site.peek(), step: step.peek()?.step };
        if (!at.site || !at.step || !keepsMovers()) return null;
        const path = withQuery(`${base}/samples/${index}/contributors`, at);
        return /** @type {Contributors} */ (await request(path, { signal: abort }));
    });

    const following = follow([data], { reload: () => data.job.state.value.data && sample.refresh() });
    needPlots();
    const stopBatch = effect(() => {
        if (step.value) batch.renew();
    });
    const stopMovers = effect(() => {
        if (step.value && site.value) movers.renew();
    });

    /** @param {number} other */
    const addressOf = (other) => {
        const search = new URLSearchParams(query.value);
        search.delete("step");
        const words = readable(search.toString());
        return `/run/${id}/sample/${other}${words ? `?${words}` : ""}`;
    };

    /** @param {Job} job */
    function watchButton(job) {
        return html`<a class="btn" href="/new?clone=${id}&watch=${index}">Watch it in a clone of ${title(job)}</a>`;
    }

    const stepSwitch = () => {
        const all = steps.value;
        const current = String(step.value?.step ?? "");
        const choose = (/** @type {string} */ key) =>
            setQuery({ step: key === String(all[all.length - 1].step) ? null : key });
        if (all.length <= SWITCH)
            return segments(
                "Step",
                all.map((s) => ({ key: String(s.step), name: int(s.step) })),
                current,
                choose,
            );
        return html`<select
            class="input s"
            aria-label="Step"
            @change=${(/** @type {Event} */ event) => choose(/** @type {HTMLSelectElement} */ (event.target).value)}
        >
            ${all.map((s) => html`<option value=${s.step} .selected=${String(s.step) === current}>step ${int(s.step)}</option>`)}
        </select>`;
    };

    /** @param {Job} job @param {number | null} label */
    function about(job, label) {
        const now = step.value;
        const first = here.value.find((row) => row.input_norm != null);
        const wrong = now?.predicted != null && now.predicted !== now.label;
        const picture = pictureOf(job, index);
        /** @type {[string, import("../dom.js").Part][]} */
        const facts = [["label", className(job.spec, label)]];
        if (now) {
            facts.push([
                "predicted",
                html`${className(job.spec, now.predicted)}${wrong ? html` <span class="bad">✕ wrong</span>` : nothing}`,
            ]);
            facts.push(["loss", loss(now.loss)]);
            if (first?.input_norm != null) facts.push([`‖x‖² + 1 at ${first.site}`, num(first.input_norm ** 2 + 1)]);
            facts.push(["step", `${int(now.step)}${now.in_batch ? "" : ", watched: not in its batch"}`]);
        }
        return html`<div class="sample-top">
            ${
                picture
                    ? html`<img
                          class="picture"
                          src=${picture}
                          width="224"
                          height="224"
                          alt=${`The picture: ${className(job.spec, label)}`}
                      />`
                    : nothing
            }
            <dl class="kv">
                ${facts.map(
                    ([key, value]) =>
                        html`<dt>${key}</dt>
                            <dd>${value}</dd>`,
                )}
            </dl>
            ${now?.likeliest.length ? likeliest(job, now) : nothing}
        </div>`;
    }

    /** What the network took the sample for. @param {Job} job @param {SampleStep} now */
    const likeliest = (job, now) =>
        html`<ul class="likeliest" aria-label="The likeliest classes">
            ${now.likeliest.map(
                ([label, share]) =>
                    html`<li class=${label === now.label ? "own" : nothing}>
                        <span>${className(job.spec, label)}</span>
                        <span class="track"><i ${css({ width: `${100 * (share ?? 0)}%` })}></i></span>
                        <span class="r">${percent(share)}</span>
                    </li>`,
            )}
        </ul>`;

    /** What is said where nothing was measured. @param {Job} job @param {Sample} known */
    function unmeasured(job, known) {
        const seen = known.steps.filter((s) => s.in_batch).map((s) => int(s.step));
        return html`<div class="empty">
            <p>
                <b>This sample was never measured.</b>
                ${
                    seen.length
                        ? `It was in the batch at ${plural(seen.length, "step")}: ${seen.slice(0, 12).join(", ")}${seen.length > 12 ? ", …" : ""}, and none of them was probed.`
                        : "It was in no batch of a probed step."
                }
                A run that watches it measures it at every probed step.
            </p>
            ${watchButton(job)}
        </div>`;
    }

    /** @param {Job} job @param {Sample} known */
    function view(job, known) {
        const label = known.steps.find((s) => s.label != null)?.label ?? null;
        const watched = (job.spec.probe?.watch ?? []).includes(index);
        /** @type {import("../figures/sample.js").SampleView} */
        const o = {
            job,
            sample: index,
            data,
            label,
            step: step.value,
            steps: steps.value,
            rows: rows.value,
            here: here.value,
            site: site.value,
            batch,
            movers,
            axes,
        };
        return html`<div class="page-head">
                <div class="lead">
                    <p class="crumb"><a href="/">Jobs</a> / <a href="/run/${id}">${title(job)}</a> / sample ${index}</p>
                    <h1>Sample ${int(index)}${label == null ? "" : `, ${className(job.spec, label).toLowerCase()}`}</h1>
                    <p>
                        ${
                            steps.value.length
                                ? `Measured at ${plural(steps.value.length, "probed step")}${watched ? ", watched" : ", those at which it was in the batch"}`
                                : "Not measured in this run"
                        }
                    </p>
                </div>
                <div class="actions">
                    ${watched || !steps.value.length ? nothing : watchButton(job)}
                    ${index > 0 ? html`<a class="btn" href=${addressOf(index - 1)}>${icon("left")}<span>Previous</span></a>` : nothing}
                    <a class="btn" href=${addressOf(index + 1)}><span>Next</span>${icon("right")}</a>
                </div>
            </div>
            ${unknownKeysNotice(unknownKeys(["site", "step", "table"]))}
            ${sample.state.value.error ? errorNotice("Not up to date.", sample.state.value.error, retryButton(sample.refresh)) : nothing}
            <div class="cols">
                <div class="c5">${about(job, label)}</div>
                ${
                    steps.value.length
                        ? html`${bySiteFigure(o, stepSwitch())} ${moversFigure(o)} ${tableFigure(o)}`
                        : html`<div class="c7">${unmeasured(job, known)}</div>`
                }
            </div>`;
    }

    return {
        title: () => `Sample ${index}`,
        view() {
            const { data: job, error } = data.job.state.value;
            const { data: known, error: sampleError } = sample.state.value;
            if (job && known) return view(job, known);
            const failed = error ?? sampleError;
            const heading = html`<h1 class="vh">Sample ${index}</h1>`;
            if (failed instanceof Problem && failed.status === 404)
                return html`<div class="page-head">
                        <div class="lead">
                            <h1>${job ? `There is no sample ${int(index)}` : `There is no job ${id}`}</h1>
                            <p>${failed.message}</p>
                        </div>
                    </div>
                    <p class="lead-text">
                        ${job ? html`<a href="/run/${id}">Go to the run</a>` : html`<a href="/">Go to the jobs</a>`}.
                    </p>`;
            if (failed)
                return html`${heading}${errorNotice("The sample could not be read.", failed, retryButton(following.read))}`;
            return html`${heading}
                <div class="skeleton" aria-busy="true"></div>`;
        },
        close() {
            following.close();
            stopBatch();
            stopMovers();
            for (const part of [sample, batch, movers, data]) part.close();
        },
    };
}
