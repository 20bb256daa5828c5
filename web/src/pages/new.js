/**
 * New: a form over a spec. Shapes, parameters, cost and errors are the server's, asked for as one types.
 */
import { computed, effect, signal } from "@preact/signals-core";
import { html, nothing } from "lit-html";
import { Problem, request } from "../api.js";
import { asPreset, at, firstOf, having, jobsOf, quoted } from "../draft.js";
import { copyText, errorNotice, segments, toast, unknownKeysNotice } from "../dom.js";
import { applies, fieldView, formSection, idOf } from "../fields.js";
import { duration, int, num, plural } from "../format.js";
import { gridEditor, wrongKey } from "../grid_editor.js";
import { seconds, title } from "../job.js";
import { layerFields, layersEditor } from "../layers_editor.js";
import { networkLine } from "../network_line.js";
import { go, param, setQuery, unknownKeys } from "../router.js";
import { JOB, MORE_TRAINING, optionField, presetFields, PRESETS, PROBE, TRAINING, WEIGHTS } from "../spec_fields.js";
import { leaves } from "../spec_summary.js";

/**
 * @typedef {import("../api.js").Spec} Spec @typedef {import("../api.js").Job} Job
 * @typedef {import("../spec_fields.js").Field} Field
 * @typedef {import("../network_line.js").Cost} Cost
 * @typedef {{ name: string, found: boolean, shape: number[], classes: number, detail: string | null,
 *     options: import("../spec_fields.js").Option[] }} Dataset
 */

/** The server is asked so long after the last change, in milliseconds. */
const PAUSE = 200;
/** A longer link is not made: some programs cut it. */
const LINK_LIMIT = 4000;
/** What a row of divergence takes in a run's file, in bytes. */
const ROW_BYTES = 146;
/** So many values of a grid are checked one by one. */
const CHECKED_VALUES = 40;

/** @returns {Spec} */
const blank = () => ({
    dataset: { name: "fashion-mnist" },
    model: { preset: "mlp", width: 128, depth: 3, variant: "affine-like", activation: "tanh" },
    optimiser: { name: "sgd", learning_rate: 0.5 },
});

