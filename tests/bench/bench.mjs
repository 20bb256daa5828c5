/**
 * Plumbline and the peer in turn on the same shapes and the same images, on one thread, and the ratio of their steps per
 * second with its spread over the rounds.
 *
 *     node tests/bench/bench.mjs build/bench_plumbline [--rounds N] [--seconds S] [--models mlp,cnn,patchnorm,vit]
 *
 * The peer (../shared/peer) is tuned as its README says: channels last, memory kept by the allocator, the cheaper form.
 * Both sides run with each of OpenBLAS's kernels in question, and each side counts with the one that suits it better.
 * Speeds are steps per second of processor time, which is what a machine would give that does nothing else; the load of
 * other programs is told beside them.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { randomBytes } from "node:crypto";

const PEER = resolve("../shared/peer");
const KERNELS = [null, "Haswell"]; // what OpenBLAS takes by itself, and the one that thin products like better

const { values: options, positionals } = parseArgs({
    allowPositionals: true,
    options: {
        rounds: { type: "string", default: "3" },
        seconds: { type: "string", default: "0.4" },
        models: { type: "string", default: "mlp,cnn,patchnorm,vit" },
    },
});
const program = positionals[0] ?? "build/bench_plumbline";
const rounds = Number(options.rounds);
const BLOCKS = 3;

/** The peer's program and flags for each model. */
const PEERS = {
    mlp: ["peer_mlp.py", "--width", "128", "--depth", "3", "--batch", "128", "--form", "auto"],
    cnn: ["peer_conv.py", "--batch", "64", "--memory", "channels_last"],
    patchnorm: ["peer_conv.py", "--batch", "64", "--memory", "channels_last", "--layer", "patchnorm"],
    vit: ["peer_attn.py", "--batch", "64"],
};
const NAMES = {
    mlp: "MLP 3×128, batch 128",
    cnn: "CNN 32–64, batch 64",
    patchnorm: "CNN 32–64, PatchNorm",
    vit: "ViT d 64, batch 64",
};

/** A folder with CIFAR-10's files: the real ones where they are, else of random bytes. */
function findImages(scratch) {
    const real = resolve("../shared/datasets/cifar-10-batches-bin");
    if (existsSync(join(real, "data_batch_1.bin"))) return { folder: resolve("../shared/datasets"), made: false };
    const folder = join(scratch, "cifar-10-batches-bin");
    mkdirSync(folder);
    const bytes = randomBytes(10000 * 3073);
    for (let i = 0; i < 10000; i++) bytes[i * 3073] %= 10;
    for (const name of ["data_batch_1.bin", "test_batch.bin"]) writeFileSync(join(folder, name), bytes);
    return { folder: scratch, made: true };
}

function environment(kernel) {
    const env = {
        ...process.env,
        OPENBLAS_NUM_THREADS: "1",
        OMP_NUM_THREADS: "1",
        MALLOC_MMAP_THRESHOLD_: "4000000000",
        MALLOC_TRIM_THRESHOLD_: "8000000000",
    };
    delete env.OPENBLAS_CORETYPE;
    if (kernel) env.OPENBLAS_CORETYPE = kernel;
    return env;
}

function run(command, args, kernel) {
    const text = execFileSync(command, args, {
        env: environment(kernel),
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
    });
    return JSON.parse(text.trim().split("\n").at(-1));
}

function runOurs(model, images, scratch, kernel) {
    const file = join(scratch, "ours.db");
    rmSync(file, { force: true });
    const line = run(program, [model, images.folder, file, String(BLOCKS), options.seconds], kernel);
    return {
        kernel: line.kernel,
        off: line.off.cpu,
        rows: line.rows.cpu,
        summaries: line.summaries.cpu,
        split: line.split.cpu,
        whole: line.whole.cpu,
    };
}

function runPeer(model, images, scratch, kernel, python) {
    const file = join(scratch, "peer.db");
    rmSync(file, { force: true });
    const [script, ...flags] = PEERS[model];
    const data = join(images.folder, "cifar-10-batches-bin");
    const timing = [
        "--probe-every",
        "1",
        "--db",
        file,
        "--data",
        data,
        "--blocks",
        String(BLOCKS),
        "--seconds",
        options.seconds,
    ];
    const line = run(python, [join(PEER, script), ...flags, ...timing], kernel);
    return { off: line.base_steps_per_cpu_s, rows: line.steps_per_cpu_s };
}

function findPython() {
    if (!existsSync(join(PEER, "peer_mlp.py"))) return null;
    for (const python of ["/usr/bin/python3", "python3"])
        try {
            execFileSync(python, ["-c", "import torch"], { stdio: "ignore" });
            return python;
        } catch {
            continue;
        }
    return null;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

/** The kernel with which a side is faster with the probe on, and its rounds. */
function better(byKernel) {
    return [...byKernel].sort((a, b) => median(b.map((r) => r.rows)) - median(a.map((r) => r.rows)))[0];
}

function ratioText(ours, peers, key) {
    const ratios = ours.map((round, i) => round[key] / peers[i][key]);
    const spread = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`;
    return `${median(ratios).toFixed(2)} (${spread})`;
}

function main() {
    const scratch = mkdtempSync(join(tmpdir(), "plumbline-bench-"));
    try {
        const images = findImages(scratch);
        const python = findPython();
        if (images.made) console.log("No ../shared/datasets: random images.");
        if (!python) console.log("No ../shared/peer, or no python3 with torch: our own speeds alone.");
        console.log(
            `steps per second of processor time, medians of ${rounds} rounds; load before: ${loadavg()[0].toFixed(1)}\n`,
        );
        console.log(
            "| | probe off: ours / peer | ratio | probe every step, the same rows to SQLite: ours / peer | ratio | ours with summaries | and the split | and the loss after | kernels |",
        );
        console.log("|---|---|---|---|---|---|---|---|---|");
        for (const model of options.models.split(",")) {
            const ours = KERNELS.map(() => []);
            const peers = KERNELS.map(() => []);
            for (let round = 0; round < rounds; round++)
                for (const [k, kernel] of KERNELS.entries()) {
                    ours[k].push(runOurs(model, images, scratch, kernel));
                    if (python)
                        peers[k].push({
                            ...runPeer(model, images, scratch, kernel, python),
                            kernel,
                        });
                }
            const our = better(ours);
            const peer = python ? better(peers) : null;
            const of = (rounds_, key) => median(rounds_.map((r) => r[key])).toFixed(1);
            const both = (key) => (peer ? `${of(our, key)} / ${of(peer, key)}` : of(our, key));
            const ratio = (key) => (peer ? ratioText(our, peer, key) : "–");
            const kernels = `${our[0].kernel}${peer ? ` / ${peer[0].kernel ?? "own choice"}` : ""}`;
            console.log(
                `| ${NAMES[model]} | ${both("off")} | ${ratio("off")} | ${both("rows")} | ${ratio("rows")} ` +
                    `| ${of(our, "summaries")} | ${of(our, "split")} | ${of(our, "whole")} | ${kernels} |`,
            );
        }
    } finally {
        rmSync(scratch, { recursive: true, force: true });
    }
}

main();
