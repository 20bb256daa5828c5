/**
 * Compare: several runs beside each other; what differs in their specs comes first.
 */
import { computed, effect, signal } from "@preact/signals-core";
import { html, nothing } from "lit-html";
import { Problem, request } from "../api.js";
import { axisKeeper } from "../axes.js";
import { copyText, errorNotice, retryButton, toast, unknownKeysNotice, variant } from "../dom.js";
import { directionFigure } from "../figures/direction.js";
import { guideButton } from "../figure.js";
import { driftFigure } from "../figures/drift.js";
import { glanceFigure } from "../figures/glance.js";
import { madeFigure } from "../figures/made.js";
import { theoryFigure } from "../figures/theory.js";
import { follow } from "../follow.js";
import { int, list, loss, percent, plural } from "../format.js";
import { isFinal, title } from "../job.js";
import { needPlots } from "../plots_loader.js";
import { go, param, setQuery, unknownKeys } from "../router.js";
import { chosenSite, runData } from "../run_data.js";
import { readViews, removeView, saveView } from "../views.js";
import { datasetText, differences, mainVariant, networkText } from "../spec_summary.js";

/** @typedef {import("../api.js").Job} Job @typedef {import("../figures/common.js").Run} Run */

/** So many runs can be told apart in one figure. */
const MOST = 6;

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
    request("/jobs?max_results=50", { signal: abort.signal }).then(
        ({ items }) => (others.value = items),
        () => {},
    );
    const stop = effect(() => {
        const ids = idsOf(asked.value).slice(0, MOST);
        current.peek()?.close();
        current.value = ids.length ? openRuns(ids) : null;
    });

    /** @param {number[]} ids */
    function picker(ids) {
        const more = others.value.filter((job) => !ids.includes(job.id));
        if (!more.length || ids.length >= MOST) return nothing;
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
                    <b>No runs are chosen.</b> Tick two or more in the list of jobs and press Compare, or take the last
                    two that finished.
                </p>
                ${
                    ids.length === 2
                        ? html`<button
                              class="btn primary"
                              type="button"
                              @click=${() => setQuery({ jobs: ids.join(",") })}
                          >
                              Compare ${title(done[1])} and ${title(done[0])}
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
    const figures = ["glance", "cloud", "drift", "direction", "made"];
    const runs = ids.map((id) => runData(id, () => ({ site: site.peek() }), { figures, merged: true }));

    /** Sites that all runs have, in the first one's order. */
    const common = computed(() => {
        const lists = runs.map((run) => run.sites.state.value.data?.sites ?? []);
        return lists[0].filter(({ name }) => lists.every((sites) => sites.some((s) => s.name === name)));
    });
    /** @type {import("@preact/signals-core").ReadonlySignal<string | null>} */
    const site = computed(() => chosenSite(common.value, param("site")));
    const following = follow(runs);
    const stopMoving = effect(() => {
        void site.value;
        runs.forEach((run) => run.move());
    });

    /** The jobs that were read; those that are gone are told. */
    const jobs = () =>
        runs.flatMap((run) => {
            const job = run.job.state.value.data;
            return job ? [{ run, job }] : [];
        });

    /** @returns {Run[]} */
    function labelled() {
        const known = jobs();
        const variants = known.map(({ job }) => mainVariant(job.spec));
        const names = known.map(({ job }) => title(job));
        /** @param {(string | null)[]} words */
        const telling = (words) => new Set(words).size === words.length && words.every(Boolean);
        return known.map(({ run, job }, i) => ({
            id: run.id,
            label: telling(variants) ? String(variants[i]) : telling(names) ? names[i] : `${names[i]} (${run.id})`,
            variant: variants[i],
            hollow: variants.indexOf(variants[i]) < i,
            growing: !isFinal(job.state),
            batch: job.spec.batch_size ?? null,
            data: run,
        }));
    }

    /** What all the specs have in common, in short. @param {Job[]} known */
    function commonText(known) {
        const facts = [
            known.map(({ spec }) => datasetText(spec)),
            known.map(({ spec }) => networkText(spec)),
            known.map(({ spec }) => `batch ${spec.batch_size}`),
            known.map(({ spec }) => plural(spec.epochs ?? 0, "epoch")),
        ];
        return facts.filter((fact) => fact.every((text) => text === fact[0])).map((fact) => fact[0]);
    }

    /** The result in words, with its n. @param {Run[]} shown @param {Job[]} known */
    function result(shown, known) {
        const measured = shown
            .map((run, i) => ({
                label: run.label,
                accuracy: known[i].results?.["test/accuracy"],
                running: run.growing,
            }))
            .filter((r) => typeof r.accuracy === "number");
        measured.sort((a, b) => Number(b.accuracy) - Number(a.accuracy));
        if (measured.length < 2) return nothing;
        const [first, last] = [measured[0], measured[measured.length - 1]];
        const points = 100 * (Number(first.accuracy) - Number(last.accuracy));
        const running = measured.some((r) => r.running) ? ", some still running" : "";
        const words =
            measured.length === 2
                ? `${first.label} is ahead by ${points.toFixed(1)} points of test accuracy`
                : `${first.label} is highest with ${percent(first.accuracy)} test accuracy, ${last.label} lowest with ${percent(last.accuracy)}`;
        return html`<b>${words}</b>, one run each (n = ${measured.length} runs${running})`;
    }

    /** @param {Run[]} shown @param {Job[]} known */
    function diffTable(shown, known) {
        const { rows, keys } = differences(known.map((job) => job.spec));
        const final = [
            { name: "test accuracy", values: known.map((job) => percent(job.results?.["test/accuracy"])) },
            { name: "test loss", values: known.map((job) => loss(job.results?.["test/loss"])) },
        ];
        return html`<div class="scroll diff-scroll" role="region" aria-label="What differs" tabindex="0">
            <table class="diff">
                <thead>
                    <tr>
                        <th scope="col">What differs: ${int(rows.length)} of ${int(keys)} keys</th>
                        ${shown.map(
                            (run, i) =>
                                html`<th scope="col">
                                    ${variant(run.variant, html`<a href="/run/${run.id}">${title(known[i])}</a>`, run.hollow || undefined)}
                                </th>`,
                        )}
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
                    ${final.map(
                        (row) =>
                            html`<tr class="final">
                                <td>${row.name}</td>
                                ${row.values.map((value) => html`<td>${value}</td>`)}
                            </tr>`,
                    )}
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

    const heading = () => {
        const known = jobs().map(({ job }) => job);
        const words = labelled().map((run) => run.label);
        return known.length < 2 ? "Compare" : list(words);
    };

    return {
        title: heading,
        /** @param {(ids: number[]) => import("../dom.js").Part} picker */
        view(picker) {
            const known = jobs().map(({ job }) => job);
            const shown = labelled();
            const failed = runs.filter((run) => run.job.state.value.error && !run.job.state.value.data);
            const measured = shown.filter((run) => run.data.sites.state.value.data?.sites.length);
            const at = site.value;
            const empty = html`<p>
                <b>Nothing is measured yet.</b> The figures begin when the first of these runs has a probed step.
            </p>`;
            const o = { axes, empty };
            return html`<div class="page-head">
                    <div class="lead">
                        <p class="crumb"><a href="/">Jobs</a> / compare</p>
                        <h1>${heading()}</h1>
                        <p>${joined([result(shown, known), ...commonText(known)])}</p>
                    </div>
                    <div class="actions">
                        ${picker(ids)} ${guideButton()}
                        <button class="btn" type="button" @click=${() => saveView(heading())}>Save view</button>
                        <button class="btn" type="button" @click=${copyPage}>Copy link</button>
                    </div>
                </div>
                ${unknownKeysNotice(unknownKeys(["jobs", "site", "part", "steps", "table", "guide"]))}
                ${
                    idsOf(param("jobs")).length > MOST
                        ? html`<p class="banner" role="status">Only the first ${MOST} runs are shown.</p>`
                        : nothing
                }
                ${failed.map((run) => failure(run))}
                ${known.length ? diffTable(shown, known) : html`<div class="skeleton" aria-busy="true"></div>`}
                <div class="cols">
                    ${measured.length ? glanceFigure(measured, { cls: "c12", ...o }) : nothing}
                    ${
                        measured.length && at
                            ? html`${theoryFigure(measured, at, { cls: "c12", aside: true, settings: siteSwitch(), ...o })}
                              ${driftFigure(measured, at, { cls: "c12", aside: true, ...o })}
                              ${directionFigure(measured, at, { cls: "c12", aside: true, ...o })}
                              ${madeFigure(measured, at, { cls: "c12", ...o })}`
                            : nothing
                    }
                    ${known.length && !measured.length ? html`<div class="empty c12">${empty}</div>` : nothing}
                </div>`;
        },
        close() {
            following.close();
            stopMoving();
            runs.forEach((run) => run.close());
        },
    };

    /** @param {import("../run_data.js").RunData} run */
    function failure(run) {
        const error = run.job.state.value.error;
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

/** @param {import("../dom.js").Part[]} parts */
const joined = (parts) => parts.filter((part) => part !== nothing).map((part, i) => html`${i ? " · " : ""}${part}`);
