/**
 * Run: one job as it trains, or as it was.
 */
import { computed, effect, signal } from "@preact/signals-core";
import { html, nothing } from "lit-html";
import { ACTIONS, act } from "../actions.js";
import { Problem, request, withQuery } from "../api.js";
import { axisKeeper } from "../axes.js";
import { bar, errorNotice, icon, menu, retryButton, stateMark, unknownKeysNotice, variant } from "../dom.js";
import { guideButton } from "../figure.js";
import { driftFigure } from "../figures/drift.js";
import { glanceFigure } from "../figures/glance.js";
import { isLogStep, runOf } from "../figures/common.js";
import { heatColumn, heatFigure } from "../figures/heat.js";
import { linesFigure } from "../figures/lines.js";
import { promiseFigure } from "../figures/promise.js";
import { stripFigure } from "../figures/strip.js";
import { theoryFigure } from "../figures/theory.js";
import { follow } from "../follow.js";
import { clock, duration, int, num, percent, plural, sentence } from "../format.js";
import { isFinal, needsLook, seconds, share, title } from "../job.js";
import { needLive, needPlots } from "../plots_loader.js";
import { resource } from "../resource.js";
import { go, param, setQuery, unknownKeys } from "../router.js";
import { chosenSite, runData } from "../run_data.js";
import { saveText } from "../save.js";
import { readMetrics, withMetric } from "../training_log.js";
import { datasetText, isProbed, leaves, mainVariant, networkText, optimiserText, probeText } from "../spec_summary.js";

/** @typedef {import("../api.js").Job} Job */

const LOG_LIMIT = 500;
/** @type {Partial<Record<import("../actions.js").ActionName, string>>} */
const ICONS = { pause: "pause", resume: "play", retry: "retry" };
/** Up to so many sites, the network fits beside a chart. */
const FEW_SITES = 8;

