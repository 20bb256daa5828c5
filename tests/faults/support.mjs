// What the fault tests share: how many trials, workers as the system sees them, databases, runs held equal.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
    appendFileSync,
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    rmSync,
    statfsSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import { smallSpec, startDaemon, temporary } from "../daemon.mjs";

// Node ends a test as never settled when all that it waits for is the end of a child that was killed.
const alive = setInterval(() => {}, 1000);
after(() => clearInterval(alive));

/** The full figures, or those that every `make test` has time for. */
export const long = process.env.FAULTS === "long";
export const trials = (/** @type {number} */ short, /** @type {number} */ full) => (long ? full : short);

/** Random numbers that are the same in every run. @param {number} seed */
export function random(seed) {
    let state = seed >>> 0;
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = Math.imul(state ^ (state >>> 15), state | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return { next, below: (/** @type {number} */ bound) => Math.floor(next() * bound) };
}

/**
 * A file system of so many megabytes, that can be filled, and daemons on it. After the file's tests both are gone.
 * @param {number} megabytes
 */
export function smallDisk(megabytes) {
    const above = temporary();
    const folder = join(above, "disk");
    const filler = join(folder, "filler");
    mkdirSync(folder);
    let mounted = false;
    try {
        execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder], { stdio: "ignore" });
        mounted = true;
    } catch {
        // no right to
    }
    const data = join(folder, "data");
    /** @type {Awaited<ReturnType<typeof startDaemon>> | undefined} */
    let daemon;
    after(async () => {
        daemon?.kill("SIGKILL"); // after a failure it would hold the disk
        await daemon?.ended;
        if (mounted) execFileSync("umount", ["--lazy", folder]); // its worker may take a moment to end
        rmSync(above, { recursive: true });
    });
    return {
        /** Of its daemons. */
        data,
        /** Starts one, with one worker; the one before has ended. */
        startDaemon: async () => (daemon = await startDaemon({ data, flags: ["--workers", "1"] })),
        /** Why tests on it are left out, or false. */
        skip: mounted ? false : "skipped: a file system cannot be mounted here",
        /** Fills what is free, but for some bytes. @param {number} left */
        fill(left) {
            const { bavail, bsize } = statfsSync(folder);
            const size = Math.max(0, bavail * bsize - left);
            try {
                appendFileSync(filler, Buffer.alloc(size, 1));
            } catch (error) {
                if (/** @type {any} */ (error).code !== "ENOSPC") throw error; // as much as there was
            }
        },
        empty: () => rmSync(filler, { force: true }),
    };
}

export const sleep = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));

/**
 * A file of numbers.
 * @param {string} path
 * @param {string} type
 * @param {number[]} shape
 * @param {Uint8Array} bytes
 */
