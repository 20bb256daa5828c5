/**
 * Jobs: the list of all jobs, live.
 */
import { computed, effect, signal, untracked } from "@preact/signals-core";
import { html, nothing, svg } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { ACTIONS, act } from "../actions.js";
import { Problem, request, withQuery } from "../api.js";
import { startDemoPair } from "../demo.js";
import { bar, errorNotice, icon, retryButton, stateMark, unknownKeysNotice, variant, variantShape } from "../dom.js";
import { openStream } from "../events.js";
import { ago, int, num, percent, plural, tick } from "../format.js";
import { applyEvent, median, needsLook, progressNote, share, siteScales, title } from "../job.js";
import { go, param, setQuery, unknownKeys } from "../router.js";
import { mainVariant, secondLine } from "../spec_summary.js";
import { colourOf, isHollow } from "../variant.js";

/** @typedef {import("../api.js").Job} Job @typedef {import("../api.js").State} State */

const PAGE_SIZE = 100;
/** @type {State[]} */
const STATES = ["queued", "running", "paused", "finished", "failed", "diverged", "cancelled"];
/** @type {{ key: string, name: string, states: State[] }[]} */
const TABS = [
    { key: "all", name: "All", states: STATES },
    { key: "running", name: "Running", states: ["running"] },
    { key: "queued", name: "Queued", states: ["queued"] },
    { key: "paused", name: "Paused", states: ["paused"] },
    { key: "finished", name: "Finished", states: ["finished"] },
    { key: "look", name: "Needs a look", states: ["failed", "diverged"] },
    { key: "cancelled", name: "Cancelled", states: ["cancelled"] },
    { key: "trash", name: "Trash", states: STATES },
];

/**
 * The two lines of a job: its name, and what it runs. What a study wrote at the end of a name, in which its jobs differ,
 * begins the second line, where it is not cut off.
 * @param {Job} job
 */
function nameCell(job) {
    const whole = title(job);
    const tail = /(?: [\w.-]+=\S+)+$/.exec(whole)?.[0] ?? "";
    const second = `${tail.trim()}${tail ? " · " : ""}${secondLine(job.spec)}`;
    return html`<a href="/run/${job.id}" title=${whole} aria-label=${tail ? whole : nothing}
            >${whole.slice(0, whole.length - tail.length)}</a
        >
        <span class="sub" title=${second}>${second}</span>`;
}

