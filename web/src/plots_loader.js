/** The plots, loaded when a page first needs one: they weigh more than everything else. */
import { signal } from "@preact/signals-core";

/** @type {import("@preact/signals-core").Signal<typeof import("./plots/index.js") | null>} */
export const plots = signal(null);
/** @type {import("@preact/signals-core").Signal<unknown>} */
export const plotsFailed = signal(null);

/** @type {Promise<void> | null} */
let loading = null;

export function needPlots() {
    loading ??= import("./plots/index.js").then(
        (module) => {
            plots.value = module;
        },
        (error) => {
            plotsFailed.value = error;
            loading = null;
        },
    );
    return loading;
}

/** @type {import("@preact/signals-core").Signal<boolean>} */
export const liveReady = signal(false);
/** Loads the live lines. */
export const needLive = () =>
    import("./live.js").then(
        () => (liveReady.value = true),
        (error) => (plotsFailed.value = error),
    );
