/** The plots that are loaded when a page first draws one. */
export { drift, driftDomain, driftHeight, driftPlot } from "./drift.js";
export { glanceDomain, glanceHeight, glancePlot } from "./glance.js";
export { linesPlot } from "./lines.js";
export { stripPlot } from "./strip.js";
export { fullestBin, theory, theoryHeight, theoryPlots } from "./theory.js";