/** @type {import("../main.js").PageModule["open"]} */
export function open() {
    /** All jobs that were read, by id. */
    /** @type {import("@preact/signals-core").Signal<Map<number, Job>>} */
    const jobs = signal(new Map());
    /** @type {import("@preact/signals-core").Signal<import("../api.js").Queue | null>} */
    const queue = signal(null);
    /** The oldest job read for a tab, and how to read on; undefined before the first page. */
    /** @type {import("@preact/signals-core").Signal<Record<string, { low: number, tokens: Partial<Record<State | "", string>> } | undefined>>} */
    const depth = signal({});
    /** @type {import("@preact/signals-core").Signal<unknown>} */
    const failed = signal(null);
    /** @type {import("@preact/signals-core").Signal<Set<number>>} */
    const selected = signal(new Set());
    const submitting = signal(false);
    /** @type {import("@preact/signals-core").Signal<unknown>} */
    const submitFailed = signal(null);
    const now = signal(Date.now());
    const abort = new AbortController();
    /** The filter's jobs, in the order of the list; null where there is no filter. */
    /** @type {import("@preact/signals-core").Signal<{ ids: Set<number>, token: string | null } | null>} */
    const found = signal(null);
    /** @type {import("@preact/signals-core").Signal<unknown>} */
    const filterFailed = signal(null);
    const filter = computed(() => (param("filter") ?? "").trim());

    const tab = computed(() => TABS.find(({ key }) => key === param("state")) ?? TABS[0]);

    /** @param {Job[]} read */
    const keep = (read) => {
        const next = new Map(jobs.value);
        for (const job of read) next.set(job.id, job);
        jobs.value = next;
    };

    /**
     * Reads a tab's first page, or its next.
     * @param {boolean} further
     */
    async function read(further) {
        const { key, states } = tab.value;
        const before = further ? depth.value[key] : undefined;
        /** @type {(State | "")[]} */
        const wanted = states === STATES ? [""] : states;
        /** @type {Partial<Record<State | "", string>>} */
        const tokens = {};
        try {
            let low = 0;
            for (const state of wanted) {
                if (before && !before.tokens[state]) continue;
                const page = await request(
                    withQuery("/jobs", {
                        state: state || null,
                        trashed: key === "trash" || null,
                        max_results: PAGE_SIZE,
                        order_by: "created_at desc",
                        page_token: before?.tokens[state],
                    }),
                    { signal: abort.signal },
                );
                keep(page.items);
                if (page.next_page_token) {
                    tokens[state] = page.next_page_token;
                    low = Math.max(low, page.items.at(-1)?.id ?? 0);
                }
            }
            depth.value = { ...depth.value, [key]: { low, tokens } };
            queue.value = await request("/queue", { signal: abort.signal });
            failed.value = null;
        } catch (error) {
            if (!abort.signal.aborted) failed.value = error;
        }
    }

    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let typing;
    let search = 0;
    /**
     * Reads the first jobs that the filter wants, or the next.
     * @param {boolean} further
     */
    async function readFound(further) {
        const mine = ++search;
        const text = filter.value;
        if (!text) {
            found.value = filterFailed.value = null;
            return;
        }
        const before = further ? found.value : null;
        try {
            const { states } = tab.value;
            const page = await request(
                withQuery("/jobs", {
                    trashed: tab.value.key === "trash" || null,
                    state: states === STATES ? null : states.join(","),
                    filter: filterOf(text),
                    max_results: PAGE_SIZE,
                    order_by: "created_at desc",
                    page_token: before?.token,
                }),
                { signal: abort.signal },
            );
            if (mine !== search) return;
            keep(page.items);
            const ids = page.items.map((/** @type {Job} */ job) => job.id);
            found.value = { ids: new Set([...(before?.ids ?? []), ...ids]), token: page.next_page_token ?? null };
            filterFailed.value = null;
        } catch (error) {
            if (mine !== search || abort.signal.aborted) return;
            filterFailed.value = error;
            found.value = { ids: new Set(), token: null };
        }
    }

    /** Jobs whose answer is awaited. */
    /** @type {Set<number>} */
    const asked = new Set();
    /** @param {number} id */
    async function readOne(id) {
        if (asked.has(id)) return;
        asked.add(id);
        try {
            keep([await request(`/jobs/${id}`, { signal: abort.signal })]);
        } catch (error) {
            if (abort.signal.aborted) return;
            // Thrown away: it leaves the list.
            if (!(error instanceof Problem) || error.status !== 404) failed.value = error;
            else jobs.value = new Map([...jobs.value].filter(([other]) => other !== id));
        }
        asked.delete(id);
    }

    const stream = openStream({
        reload: () => read(false),
        apply(events) {
            const next = new Map(jobs.value);
            /** @type {Set<number>} */
            const stale = new Set();
            for (const event of events) {
                if (event.type === "queue") {
                    queue.value = { ...queue.value, ...event.data };
                    continue;
                }
                const id = event.data.job;
                const job = next.get(id);
                if (job) next.set(id, applyEvent(job, event));
                if (!job || event.type === "job.state") stale.add(id);
            }
            jobs.value = next;
            now.value = Date.now();
            stale.forEach(readOne);
            if (stale.size && filter.value) readFound(false);
            if (events.some((event) => event.type === "job.state"))
                request("/queue", { signal: abort.signal }).then((q) => (queue.value = q), ignore);
        },
    });
    stream.ready.then(() => read(false));
    const stopReading = tab.subscribe(({ key }) => {
        if (depth.peek().all && !depth.peek()[key]) read(false);
    });
    const stopFinding = effect(() => {
        void filter.value;
        void tab.value;
        untracked(() => readFound(false));
    });
    const ticking = setInterval(() => (now.value = Date.now()), 15000);

    const rows = computed(() => {
        const { key, states } = tab.value;
        const trash = key === "trash";
        const wanted = filter.value ? found.value?.ids : null;
        if (filter.value)
            return [...jobs.value.values()]
                .filter((job) => wanted?.has(job.id) && Boolean(job.trashed_at) === trash)
                .sort((a, b) => b.id - a.id);
        const low = (depth.value[key] ?? depth.value.all)?.low ?? 0;
        return [...jobs.value.values()]
            .filter((job) => states.includes(job.state) && job.id >= low && Boolean(job.trashed_at) === trash)
            .sort((a, b) => b.id - a.id);
    });

    /** Places in the queue: higher priority first, then older. */
    const places = computed(() => {
        const queued = [...jobs.value.values()].filter((job) => job.state === "queued");
        queued.sort((a, b) => b.priority - a.priority || a.id - b.id);
        return new Map(queued.map((job, i) => [job.id, i + 1]));
    });

    /** Submits the pair that shows the product, and leads to its comparison. */
    async function submitDemo() {
        submitting.value = true;
        submitFailed.value = null;
        try {
            const pair = await startDemoPair();
            go(`/compare?jobs=${pair.map((job) => job.id).join(",")}&guide=1`);
        } catch (error) {
            submitFailed.value = error;
        }
        submitting.value = false;
    }

    /** @type {import("../actions.js").Outcome} */
    const outcome = {
        changed(done, answers) {
            keep(answers);
            done.filter((job) => !answers.some((answer) => answer.id === job.id)).forEach((job) => readOne(job.id));
        },
        failed: (error) => (submitFailed.value = error),
    };

    const chosenJobs = () =>
        /** @type {Job[]} */ ([...selected.value].map((id) => jobs.value.get(id)).filter((job) => job));

    /** @param {import("../actions.js").ActionName} action */
    async function actOnSelected(action) {
        submitFailed.value = null;
        await act(chosenJobs(), action, outcome);
        selected.value = new Set();
    }

    /** @param {number} id @param {boolean} on */
    const select = (id, on) => {
        const next = new Set(selected.value);
        if (on) next.add(id);
        else next.delete(id);
        selected.value = next;
    };

    function summary() {
        if (!queue.value) return "Reading the jobs";
        const { running, queued, workers } = queue.value;
        const parts = [`${int(running)} running${workers ? ` on ${plural(workers, "worker")}` : ""}`];
        parts.push(`${int(queued)} queued`);
        return parts.join(" · ");
    }

    /** @param {typeof TABS[number]} t */
    const countOf = ({ states }) => {
        const counts = queue.value?.states;
        if (counts) return states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
        return [...jobs.value.values()].filter((job) => states.includes(job.state)).length;
    };

    const tabs = () =>
        html`<div class="filters">
            <div class="tabs" role="group" aria-label="State">
                ${TABS.map(
                    (t) =>
                        html`<button
                            type="button"
                            aria-pressed=${t === tab.value}
                            @click=${() => setQuery({ state: t.key === "all" ? null : t.key })}
                        >
                            ${t.name}${t.key === "trash" ? nothing : html` <span>${int(countOf(t))}</span>`}
                        </button>`,
                )}
            </div>
            <input
                class="input filter"
                type="search"
                aria-label="Filter"
                aria-describedby="filter-about"
                placeholder="filter, or words"
                title="Words of the name, a tag or the data set; or an expression such as: spec./batch_size = 64 AND result.test/accuracy > 0.85"
                .value=${param("filter") ?? ""}
                @input=${(/** @type {Event} */ event) => {
                    const { value } = /** @type {HTMLInputElement} */ (event.target);
                    clearTimeout(typing);
                    typing = setTimeout(() => setQuery({ filter: value.trim() ? value : null }), 250);
                }}
            />
            <span id="filter-about" class="small bad"
                >${filterFailed.value ? /** @type {Error} */ (filterFailed.value).message : nothing}</span
            >
        </div>`;

    function bulk() {
        const chosen = chosenJobs();
        if (!chosen.length) return nothing;
        const ids = chosen.map((job) => job.id).sort((a, b) => a - b);
        /** @type {import("../actions.js").ActionName[]} */
        const names = ["pause", "resume", "cancel", "retry", "remove", "restore"];
        return html`<div class="bulk" role="toolbar" aria-label="Selected jobs">
            <b>${ids.length} selected</b>
            <button class="btn" type="button" @click=${() => go(`/compare?jobs=${ids.join(",")}`)}>Compare</button>
            ${names
                .filter((name) => chosen.some(ACTIONS[name].possible))
                .map(
                    (name) =>
                        html`<button class="btn" type="button" @click=${() => actOnSelected(name)}>
                            ${ACTIONS[name].name}
                        </button>`,
                )}
            <button class="tool" type="button" @click=${() => (selected.value = new Set())}>Clear</button>
        </div>`;
    }

    const empty = () =>
        html`<div class="empty">
            <p>
                <b>There are no jobs yet.</b> Gradient descent means each activation to move by −η times its gradient,
                but what moves is the weights, and the activation moves by something else. Two small networks show by
                how much: one plain, one with the affine-like correction, for about a minute each.
            </p>
            <button class="btn primary" type="button" ?disabled=${submitting.value} @click=${submitDemo}>
                Measure the affine divergence on Fashion-MNIST
            </button>
        </div>`;

    const emptyTab = () =>
        html`<div class="empty small-empty">
            <p><b>No job is in this state.</b></p>
            <button class="btn" type="button" @click=${() => setQuery({ state: null })}>Show all jobs</button>
        </div>`;

    function table() {
        if (filter.value && !rows.value.length)
            return found.value || filterFailed.value
                ? html`<div class="empty small-empty">
                      <p><b>${filterFailed.value ? "The filter cannot be used." : "No job fits the filter."}</b></p>
                      <button class="btn" type="button" @click=${() => setQuery({ filter: null })}>
                          Without a filter
                      </button>
                  </div>`
                : html`<div class="skeleton" aria-busy="true"></div>`;
        // What is known of another tab is shown while a tab's own first page is being read.
        if (!depth.value[tab.value.key] && !rows.value.length)
            return failed.value ? nothing : html`<div class="skeleton" aria-busy="true"></div>`;
        if (!rows.value.length) return jobs.value.size ? emptyTab() : empty();
        return html`<table class="jobs">
                <thead>
                    <tr>
                        <th class="check"><span class="vh">Select</span></th>
                        <th class="st">State</th>
                        <th>Job</th>
                        <th class="var">Variant</th>
                        <th class="progress">Progress</th>
                        <th class="acc">Accuracy</th>
                        <th class="scale"><span>Median scale by site, line at 1</span>${scaleAxis()}</th>
                        <th class="age r">Started</th>
                    </tr>
                </thead>
                <tbody>
                    ${repeat(
                        rows.value,
                        (job) => job.id,
                        (job) => row(job),
                    )}
                </tbody>
            </table>
            ${
                (filter.value ? found.value?.token : Object.keys(depth.value[tab.value.key]?.tokens ?? {}).length)
                    ? html`<p class="more">
                          <button
                              class="btn"
                              type="button"
                              @click=${() => (filter.value ? readFound(true) : read(true))}
                          >
                              Show older jobs
                          </button>
                      </p>`
                    : nothing
            }`;
    }

    /** @param {Job} job */
    function row(job) {
        const done = share(job);
        const note = progressNote(job, places.value.get(job.id) ?? 0);
        const name = mainVariant(job.spec);
        const standing = job.state === "finished" || job.state === "queued" || !done;
        const chosen = selected.value.has(job.id);
        return html`<tr class=${chosen ? "sel" : nothing}>
            <td class="check">
                <input
                    type="checkbox"
                    aria-label=${`Select ${title(job)}`}
                    .checked=${chosen}
                    @change=${(/** @type {Event} */ event) =>
                        select(job.id, /** @type {HTMLInputElement} */ (event.target).checked)}
                />
            </td>
            <td class="st">${stateMark(job.state)}</td>
            <td class="name">${nameCell(job)}</td>
            <td class="var">${variant(name)}</td>
            <td class="progress">
                ${standing ? nothing : bar(done, job.state === "running", `Progress of ${title(job)}`)}
                <span class="small note ${needsLook(job.state) ? "bad" : "quiet"}" title=${note}>${note}</span>
            </td>
            <td class="acc">
                <div>
                    ${sparkline(job)}<span class="num"
                        >${
                            job.results?.["test/accuracy"] != null
                                ? percent(job.results["test/accuracy"])
                                : html`<span class="faint">–</span>`
                        }</span
                    >
                </div>
            </td>
            <td class="scale"><div>${scaleRow(job, name)}</div></td>
            <td class="age r quiet nowrap" title=${job.started_at ?? job.created_at}>
                ${ago(job.started_at ?? job.created_at, now.value)}
            </td>
        </tr>`;
    }

    return {
        title: () => "Jobs",
        view: () => html`
            <div class="page-head">
                <div class="lead">
                    <h1>Jobs</h1>
                    <p>${summary()}</p>
                </div>
                <div class="actions">
                    <a class="btn ${jobs.value.size ? "primary" : ""}" href="/new"
                        >${icon("plus")}<span>New job</span></a
                    >
                </div>
            </div>
            ${unknownKeysNotice(unknownKeys(["state", "filter"]))}
            ${submitFailed.value ? errorNotice("That was refused.", submitFailed.value) : nothing}
            ${
                failed.value
                    ? errorNotice(
                          jobs.value.size ? "Not up to date." : "The jobs could not be read.",
                          failed.value,
                          retryButton(() => read(false)),
                      )
                    : nothing
            }
            ${jobs.value.size ? tabs() : nothing} ${bulk()} ${table()}
        `,
        close() {
            abort.abort();
            stream.close();
            stopReading();
            stopFinding();
            clearTimeout(typing);
            clearInterval(ticking);
        },
    };
}