/** @type {import("../main.js").PageModule["open"]} */
export function open(text) {
    const id = Number(text);
    const axes = axisKeeper();
    /** @type {import("@preact/signals-core").ReadonlySignal<string | null>} */
    const site = computed(() => chosenSite(data.sites.state.value.data?.sites ?? [], param("site")));
    const data = runData(id, () => ({ site: site.peek(), column: heatColumn(), logSteps: isLogStep() }), {
        figures: ["glance", "cloud", "drift", "heat", "promise"],
        begin: () => readLogs(),
    });
    const base = `/jobs/${id}`;
    /** @type {import("@preact/signals-core").Signal<unknown>} */
    const actionFailed = signal(null);
    const allKeys = signal(false);
    const editing = signal(false);

    /** Points that came as events since the metrics were read. */
    const metrics = resource((abort) => readMetrics(base, abort), { interval: 5000 });
    const log = resource(async (abort) => {
        const last = { order_by: "id DESC", max_results: LOG_LIMIT };
        const { items } = await request(withQuery(`${base}/log`, last), { signal: abort });
        return /** @type {import("../api.js").LogLine[]} */ (items.reverse());
    });
    const readLogs = () => {
        metrics.refresh();
        log.refresh();
    };
    const following = follow([data], {
        reload: () => data.job.state.value.data && readLogs(),
        event(event) {
            if (event.type === "metric") addMetric(event.data);
            if (event.type === "log") addLog(event.data);
            if (event.type !== "job.state") return;
            log.refresh();
            if (isFinal(event.data.state)) metrics.refresh();
        },
    });
    const { read } = following;
    needPlots();
    needLive();

    /** @param {{ step: number, values: Record<string, number | string> }} event */
    function addMetric(event) {
        const before = metrics.state.value.data;
        if (!before) return;
        metrics.state.value = { ...metrics.state.value, data: withMetric(before, event) };
        // The events carry only the newest of many steps; the rest is read at each epoch's end.
        if ("test/loss" in event.values || "test/accuracy" in event.values) metrics.refresh();
    }

    /** @param {import("../api.js").LogLine} line */
    function addLog(line) {
        const lines = log.state.value.data ?? [];
        if (lines.some((known) => known.at === line.at && known.text === line.text)) return;
        log.state.value = { ...log.state.value, data: [...lines, line].slice(-LOG_LIMIT) };
    }

    const stopMoving = effect(() => {
        void isLogStep();
        if (site.value) void heatColumn();
        data.move();
    });

    /** @param {() => Promise<void>} act */
    const attempt = async (act) => {
        actionFailed.value = null;
        try {
            await act();
        } catch (error) {
            actionFailed.value = error;
        }
    };
    /** @param {import("../actions.js").ActionName} action */
    const doNow = (action) => {
        const job = data.job.state.value.data;
        if (!job) return;
        actionFailed.value = null;
        act([job], action, {
            changed(done, answers, did) {
                const mine = answers.find((answer) => answer.id === id);
                if (mine) data.job.state.value = { ...data.job.state.value, data: mine };
                else data.job.refresh();
                const fresh = answers.find((answer) => answer.id !== id);
                if (fresh) go(`/run/${fresh.id}`);
                else if (did === "remove" && done.length) go("/");
            },
            failed: (error) => (actionFailed.value = error),
        });
    };
    /** @param {object} patch */
    const change = (patch) =>
        attempt(async () => {
            const job = await request(base, { method: "PATCH", body: patch });
            data.job.state.value = { ...data.job.state.value, data: job };
        });
    /** @param {import("../api.js").Spec} spec */
    const startAgain = (spec) =>
        attempt(async () => go(`/run/${(await request("/jobs", { method: "POST", body: spec })).id}`));

    /** @param {Job} job */
    function head(job) {
        const done = share(job);
        return html`<div class="run-head">
            <p class="crumb"><a href="/">Jobs</a> / ${id}</p>
            <div class="title-row">
                <h1>${title(job)}</h1>
                ${stateMark(job.state)}
                <div class="actions">
                    ${["pause", "resume", "cancel", "retry", "restore"]
                        .map((name) => /** @type {import("../actions.js").ActionName} */ (name))
                        .filter((name) => ACTIONS[name].possible(job))
                        .map(
                            (name) =>
                                html`<button class="btn" type="button" @click=${() => doNow(name)}>
                                    ${ICONS[name] ? icon(ICONS[name]) : nothing}<span>${ACTIONS[name].name}</span>
                                </button>`,
                        )}
                    <a class="btn" href="/new?clone=${id}">Clone</a>
                    <a class="btn" href="/compare?jobs=${id}">Compare</a>
                    ${guideButton()}
                    ${menu({ label: html`<span>Download</span>${icon("down")}`, items: downloads(job) })}
                    ${
                        ACTIONS.remove.possible(job)
                            ? html`<button class="btn" type="button" @click=${() => doNow("remove")}>
                                  ${ACTIONS.remove.name}
                              </button>`
                            : nothing
                    }
                </div>
            </div>
            ${isFinal(job.state) || done == null ? nothing : bar(done, job.state === "running", "Progress")}
            <div class="run-line">${runLine(job)}</div>
            ${aboutView(job)}
        </div>`;
    }

    /** Tags and note, to be read and changed. @param {Job} job */
    function aboutView(job) {
        if (!editing.value)
            return html`<div class="about">
                ${job.tags.map((tag) => html`<span class="tag">${tag}</span>`)}
                ${job.note ? html`<p>${job.note}</p>` : nothing}
                <button class="tool" type="button" @click=${() => (editing.value = true)}>
                    ${job.note || job.tags.length ? "Edit name, tags and note" : "Add tags or a note"}
                </button>
            </div>`;
        const save = async (/** @type {SubmitEvent} */ event) => {
            event.preventDefault();
            const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
            const text = (/** @type {string} */ key) => String(form.get(key) ?? "").trim();
            const tags = text("tags")
                .split(",")
                .map((tag) => tag.trim());
            await change({ name: text("name"), tags: tags.filter(Boolean), note: text("note") });
            if (!actionFailed.value) editing.value = false;
        };
        return html`<form class="about-form fields" @submit=${save}>
            <div class="field s2">
                <label for="job-name">Name</label>
                <input class="input" id="job-name" name="name" .value=${job.name} autocomplete="off" />
            </div>
            <div class="field s2">
                <label for="job-tags">Tags, with commas between</label>
                <input class="input" id="job-tags" name="tags" .value=${job.tags.join(", ")} autocomplete="off" />
            </div>
            <div class="field s6">
                <label for="job-note">Note</label>
                <textarea class="input code" id="job-note" name="note" rows="3" .value=${job.note}></textarea>
            </div>
            <div class="actions s6">
                <button class="btn primary" type="submit">Save</button>
                <button class="btn" type="button" @click=${() => (editing.value = false)}>Leave as it was</button>
            </div>
        </form>`;
    }

    /** @param {Job} job */
    const downloads = (job) => [
        {
            name: "Divergence (CSV)",
            href: `/api/v1${base}/export?what=divergence&format=csv`,
            download: `run${id}-divergence.csv`,
        },
        {
            name: "Metrics (CSV)",
            href: `/api/v1${base}/export?what=metrics&format=csv`,
            download: `run${id}-metrics.csv`,
        },
        { name: "Everything (SQLite)", href: `/api/v1${base}/run.sqlite`, download: `run${id}.sqlite` },
        ...(job.state === "finished"
            ? [
                  {
                      name: "Weights (safetensors)",
                      href: `/api/v1${base}/weights.safetensors`,
                      download: `run${id}.safetensors`,
                  },
              ]
            : []),
        {
            name: "Spec (JSON)",
            run: () => saveText(`${JSON.stringify(job.spec, null, 2)}\n`, `run${id}-spec.json`, "application/json"),
        },
        {
            name: "Log (text)",
            run: () =>
                saveText(
                    (log.state.value.data ?? []).map((l) => `${l.at} ${l.level} ${l.text}\n`).join(""),
                    `run${id}-log.txt`,
                    "text/plain",
                ),
        },
    ];

    /** @param {Job} job */
    function notices(job) {
        if (!needsLook(job.state)) return nothing;
        const rate = Number(job.spec.optimiser?.learning_rate);
        const last = data.sites.state.value.data?.steps.slice(-1)[0];
        const logged = /logged until/i.test(job.reason ?? "")
            ? ""
            : last
              ? ` The divergence is logged until step ${int(last)}.`
              : " No divergence was logged.";
        const diverged = job.state === "diverged" && rate > 0;
        const slower = Number((rate / 10).toPrecision(6));
        const spec = diverged ? { ...job.spec, optimiser: { ...job.spec.optimiser, learning_rate: slower } } : job.spec;
        return html`<div class="notice" role="alert">
            <span
                ><b>${job.state === "diverged" ? "Diverged." : "Failed."}</b>
                ${sentence(job.reason ?? "The reason is not known")}${logged}</span
            >
            ${
                diverged
                    ? html`<button class="btn" type="button" @click=${() => startAgain(spec)}>
                          Start again with learning rate ${slower}
                      </button>`
                    : nothing
            }
        </div>`;
    }

    /** @param {Job} job */
    function view(job) {
        const run = runOf(job, data);
        const empty = emptyText(job);
        const lines = {
            metrics: metrics.state.value.data,
            error: metrics.state.value.error,
            retry: metrics.refresh,
            axes,
            empty,
        };
        const at = site.value;
        const choose = (/** @type {string} */ name) => setQuery({ site: name });
        return html`${head(job)}
            ${unknownKeysNotice(unknownKeys(["site", "part", "steps", "column", "table", "guide"]))}
            ${actionFailed.value ? errorNotice("That was refused.", actionFailed.value) : nothing}
            ${
                data.job.state.value.error
                    ? errorNotice("Not up to date.", data.job.state.value.error, retryButton(read))
                    : nothing
            }
            ${notices(job)}
            <div class="cols">
                ${
                    (data.sites.state.value.data?.sites.length ?? 0) > FEW_SITES
                        ? html`${glanceFigure([run], { cls: "c8", axes, empty })}
                              <div class="c4 stack">
                                  ${linesFigure("loss", run, { ...lines, cls: "" })}
                                  ${linesFigure("accuracy", run, { ...lines, cls: "" })}
                              </div>
                              ${stripFigure(run, at, { cls: "c12", choose, empty })}`
                        : html`${glanceFigure([run], { cls: "c8", axes, empty })}
                          ${linesFigure("loss", run, { ...lines, cls: "c4" })}
                          ${stripFigure(run, at, { cls: "c8", choose, empty })}
                          ${linesFigure("accuracy", run, { ...lines, cls: "c4" })}`
                }
                ${
                    at
                        ? html`${driftFigure([run], at, { cls: "c6", axes, empty })}
                          ${heatFigure([run], at, { cls: "c6", axes, empty })}
                          ${theoryFigure([run], at, { cls: "c6", axes, empty, settings: siteLink(at) })}
                          ${promiseFigure([run], { cls: "c6", axes, empty })}`
                        : nothing
                }
                ${logView()} ${specView(job)}
            </div>`;
    }

    /** @param {string} name */
    const siteLink = (name) => html`<a class="tool" href="/run/${id}/site/${name}">More of ${name}</a>`;

    function logView() {
        const { data: lines, error } = log.state.value;
        return html`<section class="sect c6" aria-label="Log">
            <h2>Log</h2>
            ${error && !lines ? errorNotice("The log could not be read.", error, retryButton(log.refresh)) : nothing}
            ${lines && !lines.length ? html`<p class="quiet">Nothing is logged yet.</p>` : nothing}
            ${
                lines?.length
                    ? html`<ol class="log" tabindex="0" aria-label="Log lines, newest first" role="list">
                          ${[...lines]
                              .reverse()
                              .map(
                                  (line) =>
                                      html`<li class=${line.level}>
                                          <time datetime=${line.at}>${clock(line.at)}</time
                                          >${line.level === "info" ? nothing : html`<b>${line.level}</b> `}<span
                                              >${line.text}</span
                                          >
                                      </li>`,
                              )}
                      </ol>`
                    : nothing
            }
        </section>`;
    }

    /** @param {Job} job */
    function specView(job) {
        const rows = leaves(job.spec);
        const few = [
            ["model", networkText(job.spec)],
            ["variant", variant(mainVariant(job.spec))],
            ["data", datasetLine(job)],
            ["optimiser", optimiserText(job.spec)],
            ["probe", probeText(job.spec)],
            ["spec hash", html`<code title=${job.spec_hash}>${job.spec_hash?.slice(0, 12)}</code>`],
        ];
        return html`<section class="sect c6" aria-label="Spec">
            <h2>Spec</h2>
            <dl class="kv ${allKeys.value ? "code" : ""}">
                ${(allKeys.value ? rows : few).map(
                    ([key, value]) =>
                        html`<dt>${key}</dt>
                            <dd>${value}</dd>`,
                )}
            </dl>
            <button class="tool" type="button" @click=${() => (allKeys.value = !allKeys.value)}>
                ${allKeys.value ? "Show the few" : `Show all ${rows.length} keys`}
            </button>
        </section>`;
    }

    return {
        title: () => {
            const job = data.job.state.value.data;
            return job ? title(job) : `Run ${id}`;
        },
        view: () => {
            const { data: job, error } = data.job.state.value;
            if (job) return view(job);
            if (error instanceof Problem && error.status === 404)
                return html`<div class="page-head"><h1>There is no job ${id}</h1></div>
                    <p class="lead-text">It may have been removed. <a href="/">Go to the jobs</a>.</p>`;
            if (error)
                return html`<h1 class="vh">Run ${id}</h1>
                    ${errorNotice("The job could not be read.", error, retryButton(read))}`;
            return html`<h1 class="vh">Run ${id}</h1>
                <div class="skeleton" aria-busy="true"></div>`;
        },
        close() {
            following.close();
            stopMoving();
            data.close();
            metrics.close();
            log.close();
        },
    };
}

