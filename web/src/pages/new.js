/**
 * New: a form over a spec. Shapes, parameters, cost and errors are the server's, asked for as one types.
 */
import { signal } from "@preact/signals-core";
import { html, nothing } from "lit-html";
import { Problem, request } from "../api.js";
import { at, jobsOf, quoted } from "../draft.js";
import { openDraft } from "../draft_state.js";
import { copyText, errorNotice, segments, toast, unknownKeysNotice } from "../dom.js";
import { applies, fieldView, formSection, idOf } from "../fields.js";
import { duration, int, num, plural } from "../format.js";
import { gridEditor } from "../grid_editor.js";
import { title } from "../job.js";
import { layersEditor } from "../layers_editor.js";
import { networkLine } from "../network_line.js";
import { go, param, setQuery, unknownKeys } from "../router.js";
import { JOB, MORE_TRAINING, optionField, presetFields, PRESETS, PROBE, TRAINING, WEIGHTS } from "../spec_fields.js";
import { leaves } from "../spec_summary.js";
/** @typedef {import("../spec_fields.js").Field} Field */

/** What a row of divergence takes in a run's file, in bytes. */
const ROW_BYTES = 146;

/** @type {import("../main.js").PageModule["open"]} */
export function open() {
    const draft = openDraft();
    const { spec, grid, origin, types, datasets, dataset, valid, faults, gridFaults, failed, texts } = draft;
    const { fields, errors, set, variants, ready } = draft;
    const sending = signal(false);
    /** The text in JSON mode, while it is no JSON. */
    const broken = signal(/** @type {{ text: string, fault: string } | null} */ (null));
    /** Sent with a submission, so that a second press makes no second job. */
    let key = crypto.randomUUID?.() ?? String(Math.random());

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
        const whole = draft.studyCost.value;
        const flops = whole?.flops ?? cost.flops_per_step * cost.steps * jobs;
        if (draft.speed.value) {
            const n = Math.max(1, Math.min(jobs, draft.workers.value || 1));
            const time = flops / draft.speed.value.rate / n;
            parts.push(
                html`<span title=${`As fast as job ${draft.speed.value.job.id}, ${title(draft.speed.value.job)}`}
                    ><b class="big">${duration(time)}</b> about${n > 1 ? `, on ${n} workers` : ""}</span
                >`,
            );
        } else parts.push(html`<span><b class="big">${num(flops / 1e9)}</b> Gflop</span>`);
        const bytes = (whole?.probe_rows ?? cost.probe_rows * jobs) * ROW_BYTES;
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
                                  <button class="text-link" type="button" @click=${draft.startOver}>
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
                          ${draft.checking.value ? "Asking the server what this makes." : "The network is drawn once its fields are right."}
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
        const submitLine = `plumbline submit - --server ${location.origin} <<'END'\n${text}\nEND`;
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
            ${unknownKeysNotice(unknownKeys(["clone", "watch", "contributors", "probe", "spec", "grid", "mode"]))}
            ${failed.value ? errorNotice("Not all went well.", failed.value) : nothing}
            ${ready.value ? summary() : html`<div class="skeleton" aria-busy="true"></div>`}
            ${
                ready.value
                    ? html`<div class="cols new">
                          <div class="c7">${json ? jsonView() : formView()}</div>
                          <div class="c5 stack">
                              ${gridEditor(grid.value, {
                                  fields: fields.value,
                                  // Defaults are in what the server made of the spec.
                                  known: !draft.checking.value || valid.value != null,
                                  valueOfField: (pointer) =>
                                      at(spec.value, pointer) ??
                                      at(valid.value?.spec, pointer) ??
                                      fields.value.find((f) => f.pointer === pointer)?.fallback,
                                  errors: gridFaults.value,
                                  change: (next) => (grid.value = next(grid.value)),
                              })}
                              ${command()}
                          </div>
                      </div>`
                    : nothing
            }`;
        },
        close: draft.close,
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
