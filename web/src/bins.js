/**
 * The fixed signed-logarithmic bins in which the server counts: 20 a decade of |v| from 1e-6 to 1e9 for each sign.
 */

const PER_DECADE = 20;
const FIRST_DECADE = -6;
const POSITIVE_FIRST = 304;
const POSITIVE_OVER = 604;
const POSITIVE_UNDER = 303;
const ZERO = 302;
const UNDEFINED = 605;

/** The width of a bin in decades. */
export const BIN = 1 / PER_DECADE;

/** log10 of a positive bin's lower limit. @param {number} bin */
const lowerEdge = (bin) => FIRST_DECADE + (bin - POSITIVE_FIRST) * BIN;

/** The bin of a value; null and what is not finite are undefined. @param {number | null} value */
export function binOf(value) {
    if (value == null || !Number.isFinite(value)) return UNDEFINED;
    if (value === 0) return ZERO;
    const size = Math.abs(value);
    const at = Math.floor((Math.log10(size) - FIRST_DECADE) * PER_DECADE + 1e-9);
    const positive = Math.min(POSITIVE_OVER, Math.max(POSITIVE_UNDER, POSITIVE_FIRST + at));
    return value > 0 ? positive : 2 * ZERO - positive;
}

/** The limits of a bin. @param {number} bin @returns {[number, number]} */
export function binLimits(bin) {
    if (bin === ZERO) return [0, 0];
    if (bin < ZERO) {
        const [low, high] = binLimits(2 * ZERO - bin);
        return [-high, -low];
    }
    return [
        bin === POSITIVE_UNDER ? 0 : 10 ** lowerEdge(bin),
        bin === POSITIVE_OVER ? Infinity : 10 ** lowerEdge(bin + 1),
    ];
}

/**
 * A quantile of what was counted, as the server tells it: evenly within a bin.
 * @param {[number, number][]} cells bins, ascending, and their counts
 * @param {number} fraction
 * @param {number} minimum of the values that were counted
 * @param {number} maximum
 */
export function histogramQuantile(cells, fraction, minimum, maximum) {
    const known = cells.filter(([bin]) => bin !== UNDEFINED);
    const wanted = fraction * known.reduce((sum, [, n]) => sum + n, 0);
    let below = 0;
    for (const [bin, n] of known) {
        if (below + n >= wanted) {
            const [low, high] = binLimits(bin).map((limit) => Math.min(maximum, Math.max(minimum, limit)));
            return low + ((wanted - below) / n) * (high - low);
        }
        below += n;
    }
    return null;
}

/** @param {number} bin */
const isPositive = (bin) => bin >= POSITIVE_FIRST && bin < POSITIVE_OVER;

/**
 * 2-D counts of measured scale (y) against the predicted self factor (x), made ready to be drawn.
 *
 * @typedef {{ x: number, y: number, n: number }} Cell  x, y: log10 of the lower limits of a bin
 * @typedef {object} Cloud
 * @property {Cell[]} cells both positive
 * @property {number} nonpositive samples with scale ≤ 0
 * @property {number} undefined samples without self factor or scale
 * @property {number} total
 * @property {{ x: number, ratios: { at: number, n: number }[], n: number }[]} columns by x: log10(scale ÷ self factor),
 *     −Infinity where the scale is ≤ 0, ascending
 * @property {boolean} constant all predictions are equal
 * @property {[number, number] | null} predicted the least and the greatest prediction
 */

/**
 * @param {import("./api.js").Density} density
 * @param {import("./api.js").Summary | undefined} self the self factor's summary over the same steps
 * @param {boolean} selfPart the self part alone: by construction it equals the prediction
 * @returns {Cloud}
 */
export function cloud(density, self, selfPart) {
    const least = self?.minimum ?? null;
    const greatest = self?.maximum ?? null;
    const constant = least != null && greatest != null && least > 0 && greatest / least < 1.001;
    // One value may fall on a bin's limit and be counted on both sides of it: it is one column, at its own place.
    const place = constant ? Math.log10((least + greatest) / 2) - BIN / 2 : 0;
    /** @type {Map<string, Cell>} */
    const cells = new Map();
    /** @type {Map<number, { at: number, n: number }[]>} */
    const columns = new Map();
    const sums = { nonpositive: 0, undefined: 0, total: 0 };
    for (const [xBin, yBin, n] of density.cells) {
        sums.total += n;
        if (!isPositive(xBin) || yBin === UNDEFINED) {
            sums.undefined += n;
            continue;
        }
        const x = constant ? place : lowerEdge(xBin);
        const y = selfPart ? x : lowerEdge(yBin);
        const positive = selfPart || yBin > ZERO;
        const column = columns.get(x) ?? [];
        column.push({ at: positive ? y - x : -Infinity, n });
        columns.set(x, column);
        if (!positive) {
            sums.nonpositive += n;
            continue;
        }
        const key = `${x},${y}`;
        const cell = cells.get(key) ?? { x, y, n: 0 };
        cell.n += n;
        cells.set(key, cell);
    }
    return {
        ...sums,
        cells: [...cells.values()],
        columns: [...columns].map(([x, ratios]) => ({
            x,
            ratios: ratios.sort((a, b) => a.at - b.at),
            n: ratios.reduce((sum, r) => sum + r.n, 0),
        })),
        constant,
        predicted: least != null && greatest != null ? [least, greatest] : null,
    };
}

