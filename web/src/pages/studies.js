/**
 * Studies: grids of jobs.
 */
import { html } from "lit-html";
import { allPages } from "../api.js";
import { bar, errorNotice, icon, retryButton, unknownKeysNotice } from "../dom.js";
import { openStream } from "../events.js";
import { ago, int, plural } from "../format.js";
import { isFinal } from "../job.js";
import { resource } from "../resource.js";
import { fieldName } from "../study_data.js";
import { unknownKeys } from "../router.js";

/**
 * @typedef {{ id: number | string, name: string, base: import("../api.js").Spec, grid: import("../draft.js").Grid,
 *     jobs: any, states: Partial<Record<import("../api.js").State, number>>, created_at: string }} Study
 */

const LIMIT = 1000;
/** The list is read anew at most this often while its jobs run, in milliseconds. */
const INTERVAL = 2000;

/** How many jobs there are, and how many have ended. @param {Study} study */
export function countsOf({ states }) {
    const entries = Object.entries(states ?? {});
    const sum = (/** @type {[string, number | undefined][]} */ some) =>
        some.reduce((n, [, count]) => n + (count ?? 0), 0);
    return { all: sum(entries), ended: sum(entries.filter(([state]) => isFinal(state))) };
}

/** "variant × batch_size × seed". @param {Study} study */
export const gridText = ({ grid }) =>
    Object.entries(grid)
        .map(([pointer, values]) => `${fieldName(pointer)} (${values.length})`)
        .join(" × ");

/** @type {import("../main.js").PageModule["open"]} */
export function open() {
    const studies = resource(
        async (abort) =>
            /** @type {Study[]} */ ((await allPages("/studies", {}, { limit: LIMIT, signal: abort })).items),
        { interval: INTERVAL },
    );
    const stream = openStream({
        reload: studies.refresh,
        apply: (events) => events.some((event) => event.type === "job.state") && studies.refresh(),
    });
    stream.ready.then(studies.refresh);

    /** @param {Study} study */
    function row(study) {
        const { all, ended } = countsOf(study);
        const look = (study.states.failed ?? 0) + (study.states.diverged ?? 0);
        return html`<tr>
            <td><a href="/studies/${study.id}">${study.name || `study ${study.id}`}</a></td>
            <td class="progress">
                ${bar(all ? ended / all : 0, ended < all, `Progress of ${study.name || `study ${study.id}`}`)}
                <span class="small quiet"
                    >${int(ended)} of ${plural(all, "job")}${look ? `, ${int(look)} need a look` : ""}</span
                >
            </td>
            <td class="r quiet nowrap">${ago(study.created_at, Date.now())}</td>
        </tr>`;
    }

    function table() {
        const { data, error } = studies.state.value;
        if (error && !data) return errorNotice("The studies could not be read.", error, retryButton(studies.refresh));
        if (!data) return html`<div class="skeleton" aria-busy="true"></div>`;
        if (!data.length)
            return html`<div class="empty">
                <p>
                    <b>There are no studies yet.</b> A study is one spec with several values for some of its fields: a
                    job for each combination, and their results together.
                </p>
                <a class="btn primary" href="/claims">Choose a claim to study</a>
            </div>`;
        return html`${error ? errorNotice("Not up to date.", error, retryButton(studies.refresh)) : ""}
            <div class="scroll-x" role="region" aria-label="Studies" tabindex="0">
                <table class="studies">
                    <thead>
                        <tr>
                            <th scope="col">Study</th>
                            <th scope="col" class="progress">Progress</th>
                            <th scope="col" class="r">Started</th>
                        </tr>
                    </thead>
                    <tbody>
                        ${data.map(row)}
                    </tbody>
                </table>
            </div>`;
    }

    return {
        title: () => "Studies",
        view: () =>
            html`<div class="page-head">
                    <div class="lead">
                        <h1>Studies</h1>
                        <p>Grids of jobs, and what comes out of them</p>
                    </div>
                    <div class="actions">
                        <a class="btn" href="/new">${icon("plus")}<span>New study</span></a>
                    </div>
                </div>
                ${unknownKeysNotice(unknownKeys([]))} ${table()}`,
        close() {
            stream.close();
            studies.close();
        },
    };
}
