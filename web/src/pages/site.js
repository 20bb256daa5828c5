/**
 * Site: one site of a run, over its steps and at one of them.
 */
import { computed, effect } from "@preact/signals-core";
import { html, nothing } from "lit-html";
import { Problem } from "../api.js";
import { axisKeeper } from "../axes.js";
import { BIN } from "../bins.js";
import { errorNotice, icon, retryButton, segments, stateMark, unknownKeysNotice, variant } from "../dom.js";
import { CLOUD_STEPS } from "../figure_data.js";
import { guideButton } from "../figure.js";
import { runOf } from "../figures/common.js";
import { directionFigure } from "../figures/direction.js";
import { madeFigure } from "../figures/made.js";
import { ridgesBySite, ridgesFigure } from "../figures/ridges.js";
import { theoryFigure } from "../figures/theory.js";
import { follow } from "../follow.js";
import { int, plural } from "../format.js";
import { isFinal, title } from "../job.js";
import { needPlots } from "../plots_loader.js";
import { param, query, readable, setQuery, unknownKeys } from "../router.js";
import { runData } from "../run_data.js";
import { samplesList } from "../samples_list.js";
import { chosenStep, stepSlider } from "../step_slider.js";

/** @type {import("../main.js").PageModule["open"]} */
export function open(text, encoded) {
    const id = Number(text);
    const name = decodeURIComponent(encoded);
    const axes = axisKeeper();
    const data = runData(id, () => view.peek(), { figures: ["cloud", "direction", "ridges", "made"] });
    const steps = computed(() => data.sites.state.value.data?.steps ?? []);
    const step = computed(() => chosenStep(steps.value));
    const hasNetwork = computed(() => (data.job.state.value.data?.spec.probe?.views ?? []).includes("network"));
    /** @type {import("@preact/signals-core").ReadonlySignal<import("../figure_data.js").View>} */
    const view = computed(() => ({
        // Nothing is asked of a site before it is known that there is one.
        site: data.sites.state.value.data?.sites.some((site) => site.name === name) ? name : null,
        step: step.value,
        network: hasNetwork.value && param("view") === "network",
        bySite: ridgesBySite(),
    }));
    const lookedAt = computed(() => (step.value ? [step.value] : steps.value.slice(-CLOUD_STEPS)));
    const samples = samplesList(
        `/jobs/${id}`,
        () => view.peek(),
        () => lookedAt.peek(),
    );
    const following = follow([data]);
    needPlots();
    const stopMoving = effect(() => {
        void view.value;
        data.move();
    });
    const stopReading = effect(() => {
        if (lookedAt.value.join() && view.value.site) samples.renew();
    });

    /** With the view that is chosen. @param {string} site */
    const addressOf = (site) => {
        const kept = new URLSearchParams(query.value);
        kept.delete("bin");
        const search = readable(kept.toString());
        return `/run/${id}/site/${site}${search ? `?${search}` : ""}`;
    };

    /** @param {import("../api.js").Job} job @param {import("../api.js").Site[]} sites */
    function head(job, sites) {
        const at = sites.findIndex((site) => site.name === name);
        const site = sites[at];
        const [before, after] = [sites[at - 1], sites[at + 1]];
        const shape = (/** @type {number[] | undefined} */ dims) => dims?.join("×") ?? "";
        return html`<div class="run-head">
            <p class="crumb"><a href="/">Jobs</a> / <a href="/run/${id}">${title(job)}</a> / ${name}</p>
            <div class="title-row">
                <h1>${name}</h1>
                ${isFinal(job.state) ? nothing : stateMark(job.state)}
                <div class="actions">
                    ${guideButton()}
                    ${before ? html`<a class="btn" href=${addressOf(before.name)} title=${before.name}>${icon("left")}<span>Previous</span></a>` : nothing}
                    ${after ? html`<a class="btn" href=${addressOf(after.name)} title=${after.name}><span>Next</span>${icon("right")}</a>` : nothing}
                </div>
            </div>
            <div class="run-line">
                <span>${[site.type, site.part].filter(Boolean).join(" ")}</span>
                ${site.variant ? html`<span>${variant(site.variant)}</span>` : nothing}
                ${site.input?.length ? html`<span>${shape(site.input)} → ${shape(site.output)}</span>` : nothing}
                ${site.parameters ? html`<span>${plural(site.parameters, "parameter")}</span>` : nothing}
                <span>${plural(steps.value.length, "probed step")}</span>
            </div>
            <div class="head-tools">
                ${stepSlider(steps.value)}
                ${
                    hasNetwork.value
                        ? segments(
                              "View",
                              [
                                  { key: "layer", name: "Layer view" },
                                  { key: "network", name: "Network view" },
                              ],
                              view.value.network ? "network" : "layer",
                              (key) => setQuery({ view: key === "network" ? key : null }),
                          )
                        : nothing
                }
            </div>
        </div>`;
    }

    /** @param {import("../api.js").Job} job @param {import("../api.js").Sites} sites */
    function figures(job, sites) {
        const run = runOf(job, data);
        const empty = html`<p><b>Nothing is measured here.</b> Choose other steps.</p>`;
        const o = { cls: "c6", axes, empty };
        const { network = false } = view.value;
        /** @param {import("../bins.js").Cell} cell @param {boolean} constant */
        const choose = (cell, constant) => {
            // A bin of the server, counted as it counts: the first positive one begins at 1e-6.
            const bin = (/** @type {number} */ v) => 304 + Math.round((v + 6) / BIN);
            setQuery({ bin: constant ? String(bin(cell.y)) : `${bin(cell.x)},${bin(cell.y)}` });
            document.getElementById("samples")?.scrollIntoView({ block: "nearest" });
        };
        return html`<div class="cols">
            ${theoryFigure([run], name, { ...o, cls: "c5", choose })}
            ${directionFigure([run], name, { ...o, cls: "c7" })} ${samples.view(job)}
            ${ridgesFigure([run], name, { ...o, network })} ${madeFigure([run], name, o)}
        </div>`;
    }

    return {
        title: () => {
            const job = data.job.state.value.data;
            return job ? `${name}, ${title(job)}` : name;
        },
        view() {
            const { data: job, error } = data.job.state.value;
            const { data: sites, error: sitesError } = data.sites.state.value;
            const failed = error ?? sitesError;
            if (failed && (!job || !sites)) {
                if (failed instanceof Problem && failed.status === 404)
                    return html`<div class="page-head"><h1>There is no job ${id}</h1></div>
                        <p class="lead-text">It may have been removed. <a href="/">Go to the jobs</a>.</p>`;
                return html`<h1 class="vh">${name}</h1>
                    ${errorNotice("The site could not be read.", failed, retryButton(following.read))}`;
            }
            if (!job || !sites)
                return html`<h1 class="vh">${name}</h1>
                    <div class="skeleton" aria-busy="true"></div>`;
            if (!sites.sites.some((site) => site.name === name))
                return html`<div class="page-head">
                        <div class="lead">
                            <p class="crumb"><a href="/">Jobs</a> / <a href="/run/${id}">${title(job)}</a></p>
                            <h1>There is no site ${name} in this run</h1>
                        </div>
                    </div>
                    <p class="lead-text">
                        ${
                            sites.sites.length
                                ? html`It has
                                  ${sites.sites.map(
                                      (site, i) =>
                                          html`${i ? ", " : ""}<a href="/run/${id}/site/${site.name}">${site.name}</a>`,
                                  )}.`
                                : "Nothing is measured yet."
                        }
                    </p>`;
            return html`${head(job, sites.sites)}
            ${unknownKeysNotice(unknownKeys(["step", "view", "rows", "bin", "samples", "part", "table", "guide"]))}
            ${
                param("step") && !step.value
                    ? html`<p class="banner" role="status">
                          Step ${int(Number(param("step")) || 0)} was not probed; shown are the last probed steps.
                      </p>`
                    : nothing
            }
            ${failed ? errorNotice("Not up to date.", failed, retryButton(following.read)) : nothing}
            ${figures(job, sites)}`;
        },
        close() {
            following.close();
            stopMoving();
            stopReading();
            samples.close();
            data.close();
        },
    };
}