/**
 * A quantile of counted ratios, as a ratio: 0 where it is not positive.
 * @param {{ at: number, n: number }[]} ratios ascending
 * @param {number} fraction
 */
export function ratioQuantile(ratios, fraction) {
    const total = ratios.reduce((sum, r) => sum + r.n, 0);
    let below = 0;
    for (const { at, n } of ratios) {
        below += n;
        // Both were known to one bin: their difference is centred on the bins' difference.
        if (below >= fraction * total) return at === -Infinity ? 0 : 10 ** at;
    }
    return 0;
}

/** All columns as one, for a single figure over all samples. @param {Cloud} c */
export const allRatios = (c) => c.columns.flatMap((column) => column.ratios).sort((a, b) => a.at - b.at);

/**
 * The limits of the axes, in decades: x holds all predictions and 1, y all that is measured down to 0.1.
 * @param {Cloud[]} clouds
 * @returns {{ x: [number, number], y: [number, number] }}
 */
export function cloudDomain(clouds) {
    const xs = clouds.flatMap((c) => c.columns.map((column) => column.x));
    const lowX = Math.min(0, ...xs) - 0.5;
    const highX = Math.max(0, ...xs) + BIN + 0.5;
    const ys = clouds.flatMap((c) => c.cells.map((cell) => cell.y));
    const highY = Math.max(1, Math.ceil(Math.max(0, ...ys) + BIN - 1e-9), Math.ceil(highX - 0.5));
    const middles = clouds.map((c) =>
        ratioQuantile(
            c.cells.map((cell) => ({ at: cell.y, n: cell.n })).sort((a, b) => a.at - b.at),
            0.25,
        ),
    );
    const lowY = Math.max(-4, Math.min(-1, ...middles.filter((m) => m > 0).map((m) => Math.floor(Math.log10(m)))));
    return { x: [lowX, Math.max(highX, lowX + 3)], y: [lowY, highY] };
}

/**
 * How many of the positive ones an axis leaves out.
 * @param {Cloud} c
 * @param {{ x: [number, number], y: [number, number] }} domain
 */
export function outside(c, domain) {
    const counts = { below: 0, above: 0, beside: 0 };
    for (const { x, y, n } of c.cells) {
        if (x < domain.x[0] - 1e-9 || x + BIN > domain.x[1] + 1e-9) counts.beside += n;
        else if (y < domain.y[0] - 1e-9) counts.below += n;
        else if (y + BIN > domain.y[1] + 1e-9) counts.above += n;
    }
    return counts;
}

/**
 * 2-D counts of cosine (x, equal bins) and relative interference (y, bins counted from 1), made ready to be drawn.
 * @typedef {object} Directions
 * @property {{ x: number, y: number, n: number }[]} cells
 * @property {number} columns
 * @property {number} perDecade
 * @property {number} total all samples with a cosine and an interference
 * @property {number} none those that no other sample moves
 * @property {number} undefined
 * @property {number} median cosine, at its bin's middle
 */

/** Bins are taken together two by two each way: a batch has too few samples for all of them. */
const JOINED = 2;

/** @param {import("./api.js").Density} density @returns {Directions} */
export function directions(density) {
    const columns = (density.x_bins?.count ?? 100) / JOINED;
    const perDecade = PER_DECADE / JOINED;
    /** @type {Map<string, { x: number, y: number, n: number }>} */
    const cells = new Map();
    const sums = new Array(columns).fill(0);
    let [total, none] = [0, 0];
    for (const [bin, yBin, n] of density.cells) {
        const x = Math.floor(bin / JOINED);
        if (yBin === UNDEFINED || x >= columns) continue;
        total += n;
        sums[x] += n;
        if (!isPositive(yBin)) {
            none += n;
            continue;
        }
        const y = Math.floor((yBin - POSITIVE_FIRST) / JOINED) + FIRST_DECADE * perDecade;
        const cell = cells.get(`${x},${y}`) ?? { x, y, n: 0 };
        cell.n += n;
        cells.set(`${x},${y}`, cell);
    }
    let [middle, below] = [0, sums[0]];
    while (middle < columns - 1 && below < total / 2) below += sums[++middle];
    return {
        cells: [...cells.values()],
        columns,
        perDecade,
        total,
        none,
        undefined: density.undefined,
        median: -1 + (2 * middle + 1) / columns,
    };
}
