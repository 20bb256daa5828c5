/**
 * The signed logarithmic axis: linear within ±0.1, logarithmic beyond, so that a step the wrong way has its place.
 */
import { decades } from "./kit.js";

export const LINEAR = 0.1;
/** Observable Plot's scale of it. */
export const SIGNED = { type: /** @type {const} */ ("symlog"), constant: LINEAR, axis: null };

/** A value's place on the axis. @param {number} v */
export const signed = (v) => Math.sign(v) * Math.log1p(Math.abs(v) / LINEAR);
/** The value at a place. @param {number} at */
export const unsigned = (at) => Math.sign(at) * LINEAR * Math.expm1(Math.abs(at));

/**
 * The limits of the axis: whole decades around all values, and 1.
 * @param {(number | null | undefined)[]} all
 * @returns {[number, number]}
 */
export function signedDomain(all) {
    const values = /** @type {number[]} */ (all.filter((v) => v != null && Number.isFinite(v)));
    const high = Math.max(1, ...values);
    const low = Math.min(0, ...values);
    /** @param {number} v */
    const decade = (v) => 10 ** Math.ceil(Math.log10(v) - 1e-9);
    return [low < -LINEAR / 2 ? -Math.max(LINEAR, decade(-low)) : -LINEAR / 2, Math.max(10, decade(high))];
}

/**
 * Ticks by decades, thinned until each has its room.
 * @param {[number, number]} domain
 * @param {number} length of the axis, in px
 * @param {number} room that a tick takes, in px
 */
export function signedTicks([low, high], length, room = 24) {
    const side = (/** @type {number} */ end) => decades(-1, Math.log10(Math.max(LINEAR, Math.abs(end))) + 1e-9);
    const from0 = (/** @type {number} */ v) => (signed(v) / (signed(high) - signed(low))) * length;
    const near = 0.6 * room;
    for (let every = 1; ; every++) {
        // Counted from 1, which is always a tick.
        const keep = (/** @type {number} */ v) => Math.round(Math.log10(v)) % every === 0;
        if (from0(10 ** every) - from0(1) < room && every < 6) continue;
        const up = side(high).filter((v) => keep(v) && v !== 1 && from0(v) >= near);
        const down = low <= -LINEAR ? side(low).filter((v) => keep(v) && from0(v) >= near) : [];
        return [...down.map((v) => -v), 0, ...up.filter((v) => Math.abs(from0(v) - from0(1)) >= near)];
    }
}
