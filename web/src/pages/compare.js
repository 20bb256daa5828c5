/**
 * Compare: several runs beside each other; what differs in their specs comes first.
 */
import { computed, effect, signal, untracked } from "@preact/signals-core";
import { html, nothing } from "lit-html";
import { Problem, request } from "../api.js";
import { axisKeeper } from "../axes.js";
import { copyText, errorNotice, retryButton, toast, unknownKeysNotice, variant } from "../dom.js";
import { isLogStep } from "../figures/common.js";
import { directionFigure } from "../figures/direction.js";
import { guideButton } from "../figure.js";
import { driftFigure } from "../figures/drift.js";
import { glanceFigure } from "../figures/glance.js";
import { comparedLinesFigure } from "../figures/lines.js";
import { heatColumn, heatFigure } from "../figures/heat.js";
import { madeFigure } from "../figures/made.js";
import { promiseFigure } from "../figures/promise.js";
import { ridgesBySite, ridgesFigure } from "../figures/ridges.js";
import { theoryFigure } from "../figures/theory.js";
import { follow } from "../follow.js";
import { int, list, loss, percent, plural } from "../format.js";
import { isFinal, title } from "../job.js";
import { needLive, needPlots } from "../plots_loader.js";
import { resource } from "../resource.js";
import { go, param, setQuery, unknownKeys } from "../router.js";
import { chosenSite, runData } from "../run_data.js";
import { readCompared } from "../training_log.js";
import { bySeed, mergedData, MOST, MOST_RUNS } from "../seeds.js";
import { readViews, removeView, saveView } from "../views.js";
import { datasetText, differences, mainVariant, networkText } from "../spec_summary.js";

/** @typedef {import("../api.js").Job} Job @typedef {import("../figures/common.js").Run} Run */

/** A label of more letters than this says less than the job's number. */
const LABEL = 40;

/** @param {string | null} text */
const idsOf = (text) => [
    ...new Set(
        (text ?? "")
            .split(",")
            .map(Number)
            .filter((id) => Number.isInteger(id) && id > 0),
    ),
];

/** @type {import("../main.js").PageModule["open"]} */
export function open() {
    const asked = computed(() => idsOf(param("jobs")).join(","));
    /** @type {import("@preact/signals-core").Signal<ReturnType<typeof openRuns> | null>} */
    const current = signal(null);
    /** @type {import("@preact/signals-core").Signal<Job[]>} */
    const others = signal([]);
    const abort = new AbortController();
    /** @type {import("@preact/signals-core").Signal<import("../views.js").View[]>} */
    const views = signal([]);
    const readAllViews = () =>
        readViews(abort.signal).then(
            (found) => (views.value = found),
            () => {},
        );
    if (!param("jobs")) readAllViews();
    needPlots();
    needLive();
    request("/jobs?max_results=50", { signal: abort.signal }).then(
        ({ items }) => (others.value = items),
        () => {},
    );
    const stop = effect(() => {
        const ids = idsOf(asked.value).slice(0, MOST_RUNS);
        // Other runs alone open others: not what is read on the way, as whether the stream of events is open.
        untracked(() => {
            current.value?.close();
            current.value = ids.length ? openRuns(ids) : null;
        });
    });

    /** @param {number[]} ids */
    function picker(ids) {
        const more = others.value.filter((job) => !ids.includes(job.id));
        if (!more.length || ids.length >= MOST_RUNS) return nothing;
        const add = (/** @type {Event} */ event) => {
            const select = /** @type {HTMLSelectElement} */ (event.target);
            if (select.value) setQuery({ jobs: [...ids, select.value].join(",") });
            select.value = "";
        };
        return html`<select class="input" aria-label="Add a run" @change=${add}>
            <option value="">Add a run</option>
            ${more.map((job) => html`<option value=${job.id}>${job.id} ${title(job)}, ${job.state}</option>`)}
        </select>`;
    }

    function empty() {
        const done = others.value.filter((job) => job.state === "finished").slice(0, 2);
        const ids = done.map((job) => job.id).sort((a, b) => a - b);
        return html`<div class="page-head"><h1>Compare</h1></div>
            ${unknownKeysNotice(unknownKeys(["jobs"]))}
            <div class="empty">
                <p>
                    <b>No runs are chosen.</b> Tick two or more in the list of jobs and press
                    Compare${ids.length === 2 ? `, or take the last two that finished: ${list(done.map(title))}` : ""}.
                </p>
                ${
                    ids.length === 2
                        ? html`<button
                              class="btn primary"
                              type="button"
                              @click=${() => setQuery({ jobs: ids.join(",") })}
                          >
                              Compare these two
                          </button>`
                        : html`<button class="btn primary" type="button" @click=${() => go("/")}>
                              Go to the jobs
                          </button>`
                }
            </div>
            ${
                views.value.length
                    ? html`<section class="sect" aria-label="Saved views">
                          <h2>Saved views</h2>
                          <ul class="views" role="list">
                              ${views.value.map(
                                  (view) =>
                                      html`<li>
                                          <a href=${view.path}>${view.name || view.path}</a>
                                          <code>/view/${view.id}</code>
                                          <button
                                              class="tool"
                                              type="button"
                                              aria-label=${`Remove the view ${view.name}`}
                                              @click=${() => removeView(view).then(readAllViews, readAllViews)}
                                          >
                                              Remove
                                          </button>
                                      </li>`,
                              )}
                          </ul>
                      </section>`
                    : nothing
            }`;
    }

    return {
        title: () => current.value?.title() ?? "Compare",
        view: () => (current.value ? current.value.view(picker) : empty()),
        close() {
            abort.abort();
            stop();
            current.peek()?.close();
        },
    };
}

