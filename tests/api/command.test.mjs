// The command line: help, exit codes, what is refused before anything is started.
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { finishedJob, run, smallSpec, startDaemon, temporary } from "../daemon.mjs";

const place = temporary();
after(() => rmSync(place, { recursive: true, force: true }));

/** @param {string} name @param {unknown} spec */
function file(name, spec) {
    const path = join(place, name);
    writeFileSync(path, typeof spec === "string" ? spec : JSON.stringify(spec));
    return path;
}

test("migrate takes run files alone", async () => {
    const foreign = file("foreign.db", "no database, but as long as the header of one would be: ".repeat(4));
    for (const [path, message] of [
        [join(place, "nowhere.db"), /migrate: \S*nowhere\.db: cannot open: unable to open/],
        [file("empty.db", ""), /empty\.db: it is no run file/],
        [foreign, /foreign\.db: .*not a database/],
    ]) {
        const { code, out, err } = await run(["migrate", String(path)]);
        assert.equal(code, 1);
        assert.match(err, /** @type {RegExp} */ (message));
        assert.match(out, /^0 of 1 run files were brought to this version; 1 failed\n$/);
    }
});

describe("every command", () => {
    test("explains itself", async () => {
        for (const args of [
            ["--help"],
            ["serve", "--help"],
            ["run", "--help"],
            ["check", "--help"],
            ["version", "--help"],
        ]) {
            const { code, out, err } = await run(args);
            assert.equal(code, 0, args.join(" "));
            assert.match(out, /^Usage: plumbline/);
            assert.equal(err, "");
        }
        assert.match((await run(["serve", "--help"])).out, /PLUMBLINE_WORKERS/);
    });

    test("answers wrong use with 2", async () => {
        for (const args of [
            [],
            ["sreve"],
            ["serve", "--wrkers", "2"],
            ["run"],
            ["check", "a", "b"],
            ["version", "x"],
        ]) {
            const { code, out, err } = await run(args);
            assert.equal(code, 2, args.join(" "));
            assert.equal(out, "");
            assert.match(err, /plumbline/);
        }
    });
});

describe("serve refuses", () => {
    /** @type {[string, string[], Record<string, string>, RegExp][]} */
    const cases = [
        ["a port that is none", ["--listen", "127.0.0.1:99999"], {}, /--listen.*127\.0\.0\.1:8420/],
        ["no workers", ["--workers", "0"], {}, /--workers: .*1/],
        ["a number that is none", [], { PLUMBLINE_WORKERS: "many" }, /PLUMBLINE_WORKERS: .*whole number/],
        ["a file that is none", ["--config", file("broken.json", "{")], {}, /broken\.json.*line 1/],
        [
            "a key that there is not",
            ["--config", file("key.json", { worker: 2 })],
            {},
            /key\.json: \/worker: .*workers/,
        ],
    ];
    for (const [name, flags, env, message] of cases)
        test(name, async () => {
            const { code, err } = await run(["serve", "--data", join(place, "never"), ...flags], { env });
            assert.equal(code, 2);
            assert.match(err, message);
            assert.equal(existsSync(join(place, "never")), false);
        });

    test("to listen for others without knowing who they are", async () => {
        const { code, err } = await run(["serve", "--listen", "0.0.0.0:0", "--data", join(place, "open")]);
        assert.equal(code, 1);
        assert.match(err, /0\.0\.0\.0/);
    });

    test("a port in use, and a data directory in use", async () => {
        const daemon = await startDaemon();
        const port = await run(["serve", "--listen", daemon.listen, "--data", join(place, "second")]);
        assert.equal(port.code, 1);
        assert.match(port.err, /in use.*--listen/);
        const data = await run(["serve", "--listen", "127.0.0.1:0", "--data", daemon.data]);
        assert.equal(data.code, 1);
        assert.match(data.err, new RegExp(`pid ${daemon.pid}`));
        assert.equal((await fetch(`${daemon.base}/healthz`)).status, 200);
        await daemon.stop();
        daemon.remove();
    });

    test("a data directory that cannot be written", async (t) => {
        const under = await run(["serve", "--listen", "127.0.0.1:0", "--data", join(file("plain", "x"), "data")]);
        assert.equal(under.code, 1);
        assert.match(under.err, /data directory/);
        if (process.getuid?.() === 0) return t.skip("root may write anywhere");
        const locked = join(place, "locked");
        mkdirSync(locked);
        chmodSync(locked, 0o500);
        const { code, err } = await run(["serve", "--listen", "127.0.0.1:0", "--data", locked]);
        assert.equal(code, 1);
        assert.match(err, /locked/);
    });
});