/** @type {import("../main.js").PageModule["open"]} */
export function open() {
    const abort = new AbortController();
    /** @type {import("@preact/signals-core").Signal<Spec>} */
    const spec = signal(blank());
    /** @type {import("@preact/signals-core").Signal<import("../draft.js").Grid>} */
    const grid = signal({});
    /** What it was filled in from. */
    /** @type {import("@preact/signals-core").Signal<{ job: Job | null, spec: Spec }>} */
    const origin = signal({ job: null, spec: blank() });
    /** @type {import("@preact/signals-core").Signal<import("../layers_editor.js").LayerType[]>} */
    const types = signal([]);
    /** @type {import("@preact/signals-core").Signal<Dataset[]>} */
    const datasets = signal([]);
    const workers = signal(0);
    /** The last answer that was no fault. */
    /** @type {import("@preact/signals-core").Signal<{ spec: Spec, cost: Cost } | null>} */
    const valid = signal(null);
    /** @type {import("@preact/signals-core").Signal<{ pointer: string, detail: string }[]>} */
    const faults = signal([]);
    /** @type {import("@preact/signals-core").Signal<Map<string, string>>} */
    const gridFaults = signal(new Map());
    /** How fast this machine was, in flops a second, by the run it is known from. */
    /** @type {import("@preact/signals-core").Signal<{ rate: number, job: Job } | null>} */
    const speed = signal(null);
    const checking = signal(true);
    /** @type {import("@preact/signals-core").Signal<unknown>} */
    const failed = signal(null);
    const sending = signal(false);
    /** The text in JSON mode, while it is no JSON. */
    const broken = signal(/** @type {{ text: string, fault: string } | null} */ (null));
    const texts = new Map();
    const ready = signal(false);
    let key = crypto.randomUUID?.() ?? String(Math.random());

    /** @param {string} path @param {unknown} [body] */
    const ask = (path, body) => request(path, { method: body ? "POST" : "GET", body, signal: abort.signal });

    /** Fills the form in: from a job, from the link, or from nothing. */
    async function begin() {
        const [layers, sets, queue] = await Promise.allSettled([ask("/layers"), ask("/datasets"), ask("/queue")]);
        if (layers.status === "fulfilled") types.value = layers.value.items;
        if (sets.status === "fulfilled") datasets.value = sets.value.items;
        if (queue.status === "fulfilled") workers.value = queue.value.workers ?? 0;
        const refused = [layers, sets].find((answer) => answer.status === "rejected");
        if (refused?.status === "rejected") failed.value = refused.reason;
        const clone = Number(param("clone"));
        if (clone) await fillFrom(clone);
        else if (!datasets.value.some((set) => set.name === "fashion-mnist" && set.found) && datasets.value.length)
            origin.value = { job: null, spec: { ...blank(), dataset: { name: "synthetic" } } };
        spec.value = origin.value.spec;
        readLink();
        const watch = (param("watch") ?? "").split(",").filter(Boolean).map(Number);
        if (watch.length) {
            const known = spec.value.probe?.watch ?? [];
            spec.value = having(spec.value, "/probe/watch", [...new Set([...known, ...watch])]);
        }
        const contributors = Number(param("contributors"));
        if (contributors) spec.value = having(spec.value, "/probe/contributors", contributors);
        ready.value = true;
        measureSpeed();
    }

    /** @param {number} id */
    async function fillFrom(id) {
        try {
            const job = /** @type {Job} */ (await ask(`/jobs/${id}`));
            const { priority: _, ...rest } = job.spec;
            origin.value = { job, spec: { ...rest, model: asPreset(rest.model) } };
        } catch (error) {
            if (!abort.signal.aborted) failed.value = error;
        }
    }

    function readLink() {
        for (const [name, target] of /** @type {const} */ ([
            ["spec", spec],
            ["grid", grid],
        ])) {
            const text = param(name);
            if (!text) continue;
            try {
                const value = JSON.parse(text);
                if (value && typeof value === "object") target.value = value;
            } catch {
                failed.value = new Problem(`What the link has as ${name} is not JSON and is left out.`);
            }
        }
    }

    /** Asks what the last finished job did a second: the only honest clock there is. */
    async function measureSpeed() {
        try {
            const { items } = await ask("/jobs?state=finished&max_results=1");
            const job = /** @type {Job | undefined} */ (items[0]);
            const took = job && seconds(job);
            if (!job || !took) return;
            const { cost } = await ask("/jobs?validate_only=true", job.spec);
            speed.value = { rate: (cost.flops_per_step * cost.steps) / took, job };
        } catch {
            // Then no time is told.
        }
    }

    /** @param {Spec} asked @returns {Promise<{ spec: Spec, cost: Cost } | { errors: { pointer: string, detail: string }[] }>} */
    async function validate(asked) {
        try {
            return await ask("/jobs?validate_only=true", asked);
        } catch (error) {
            if (!(error instanceof Problem) || error.status !== 422) throw error;
            if (error.errors.length) return { errors: error.errors };
            return { errors: [{ pointer: "/dataset/name", detail: error.message }] };
        }
    }

    let round = 0;
    async function check() {
        const mine = ++round;
        const [asked, several] = [spec.value, grid.value];
        try {
            const answer = await validate(firstOf(asked, several));
            if (mine !== round) return;
            failed.value = null;
            if ("errors" in answer) faults.value = answer.errors;
            else {
                faults.value = [];
                valid.value = answer;
            }
            /** @type {Map<string, string>} */
            const wrong = new Map();
            const values = Object.entries(several).flatMap(([pointer, all]) =>
                all.map((value) => ({ pointer, value })),
            );
            for (const { pointer, value } of values.slice(0, CHECKED_VALUES)) {
                const one = await validate(having(firstOf(asked, several), pointer, value));
                if (mine !== round) return;
                const known = faults.value.map((fault) => fault.pointer + fault.detail);
                const fresh =
                    "errors" in one &&
                    one.errors.find((e) => e.pointer === pointer || !known.includes(e.pointer + e.detail));
                if (fresh) wrong.set(wrongKey(pointer, value), fresh.detail);
            }
            gridFaults.value = wrong;
        } catch (error) {
            if (mine === round && !abort.signal.aborted) failed.value = error;
        }
        if (mine === round) checking.value = false;
    }

    function writeLink() {
        const same = JSON.stringify(spec.value) === JSON.stringify(origin.value.spec);
        const text = same ? null : JSON.stringify(spec.value);
        const several = Object.keys(grid.value).length ? JSON.stringify(grid.value) : null;
        const fits = (text?.length ?? 0) + (several?.length ?? 0) < LINK_LIMIT;
        setQuery({ spec: fits ? text : null, grid: fits ? several : null, watch: null, contributors: null });
    }

    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const stopChecking = effect(() => {
        void spec.value;
        void grid.value;
        if (!ready.value) return;
        checking.value = true;
        clearTimeout(timer);
        timer = setTimeout(() => {
            writeLink();
            check();
        }, PAUSE);
    });
    begin();

    const set = (/** @type {string} */ pointer, /** @type {any} */ value) => {
        let next = having(spec.value, pointer, value);
        // What another choice does not take would be refused: it goes.
        for (const field of [...TRAINING, ...MORE_TRAINING, ...PROBE])
            if (field.when?.pointer === pointer && !field.when.is.includes(value))
                next = having(next, field.pointer, undefined);
        if (pointer === "/dataset/name") {
            const taken =
                datasets.value.find((found) => found.name === value)?.options.map((option) => option.name) ?? [];
            const kept = Object.entries(next.dataset).filter(([name]) => name === "name" || taken.includes(name));
            next = { ...next, dataset: Object.fromEntries(kept) };
        }
        spec.value = next;
    };

    const variants = (/** @type {string} */ type) =>
        types.value.find((known) => known.type === type)?.variants.map((v) => v.name) ?? ["affine"];
    const dataset = computed(() => datasets.value.find((found) => found.name === spec.value.dataset?.name));

    /** Every field that the form shows now. */
    const fields = computed(() => {
        const all = [...TRAINING, ...MORE_TRAINING, ...PROBE];
        const data = (dataset.value?.options ?? [])
            .filter((option) => option.name !== "name")
            .map((option) => optionField("/dataset", option));
        const preset = spec.value.model?.preset;
        const network = preset
            ? presetFields(preset, variants)
            : layerFields(spec.value.model?.layers ?? [], types.value, "/model/layers");
        return [
            ...JOB,
            { pointer: "/dataset/name", label: "Data set", kind: /** @type {const} */ ("choice") },
            ...data,
            ...network,
            WEIGHTS,
            ...all.filter((field) => applies(field, spec.value, all)),
        ];
    });

    /** The faults at their fields; those that have none come under "". */
    const errors = computed(() => {
        /** @type {Map<string, string>} */
        const found = new Map();
        for (const { pointer, detail } of faults.value) {
            const best = fields.value
                .filter((field) => pointer === field.pointer || pointer.startsWith(`${field.pointer}/`))
                .sort((a, b) => b.pointer.length - a.pointer.length)[0];
            // A layer as a whole, where it is the layer that cannot be.
            const layer = fields.value.find((field) => field.pointer === `${pointer}/type`);
            const place = best?.pointer ?? layer?.pointer ?? "";
            found.set(
                place,
                [found.get(place), best ? detail : layer ? detail : `${pointer}: ${detail}`].filter(Boolean).join(" "),
            );
        }
        return found;
    });

    const wrongCount = () => errors.value.size + gridFaults.value.size;

    function focusFirst() {
        const order = fields.value.map((field) => field.pointer).filter((pointer) => errors.value.has(pointer));
        const target = order.map((pointer) => document.getElementById(idOf(pointer))).find(Boolean);
        target?.closest("details")?.setAttribute("open", "");
        const other = target ?? document.querySelector(".chip-value.wrong button, .layer [aria-invalid], #spec-json");
        if (other instanceof HTMLElement) other.focus();
    }

    const isStudy = () => Object.keys(grid.value).length > 0;
    const body = () => (isStudy() ? { name: spec.value.name ?? "", base: spec.value, grid: grid.value } : spec.value);

    async function submit() {
        if (broken.value || wrongCount()) return focusFirst();
        sending.value = true;
        failed.value = null;
        try {
            const path = isStudy() ? "/studies" : "/jobs";
            const { id } = await request(path, { method: "POST", body: body(), key });
            go(isStudy() ? `/studies/${id}` : `/run/${id}`);
        } catch (error) {
            if (error instanceof Problem && error.errors.length) {
                faults.value = error.errors.map((e) => ({ ...e, pointer: e.pointer.replace(/^\/base(?=\/)/, "") }));
                requestAnimationFrame(() => requestAnimationFrame(focusFirst));
            } else failed.value = error;
            key = crypto.randomUUID?.() ?? String(Math.random());
        }
        sending.value = false;
    }

    function costs() {
        const known = valid.value;
        if (!known) return nothing;
        const { cost } = known;
        const jobs = jobsOf(grid.value);
        const parts = [html`<span><b class="big">${int(jobs)}</b> ${jobs === 1 ? "job" : "jobs"}</span>`];
        const flops = cost.flops_per_step * cost.steps * jobs;
        if (speed.value) {
            const n = Math.max(1, Math.min(jobs, workers.value || 1));
            const time = flops / speed.value.rate / n;
            parts.push(
                html`<span title=${`As fast as job ${speed.value.job.id}, ${title(speed.value.job)}`}
                    ><b class="big">${duration(time)}</b> about${n > 1 ? `, on ${n} workers` : ""}</span
                >`,
            );
        } else parts.push(html`<span><b class="big">${num(flops / 1e9)}</b> Gflop</span>`);
        const bytes = cost.probe_rows * ROW_BYTES * jobs;
        parts.push(
            html`<span
                ><b class="big">${bytes < 1e9 ? num(bytes / 1e6) : num(bytes / 1e9)}</b> ${bytes < 1e9 ? "MB" : "GB"} of
                rows</span
            >`,
            html`<span
                >${plural(cost.steps, "step")}, ${int(cost.probed_steps)} of them probed at
                ${plural(cost.sites.length, "site")}</span
            >`,
        );
        return parts;
    }

    function faultLine() {
        if (!wrongCount()) return nothing;
        const named = fields.value.filter((field) => errors.value.has(field.pointer));
        const name = named.length === 1 ? `: ${named[0].label.toLowerCase()}` : "";
        const rest = errors.value.get("");
        return html`<span class="bad" role="status"
            ><button class="tool bad" type="button" @click=${focusFirst}>
                ${plural(wrongCount(), "field")} to correct${name}</button
            >${rest ? html`<br />${rest}` : nothing}</span
        >`;
    }

    function head() {
        const { job, spec: first } = origin.value;
        const before = new Map(leaves(first));
        const after = new Map(leaves(spec.value));
        const changed = [...new Set([...before.keys(), ...after.keys()])].filter((p) => before.get(p) !== after.get(p));
        const text = changed.length === 1 ? "1 value changed" : `${int(changed.length)} values changed`;
        return html`<div class="page-head">
            <div class="lead">
                <h1>New job</h1>
                <p>
                    ${job ? html`Filled in from <a href="/run/${job.id}">${title(job)}</a>` : "From the defaults"}
                    ${changed.length ? ` · ${text}` : ""}
                    ${
                        changed.length || job
                            ? html` ·
                                  <button class="text-link" type="button" @click=${startOver}>
                                      start from nothing
                                  </button>`
                            : nothing
                    }
                </p>
            </div>
            <div class="actions">
                ${segments(
                    "Write as",
                    [
                        { key: "form", name: "Form" },
                        { key: "json", name: "JSON" },
                    ],
                    param("mode") === "json" ? "json" : "form",
                    (mode) => setQuery({ mode: mode === "json" ? mode : null }),
                )}
            </div>
        </div>`;
    }

    function startOver() {
        texts.clear();
        origin.value = { job: null, spec: blank() };
        spec.value = blank();
        grid.value = {};
        setQuery({ clone: null });
    }

    function summary() {
        const known = valid.value;
        const jobs = jobsOf(grid.value);
        const wrongLayers = faults.value.flatMap(({ pointer }) => {
            const match = /^\/model\/layers\/(\d+)(?:\/layers\/(\d+))?/.exec(pointer);
            return match ? [match[2] ? `${match[1]}.${match[2]}` : match[1]] : [];
        });
        return html`<div class="summary">
            ${
                known
                    ? networkLine(
                          known.spec.dataset.name,
                          datasets.value.find((d) => d.name === known.spec.dataset.name)?.shape ?? null,
                          known.cost,
                          wrongLayers,
                      )
                    : html`<p class="netline quiet">
                          ${checking.value ? "Asking the server what this makes." : "The network is drawn once its fields are right."}
                      </p>`
            }
            <div class="summary-line">
                ${costs()}
                <span class="push">${faultLine()}</span>
                <button class="btn primary" type="button" ?disabled=${sending.value} @click=${submit}>
                    ${jobs === 1 ? "Start the job" : `Start ${int(jobs)} jobs`}
                </button>
            </div>
        </div>`;
    }

    /** @param {Field[]} shown @param {import("../fields.js").Form} form */
    const views = (shown, form) =>
        shown
            .filter((field) => applies(field, form.spec, [...TRAINING, ...MORE_TRAINING, ...PROBE]))
            .map((field) => fieldView(field, form));

    /** @param {import("../fields.js").Form} form */
    function dataSection(form) {
        const sets = datasets.value;
        const unfound = dataset.value && !dataset.value.found ? (dataset.value.detail ?? "") : "";
        /** @type {Field} */
        const name = {
            pointer: "/dataset/name",
            label: "Data set",
            kind: "choice",
            choices: sets.map((found) => found.name),
            span: 3,
            hint:
                unfound ||
                `${(dataset.value?.shape ?? []).join("×")}${dataset.value?.classes ? `, ${dataset.value.classes} classes` : ""}`,
        };
        const options = (dataset.value?.options ?? []).filter((option) => option.name !== "name");
        return html`${fieldView(name, form)}
        ${options.map((option) => fieldView({ ...optionField("/dataset", option), span: 3 }, form))}`;
    }

    /** @param {import("../fields.js").Form} form */
    function networkSection(form) {
        const preset = form.spec.model?.preset ?? "layers";
        const choose = (/** @type {string} */ next) => {
            texts.clear();
            if (next === "layers") set("/model", { layers: stripped(valid.value?.spec.model.layers ?? []) });
            else
                set("/model", {
                    preset: next,
                    ...(form.spec.model?.variant && next === "mlp" ? { variant: form.spec.model.variant } : {}),
                });
            const { ...left } = grid.value;
            for (const pointer of Object.keys(left)) if (pointer.startsWith("/model/")) delete left[pointer];
            grid.value = left;
        };
        return html`<div class="field s6">
                <span class="label">Preset</span>
                ${segments(
                    "Preset",
                    [...PRESETS, "layers"].map((name) => ({ key: name, name })),
                    preset,
                    choose,
                )}
            </div>
            ${
                preset === "layers"
                    ? html`<div class="s6">${layersEditor("/model/layers", types.value, form)}</div>`
                    : views(presetFields(preset, variants), form)
            }
            ${fieldView({ ...WEIGHTS, span: 6 }, form)}`;
    }

    function command() {
        const text = JSON.stringify(body());
        const path = isStudy() ? "studies" : "jobs";
        const curl = `curl -X POST ${location.origin}/api/v1/${path} -H 'Content-Type: application/json' -d ${quoted(text)}`;
        const file = isStudy() ? "study.json" : "spec.json";
        const submitLine = `plumbline submit ${file} --server ${location.origin}`;
        const copy = async (/** @type {string} */ what, /** @type {string} */ words) =>
            toast({ text: (await copyText(what)) ? words : "It could not be copied" });
        return html`<section class="command" aria-label="The same on the command line">
            <h2>The same on the command line</h2>
            <pre tabindex="0" aria-label="curl"><code>${curl}</code></pre>
            <pre tabindex="0" aria-label="plumbline submit"><code>${submitLine}</code></pre>
            <p>
                <button class="tool" type="button" @click=${() => copy(curl, "The curl line is copied")}>
                    Copy curl
                </button>
                <button class="tool" type="button" @click=${() => copy(submitLine, "The submit line is copied")}>
                    Copy submit
                </button>
                <button
                    class="tool"
                    type="button"
                    @click=${() => copy(JSON.stringify(body(), null, 2), "The spec is copied")}
                >
                    Copy spec as JSON
                </button>
            </p>
        </section>`;
    }

    function jsonView() {
        const text =
            broken.value?.text ??
            JSON.stringify(isStudy() ? { base: spec.value, grid: grid.value } : spec.value, null, 2);
        const read = (/** @type {Event} */ event) => {
            const typed = /** @type {HTMLTextAreaElement} */ (event.target).value;
            try {
                const value = JSON.parse(typed);
                if (!value || typeof value !== "object" || Array.isArray(value))
                    throw new Error("A spec is a JSON object.");
                const study = "base" in value;
                texts.clear();
                spec.value = study ? value.base : value;
                grid.value = (study && value.grid) || {};
                broken.value = { text: typed, fault: "" };
            } catch (error) {
                broken.value = { text: typed, fault: /** @type {Error} */ (error).message };
            }
        };
        const fault = broken.value?.fault;
        const listed = faults.value;
        return html`<div class="field">
            <label for="spec-json">Spec as JSON; with base and grid it is a study</label>
            <textarea
                class="input code"
                id="spec-json"
                rows="28"
                spellcheck="false"
                aria-invalid=${fault || listed.length ? "true" : nothing}
                aria-describedby="spec-json-about"
                .value=${text}
                @input=${read}
                @blur=${() => broken.value && !broken.value.fault && (broken.value = null)}
            ></textarea>
            <div id="spec-json-about" class="small ${fault || listed.length ? "bad" : "quiet"}">
                ${
                    fault
                        ? `Not JSON: ${fault}`
                        : listed.length
                          ? html`<ul class="plain-list">
                                ${listed.map((e) => html`<li><code>${e.pointer || "/"}</code> ${e.detail}</li>`)}
                            </ul>`
                          : "What is left out has its default."
                }
            </div>
        </div>`;
    }

    function formView() {
        /** @type {import("../fields.js").Form} */
        const form = { spec: spec.value, grid: grid.value, errors: errors.value, texts, set };
        const more = MORE_TRAINING.some(
            (field) => errors.value.has(field.pointer) || at(spec.value, field.pointer) !== undefined,
        );
        return html`${formSection("Job", views(JOB, form))} ${formSection("Data", dataSection(form))}
        ${formSection("Network", networkSection(form))}
        ${formSection(
            "Training",
            html`${views(TRAINING, form)}
                <details class="s6" ?open=${more}>
                    <summary class="tool">More of the training</summary>
                    <div class="fields">${views(MORE_TRAINING, form)}</div>
                </details>`,
        )}
        ${formSection("Probe", views(PROBE, form))}`;
    }

    return {
        title: () => "New job",
        view() {
            const json = param("mode") === "json";
            return html`${head()}
            ${unknownKeysNotice(unknownKeys(["clone", "watch", "contributors", "spec", "grid", "mode"]))}
            ${failed.value ? errorNotice("Not all went well.", failed.value) : nothing}
            ${ready.value ? summary() : html`<div class="skeleton" aria-busy="true"></div>`}
            ${
                ready.value
                    ? html`<div class="cols new">
                          <div class="c7">${json ? jsonView() : formView()}</div>
                          <div class="c5 stack">
                              ${gridEditor(grid.value, {
                                  fields: fields.value,
                                  valueOfField: (pointer) =>
                                      at(spec.value, pointer) ??
                                      at(valid.value?.spec, pointer) ??
                                      fields.value.find((f) => f.pointer === pointer)?.fallback,
                                  errors: gridFaults.value,
                                  change: (next) => (grid.value = next),
                              })}
                              ${command()}
                          </div>
                      </div>`
                    : nothing
            }`;
        },
        close() {
            abort.abort();
            clearTimeout(timer);
            stopChecking();
        },
    };
}

/**
 * Layers without what is their default, so that the form and the link stay short.
 * @param {import("../api.js").Layer[]} layers
 * @returns {import("../api.js").Layer[]}
 */
const stripped = (layers) =>
    layers.map((layer) => {
        const { bias, ...rest } = layer;
        return bias === false ? layer : rest.layers ? { ...rest, layers: stripped(rest.layers) } : rest;
    });
