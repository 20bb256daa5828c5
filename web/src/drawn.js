/**
 * Elements that draw: when their width is known, while they are near the window, and again when what they show, the
 * width or (for canvases) the theme changes.
 */
import { PointCursor, Readout } from "./readout.js";
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
 * @typedef {object} Drawing
 * @property {SVGSVGElement[]} nodes
 * @property {import("./readout.js").Scrub} [scrub]
 * @property {import("./readout.js").Points} [points]
 *
 * @typedef {object} PlotSpec
 * @property {(width: number) => Drawing} draw
 * @property {unknown[]} deps drawn anew when one of them is another
 * @property {number} height the height that is kept free before the first drawing, in px
 */

/** A plot: `<plumb-plot .spec=${…}>`. */
export class PlumbPlot extends Drawn {
    constructor() {
        super();
        /** @type {PlotSpec | null} */
        this.present = null;
        this.stage = document.createElement("div");
        this.readout = new Readout(this);
        this.points = new PointCursor(this);
    }

    connectedCallback() {
        if (!this.stage.isConnected) this.append(this.stage);
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
        const drawing = this.present.draw(width);
        this.stage.replaceChildren(...drawing.nodes);
        this.style.minHeight = "";
        this.readout.use(drawing.scrub);
        this.points.use(drawing.points);
    }
}
customElements.define("plumb-plot", PlumbPlot);
