/**
 * The network as a strip: a cell a site, coloured by its median scale, which stands in it. What is not positive is
 * hatched. Residuals are brackets below, with their own small cell.
 */
import { html, nothing } from "lit-html";
import { cellPaint } from "./colour.js";
import { css } from "./dom.js";
import { num } from "./format.js";
import { theme } from "./theme.js";

/** @typedef {import("./api.js").Site} Site */

/**
 * @typedef {object} Group
 * @property {Site[]} sites
 * @property {string | null} bracket
 * @property {Site | null} own the site of the residual itself
 */

/**
 * Sites side by side in depth order; those of one residual or one attention layer belong together.
 * @param {Site[]} sites
 * @returns {Group[]}
 */
export function groupsOf(sites) {
    /** @type {(Group & { key: string })[]} */
    const groups = [];
    for (const site of sites) {
        const [top, ...rest] = site.name.split(".");
        const inside = rest.length > 1;
        const residual = rest[0] === "residual";
        const key = inside || residual ? top : "";
        let group = groups[groups.length - 1];
        if (!group || group.key !== key) {
            group = { key, sites: [], bracket: key ? `${top} ${site.type}` : null, own: null };
            groups.push(group);
        }
        if (residual) {
            group.own = site;
            group.bracket = `${top} residual`;
        } else group.sites.push(site);
    }
    return groups;
}

/**
 * A cell that carries a scale: coloured, written on, hatched where it is not positive.
 * @param {number | null | undefined} scale
 * @param {string} cls
 */
export function painted(scale, cls) {
    const known = typeof scale === "number" ? scale : null;
    const paint = cellPaint(known, theme.value);
    const below = known != null && known <= 0;
    const classes = [cls, below ? "below" : "", known == null ? "unknown" : paint.outlined ? "outlined" : ""];
    const ink = known == null || below ? null : paint.ink;
    return html`<span class=${classes.filter(Boolean).join(" ")} ${css({ "background-color": paint.fill, color: ink })}
        >${num(known)}</span
    >`;
}

/**
 * @param {Site[]} sites
 * @param {Record<string, number | null>} scales
 * @param {string | null} chosen
 * @param {(site: string) => void} choose
 */
export const strip = (sites, scales, chosen, choose) =>
    html`<div class="strip" role="group" aria-label="The network, a cell a site">
        ${groupsOf(sites).map(
            (group) =>
                html`<div
                    class="group"
                    ${css({ flex: `${Math.max(1, group.sites.length) * (group.bracket ? 1 : 2)} 1 0` })}
                >
                    <div class="cells">
                        ${group.sites.map((site) => {
                            const scale = scales[site.name];
                            const short = group.bracket ? (site.part ?? site.type) : site.name;
                            return html`<button
                                class="cell"
                                type="button"
                                title=${`${site.name}, median scale ${num(scale)}`}
                                aria-pressed=${site.name === chosen}
                                @click=${() => choose(site.name)}
                            >
                                <span class="what">${short}</span>
                                <span class="vh">${short === site.name ? "" : `(${site.name})`} median scale</span>
                                ${painted(scale, "fill")}
                            </button>`;
                        })}
                    </div>
                    ${
                        group.bracket
                            ? html`<div class="bracket">
                                  <span>${group.bracket}</span>
                                  ${group.own ? painted(scales[group.own.name], "chip") : nothing}
                              </div>`
                            : nothing
                    }
                </div>`,
        )}
    </div>`;
