/**
 * A spec as it is being written: what it was filled in from, what the server says of it, and its link.
 */
import { computed, effect, signal } from "@preact/signals-core";
import { Problem, request } from "./api.js";
import { asPreset, firstOf, having } from "./draft.js";
import { applies } from "./fields.js";
import { wrongKey } from "./grid_editor.js";
import { seconds } from "./job.js";
import { layerFields } from "./layers_editor.js";
import { param, setQuery } from "./router.js";
import { JOB, MORE_TRAINING, optionField, presetFields, PROBE, TRAINING, WEIGHTS } from "./spec_fields.js";

/**
 * @typedef {import("./api.js").Spec} Spec @typedef {import("./api.js").Job} Job
 * @typedef {import("./network_line.js").Cost} Cost
 * @typedef {{ name: string, found: boolean, shape: number[], classes: number, detail: string | null,
 *     options: import("./spec_fields.js").Option[] }} Dataset
 * @typedef {{ jobs: number, steps: number, flops: number, probe_rows: number, seconds: number }} StudyCost
 *     seconds: of one worker
 */

/** How fast this machine is, so many different networks tell, found among so many of the last finished jobs. */
const CLOCKS = 12;
const LAST = 200;
/** The server is asked so long after the last change, in milliseconds. */
const PAUSE = 200;
/** A longer link is not made: some programs cut it. */
const LINK_LIMIT = 4000;
const blank = () => ({
    dataset: { name: "fashion-mnist" },
    model: { preset: "mlp", width: 128, depth: 3, variant: "affine-like", activation: "tanh" },
    optimiser: { name: "sgd", learning_rate: 0.5 },
});

/** Begins: from a job, from the link, or from nothing. */
export function openDraft() {
    const abort = new AbortController();
    /** @type {import("@preact/signals-core").Signal<Spec>} */
    const spec = signal(blank());
    /** @type {import("@preact/signals-core").Signal<import("./draft.js").Grid>} */
    const grid = signal({});
    /** What it was filled in from. */
    /** @type {import("@preact/signals-core").Signal<{ job: Job | null, spec: Spec }>} */
    const origin = signal({ job: null, spec: blank() });
    /** @type {import("@preact/signals-core").Signal<import("./layers_editor.js").LayerType[]>} */
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
    /** What the grid's jobs cost together; null where there is none, or it cannot be. */
    /** @type {import("@preact/signals-core").Signal<StudyCost | null>} */
    const studyCost = signal(null);
    /** How fast this machine was, in flops a second, at steps of so many flops, by the runs it is known from. */
    /** @type {import("@preact/signals-core").Signal<{ rate: number, step: number, job: Job }[]>} */
    const speeds = signal([]);
    /** The one whose steps are most like those of what is written: small steps make less of a machine. */
    const speed = computed(() => {
        const step = valid.value?.cost.flops_per_step ?? 1;
        const far = (/** @type {{ step: number }} */ known) => Math.abs(Math.log(known.step / step));
        return [...speeds.value].sort((a, b) => far(a) - far(b))[0] ?? null;
    });
    const checking = signal(true);
    /** @type {import("@preact/signals-core").Signal<unknown>} */
    const failed = signal(null);
    /** What is being typed, by pointer. */
    /** @type {Map<string, string>} */
    const texts = new Map();
    const ready = signal(false);

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
        const probe = param("probe");
        if (probe) spec.value = having(spec.value, "/probe/schedule", probe);
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

    /** Asks what the last finished jobs did a second: the only honest clock there is. */
    async function measureSpeed() {
        try {
            /** @type {{ items: Job[] }} */
            const { items } = await ask(`/jobs?state=finished&max_results=${LAST}`);
            const { job: cloned } = origin.value;
            /** @type {Map<string, Job>} */
            const different = new Map();
            for (const job of [...(cloned?.state === "finished" ? [cloned] : []), ...items]) {
                const { model, batch_size: batch, dataset: data } = job.spec;
                const work = JSON.stringify([model, batch, data.name]);
                if (!different.has(work)) different.set(work, job);
            }
            const known = [];
            for (const job of [...different.values()].slice(0, CLOCKS)) {
                const took = seconds(job);
                if (!took) continue;
                const { cost } = await ask("/jobs?validate_only=true", job.spec);
                const { flops_per_step: step, steps } = cost;
                if (step > 0) known.push({ rate: (step * steps) / took, step, job });
            }
            speeds.value = known;
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

    /**
     * What the server says of the grid: of each value that cannot be, why; and what all jobs cost.
     * @param {Spec} asked
     * @param {import("./draft.js").Grid} several
     */
    async function validateGrid(asked, several) {
        /** @type {Map<string, string>} */
        const wrong = new Map();
        if (!Object.keys(several).length || faults.value.length) return { wrong, cost: null };
        try {
            const answer = await ask("/studies?validate_only=true", { name: "study", base: asked, grid: several });
            return { wrong, cost: /** @type {StudyCost} */ (answer) };
        } catch (error) {
            if (!(error instanceof Problem) || error.status !== 422) throw error;
            for (const { pointer, detail } of error.errors) {
                const [, , key, index] = pointer.split("/");
                const field = key?.replaceAll("~1", "/").replaceAll("~0", "~");
                const value = several[field ?? ""]?.[Number(index)];
                wrong.set(
                    value === undefined ? pointer : wrongKey(field, value),
                    detail.replace(/ \(at \{.*\}\)$/, ""),
                );
            }
            return { wrong, cost: null };
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
            const { wrong, cost } = await validateGrid(asked, several);
            if (mine !== round) return;
            studyCost.value = cost;
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
        setQuery({
            spec: fits ? text : null,
            grid: fits ? several : null,
            watch: null,
            contributors: null,
            probe: null,
        });
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
    return {
        spec,
        grid,
        origin,
        types,
        datasets,
        dataset,
        workers,
        valid,
        faults,
        gridFaults,
        studyCost,
        speed,
        checking,
        failed,
        texts,
        ready,
        fields,
        errors,
        set,
        variants,
        /** Empties the form. */
        startOver() {
            texts.clear();
            origin.value = { job: null, spec: blank() };
            spec.value = blank();
            grid.value = {};
            setQuery({ clone: null });
        },
        close() {
            abort.abort();
            clearTimeout(timer);
            stopChecking();
        },
    };
}
