/**
 * Samples at a site: those of a bin of the cloud, or those whose scale is least or greatest, with their pictures.
 */
import { html, nothing } from "lit-html";
import { repeat } from "lit-html/directives/repeat.js";
import { binOf } from "./bins.js";
import { className, pictureOf } from "./classes.js";
import { errorNotice, retryButton, segments } from "./dom.js";
import { rowsOf } from "./figure_data.js";
import { int, num, plural } from "./format.js";
import { resource } from "./resource.js";
import { param, setQuery } from "./router.js";

/** @typedef {import("./api.js").Row} Row @typedef {import("./figure_data.js").View} View */

const SHOWN = 24;
const LIMIT = 20000;

/**
 * @param {string} base path of the job
 * @param {() => View} view
 * @param {() => number[]} steps that are looked at
 */
export function samplesList(base, view, steps) {
    const rows = resource(async (signal) => {
        const among = steps();
        const found = await rowsOf({ base, view: view(), signal }, among, LIMIT);
        return { rows: /** @type {Row[]} */ (found), steps: among };
    });

    /** The bin in the link: "57,12"; "12" where all predictions are equal. */
    const bin = () => {
        const parts = (param("bin") ?? "").split(",").map(Number);
        return param("bin") && parts.every(Number.isInteger) && parts.length <= 2 ? parts : null;
    };

    /** @param {Row[]} all */
    function chosen(all) {
        const network = Boolean(view().network);
        const value = (/** @type {Row} */ row) => (network ? row.network_scale : row.scale);
        const asked = bin();
        if (asked) {
            const [y, x] = [...asked].reverse();
            return all.filter((row) => binOf(value(row)) === y && (x === undefined || binOf(row.self_factor) === x));
        }
        const known = all.filter((row) => value(row) != null);
        const sign = param("samples") === "highest" ? -1 : 1;
        return known.sort((a, b) => sign * (Number(value(a)) - Number(value(b))));
    }

    /** @param {import("./api.js").Job} job @param {Row} row */
    function card(job, row) {
        const picture = pictureOf(job, row.sample);
        const wrong = row.predicted != null && row.predicted !== row.label;
        const scale = view().network ? row.network_scale : row.scale;
        return html`<li>
            <a href="/run/${job.id}/sample/${row.sample}?site=${view().site}&step=${row.step}">
                ${picture ? html`<img src=${picture} alt="" width="56" height="56" loading="lazy" />` : nothing}
                <span>
                    <b>${int(row.sample)}</b>
                    <span class="quiet">${className(job.spec, row.label)}</span>
                    ${wrong ? html`<span class="bad">✕ ${className(job.spec, row.predicted)}</span>` : nothing}
                    <span>scale ${num(scale)}</span>
                    <span class="faint">step ${int(row.step)}</span>
                </span>
            </a>
        </li>`;
    }

    return {
        refresh: rows.refresh,
        renew: rows.renew,
        close: rows.close,
        /** @param {import("./api.js").Job} job */
        view(job) {
            const { data, error } = rows.state.value;
            const asked = bin();
            const found = data ? chosen(data.rows) : [];
            const high = param("samples") === "highest";
            const heading = asked ? "Samples of the chosen bin" : `Samples of ${high ? "highest" : "lowest"} scale`;
            return html`<section class="sect c12" id="samples" aria-label=${heading}>
                <div class="fig-head">
                    <h2>${heading}</h2>
                    ${
                        asked
                            ? html`<button class="tool" type="button" @click=${() => setQuery({ bin: null })}>
                                  Show the extremes
                              </button>`
                            : segments(
                                  "Which samples",
                                  [
                                      { key: "lowest", name: "Lowest" },
                                      { key: "highest", name: "Highest" },
                                  ],
                                  high ? "highest" : "lowest",
                                  (key) => setQuery({ samples: key === "highest" ? key : null }),
                              )
                    }
                </div>
                ${error ? errorNotice("The samples could not be read.", error, retryButton(rows.refresh)) : nothing}
                ${!data && !error ? html`<div class="skeleton" aria-busy="true"></div>` : nothing}
                ${
                    data && !found.length
                        ? html`<p class="quiet">
                              ${asked ? "No sample of these steps lies in the chosen bin." : "No sample was measured at these steps."}
                          </p>`
                        : nothing
                }
                ${
                    found.length
                        ? html`<ul class="samples" role="list">
                                  ${repeat(
                                      found.slice(0, SHOWN),
                                      (row) => `${row.step} ${row.sample}`,
                                      (row) => card(job, row),
                                  )}
                              </ul>
                              <p class="note-text">
                                  ${plural(Math.min(SHOWN, found.length), "sample")} of
                                  ${int(found.length)}${data && data.rows.length >= LIMIT ? `, among the first ${int(LIMIT)} rows` : ""};
                                  ${data && data.steps.length > 1 ? `steps ${int(data.steps[0])} to ${int(data.steps[data.steps.length - 1])}` : `step ${int(data?.steps[0] ?? 0)}`}.
                                  A sample appears once for each step at which it was measured.
                              </p>`
                        : nothing
                }
            </section>`;
        },
    };
}