test("an address is told as it was given", async () => {
    for (const listen of ["[::]:0", "0.0.0.0:0"]) {
        const { code, err } = await run(["serve", "--listen", listen, "--data", join(place, "told")]);
        assert.equal(code, 1);
        assert.ok(err.includes(`--listen ${listen} asks everyone for a token`), err);
    }
});

test("what the server keeps is its owner's alone; a config file that is not there is named", async () => {
    const daemon = await startDaemon();
    await finishedJob(daemon.base, smallSpec("kept", "affine", 0.02, { epochs: 1 }));
    await daemon.stop(); // while it runs, files come and go
    const kept = readdirSync(daemon.data, { recursive: true }).map(String);
    assert.ok(kept.includes("catalog.db") && kept.includes(join("runs", "1.db")), kept.join());
    for (const name of kept) assert.equal(statSync(join(daemon.data, name)).mode & 0o077, 0, name);
    daemon.remove();
    const { code, err } = await run(["serve", "--config", join(place, "nowhere.json")]);
    assert.equal(code, 2);
    assert.match(err, /nowhere\.json cannot be read: No such file/);
});

describe("check", () => {
    test("prints the expanded spec and its cost", async () => {
        const path = file("right.json", smallSpec("right", "affine-like", 0.1));
        const text = await run(["check", path]);
        assert.equal(text.code, 0, text.err);
        assert.match(text.out, /affine-like/);
        assert.match(text.out, /1,?732 parameters/);
        const some = smallSpec("some", "affine", 0.05, { probe: { schedule: "every", every: 64, sites: ["3.dense"] } });
        // 256 steps, of them 1, 65, 129 and 193
        assert.match(
            (await run(["check", file("some.json", some)])).out,
            /\n4 probed steps at 1 sites: up to 128 rows/,
        );
        const { valid, spec, cost } = JSON.parse((await run(["check", path, "--json"])).out);
        assert.equal(valid, true);
        assert.equal(spec.model.layers[1].bias, true);
        assert.equal(cost.parameters, 16 * 32 + 32 + 32 * 32 + 32 + 32 * 4 + 4);
    });

    test("says what is wrong, and where", async () => {
        const { code, out, err } = await run([
            "check",
            file("wrong.json", { ...smallSpec("w", "affine", 0), epoch: 1 }),
        ]);
        assert.equal(code, 1);
        assert.equal(out, "");
        assert.match(err, /wrong\.json: \/epoch: /);
        assert.match(err, /wrong\.json: \/optimiser\/learning_rate: /);
        assert.equal((await run(["check", join(place, "none.json")])).code, 1);
        for (const [wrong, pointers] of /** @type {[string, string[]][]} */ ([
            [
                file("wrong.json", { dataset: { name: "synthetic" }, epochs: 0, nonsense: 1 }),
                ["/nonsense", "/epochs", "/model"],
            ],
            [join(place, "none.json"), [""]],
        ])) {
            const { code, out } = await run(["check", wrong, "--json"]);
            const { valid, errors } = JSON.parse(out);
            assert.deepEqual([code, valid], [1, false]);
            assert.deepEqual(errors.map((/** @type {any} */ fault) => fault.pointer).sort(), pointers.sort());
        }
    });
});

describe("run", () => {
    test("trains without a daemon and leaves a run file", async () => {
        const path = file("small.json", smallSpec("small", "affine", 0.05, { epochs: 1 }));
        const out = join(place, "small.db");
        const first = await run(["run", path, "--out", out]);
        assert.equal(first.code, 0, first.err);
        assert.match(first.out, /1\.dense/);
        const again = await run(["run", path, "--out", out]);
        assert.equal(again.code, 1);
        assert.match(again.err, /--overwrite/);
        const json = await run(["run", path, "--out", out, "--overwrite", "--json"]);
        assert.equal(JSON.parse(json.out).state, "finished");
        assert.deepEqual(
            readdirSync(place).filter((name) => name.startsWith("small.db")),
            ["small.db"],
        );
    });

    test("tells what diverged with 1", async () => {
        const spec = smallSpec("far", "affine", 1e30, {
            model: { preset: "mlp", width: 8, depth: 1, variant: "affine", activation: "relu" },
        });
        const { code, out, err } = await run(["run", file("far.json", spec), "--out", join(place, "far.db")]);
        assert.equal(code, 1);
        assert.match(out + err, /diverged/i);
    });
});