/**
 * The page for these runs.
 * @param {number[]} ids
 */
function openRuns(ids) {
    const axes = axisKeeper();
    /** @type {import("../figure_data.js").FigureName[]} */
    const figures = ["glance", "cloud", "drift", "heat", "ridges", "direction", "promise", "made"];
    /** A run is asked about a site once it has it. @param {import("../run_data.js").RunData} run */
    const looked = (run) => {
        const at = site.peek();
        return {
            site: sitesOf(run).some(({ name }) => name === at) ? at : null,
            column: heatColumn(),
            bySite: ridgesBySite(),
            logSteps: isLogStep(),
        };
    };
    const runs = ids.map((id) => {
        /** @type {import("../run_data.js").RunData} */
        const run = runData(id, () => looked(run), { figures, merged: true });
        return run;
    });
    const sitesOf = (/** @type {import("../run_data.js").RunData} */ run) => run.sites.state.value.data?.sites ?? [];

    /** Sites that all runs have which have any, in the first one's order. */
    const common = computed(() => {
        const lists = runs.map(sitesOf).filter((sites) => sites.length);
        return (lists[0] ?? []).filter(({ name }) => lists.every((sites) => sites.some((s) => s.name === name)));
    });
    /** @type {import("@preact/signals-core").ReadonlySignal<string | null>} */
    const site = computed(() => chosenSite(common.value, param("site")));
    /** Loss and accuracy of the runs that there are. */
    const lines = resource(
        (signal) =>
            readCompared(
                groups.peek().flatMap((group) => group.map(({ run }) => run.id)),
                signal,
            ),
        { interval: 1500 },
    );
    const following = follow(runs, {
        event: ({ type }) => void (type === "metric" && lines.refresh()),
        reload: () => void (groups.peek().length && lines.refresh()),
    });
    const stopMoving = effect(() => {
        void [site.value, heatColumn(), ridgesBySite(), isLogStep()];
        runs.forEach((run) => run.move());
    });

    /** The jobs that were read, by seed; those that are gone are told. */
    const groups = computed(() =>
        bySeed(
            runs.flatMap((run) => {
                const job = run.job.state.value.data;
                return job ? [{ run, job }] : [];
            }),
        ).slice(0, MOST),
    );
    /** What the figures read of each group: of the runs in which something is measured. */
    const data = computed(() =>
        groups.value.map((group) => {
            const measured = group.map(({ run }) => run).filter((run) => sitesOf(run).length);
            return mergedData(measured.length ? measured : [group[0].run]);
        }),
    );

    /** @returns {Run[]} */
    function labelled() {
        const known = groups.value.map(([{ job }]) => job);
        const variants = known.map(({ spec }) => mainVariant(spec));
        const labels = labelsOf(known, variants);
        return groups.value.map((group, i) => ({
            id: group[0].run.id,
            ids: group.map(({ run }) => run.id),
            label: labels[i],
            variant: variants[i],
            hollow: variants.indexOf(variants[i]) < i,
            growing: group.some(({ job }) => !isFinal(job.state)),
            batch: known[i].spec.batch_size ?? null,
            data: data.value[i],
        }));
    }

    /** What all the specs have in common, in short. @param {Job[]} known */
    function commonText(known) {
        const facts = [
            known.map(({ spec }) => datasetText(spec)),
            known.map(({ spec }) => networkText(spec)),
            known.map(({ spec }) => `batch ${spec.batch_size}`),
            known.map(({ spec }) => plural(spec.epochs ?? 0, "epoch")),
            groups.value.map((group) => `seed ${seedsOf(group)}`),
        ];
        return facts.filter((fact) => fact.every((text) => text === fact[0])).map((fact) => fact[0]);
    }

    /** The figure of each job of a group that has it. @param {number} i @param {"test/accuracy" | "test/loss"} key */
    const results = (i, key) =>
        groups.value[i].flatMap(({ job }) => {
            const value = job.results?.[key];
            return typeof value === "number" ? [value] : [];
        });

    /** The result in words, with its n. @param {Run[]} shown */
    function result(shown) {
        const measured = shown.flatMap((run, i) => {
            const values = results(i, "test/accuracy");
            return values.length ? [{ run, n: values.length, accuracy: mean(values) }] : [];
        });
        measured.sort((a, b) => b.accuracy - a.accuracy);
        if (measured.length < 2) return nothing;
        const [first, last] = [measured[0], measured[measured.length - 1]];
        const points = 100 * (first.accuracy - last.accuracy);
        const running = measured.some(({ run }) => run.growing) ? ", some still running" : "";
        const words =
            measured.length === 2
                ? `${first.run.label} is ahead by ${points.toFixed(1)} points of test accuracy`
                : `${first.run.label} is highest with ${percent(first.accuracy)} test accuracy, ${last.run.label} lowest with ${percent(last.accuracy)}`;
        const sizes = measured.map(({ n }) => n);
        const each = Math.max(...sizes) === 1 ? "one run each" : "means over seeds";
        return html`<b>${words}</b>, ${each} (n = ${sizes.reduce((sum, n) => sum + n, 0)} runs${running})`;
    }

    /** A mean with the least and the most of the seeds. @param {number[]} values @param {(v: number) => string} text */
    function seedsCell(values, text) {
        if (values.length < 2) return text(values[0]);
        return html`${text(mean(values))}
            <span class="faint"
                >mean of ${values.length}, ${text(Math.min(...values))} to ${text(Math.max(...values))}</span
            >`;
    }

    /** @param {Run[]} shown */
    function diffTable(shown) {
        const { rows, keys } = differences(
            groups.value.map((group) => ({ ...group[0].job.spec, seed: /** @type {any} */ (seedsOf(group)) })),
        );
        return html`<div class="scroll diff-scroll" role="region" aria-label="What differs" tabindex="0">
            <table class="diff">
                <thead>
                    <tr>
                        <th scope="col">What differs: ${int(rows.length)} of ${int(keys)} keys</th>
                        ${shown.map((run, i) => {
                            const group = groups.value[i];
                            const links = group.map(
                                ({ job }, k) => html`${k ? ", " : ""}<a href="/run/${job.id}">${job.id}</a>`,
                            );
                            const name = html`<a href="/run/${run.id}">${title(group[0].job)}</a>`;
                            const words = group.length > 1 ? html`<span>${run.label}: ${links}</span>` : name;
                            return html`<th scope="col">${variant(run.variant, words, run.hollow || undefined)}</th>`;
                        })}
                    </tr>
                </thead>
                <tbody>
                    ${rows.map(
                        (row) =>
                            html`<tr>
                                <td>${row.pointer}</td>
                                ${row.values.map((value) => html`<td>${value ?? html`<span class="faint">not there</span>`}</td>`)}
                            </tr>`,
                    )}
                    <tr class="final">
                        <td>test accuracy</td>
                        ${shown.map((_, i) => html`<td>${seedsCell(results(i, "test/accuracy"), percent)}</td>`)}
                    </tr>
                    <tr class="final">
                        <td>test loss</td>
                        ${shown.map((_, i) => html`<td>${seedsCell(results(i, "test/loss"), loss)}</td>`)}
                    </tr>
                </tbody>
            </table>
        </div>`;
    }

    const siteSwitch = () =>
        common.value.length < 2
            ? nothing
            : html`<select
                  class="input s"
                  aria-label="Site"
                  @change=${(/** @type {Event} */ e) => setQuery({ site: /** @type {HTMLSelectElement} */ (e.target).value })}
              >
                  ${common.value.map(
                      ({ name }) => html`<option value=${name} .selected=${name === site.value}>${name}</option>`,
                  )}
              </select>`;

    const known = computed(() => groups.value.map((group) => group.map(({ run }) => run.id)).join(";"));
    const stopReading = effect(() => void (known.value && lines.renew()));

    const heading = () => (groups.value.length < 2 ? "Compare" : list(labelled().map((run) => run.label)));

    return {
        title: heading,
        /** @param {(ids: number[]) => import("../dom.js").Part} picker */
        view(picker) {
            const jobs = groups.value.flatMap((group) => group.map(({ job }) => job));
            const shown = labelled();
            const failed = runs.filter(failureOf);
            const measured = shown.filter((run) => run.data.sites.state.value.data?.sites.length);
            const at = site.value;
            const empty = html`<p>
                <b>Nothing is measured yet.</b> The figures begin when the first of these runs has a probed step.
            </p>`;
            const o = { axes, empty };
            const { data: compared, error } = lines.state.value;
            const trained = { ...o, compared, error, retry: lines.refresh, cls: "c6" };
            return html`<div class="page-head">
                    <div class="lead">
                        <p class="crumb"><a href="/">Jobs</a> / compare</p>
                        <h1>${heading()}</h1>
                        <p>${joined([result(shown), ...commonText(jobs)])}</p>
                    </div>
                    <div class="actions">
                        ${picker(ids)} ${guideButton()}
                        <button class="btn" type="button" @click=${() => saveView(heading())}>Save view</button>
                        <button class="btn" type="button" @click=${copyPage}>Copy link</button>
                    </div>
                </div>
                ${unknownKeysNotice(unknownKeys(["jobs", "site", "part", "steps", "column", "rows", "table", "guide"]))}
                ${
                    jobs.length < runs.length - failed.length || idsOf(param("jobs")).length > MOST_RUNS
                        ? html`<p class="banner" role="status">
                              Shown are ${jobs.length} of ${idsOf(param("jobs")).length} runs: at most ${MOST} that
                              differ in more than their seed.
                          </p>`
                        : nothing
                }
                ${failed.map((run) => failure(run))}
                ${jobs.length ? diffTable(shown) : html`<div class="skeleton" aria-busy="true"></div>`}
                <div class="cols">
                    ${measured.length ? glanceFigure(measured, { cls: "c12", ...o }) : nothing}
                    ${
                        measured.length
                            ? html`${comparedLinesFigure("loss", measured, trained)}
                              ${comparedLinesFigure("accuracy", measured, trained)}`
                            : nothing
                    }
                    ${
                        measured.length && at
                            ? html`${theoryFigure(measured, at, { cls: "c12", aside: true, settings: siteSwitch(), ...o })}
                              ${driftFigure(measured, at, { cls: "c12", aside: true, ...o })}
                              ${heatFigure(measured, at, { cls: "c12", ...o })}
                              ${ridgesFigure(measured, at, { cls: "c12", ...o })}
                              ${directionFigure(measured, at, { cls: "c12", aside: true, ...o })}
                              ${promiseFigure(measured, { cls: "c12", ...o })}
                              ${madeFigure(measured, at, { cls: "c12", ...o })}`
                            : nothing
                    }
                    ${jobs.length && !measured.length ? html`<div class="empty c12">${empty}</div>` : nothing}
                </div>`;
        },
        close() {
            following.close();
            stopMoving();
            stopReading();
            lines.close();
            runs.forEach((run) => run.close());
        },
    };

    /** Why a run is left out. @param {import("../run_data.js").RunData} run */
    function failureOf(run) {
        const read = [run.job, run.sites].map((part) => part.state.value);
        return read.find(({ data, error }) => error && !data)?.error ?? null;
    }

    /** @param {import("../run_data.js").RunData} run */
    function failure(run) {
        const error = failureOf(run);
        const gone = error instanceof Problem && error.status === 404;
        const without = ids.filter((id) => id !== run.id);
        return errorNotice(
            gone ? `There is no job ${run.id}.` : `Job ${run.id} could not be read.`,
            gone ? {} : error,
            gone
                ? html`<button class="btn" type="button" @click=${() => setQuery({ jobs: without.join(",") || null })}>
                      Leave it out
                  </button>`
                : retryButton(run.refresh),
        );
    }
}

