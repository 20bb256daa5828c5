/** The network as a figure. */
import { figure, placeholder } from "../figure.js";
import { int, num, plural } from "../format.js";
import { needPlots, plots } from "../plots_loader.js";
import { mismatchRamp } from "../ramp.js";
import { strip } from "../strip.js";

/**
 * @param {import("./common.js").Run} run
 * @param {string | null} chosen
 * @param {{ cls: string, choose: (site: string) => void, empty: import("../dom.js").Part }} o
 */
export function stripFigure(run, chosen, { cls, choose, empty }) {
    const about = { id: "network", title: "The network", cls };
    const { sites: reading, job } = run.data;
    const { data, error } = reading.state.value;
    if (!data) return placeholder(about, { height: 120, awaited: "Reading the sites.", error, retry: reading.refresh });
    if (!data.sites.length) return placeholder(about, { height: 120, awaited: "", empty });
    const scales = job.state.value.data?.results?.median_scale ?? {};
    const known = data.sites.flatMap(({ name }) => {
        const scale = scales[name];
        return typeof scale === "number" ? [{ name, scale }] : [];
    });
    const below = known.filter(({ scale }) => scale <= 0);
    const far = known.filter(({ scale }) => scale > 0);
    far.sort((a, b) => Math.abs(Math.log10(b.scale)) - Math.abs(Math.log10(a.scale)));
    const last = data.steps[data.steps.length - 1];
    const readings = [];
    if (far.length) readings.push(`Farthest from the ideal: ${far[0].name}, median scale ${num(far[0].scale)}.`);
    if (below.length) readings.push(`${plural(below.length, "site")} with a median ≤ 0.`);
    return figure({
        ...about,
        runs: [run.id],
        body: strip(data.sites, scales, chosen, choose),
        key: mismatchRamp(),
        reading: readings.join(" "),
        caption: `Median scale of each site at the last probed step${last ? ` (${int(last)})` : ""}, in depth order, layer view. A cell stands out the more, the further its site is from 1; hatched: median ≤ 0. Choose a site to see its theory and its drift below.`,
        table: () => ({
            columns: [
                { name: "site" },
                { name: "type" },
                { name: "variant" },
                { name: "parameters", numeric: true, format: int },
                { name: "median scale", numeric: true, format: num },
            ],
            rows: data.sites.map((site) => [
                site.name,
                [site.type, site.part].filter(Boolean).join(" "),
                site.variant,
                site.parameters ?? null,
                scales[site.name] ?? null,
            ]),
        }),
        drawings: async () => {
            await needPlots();
            const cells = data.sites.map(({ name }) => ({ label: name, scale: scales[name] ?? null }));
            return plots.value ? [[plots.value.stripPlot(cells, "Median scale by site")]] : [];
        },
    });
}
