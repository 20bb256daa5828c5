// Jobs over REST: submitted, followed to their end, refused where the spec is wrong.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { api, ask, ended, finishedJob, longSpec, run, smallSpec, startDaemon, until } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
before(async () => void (daemon = await startDaemon({ flags: ["--workers", "2"] })));
after(async () => {
    await daemon.stop();
    daemon.remove();
});

const post = (/** @type {unknown} */ body, path = "/jobs") => ask(daemon.base, path, { body });

/** An IDX file. @param {number} type @param {number[]} dims @param {Buffer} bytes */
function idx(type, dims, bytes) {
    const head = Buffer.alloc(4 + 4 * dims.length);
    head[2] = type;
    head[3] = dims.length;
    dims.forEach((n, i) => head.writeUInt32BE(n, 4 + 4 * i));
    return Buffer.concat([head, bytes]);
}

/** A NumPy file. @param {string} type @param {number[]} shape @param {Buffer} bytes */
function npy(type, shape, bytes) {
    const head = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
    const padded = head.padEnd(Math.ceil((10 + head.length + 1) / 64) * 64 - 11) + "\n";
    return Buffer.concat([
        Buffer.from("\x93NUMPY\x01\0", "latin1"),
        Buffer.from([padded.length & 255, padded.length >> 8]),
        Buffer.from(padded),
        bytes,
    ]);
}