async function copyPage() {
    const done = await copyText(location.href);
    toast({ text: done ? "The link is copied" : `The link could not be copied: ${location.href}` });
}

/** @param {number[]} values */
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** "1, 2, 3". @param {import("../seeds.js").Known[]} group */
const seedsOf = (group) => group.map(({ job }) => job.spec.seed).join(", ");

/**
 * The shortest words that tell the jobs apart: their variants, what else differs in their specs, their names.
 * @param {Job[]} jobs
 * @param {(string | null)[]} variants
 */
function labelsOf(jobs, variants) {
    const telling = (/** @type {(string | null)[]} */ words) =>
        words.every((word) => word && word.length <= LABEL) && new Set(words).size === words.length;
    const { rows } = differences(jobs.map((job) => job.spec));
    const others = rows.filter(({ pointer }) => !/\/variant$/.test(pointer));
    const told = new Set(variants).size > 1;
    const apart = jobs.map((_, i) =>
        [
            ...(told ? [variants[i]] : []),
            ...others.map(({ pointer, values }) => `${pointer.split("/").pop()?.replaceAll("_", " ")} ${values[i]}`),
        ].join(", "),
    );
    const names = jobs.map(title);
    const best = [variants, apart, names].find(telling);
    return best ? best.map(String) : jobs.map((job, i) => `${variants[i] ?? "run"} ${job.id}`);
}

/** @param {import("../dom.js").Part[]} parts */
const joined = (parts) => parts.filter((part) => part !== nothing).map((part, i) => html`${i ? " · " : ""}${part}`);