/** @param {Job} job */
function datasetLine({ spec }) {
    const { train_limit: limit, scaling } = spec.dataset;
    return [datasetText(spec), limit ? `${int(limit)} images` : null, scaling && `scaling ${scaling}`]
        .filter(Boolean)
        .join(", ");
}

/** What the run does or did, in short. @param {Job} job */
function runLine(job) {
    const { step, steps, eta_seconds: eta, steps_per_second: speed, probe_share: probing } = job.progress ?? {};
    const took = seconds(job);
    const rate = job.results?.steps_per_second ?? speed;
    const probed = job.results?.probe_share ?? probing;
    const parts = [];
    if (steps && isFinal(job.state) && step === steps)
        parts.push(html`<b>${plural(steps, "step")}</b>${took != null ? ` in ${duration(took)}` : ""}`);
    else if (steps) parts.push(html`<b>${int(step ?? 0)}</b> of ${plural(steps, "step")}`);
    if (job.state === "running" && eta != null) parts.push(html`<b>${duration(eta)}</b> left`);
    if (rate)
        parts.push(
            html`<b>${num(rate)}</b> steps/s${probed != null ? `, ${percent(probed)} of the time probing` : ""}`,
        );
    parts.push(
        datasetLine(job),
        networkText(job.spec),
        optimiserText(job.spec),
        `batch ${job.spec.batch_size}`,
        `seed ${job.spec.seed}`,
    );
    if (job.reason && !needsLook(job.state)) parts.push(job.reason);
    return parts.map((part) => html`<span>${part}</span>`);
}

/** Why there is nothing to draw. @param {Job} job */
function emptyText(job) {
    if (!isProbed(job.spec))
        return html`<p><b>No divergence was logged.</b> This run has the probe schedule none.</p>
            <a class="btn" href="/new?clone=${job.id}&probe=log">Clone with a probe</a>`;
    if (job.state === "queued") return html`<p><b>Nothing is measured yet.</b> The job waits for a free worker.</p>`;
    if (isFinal(job.state))
        return html`<p><b>Nothing was measured.</b> The run ended before its first probed step.</p>`;
    return html`<p><b>Nothing is measured yet.</b> The first probed step is on its way.</p>`;
}
