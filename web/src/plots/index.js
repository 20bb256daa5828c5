/** The plots that are loaded when a page first draws one. */
export { bySite, bySiteDomain, bySiteHeight } from "./by_site.js";
export { direction, directionHeight } from "./direction.js";
export { drift, driftDomain, driftHeight, driftPlot } from "./drift.js";
export { glanceDomain, glanceHeight, glancePlot } from "./glance.js";
export { heat, heatHeight } from "./heat.js";
export { linesPlot } from "./lines.js";
export { made, madeDomain, madeHeight, PARTS } from "./made.js";
export { movers, moversHeight } from "./movers.js";
export { fell, promise, promised, promiseDomain } from "./promise.js";
export { belowShare, ridgeLines, ridgeMedian, ridgesDomain, ridgesHeight, ridgesOutside } from "./ridges.js";
export { STUDY_HEIGHT, study } from "./study.js";
export { stripPlot } from "./strip.js";
export { fullestBin, theory, theoryHeight, theoryPlots } from "./theory.js";