function writeNpy(path, type, shape, bytes) {
    const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`.padEnd(117) + "\n";
    const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
    writeFileSync(path, Buffer.concat([start, Buffer.from(text), bytes]));
}

/** Pictures of three classes below a data directory, 256 of 1 × 8 × 8. @param {string} data */
export function writePictures(data) {
    const folder = join(data, "datasets/pictures");
    const dice = random(3);
    const x = Float32Array.from({ length: 256 * 64 }, (_, i) => dice.next() + Number(i % 3 === Math.floor(i / 64) % 3));
    mkdirSync(folder, { recursive: true });
    writeNpy(join(folder, "train_x.npy"), "<f4", [256, 1, 8, 8], new Uint8Array(x.buffer));
    writeNpy(
        join(folder, "train_y.npy"),
        "|u1",
        [256],
        Uint8Array.from({ length: 256 }, (_, i) => i % 3),
    );
}

/** Jobs of some seconds with many rows, of every kind of network. */
export const kinds = [
    smallSpec("mlp", "batch", 0.1, { epochs: 60, optimiser: { name: "adam", learning_rate: 0.001 } }),
    {
        dataset: { name: "npy", path: "pictures" },
        model: {
            layers: [
                { type: "conv", channels: 4, padding: 1, variant: "batch" },
                { type: "leaky-relu" },
                { type: "max-pool" },
                { type: "flatten" },
                { type: "dense", units: 3 },
            ],
        },
        optimiser: { learning_rate: 0.02, momentum: 0.9 },
        batch_size: 16,
        epochs: 40,
    },
    {
        dataset: { name: "npy", path: "pictures" },
        model: {
            layers: [
                { type: "patch-embed", patch: 4, dim: 8, positions: true },
                { type: "residual", layers: [{ type: "attention", heads: 2 }] },
                { type: "mean-tokens" },
                { type: "dense", units: 3 },
            ],
        },
        optimiser: { learning_rate: 0.05, schedule: "cosine" },
        batch_size: 16,
        epochs: 40,
    },
].map((kind) => ({ ...kind, probe: { schedule: "every", every: 40 }, checkpoint_every: 50 }));

/** The rows of a query, as objects. @param {string} path @param {string} sql @returns {any[]} */
export function query(path, sql) {
    const out = execFileSync("sqlite3", ["-readonly", "-json", "-cmd", ".timeout 5000", path, sql], {
        encoding: "utf8",
        maxBuffer: 1 << 28,
    });
    return out ? JSON.parse(out) : [];
}

/** The first value of a query. @param {string} path @param {string} sql @returns {any} */
export const value = (path, sql) => Object.values(query(path, sql)[0])[0];

/**
 * The workers of a data directory that live, those that were stopped by a signal too.
 * @param {string} data
 * @returns {{ pid: number, job: number }[]}
 */
export function workers(data) {
    const found = [];
    for (const name of readdirSync("/proc")) {
        if (!/^\d+$/.test(name)) continue;
        try {
            const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
            const at = words.indexOf("--run");
            if (words[1] !== "work" || at < 0 || words[2] === "--seal" || !words[at + 1].startsWith(`${data}/runs/`))
                continue;
            const state = readFileSync(`/proc/${name}/stat`, "utf8").split(") ")[1][0];
            if (state !== "Z" && state !== "X")
                found.push({ pid: Number(name), job: parseInt(words[at + 1].slice(data.length + 6), 10) });
        } catch {
            // it has ended meanwhile
        }
    }
    return found;
}

const SAME = [
    ["step, key, value, nonfinite", "scalars WHERE key NOT IN ('steps_per_second', 'probe_share')"],
    ["*", "divergence"],
    ["*", "divergence_summary"],
    ["*", "divergence_batch"],
    ["*", "density"],
    ["*", "contributors"],
    ["*", "sample_steps"],
    ["*", "sites"],
    ["safetensors", "weights"],
    ["spec_hash, state, steps, parameters", "run"],
];

/** Every row and the final weights are the same bits, times excepted. @param {string} one @param {string} other */
export function assertSameRun(one, other) {
    for (const [columns, from] of SAME) {
        const a = `SELECT ${columns} FROM main.${from}`;
        const b = `SELECT ${columns} FROM other.${from}`;
        const [row] = query(
            one,
            `ATTACH '${other}' AS other; SELECT (SELECT count(*) FROM (${a})) AS a, (SELECT count(*) FROM (${b})) AS b, (SELECT count(*) FROM (${a} EXCEPT ${b})) AS differ`,
        );
        assert.ok(
            (row.a > 0 || ["contributors", "density"].includes(from)) && row.a === row.b && row.differ === 0,
            `${one} and ${other}: ${JSON.stringify(row)} ${from}`,
        );
    }
}

/** The catalog is whole, and each job is in the state that its last change says. @param {string} data */
export function assertCatalog(data) {
    const catalog = join(data, "catalog.db");
    assert.equal(value(catalog, "PRAGMA integrity_check"), "ok");
    assert.equal(
        value(
            catalog,
            "SELECT count(*) FROM job WHERE state <> (SELECT s.state FROM job_state AS s WHERE s.job = job.id ORDER BY s.id DESC LIMIT 1)",
        ),
        0,
    );
    assert.equal(
        value(catalog, "SELECT count(*) = coalesce(max(id) - min(id) + 1, 0) FROM event"),
        1,
        "events without a gap",
    );
}

/** Every run file that is there is whole. @param {string} data */
export function assertRuns(data) {
    for (const name of readdirSync(join(data, "runs")))
        if (name.endsWith(".db") && existsSync(join(data, "runs", name)))
            assert.equal(value(join(data, "runs", name), "PRAGMA integrity_check"), "ok", name);
}
