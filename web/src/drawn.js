/**
 * Elements that draw: when their width is known, while they are near the window, and again when what they show, the
 * width or (for canvases) the theme changes.
 */
import { render } from "lit-html";
import { theme } from "./theme.js";

/** How far outside the window something is drawn ahead. */
const MARGIN = "240px";

/** @abstract */
export class Drawn extends HTMLElement {
    constructor() {
        super();
        this.dirty = true;
        this.near = false;
        this.drawnWidth = 0;
        this.frame = 0;
        this.resizing = new ResizeObserver(() => this.measure());
        this.watching = new IntersectionObserver(
            (entries) => {
                this.near = entries[entries.length - 1].isIntersecting;
                this.plan();
            },
            { rootMargin: MARGIN },
        );
        /** @type {(() => void) | undefined} */
        this.leaveTheme = undefined;
    }

    connectedCallback() {
        this.resizing.observe(this);
        this.watching.observe(this);
        this.leaveTheme = theme.subscribe(() => this.touch());
    }

    disconnectedCallback() {
        this.resizing.disconnect();
        this.watching.disconnect();
        this.leaveTheme?.();
        cancelAnimationFrame(this.frame);
        this.frame = 0;
    }

    measure() {
        if (Math.floor(this.clientWidth) !== this.drawnWidth) this.touch();
    }

    /** What is drawn is no longer right. */
    touch() {
        this.dirty = true;
        this.plan();
    }

    plan() {
        if (!this.dirty || !this.near || this.frame) return;
        this.frame = requestAnimationFrame(() => {
            this.frame = 0;
            const width = Math.floor(this.clientWidth);
            if (!width) return;
            this.dirty = false;
            this.drawnWidth = width;
            this.paint(width);
        });
    }

    /** @param {number} _width */
    paint(_width) {}
}

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
 *
 * @typedef {object} Spot  what the pointer is over
 * @property {number} x
 * @property {number} y
 * @property {import("lit-html").TemplateResult} body
 *
 * @typedef {object} Drawing
 * @property {Node[]} nodes
 * @property {Scrub} [scrub]
 * @property {(x: number, y: number) => Spot | null} [spot]
 *
 * @typedef {object} PlotSpec
 * @property {(width: number) => Drawing} draw
 * @property {unknown[]} deps drawn anew when one of them is another
 * @property {number} height the height that is kept free before the first drawing, in px
 */

/**
 * The readout beside a plot, and the strip that follows the pointer and takes the keys. It outlives the drawings, so
 * that focus and the chosen point stay when data arrives.
 */
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

/** A plot: `<plumb-plot .spec=${…}>`. */
export class PlumbPlot extends Drawn {
    constructor() {
        super();
        /** @type {PlotSpec | null} */
        this.present = null;
        this.stage = document.createElement("div");
        this.readout = new Readout(this);
        this.spotBox = Object.assign(document.createElement("div"), { className: "readout", hidden: true });
        /** @type {Drawing | null} */
        this.drawing = null;
        this.addEventListener("pointermove", (event) => this.point(event));
        this.addEventListener("pointerleave", () => (this.spotBox.hidden = true));
    }

    connectedCallback() {
        if (!this.stage.isConnected) this.append(this.stage, this.spotBox);
        super.connectedCallback();
    }

    /** @param {PlotSpec} spec */
    set spec(spec) {
        const before = this.present;
        this.present = spec;
        if (!before) this.style.minHeight = `${spec.height}px`;
        const same = before?.deps.length === spec.deps.length && spec.deps.every((dep, i) => dep === before.deps[i]);
        if (!same) this.touch();
    }

    /** @param {number} width */
    paint(width) {
        if (!this.present) return;
        this.drawing = this.present.draw(width);
        this.stage.replaceChildren(...this.drawing.nodes);
        this.style.minHeight = "";
        this.readout.use(this.drawing.scrub);
    }

    /** @param {PointerEvent} event */
    point(event) {
        if (!this.drawing?.spot) return;
        const area = this.getBoundingClientRect();
        const spot = this.drawing.spot(event.clientX - area.left, event.clientY - area.top);
        this.spotBox.hidden = !spot;
        if (!spot) return;
        render(spot.body, this.spotBox);
        place(this.spotBox, spot.x, spot.y, spot.x > area.width / 2);
    }
}
customElements.define("plumb-plot", PlumbPlot);