const ignore = () => {};

/**
 * What is typed as an expression of the server's: one as it is, or words that name, tags or the data set have.
 * @param {string} text
 */
const filterOf = (text) =>
    /[=<>]|\b(LIKE|IN|NOT)\b/i.test(text)
        ? text
        : text
              .split(/\s+/)
              .map((word) => word.replaceAll("'", "''"))
              .map((word) => {
                  const within = `'%${word.replace(/[\\%_]/g, "\\$&")}%'`;
                  return `(name LIKE ${within} OR tags = '${word}' OR spec./dataset/name LIKE ${within})`;
              })
              .join(" AND ");

/** Accuracy over the epochs; the line of a job that stands or runs is as long as what is done. @param {Job} job */
function sparkline(job) {
    const values = job.results?.accuracy_series ?? [];
    if (!values.length) return nothing;
    const planned = job.state === "finished" ? values.length : Math.max(values.length, job.progress?.epochs ?? 0);
    /** @param {number} i */
    const x = (i) => (2 + (74 * i) / Math.max(1, planned - 1)).toFixed(1);
    /** @param {number} value */
    const y = (value) => (26 - 24 * value).toFixed(1);
    const last = values.length - 1;
    const line = values.map((v, i) => `${i ? "L" : "M"}${x(i)} ${y(v)}`).join("");
    return html`<svg viewBox="0 0 80 28" aria-hidden="true">
        <path d="M2 26h76" stroke="var(--line)"></path>
        <path d=${line} fill="none" stroke="var(--ink-2)" stroke-width="1.25" stroke-linejoin="round"></path>
        <circle cx=${x(last)} cy=${y(values[last])} r="2" fill="var(--ink)"></circle>
    </svg>`;
}