describe("a job that is right", () => {
    test("is answered with its id and where it is, and trained to its end", async () => {
        const { status, headers, json } = await post(smallSpec("right", "affine-like", 0.3));
        assert.equal(status, 201);
        assert.equal(headers.get("location"), `/api/v1/jobs/${json.id}`);
        assert.equal(json.spec.optimiser.momentum, 0, "defaults are written out");
        assert.match(json.spec_hash, /^[0-9a-f]{64}$/);
        assert.ok(["queued", "running"].includes(json.state));
        const job = await ended(daemon.base, json.id);
        assert.equal(job.state, "finished");
        assert.equal(job.progress.step, job.progress.steps);
        assert.ok(job.results["test/accuracy"] > 0.5);
        assert.deepEqual(Object.keys(job.results.median_scale), ["1.dense", "3.dense", "5.dense"]);
        assert.match(job.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    });

    test("can be checked without being started", async () => {
        const before = (await api(daemon.base, "/jobs")).items.length;
        const spec = smallSpec("checked", "affine", 0.1);
        const { status, json } = await post(spec, "/jobs?validate_only=true");
        assert.equal(status, 200);
        assert.equal(json.valid, true);
        assert.equal(json.cost.steps, 4 * (2048 / 32));
        assert.deepEqual(json.cost.sites, ["1.dense", "3.dense", "5.dense"]);
        assert.equal((await api(daemon.base, "/jobs")).items.length, before);
    });

    test("gives the same bits twice", async () => {
        const spec = smallSpec("twice", "affine", 0.05, { epochs: 2 });
        const [one, two] = await Promise.all([finishedJob(daemon.base, spec), finishedJob(daemon.base, spec)]);
        const rows = async (/** @type {number} */ id) => (await api(daemon.base, `/jobs/${id}/divergence`)).items;
        assert.deepEqual(await rows(one.id), await rows(two.id));
        const key = "keys=train/loss,test/accuracy,gradient_norm";
        assert.deepEqual(
            (await api(daemon.base, `/jobs/${one.id}/metrics?${key}`)).series,
            (await api(daemon.base, `/jobs/${two.id}/metrics?${key}`)).series,
        );
    });

    test("is cancelled while it runs, and keeps its rows", async () => {
        const { id } = await api(daemon.base, "/jobs", {
            ...longSpec("cancelled"),
            probe: { schedule: "every", every: 50 },
        });
        await until("it has measured", async () => (await api(daemon.base, `/jobs/${id}`)).progress.step > 200);
        assert.equal((await ask(daemon.base, `/jobs/${id}/cancel`, { method: "POST" })).status, 200);
        const job = await ended(daemon.base, id);
        assert.equal(job.state, "cancelled");
        assert.ok((await api(daemon.base, `/jobs/${id}/divergence?max_results=10`)).items.length === 10);
        const again = await ask(daemon.base, `/jobs/${id}/cancel`, {
            method: "POST",
        });
        assert.equal(again.status, 409);
        assert.equal(again.json.code, "wrong_state");
    });

    test("that diverges says at which step and site, and keeps its rows", async () => {
        const spec = smallSpec("too far", "affine", 1e30, {
            model: {
                preset: "mlp",
                width: 32,
                depth: 2,
                variant: "affine",
                activation: "relu",
            },
        });
        const { id } = await api(daemon.base, "/jobs", spec);
        const job = await ended(daemon.base, id);
        assert.equal(job.state, "diverged");
        assert.match(job.reason, /step \d+/);
        assert.match(job.reason, /\d+\.(dense|relu)/);
        assert.ok((await api(daemon.base, `/jobs/${id}/divergence`)).items.length > 0);
        const { series } = await api(daemon.base, `/jobs/${id}/metrics`);
        const values = series.flatMap((/** @type {any} */ one) => one.values);
        assert.ok(values.some((/** @type {unknown} */ value) => value === "NaN" || value === "Infinity"));
        const lines = (await ask(daemon.base, `/jobs/${id}/export?what=metrics&format=csv`)).bytes.toString();
        assert.match(lines, /^[\w/]+,\d+,(NaN|Infinity)\r?$/m);
    });
});

describe("lists", () => {
    test("come in pages that hold each job once", async () => {
        const all = (await api(daemon.base, "/jobs?max_results=1000")).items.map((/** @type {any} */ job) => job.id);
        const paged = [];
        let token = "";
        do {
            const page = await api(daemon.base, `/jobs?max_results=2${token && `&page_token=${token}`}`);
            paged.push(...page.items.map((/** @type {any} */ job) => job.id));
            token = page.next_page_token;
        } while (token);
        assert.deepEqual(paged, all);
        const { status, json } = await ask(daemon.base, "/jobs?page_token=none");
        assert.equal(status, 400);
        assert.match(json.detail, /page_token/);
    });

    test("are filtered and ordered, and a state narrows what a filter wants", async () => {
        const ids = async (/** @type {Record<string, string>} */ query) =>
            (await api(daemon.base, `/jobs?${new URLSearchParams({ max_results: "1000", ...query })}`)).items.map(
                (/** @type {any} */ job) => job.id,
            );
        const all = await ids({});
        assert.deepEqual(
            all,
            [...all].sort((a, b) => b - a),
        );
        assert.deepEqual(await ids({ order_by: "id" }), [...all].reverse());
        assert.deepEqual(
            await ids({
                filter: `id = ${all[0]} OR id = ${all[1]}`,
                order_by: "id asc",
            }),
            [all[1], all[0]],
        );
        const diverged = await ids({ state: "diverged" });
        assert.ok(diverged.length > 0 && diverged.length < all.length);
        assert.deepEqual(await ids({ filter: "state = 'diverged'" }), diverged);
        const others = "id > 0 OR state != 'diverged'";
        assert.deepEqual(await ids({ state: "diverged", filter: others }), diverged);
        assert.deepEqual(await ids({ state: "diverged", filter: " " }), diverged);
        assert.deepEqual(await ids({ state: "diverged", filter: "NOT state = 'diverged'" }), []);
        const both = await ids({ state: "finished,diverged" });
        assert.ok(both.length > diverged.length);
        assert.deepEqual(await ids({ filter: "state IN ('finished', 'diverged')" }), both);
        assert.deepEqual(await ids({ state: "failed,diverged", filter: others }), diverged);
        assert.deepEqual(await ids({ trashed: "true" }), []);
        const first = await api(daemon.base, "/jobs?max_results=1&state=finished");
        const foreign = `/jobs?max_results=1&state=diverged&page_token=${first.next_page_token}`;
        assert.equal((await ask(daemon.base, foreign)).status, 400);
    });

    test("refuse a filter or an order that is none, with its column, and one that closes what it is put into", async () => {
        for (const [query, detail] of [
            [{ filter: "nme = 'x'" }, /filter, column 1: there is no field nme/],
            [{ filter: "nme = 'x'", state: "finished" }, /filter, column 1: there is no field nme/],
            [{ filter: "id = 0) OR (id > 0", state: "finished" }, /filter, column 7/],
            [{ order_by: "created_at upwards" }, /order_by, column 12/],
        ]) {
            const { status, json } = await ask(
                daemon.base,
                `/jobs?${new URLSearchParams(/** @type {Record<string, string>} */ (query))}`,
            );
            assert.equal(status, 400);
            assert.equal(json.code, "invalid_parameter");
            assert.match(json.detail, /** @type {RegExp} */ (detail));
        }
    });

    test("refuse parameters that they do not have", async () => {
        for (const [query, detail] of [
            ["max_result=5", /max_result/],
            ["max_results=0", /max_results.*1/],
            ["max_results=many", /max_results/],
            ["state=done", /state/],
            ["state=queued,done", /state\/1: Must be one of queued/],
            ["state=queued,queued", /state\/1: Is named twice/],
            ["state=queued&state=running", /once/],
            ["state=%ff%00", /escape/],
        ]) {
            const { status, json } = await ask(daemon.base, `/jobs?${query}`);
            assert.equal(status, 400, String(query));
            assert.equal(json.code, "invalid_parameter");
            assert.match(json.detail, /** @type {RegExp} */ (detail));
        }
    });
});

describe("a spec that is wrong", () => {
    const right = () => smallSpec("wrong", "affine", 0.1);
    /** @type {[string, (spec: any) => void, string, RegExp][]} */
    const cases = [
        ["an unknown key", (s) => (s.optimizer = {}), "/optimizer", /optimiser/],
        ["an unknown key of a part", (s) => (s.probe.every_step = 1), "/probe/every_step", /./],
        ["a wrong type", (s) => (s.epochs = "five"), "/epochs", /whole number/],
        ["a missing key", (s) => delete s.dataset, "/dataset", /./],
        [
            "a learning rate that climbs",
            (s) => (s.optimiser.learning_rate = -0.05),
            "/optimiser/learning_rate",
            /climb/,
        ],
        ["an unknown variant", (s) => (s.model.variant = "afine"), "/model/variant", /affine/],
        ["too many samples in a batch", (s) => (s.batch_size = 5000), "/batch_size", /2048/],
        ["a sample to watch that there is not", (s) => (s.probe.watch = [2048]), "/probe/watch/0", /2048/],
        ["a site that there is not", (s) => (s.probe.sites = ["9.dense"]), "/probe/sites/0", /1\.dense/],
        [
            "an impossible shape",
            (s) => (s.model = { layers: [{ type: "dense", units: 3 }] }),
            "/model/layers/0",
            /4 classes|classes/,
        ],
        [
            "a kernel larger than its input",
            (s) => (s.model = { layers: [{ type: "conv", channels: 4, kernel: 3 }] }),
            "/model/layers/0",
            /./,
        ],
    ];
    for (const [name, spoil, pointer, detail] of cases)
        test(`is refused: ${name}`, async () => {
            const before = (await api(daemon.base, "/queue")).states;
            const spec = right();
            spoil(spec);
            const { status, headers, json } = await post(spec);
            assert.equal(status, 422, JSON.stringify(json));
            assert.match(headers.get("content-type") ?? "", /^application\/problem\+json/);
            assert.equal(json.status, 422);
            assert.equal(json.code, "invalid_spec");
            const fault = json.errors.find((/** @type {any} */ e) => e.pointer.startsWith(pointer));
            assert.ok(fault, `${pointer} is named in ${JSON.stringify(json.errors)}`);
            assert.match(fault.detail, detail);
            assert.deepEqual((await api(daemon.base, "/queue")).states, before, "nothing was started");
        });

    test("is refused with all its faults at once", async () => {
        const { json } = await post({
            ...right(),
            epochs: 0,
            batch_size: "x",
            colour: 1,
        });
        const places = json.errors.map((/** @type {any} */ e) => e.pointer).sort();
        assert.deepEqual(places, ["/batch_size", "/colour", "/epochs"]);
    });
});

describe("a data set that is wrong", () => {
    const spec = (/** @type {string} */ name, /** @type {object} */ more = {}) => ({
        ...smallSpec("data", "affine", 0.1),
        dataset: { name, ...more },
        model: {
            preset: "mlp",
            width: 4,
            depth: 1,
            variant: "affine",
            activation: "tanh",
        },
    });
    /** @param {Record<string, Buffer>} files */
    const mnist = (files) => {
        const folder = join(daemon.data, "datasets", "mnist");
        mkdirSync(folder, { recursive: true });
        const images = idx(8, [64, 4, 4], Buffer.alloc(64 * 16, 7));
        const labels = idx(8, [64], Buffer.from(Array.from({ length: 64 }, (_, i) => i % 10)));
        const all = {
            "train-images-idx3-ubyte.gz": gzipSync(images),
            "train-labels-idx1-ubyte.gz": gzipSync(labels),
            "t10k-images-idx3-ubyte.gz": gzipSync(images),
            "t10k-labels-idx1-ubyte.gz": gzipSync(labels),
            ...files,
        };
        for (const [name, bytes] of Object.entries(all)) writeFileSync(join(folder, name), bytes);
        return { images, labels };
    };
    /** Submits it and gives what was said, whether at once or at the job's end. @param {object} body */
    const refused = async (body) => {
        const { status, json } = await post(body);
        if (status === 422) return json.detail + JSON.stringify(json.errors);
        assert.equal(status, 201, JSON.stringify(json));
        const job = await ended(daemon.base, json.id);
        assert.equal(job.state, "failed");
        return job.reason;
    };

    test("is missing", async () => {
        const { status, json } = await post(spec("npy", { path: "not-there", classes: 2 }));
        assert.equal(status, 422);
        assert.equal(json.code, "dataset_not_found");
        assert.match(json.detail, /not-there/);
    });

    test("is NumPy's: the classes of a preset are those of its labels", async () => {
        const folder = join(daemon.data, "datasets", "mine");
        mkdirSync(folder, { recursive: true });
        const x = Float32Array.from({ length: 48 * 5 }, (_, i) => Math.sin(i));
        writeFileSync(join(folder, "train_x.npy"), npy("<f4", [48, 5], Buffer.from(x.buffer)));
        writeFileSync(
            join(folder, "train_y.npy"),
            npy("|u1", [48], Buffer.from(Array.from({ length: 48 }, (_, i) => i % 3))),
        );
        const dataset = { name: "npy", path: "mine" };
        const body = {
            dataset,
            model: { preset: "mlp", width: 8, depth: 1 },
            batch_size: 16,
            epochs: 2,
        };
        const job = await finishedJob(daemon.base, body);
        assert.equal(job.spec.model.layers.at(-1).units, 3);
        assert.equal((await api(daemon.base, "/jobs?validate_only=true", job.spec)).spec_hash, job.spec_hash);
        const study = await post({ base: body, grid: { "/model/width": [4, 8] } }, "/studies");
        assert.deepEqual([study.status, study.json.jobs], [201, 2], JSON.stringify(study.json));
        const file = join(daemon.data, "spec.json");
        writeFileSync(file, JSON.stringify(body));
        const check = await run(["check", file, "--json", "--data", daemon.data]);
        assert.equal(check.code, 0, check.err);
        assert.equal(JSON.parse(check.out).spec_hash, job.spec_hash);
        for (const [path, pointer] of [
            ["nowhere", "/dataset/name"],
            ["../mine", "/dataset/path"],
        ]) {
            const { status, json } = await post({
                ...body,
                dataset: { name: "npy", path },
            });
            assert.deepEqual([status, json.errors.length, json.errors[0].pointer], [422, 1, pointer], path);
        }
    });

    test("is a broken .gz", async () => {
        const { images } = mnist({});
        const packed = gzipSync(images);
        packed[packed.length >> 1] ^= 0xff;
        packed.fill(0xff, packed.length - 12);
        mnist({ "train-images-idx3-ubyte.gz": packed });
        assert.match(await refused(spec("mnist")), /train-images-idx3-ubyte\.gz/);
    });

    test("is a truncated IDX file", async () => {
        const { images } = mnist({});
        mnist({ "train-images-idx3-ubyte.gz": gzipSync(images.subarray(0, 500)) });
        assert.match(await refused(spec("mnist")), /train-images-idx3-ubyte\.gz/);
    });

    test("has labels out of range", async () => {
        mnist({
            "train-labels-idx1-ubyte.gz": gzipSync(idx(8, [64], Buffer.alloc(64, 200))),
        });
        assert.match(await refused(spec("mnist")), /200/);
    });

    test("is right again once the file is", async () => {
        mnist({});
        const job = await finishedJob(daemon.base, {
            ...spec("mnist"),
            batch_size: 16,
        });
        assert.equal(job.progress.step, 16);
    });
});

describe("weights", () => {
    test("go out as safetensors and come in again", async () => {
        const first = await finishedJob(daemon.base, smallSpec("source", "affine", 0.05));
        const answer = await fetch(`${daemon.base}/api/v1/jobs/${first.id}/weights.safetensors`);
        assert.equal(answer.status, 200);
        const bytes = Buffer.from(await answer.arrayBuffer());
        const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0))).toString());
        assert.deepEqual(header["layers.1.weight"].shape, [32, 16]);
        assert.deepEqual(header["layers.5.bias"].shape, [4]);
        mkdirSync(join(daemon.data, "weights"), { recursive: true });
        writeFileSync(join(daemon.data, "weights", "start.safetensors"), bytes);
        const spec = smallSpec("continued", "affine", 1e-12, {
            epochs: 1,
            weights: "start.safetensors",
        });
        const second = await finishedJob(daemon.base, spec);
        assert.ok(Math.abs(second.results["test/loss"] - first.results["test/loss"]) < 1e-4);
    });

    test("that are not there, or another model's, are refused before anything is started", async () => {
        const spec = smallSpec("other", "affine", 0.1, {
            weights: "none.safetensors",
        });
        const none = await post(spec);
        assert.equal(none.status, 422);
        assert.equal(none.json.errors[0].pointer, "/weights");
        assert.match(none.json.errors[0].detail, /none\.safetensors does not exist/);
        spec.weights = "start.safetensors";
        spec.model.width = 31;
        const { status, json } = await post(spec);
        assert.equal(status, 422);
        assert.equal(json.errors[0].pointer, "/weights");
        assert.match(json.errors[0].detail, /"layers\.1\.weight" is 32×16, the model needs 31×16/);
        const path = join(daemon.data, "other.json");
        writeFileSync(path, JSON.stringify(spec));
        for (const command of ["check", "run"]) {
            const { code, err } = await run([command, "--data", daemon.data, path]);
            assert.equal(code, 1);
            assert.match(err, /other\.json: \/weights: .*the model needs 31×16/);
        }
    });

    test("are not looked for outside their folder", async () => {
        writeFileSync(join(daemon.data, "outside.safetensors"), readFileSync(process.execPath).subarray(0, 64));
        for (const weights of ["../outside.safetensors", "/etc/passwd", "a/../../outside.safetensors"]) {
            const { status, json } = await post(smallSpec("outside", "affine", 0.1, { weights }));
            assert.equal(status, 422, weights);
            assert.equal(json.errors[0].pointer, "/weights");
        }
    });
});
