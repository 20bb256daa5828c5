/**
 * How a plot is read, by pointer and by keys: along x, or from point to point. Both outlive the drawings, so that focus
 * and the chosen point stay when data arrives.
 */
import { html, render } from "lit-html";

/** @typedef {[name: string, value: string]} Fact */

/** What stands in a readout. @param {string} title @param {Fact[]} facts */
export const factsTable = (title, facts) =>
    html`<b>${title}</b>
        <table>
            <tbody>
                ${facts.map(
                    ([name, value]) =>
                        html`<tr>
                            <td>${name}</td>
                            <td class="r">${value}</td>
                        </tr>`,
                )}
            </tbody>
        </table>`;

/**
 * @typedef {object} Scrub  a plot whose points can be visited along x, by pointer and by keys
 * @property {string} label
 * @property {number} left the strip that takes the pointer, in px of the plot
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {number} count
 * @property {(i: number) => number} x px from the strip's left
 * @property {(i: number) => number | string} key what stays the same point when data arrives
 * @property {(i: number) => string} text for a screen reader
 * @property {(i: number) => import("lit-html").TemplateResult} body
 * @property {boolean} below the readout stands below the plot, always
 * @property {boolean} [passive] somebody else follows the pointer
 */

/**
 * @typedef {object} Point
 * @property {number} x its middle, in px of the plot
 * @property {number} y
 * @property {number} w
 * @property {number} h
 * @property {string} title
 * @property {() => Fact[]} facts
 * @property {() => void} [open] what a click or Enter leads to
 *
 * @typedef {object} Points
 * @property {string} label
 * @property {number} left the area that takes the keys, in px of the plot
 * @property {number} top
 * @property {number} width
 * @property {number} height
 * @property {Point[]} items
 */

/** The readout beside a plot, and the strip that follows the pointer and takes the keys. */
export class Readout {
    /** @param {HTMLElement} host */
    constructor(host) {
        this.host = host;
        this.at = -1;
        /** @type {number | string | null} */
        this.key = null;
        this.shown = false;
        /** @type {Scrub | null} */
        this.scrub = null;
        this.box = Object.assign(document.createElement("div"), { className: "readout", hidden: true });
        this.strip = Object.assign(document.createElement("div"), { className: "scrub", tabIndex: 0 });
        this.rule = Object.assign(document.createElement("div"), { className: "scrub-rule", hidden: true });
        this.strip.setAttribute("role", "slider");
        this.strip.append(this.rule);
        this.strip.addEventListener("pointermove", (event) => this.follow(event.offsetX));
        this.strip.addEventListener("pointerleave", () => this.hide());
        this.strip.addEventListener("focus", () => this.strip.matches(":focus-visible") && this.show(this.at));
        this.strip.addEventListener("blur", () => this.hide());
        this.strip.addEventListener("keydown", (event) => this.step(event));
    }

    /** @param {Scrub | undefined} scrub */
    use(scrub) {
        this.scrub = scrub ?? null;
        if (!scrub || !scrub.count) {
            this.strip.remove();
            this.box.remove();
            return;
        }
        if (!this.strip.isConnected) this.host.append(this.strip, this.box);
        Object.assign(this.strip.style, {
            left: `${scrub.left}px`,
            top: `${scrub.top}px`,
            width: `${scrub.width}px`,
            height: `${scrub.height}px`,
        });
        this.strip.classList.toggle("passive", Boolean(scrub.passive));
        this.box.classList.toggle("under", scrub.below);
        let at = scrub.count - 1;
        if (this.shown && this.key != null) for (let i = 0; i < scrub.count; i++) if (scrub.key(i) === this.key) at = i;
        this.set(at);
        if (this.shown) this.show(at);
        else this.hide();
    }

    /** @param {number} at */
    set(at) {
        if (!this.scrub) return;
        this.at = Math.max(0, Math.min(this.scrub.count - 1, at));
        this.key = this.scrub.key(this.at);
        this.strip.setAttribute("aria-label", this.scrub.label);
        this.strip.setAttribute("aria-valuemin", "1");
        this.strip.setAttribute("aria-valuemax", String(this.scrub.count));
        this.strip.setAttribute("aria-valuenow", String(this.at + 1));
        this.strip.setAttribute("aria-valuetext", this.scrub.text(this.at));
        render(this.scrub.body(this.at), this.box);
    }

    /** @param {number} at */
    show(at) {
        if (!this.scrub) return;
        this.shown = true;
        this.set(at);
        const x = this.scrub.x(this.at);
        this.rule.style.left = `${x}px`;
        this.rule.hidden = false;
        this.box.hidden = false;
        if (this.scrub.below) Object.assign(this.box.style, { left: "", top: "", transform: "" });
        else place(this.box, this.scrub.left + x, this.scrub.top + 8, x > this.scrub.width / 2);
    }

    hide() {
        this.shown = false;
        this.rule.hidden = true;
        this.box.hidden = !this.scrub?.below;
    }

    /** The nearest point, not the nearest pixel. @param {number} px */
    follow(px) {
        if (!this.scrub) return;
        let best = 0;
        for (let i = 1; i < this.scrub.count; i++)
            if (Math.abs(this.scrub.x(i) - px) < Math.abs(this.scrub.x(best) - px)) best = i;
        this.show(best);
    }

    /** @param {KeyboardEvent} event */
    step(event) {
        const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
        const ends = { Home: -Infinity, End: Infinity };
        const by = { ...steps, ...ends }[event.key];
        if (by === undefined) return;
        event.preventDefault();
        this.show(this.at + by);
    }
}