const AXIS = { low: -2, high: 4, left: 12, width: 164 };
/** A place on the axis in the table's head; what is not positive stands left of it. @param {number} scale */
const axisX = (scale) => {
    if (!(scale > 0)) return 3;
    const at = (Math.min(AXIS.high, Math.max(AXIS.low, Math.log10(scale))) - AXIS.low) / (AXIS.high - AXIS.low);
    return AXIS.left + AXIS.width * at;
};
const AXIS_TICKS = [0.01, 1, 100, 10000];

const scaleAxis = () =>
    html`<svg viewBox="0 0 184 16" aria-hidden="true">
        ${AXIS_TICKS.map(
            (t) =>
                svg`<text x=${axisX(t)} y="11" text-anchor="middle" font-size="12" font-weight=${t === 1 ? 500 : 400}
                    fill=${t === 1 ? "var(--ink)" : "var(--ink-2)"}>${tick(t)}</text>`,
        )}
    </svg>`;

/** @param {Job} job @param {string | null} name */
function scaleRow(job, name) {
    const scales = siteScales(job);
    const middle = median(scales);
    const hollow = isHollow(name);
    return html`<svg viewBox="0 0 184 56" aria-hidden="true">
            ${AXIS_TICKS.map(
                (t) =>
                    svg`<line x1=${axisX(t)} x2=${axisX(t)} y1="0" y2="56" stroke=${t === 1 ? "var(--ink)" : "var(--grid)"}></line>`,
            )}
            ${scales.map(
                (s) =>
                    svg`<line x1=${axisX(s)} x2=${axisX(s)} y1="22" y2="34" stroke=${colourOf(name)} stroke-width="1.25"></line>`,
            )}
            ${
                middle == null
                    ? nothing
                    : svg`<g transform=${`translate(${axisX(middle) - 6} 22)`}>${variantShape(name, hollow, true)}</g>`
            }
        </svg>
        <span class="num">${middle == null ? html`<span class="faint">–</span>` : num(middle)}</span>`;
}
