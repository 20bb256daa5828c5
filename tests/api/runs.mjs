// Two finished runs, on a daemon of the test file's own, for the tests of what a run leaves; and what reads and compares them.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { api, finishedJob, smallSpec, startDaemon } from "../daemon.mjs";

/** The sample that the run on vectors watches. */
export const WATCHED = 5;
const SIDE = 4;
/** The training images of the run on pictures; those of its test are the same, backwards. */
export const IMAGES = Array.from({ length: 64 }, (_, i) =>
    Buffer.from(Array.from({ length: 16 }, (_, p) => (37 * i + 11 * p) % 256)),
);

/** Files of the MNIST format. @param {string} folder */
function writePictures(folder) {
    const idx = (/** @type {number[]} */ dims, /** @type {Buffer} */ bytes) => {
        const head = Buffer.alloc(4 + 4 * dims.length);
        head[2] = 8;
        head[3] = dims.length;
        dims.forEach((n, i) => head.writeUInt32BE(n, 4 + 4 * i));
        return Buffer.concat([head, bytes]);
    };
    mkdirSync(folder, { recursive: true });
    for (const [name, images] of /** @type {[string, Buffer[]][]} */ ([
        ["train", IMAGES],
        ["t10k", IMAGES.slice().reverse()],
    ])) {
        writeFileSync(join(folder, `${name}-images-idx3-ubyte`), idx([64, SIDE, SIDE], Buffer.concat(images)));
        const labels = Buffer.from(Array.from({ length: 64 }, (_, i) => i % 10));
        writeFileSync(join(folder, `${name}-labels-idx1-ubyte`), idx([64], labels));
    }
}

export const vectorSpec = (/** @type {object} */ more = {}) =>
    smallSpec("vectors", "affine", 0.1, {
        dataset: { name: "synthetic", classes: 4, features: 16, train: 256, test: 64, norm_spread: 1, seed: 1 },
        model: { preset: "mlp", width: 8, depth: 1, variant: "affine", activation: "tanh" },
        epochs: 2,
        probe: { schedule: "every", every: 4, views: ["layer", "network"], watch: [WATCHED], contributors: 3 },
        ...more,
    });

export const daemon = await startDaemon({ flags: ["--workers", "2"] });
after(async () => {
    await daemon.stop();
    daemon.remove();
});

writePictures(join(daemon.data, "datasets", "mnist"));
/** A finished run on pictures, and one on vectors, which watches a sample. */
export const [pictures, vectors] = await Promise.all([
    finishedJob(daemon.base, {
        ...smallSpec("pictures", "affine", 0.1),
        dataset: { name: "mnist" },
        model: { layers: [{ type: "flatten" }, { type: "dense", units: 10, variant: "affine-like" }] },
        batch_size: 16,
        epochs: 2,
        probe: { schedule: "epochs" },
    }),
    finishedJob(daemon.base, vectorSpec()),
]);

/** All pages of a list. @param {string} path @returns {Promise<any[]>} */
export async function pages(path) {
    const items = [];
    let token = "";
    do {
        const page = await api(daemon.base, path + (token && `&page_token=${encodeURIComponent(token)}`));
        items.push(...page.items);
        token = page.next_page_token;
    } while (token);
    return items;
}

export const groupBy = (/** @type {any[]} */ rows, /** @type {(row: any) => string} */ key) => {
    /** @type {Map<string, any[]>} */
    const groups = new Map();
    for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row]);
    return groups;
};

export const near = (/** @type {number} */ a, /** @type {number} */ b, /** @type {string} */ what, tolerance = 1e-9) =>
    assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${what}: ${a} is not ${b}`);
