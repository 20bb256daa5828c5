/**
 * Study: a grid of jobs and what came out of it.
 */
import { computed } from "@preact/signals-core";
import { html, nothing, svg } from "lit-html";
import { Problem, request } from "../api.js";
import { axisKeeper } from "../axes.js";
import { bar, errorNotice, retryButton, unknownKeysNotice, variant } from "../dom.js";
import { openStream } from "../events.js";
import { formatOf, studyFigure } from "../figures/study.js";
import { int, list, plural } from "../format.js";
import { needPlots } from "../plots_loader.js";
import { resource } from "../resource.js";
import { param, setQuery, unknownKeys } from "../router.js";
import { MOST, MOST_RUNS } from "../seeds.js";
import { axesOf, fieldName, intervalOf, pointsOf } from "../study_data.js";
import { colourOf } from "../variant.js";
import { countsOf, gridText } from "./studies.js";

/** @typedef {import("../study_data.js").StudyPoint} StudyPoint @typedef {import("./studies.js").Study} Study */

const INTERVAL = 2000;
const PREFERRED = ["test/accuracy", "best/test/accuracy", "test/loss"];

/** @type {import("../main.js").PageModule["open"]} */
export function open(id) {
    const base = `/studies/${id}`;
    const axes = axisKeeper();
    const study = resource(async (abort) => /** @type {Study} */ (await request(base, { signal: abort })), {
        interval: INTERVAL,
    });
    const results = resource(
        async (abort) => {
            const [{ points: aggregated }, { items }] = await Promise.all([
                request(`${base}/results`, { signal: abort }),
                request(`${base}/jobs`, { signal: abort }),
            ]);
            return pointsOf(aggregated, items);
        },
        { interval: INTERVAL },
    );
    const read = () => {
        study.refresh();
        results.refresh();
    };
    const stream = openStream({
        reload: read,
        apply: (events) => events.some((event) => event.type === "job.state") && read(),
    });
    stream.ready.then(read);
    needPlots();

    const points = computed(() => results.state.value.data ?? []);
    const keys = computed(() => [...new Set(points.value.flatMap((point) => Object.keys(point.results)))].sort());
    const key = computed(() => {
        const asked = param("result");
        if (asked && keys.value.includes(asked)) return asked;
        return PREFERRED.find((name) => keys.value.includes(name)) ?? keys.value[0] ?? "test/accuracy";
    });

    const keySelect = () =>
        keys.value.length < 2
            ? nothing
            : html`<select
                  class="input"
                  aria-label="Result"
                  @change=${(/** @type {Event} */ event) =>
                      setQuery({ result: /** @type {HTMLSelectElement} */ (event.target).value })}
              >
                  ${keys.value.map((name) => html`<option value=${name} .selected=${name === key.value}>${name}</option>`)}
              </select>`;

    /** The table of all points; each row a line of one plot, whose axis is in the head. */
    function table() {
        const shown = points.value.filter((point) => point.results[key.value]);
        if (!shown.length) return nothing;
        const pointers = Object.keys(shown[0].point).filter((pointer) => pointer !== "/seed");
        const format = formatOf(key.value);
        const rows = shown
            .map((point) => ({
                point,
                result: point.results[key.value],
                interval: intervalOf(point.results[key.value]),
            }))
            .sort((a, b) => b.result.mean - a.result.mean);
        const low = Math.min(...rows.map(({ result, interval }) => interval?.[0] ?? result.mean));
        const high = Math.max(...rows.map(({ result, interval }) => interval?.[1] ?? result.mean));
        const x = (/** @type {number} */ v) => 8 + (224 * (v - low)) / (high - low || 1);
        const name = pointers.find((pointer) => pointer.endsWith("/variant"));
        return html`<section class="sect c12" aria-label="All points">
            <h2>All points, by ${key.value}</h2>
            <div class="scroll-x" role="region" aria-label="Results" tabindex="0">
                <table class="study-points">
                    <thead>
                        <tr>
                            ${pointers.map((pointer) => html`<th scope="col">${fieldName(pointer)}</th>`)}
                            <th scope="col" class="spread">
                                <span>mean and 95 % interval</span>
                                <svg class="interval" viewBox="0 0 240 16" aria-hidden="true">
                                    ${[low, high].map(
                                        (v, i) =>
                                            svg`<text x=${x(v)} y="12" font-size="12" fill="var(--ink-2)" text-anchor=${i ? "end" : "start"}>${format(v)}</text>`,
                                    )}
                                </svg>
                            </th>
                            <th scope="col" class="r">mean</th>
                            <th scope="col" class="r">n</th>
                            <th scope="col">runs</th>
                        </tr>
                    </thead>
                    <tbody>
                        ${rows.map(({ point, result, interval }) => {
                            const colour = colourOf(name ? String(point.point[name]) : null);
                            return html`<tr>
                                ${pointers.map(
                                    (pointer) =>
                                        html`<td>
                                            ${pointer === name ? variant(String(point.point[pointer])) : JSON.stringify(point.point[pointer]).replaceAll('"', "")}
                                        </td>`,
                                )}
                                <td class="spread">
                                    <svg class="interval" viewBox="0 0 240 36" aria-hidden="true">
                                        ${
                                            interval
                                                ? svg`<line x1=${x(interval[0])} x2=${x(interval[1])} y1="18" y2="18" stroke=${colour} stroke-width="2"></line>`
                                                : nothing
                                        }
                                        <circle cx=${x(result.mean)} cy="18" r="4.5" fill=${colour}></circle>
                                    </svg>
                                </td>
                                <td class="r">${format(result.mean)}</td>
                                <td class="r">${int(result.n)}</td>
                                <td>
                                    ${point.seeds.map(({ job }, i) => html`${i ? ", " : ""}<a href="/run/${job}">${job}</a>`)}
                                </td>
                            </tr>`;
                        })}
                    </tbody>
                </table>
            </div>
        </section>`;
    }

    /** @param {Study} known */
    function view(known) {
        const { all, ended } = countsOf(known);
        const along = axesOf(points.value);
        const runs = points.value.flatMap((point) => point.seeds.map((seed) => seed.job));
        const states = Object.entries(known.states ?? {}).filter(([, n]) => n);
        return html`<div class="page-head">
                <div class="lead">
                    <p class="crumb"><a href="/studies">Studies</a> / ${id}</p>
                    <h1>${known.name || `Study ${id}`}</h1>
                    <p>${gridText(known)} · ${list(states.map(([state, n]) => `${int(n ?? 0)} ${state}`))}</p>
                </div>
                <div class="actions">
                    ${keySelect()}
                    ${
                        points.value.length <= MOST && runs.length && runs.length <= MOST_RUNS
                            ? html`<a class="btn" href="/compare?jobs=${runs.join(",")}">Compare the runs</a>`
                            : nothing
                    }
                    <a
                        class="btn"
                        href=${`/new?${new URLSearchParams({ spec: JSON.stringify(known.base), grid: JSON.stringify(known.grid) })}`}
                        >Clone</a
                    >
                </div>
            </div>
            ${unknownKeysNotice(unknownKeys(["result", "table"]))}
            ${study.state.value.error ? errorNotice("Not up to date.", study.state.value.error, retryButton(read)) : nothing}
            ${
                ended < all
                    ? html`${bar(ended / all, true, "Progress")}
                          <p class="small quiet">${int(ended)} of ${plural(all, "job")} ended</p></div>`
                    : nothing
            }
            ${results.state.value.error && !results.state.value.data ? errorNotice("The results could not be read.", results.state.value.error, retryButton(results.refresh)) : nothing}
            <div class="cols">
                ${along.map((axis) =>
                    studyFigure(axis, {
                        points: points.value,
                        key: key.value,
                        runs,
                        reading: results,
                        axes,
                        cls: "c12",
                    }),
                )}
                ${table()}
                ${
                    results.state.value.data && !keys.value.length
                        ? html`<div class="empty c12">
                              <p><b>There are no results yet.</b> They come as the jobs finish.</p>
                              <a class="btn" href="/">Watch the jobs</a>
                          </div>`
                        : nothing
                }
            </div>`;
    }

    return {
        title: () => study.state.value.data?.name ?? `Study ${id}`,
        view() {
            const { data, error } = study.state.value;
            if (data) return view(data);
            if (error instanceof Problem && error.status === 404)
                return html`<div class="page-head"><h1>There is no study ${id}</h1></div>
                    <p class="lead-text"><a href="/studies">Go to the studies</a>.</p>`;
            if (error)
                return html`<h1 class="vh">Study ${id}</h1>
                    ${errorNotice("The study could not be read.", error, retryButton(read))}`;
            return html`<h1 class="vh">Study ${id}</h1>
                <div class="skeleton" aria-busy="true"></div>`;
        },
        close() {
            stream.close();
            study.close();
            results.close();
        },
    };
}