/**
 * Puts a box beside a place, on the side with more room.
 * @param {HTMLElement} box
 * @param {number} x
 * @param {number} y
 * @param {boolean} leftOf
 */
function place(box, x, y, leftOf) {
    box.style.left = `${leftOf ? x - 12 : x + 12}px`;
    box.style.top = `${y}px`;
    box.style.transform = leftOf ? "translateX(-100%)" : "";
}

/**
 * Points of a plot that are visited by the pointer and by the arrow keys; Enter or a click drills down.
 */
export class PointCursor {
    /** @param {HTMLElement} host */
    constructor(host) {
        this.host = host;
        this.at = 0;
        /** @type {Points | null} */
        this.points = null;
        this.box = Object.assign(document.createElement("div"), { className: "readout", hidden: true });
        this.strip = Object.assign(document.createElement("div"), { className: "scrub passive", tabIndex: 0 });
        this.ring = Object.assign(document.createElement("div"), { className: "point-ring", hidden: true });
        this.strip.setAttribute("role", "slider");
        this.strip.addEventListener("focus", () => this.strip.matches(":focus-visible") && this.show(this.at));
        this.strip.addEventListener("blur", () => this.hide());
        this.strip.addEventListener("keydown", (event) => this.key(event));
        host.addEventListener("pointermove", (event) => this.follow(event));
        host.addEventListener("pointerleave", () => this.hide());
        host.addEventListener("click", (event) => {
            this.follow(event);
            if (!this.box.hidden) this.points?.items[this.at].open?.();
        });
    }

    /** @param {Points | undefined} points */
    use(points) {
        this.points = points?.items.length ? points : null;
        if (!this.points) {
            for (const part of [this.strip, this.box, this.ring]) part.remove();
            return;
        }
        if (!this.strip.isConnected) this.host.append(this.strip, this.ring, this.box);
        const { left, top, width, height, items } = this.points;
        Object.assign(this.strip.style, {
            left: `${left}px`,
            top: `${top}px`,
            width: `${width}px`,
            height: `${height}px`,
        });
        this.strip.setAttribute("aria-label", this.points.label);
        this.strip.setAttribute("aria-valuemin", "1");
        this.strip.setAttribute("aria-valuemax", String(items.length));
        this.at = Math.min(this.at, items.length - 1);
        this.tell();
        if (this.box.hidden) this.hide();
        else this.show(this.at);
    }

    tell() {
        if (!this.points) return;
        this.strip.setAttribute("aria-valuenow", String(this.at + 1));
        const { title, facts } = this.points.items[this.at];
        const words = facts().map(([name, value]) => `${name} ${value}`);
        this.strip.setAttribute("aria-valuetext", [title, ...words].join(", "));
    }

    /** @param {number} at */
    show(at) {
        if (!this.points) return;
        this.at = at;
        this.tell();
        const { x, y, w, h, title, facts, open } = this.points.items[at];
        Object.assign(this.ring.style, {
            left: `${x - w / 2}px`,
            top: `${y - h / 2}px`,
            width: `${w}px`,
            height: `${h}px`,
        });
        this.ring.hidden = this.box.hidden = false;
        this.host.style.cursor = open ? "pointer" : "";
        render(factsTable(title, facts()), this.box);
        place(this.box, x, y, x > this.host.clientWidth / 2);
    }

    hide() {
        this.ring.hidden = this.box.hidden = true;
        this.host.style.cursor = "";
    }

    /** The point below the pointer, or the nearest of those that are close. @param {MouseEvent} event */
    follow(event) {
        if (!this.points) return;
        const area = this.host.getBoundingClientRect();
        const [px, py] = [event.clientX - area.left, event.clientY - area.top];
        let best = -1;
        let least = Infinity;
        this.points.items.forEach(({ x, y, w, h }, i) => {
            const [dx, dy] = [Math.abs(px - x), Math.abs(py - y)];
            if (dx > Math.max(w / 2, CLOSE) || dy > Math.max(h / 2, CLOSE)) return;
            if (dx * dx + dy * dy >= least) return;
            least = dx * dx + dy * dy;
            best = i;
        });
        if (best >= 0) this.show(best);
        else this.hide();
    }

    /** @param {KeyboardEvent} event */
    key(event) {
        if (!this.points) return;
        const { items } = this.points;
        const way = WAYS[event.key];
        if (event.key === "Enter") items[this.at].open?.();
        else if (event.key === "Home") this.show(0);
        else if (event.key === "End") this.show(items.length - 1);
        else if (way) this.show(this.next(way));
        else return;
        event.preventDefault();
    }

    /** The nearest point that way; what lies aside counts more. @param {[number, number]} way */
    next([wx, wy]) {
        const { items } = /** @type {Points} */ (this.points);
        const from = items[this.at];
        let best = this.at;
        let least = Infinity;
        items.forEach(({ x, y }, i) => {
            const along = (x - from.x) * wx + (y - from.y) * wy;
            const aside = Math.abs((x - from.x) * wy) + Math.abs((y - from.y) * wx);
            if (along < 0.5 || along + 4 * aside >= least) return;
            least = along + 4 * aside;
            best = i;
        });
        return best;
    }
}

/** A point is taken from so many px away. */
const CLOSE = 6;
/** @type {Record<string, [number, number]>} */
const WAYS = {
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
    PageUp: [0, -1],
    PageDown: [0, 1],
};
