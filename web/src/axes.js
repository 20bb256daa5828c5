/**
 * Axes are chosen when a figure opens, and by the reader; never by data that arrives.
 */
import { signal } from "@preact/signals-core";

export function axisKeeper() {
    /** @type {Map<string, any>} */
    const kept = new Map();
    const version = signal(0);
    return {
        /**
         * The axis of a figure, chosen at its first use.
         * @template T
         * @param {string} key
         * @param {() => T} choose
         * @returns {T}
         */
        get(key, choose) {
            void version.value;
            if (!kept.has(key)) kept.set(key, choose());
            return kept.get(key);
        },
        /** Chooses anew at the next drawing. @param {string} key */
        fit(key) {
            kept.delete(key);
            version.value++;
        },
    };
}
/** @typedef {ReturnType<typeof axisKeeper>} AxisKeeper */
