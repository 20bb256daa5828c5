// The commands that speak to a server, against the real one: what they print, their exit codes, and what they refuse.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
    api,
    ask,
    ended,
    finishedJob,
    longSpec,
    program,
    run,
    smallSpec,
    startDaemon,
    temporary,
    until,
} from "../daemon.mjs";

const place = temporary();
/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
/** @type {number} */
let finished;
before(async () => {
    daemon = await startDaemon({ flags: ["--workers", "2"] });
    finished = (await finishedJob(daemon.base, smallSpec("finished", "affine-like", 0.3))).id;
});
after(async () => {
    await daemon.stop();
    daemon.remove();
    rmSync(place, { recursive: true, force: true });
});

/** @param {string} name @param {unknown} content */
function file(name, content) {
    const path = join(place, name);
    writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    return path;
}

/**
 * Runs a command against the test's server.
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, input?: string }} [options]
 */
const ours = (args, { env = {}, input } = {}) => run(args, { env: { PLUMBLINE_SERVER: daemon.base, ...env }, input });

/** The JSON of a command that must succeed. @param {string[]} args @param {{ input?: string }} [options] */
async function json(args, options) {
    const { code, out, err } = await ours([...args, "--json"], options);
    assert.equal(code, 0, `${args.join(" ")}: ${err}`);
    return JSON.parse(out);
}

/** A command that must fail. @param {string[]} args @param {number} wanted @param {RegExp} message */
async function refused(args, wanted, message) {
    const { code, out, err } = await ours(args);
    assert.equal(code, wanted, `${args.join(" ")}: ${out}${err}`);
    assert.match(err, message);
    assert.equal(out, "");
}

describe("every command", () => {
    test("answers other wrong use with 2", async () => {
        for (const [args, message] of /** @type {[string[], RegExp][]} */ ([
            [["token"], /token create/],
            [["token", "make"], /token create/],
            [["submit"], /SPEC\.json is missing/],
            [["submit", "a", "b"], /"b" too many/],
            [["show", "seven"], /"seven" is no number/],
            [["watch", "0"], /"0" is no number/],
            [["cancel"], /numbers of jobs or --filter/],
            [["cancel", "1", "--filter", "id = 1"], /either/],
            ...["cancel", "pause", "resume", "retry", "trash", "restore", "purge"].flatMap((name) =>
                ["", " \t\r\n"].map((blank) => [
                    [name, "--filter", blank],
                    /blank, which would be every job: .*id > 0/,
                ]),
            ),
            [["list", "--limit", "-3"], /--limit takes a whole number/],
            [["list", "--state", "done"], /--state takes one of queued, running/],
            [["export"], /numbers of jobs or --filter/],
            [["export", "1", "--format", "xls"], /--format takes one of csv, ndjson/],
            [["export", "1", "2", "--what", "run"], /one job/],
            [["export", "1", "--json"], /--out/],
            [["token", "create", "--role", "king"], /--role takes one of viewer, submitter, admin/],
            [["token", "revoke", "x"], /"x" is no number/],
            [["completion", "fish"], /bash and zsh/],
        ]))
            await refused(args, 2, message);
    });

    test("writes no colours and no bar where there is no terminal", async () => {
        for (const args of [["list"], ["show", String(finished)], ["watch", String(finished)]]) {
            const { code, out, err } = await ours(args);
            assert.equal(code, 0, err);
            assert.doesNotMatch(out + err, /\x1b|\r/);
        }
    });
});

/** Runs a command line on a terminal of its own; skipped where there is no script(1). @param {string} line @param {Record<string, string>} env */
function onTerminal(line, env) {
    return spawnSync("script", ["-qec", line, "/dev/null"], {
        env: {
            ...process.env,
            TERM: "xterm",
            PLUMBLINE_SERVER: daemon.base,
            ...env,
        },
        encoding: "utf8",
    });
}

test("a terminal gets colours, but not with NO_COLOR", (t) => {
    if (spawnSync("script", ["--version"]).error) return t.skip("no script(1) to make a terminal with");
    assert.match(onTerminal(`${program} list`, { NO_COLOR: "" }).stdout, /\x1b\[32mfinished/);
    assert.doesNotMatch(onTerminal(`${program} list`, { NO_COLOR: "1" }).stdout, /\x1b/);
});

describe("submit", () => {
    test("takes a spec from a file, with another name and more tags", async () => {
        const spec = { ...smallSpec("before", "affine", 0.1), tags: ["one"] };
        const path = file("spec.json", spec);
        const job = await json(["submit", path, "--name", "after", "--tag", "two", "--tag", "three"]);
        assert.equal(job.name, "after");
        assert.deepEqual(job.tags, ["one", "two", "three"]);
        assert.equal((await ended(daemon.base, job.id)).state, "finished");
        const plain = await ours(["submit", path]);
        assert.match(plain.out, /^job \d+\n$/);
    });

    test("takes a spec from standard input, and follows it to its end", async () => {
        const { code, out, err } = await ours(["submit", "-", "--watch"], {
            input: JSON.stringify(smallSpec("piped", "affine-like", 0.3)),
        });
        assert.equal(code, 0, err);
        assert.match(out, /^job \d+\njob \d+ {2}finished {2}piped\n/);
        assert.match(out, /^1\.dense +affine-like +1 +[-\d.]+ +[\d.]+ +[\d.]+$/m);
        assert.match(err, /step 256 of 256, epoch 4 of 4/);
    });

    test("takes a study, and follows its jobs", async () => {
        const study = {
            name: "two rates",
            base: smallSpec("rates", "affine", 0.1),
            grid: { "/optimiser/learning_rate": [0.05, 0.1], "/seed": [1, 2] },
        };
        const answer = await json(["submit", file("study.json", study), "--watch", "--tag", "studied"]);
        assert.equal(answer.jobs, 4);
        assert.equal(answer.states.finished, 4);
        assert.equal(answer.name, "two rates");
        const { items } = await api(daemon.base, `/studies/${answer.id}/jobs`);
        assert.deepEqual((await api(daemon.base, `/jobs/${items[0].job}`)).tags, ["studied"]);
    });

    test("says of a study how many jobs it is and about how long, before it begins", async () => {
        const study = file("told.json", {
            name: "told",
            base: smallSpec("told", "affine", 0.1, { epochs: 1 }),
            grid: { "/seed": [1, 2, 3] },
        });
        const before = (await api(daemon.base, "/studies")).items.length;
        const checked = await ours(["submit", study, "--check"]);
        assert.match(checked.out, /^3 jobs, 192 steps, about \d+:\d\d by what the last jobs did\n/);
        assert.deepEqual([checked.code, (await api(daemon.base, "/studies")).items.length], [0, before]);
        const { code, out } = await ours(["submit", study]);
        assert.equal(code, 0);
        assert.match(out, /^3 jobs, 192 steps, about \d+:\d\d by what the last jobs did\nstudy \d+: 3 jobs\n$/);
        const id = Number(/^study (\d+)/m.exec(out)?.[1]);
        for (const { job } of (await api(daemon.base, `/studies/${id}/jobs`)).items) await ended(daemon.base, job);
    });

    test("only checks where that is asked for", async () => {
        const before = (await api(daemon.base, "/queue")).states;
        const answer = await json(["submit", file("checked.json", smallSpec("checked", "affine", 0.1)), "--check"]);
        assert.equal(answer.valid, true);
        assert.equal(answer.cost.steps, 256);
        assert.deepEqual((await api(daemon.base, "/queue")).states, before);
    });

    test("tells each fault at its place, with 1", async () => {
        const wrong = file("wrong.json", {
            ...smallSpec("wrong", "affine", -1),
            epoch: 3,
        });
        await refused(
            ["submit", wrong],
            1,
            /wrong\.json: \/epoch: .*epochs[^]*wrong\.json: \/optimiser\/learning_rate: /,
        );
        await refused(["submit", file("broken.json", '{"a": 1,\n "a" 2}')], 1, /broken\.json is no JSON: line 2/);
        await refused(["submit", join(place, "none.json")], 1, /none\.json/);
    });

    test("tells the faults as JSON where that is asked for", async () => {
        const spec = file("faulty.json", { ...smallSpec("faulty", "affine", -1), epoch: 3 });
        const study = file("faulty-study.json", { base: smallSpec("faulty", "affine", -1), grid: { "/seed": [1, 2] } });
        for (const [path, pointers] of /** @type {[string, string[]][]} */ ([
            [spec, ["/epoch", "/optimiser/learning_rate"]],
            [study, ["/base/optimiser/learning_rate"]],
            [file("torn.json", '{"a": 1,\n "a" 2}'), [""]],
            [join(place, "none.json"), [""]],
        ]))
            for (const more of [[], ["--check"]]) {
                const { code, out, err } = await ours(["submit", path, "--json", ...more]);
                const { valid, errors } = JSON.parse(out);
                assert.deepEqual([code, valid], [1, false]);
                assert.deepEqual(errors.map((/** @type {any} */ fault) => fault.pointer).sort(), pointers);
                for (const { detail } of errors) assert.ok(err.includes(detail), `${detail} in ${err}`);
            }
        // What is no fault of the document says nothing of it.
        const right = file("right.json", smallSpec("right", "affine", 0.1));
        const away = await run(["submit", right, "--json", "--server", "127.0.0.1:1"]);
        assert.deepEqual([away.code, away.out], [1, ""]);
    });

    test("tells with 1 that what it followed has diverged", async () => {
        const spec = smallSpec("far", "affine", 1e30, {
            model: {
                preset: "mlp",
                width: 8,
                depth: 1,
                variant: "affine",
                activation: "relu",
            },
        });
        const { code, out } = await ours(["submit", "-", "--watch", "--json"], {
            input: JSON.stringify(spec),
        });
        assert.equal(code, 1);
        assert.equal(JSON.parse(out).state, "diverged");
    });
});

describe("list", () => {
    test("is a table, and JSON over several pages", async () => {
        const { out } = await ours(["list"]);
        assert.match(out, /^ +id {2}state/);
        assert.match(out, /^ *\d+ {2}finished +100% +0\.\d{4} .* finished$/m);
        const all = (await api(daemon.base, "/jobs?max_results=1000")).items;
        const { items, more } = await json(["list", "--limit", "1000"]);
        assert.deepEqual(items, all);
        assert.equal(more, false);
        const one = await json(["list", "--limit", "1", "--order", "created_at asc", "--state", "finished"]);
        assert.deepEqual([one.items.length, one.items[0].id, one.more], [1, finished, true]);
    });

    test("takes a filter, and tells where one is wrong", async () => {
        const filter = "name = 'finished' AND result.test/accuracy > 0.5";
        const { items } = await json(["list", "--filter", filter, "--order", "result.test/accuracy desc, id"]);
        assert.ok(items.length >= 1);
        for (const item of items) assert.ok(item.name === "finished" && item.results["test/accuracy"] > 0.5);
        await refused(["list", "--filter", "state = "], 1, /filter.*column 9/);
        await refused(["list", "--order", "nonsense"], 1, /order_by.*nonsense/);
    });

    test("prints names of others without their control characters", async () => {
        const { id } = await api(daemon.base, "/jobs", smallSpec("red \u001b[31m and \u009b31m", "affine", 0.1));
        await ended(daemon.base, id);
        const { out } = await ours(["list"]);
        assert.match(out, /red \?\[31m and \?31m\n/);
    });
});

/** Starts `plumbline watch`. @param {number} id @param {string} server */
function startWatch(id, server) {
    const child = spawn(program, ["watch", String(id), "--server", server], { stdio: ["ignore", "ignore", "pipe"] });
    let err = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (err += text));
    return { child, err: () => err, end: new Promise((done) => child.once("close", done)) };
}

describe("show and watch", () => {
    test("print the table of `plumbline run`", async () => {
        const { out } = await ours(["show", String(finished)]);
        assert.match(out, /^job \d+ {2}finished {2}finished\n/);
        const table = out.slice(out.indexOf("site  "), out.indexOf("\n\ntest accuracy"));
        const path = file("same.json", smallSpec("finished", "affine-like", 0.3));
        const here = await run(["run", path, "--out", join(place, "same.db")]);
        assert.ok(table.includes("1.dense") && here.out.includes(table), `${here.out}\n${out}`);
        const { job, measured } = await json(["show", String(finished)]);
        assert.deepEqual(job, await api(daemon.base, `/jobs/${finished}`));
        assert.equal(measured.scale.length, 3);
        await refused(["show", "999999"], 1, /no job 999999/);
    });

    test("an interrupt ends the watching and not the job", async () => {
        const { id } = await api(daemon.base, "/jobs", longSpec("watched"));
        const watching = startWatch(id, daemon.base);
        await until("it shows progress", () => /step \d+ of/.test(watching.err()));
        watching.child.kill("SIGINT");
        assert.equal(await watching.end, 1);
        assert.match(watching.err(), new RegExp(`no longer watched; job ${id} goes on`));
        assert.equal((await api(daemon.base, `/jobs/${id}`)).state, "running");
        const { out, code } = await ours(["cancel", String(id)]);
        assert.equal(code, 0);
        assert.equal(out, `job ${id} is cancelled\n`);
        await ended(daemon.base, id);
        assert.equal((await ours(["watch", String(id)])).code, 1);
    });
});

test("of a job whose steps are not known yet none are told", async () => {
    const long = [];
    for (const name of ["first", "second"]) long.push((await api(daemon.base, "/jobs", longSpec(name))).id);
    for (const id of long)
        await until("it runs", async () => (await api(daemon.base, `/jobs/${id}`)).state === "running");
    const { id } = await api(daemon.base, "/jobs", longSpec("waiting"));
    assert.match((await ours(["show", String(id)])).out, /queued[^]*\nprogress   no step yet, attempt 1\n/);
    assert.equal((await ours(["cancel", String(id), ...long.map(String)])).code, 0);
    const watched = await ours(["watch", String(id)]);
    assert.match(watched.out, new RegExp(`^job ${id} {2}cancelled`));
    assert.doesNotMatch(watched.out + watched.err, /of 0/);
    for (const one of long) await ended(daemon.base, one);
});

describe("what is done to jobs", () => {
    test("pause, resume, cancel, retry, trash, restore, purge", async () => {
        const { id } = await api(daemon.base, "/jobs", longSpec("acted on"));
        const state = async () => (await api(daemon.base, `/jobs/${id}`)).state;
        await until("it runs", async () => (await state()) === "running");
        assert.equal((await json(["pause", String(id)])).items[0].done, true);
        await until("it is paused", async () => (await state()) === "paused");
        assert.equal((await ours(["resume", String(id)])).code, 0);
        await until("it runs again", async () => (await state()) === "running");
        assert.equal((await ours(["cancel", String(id), "--reason", "enough"])).code, 0);
        assert.match((await ended(daemon.base, id)).reason, /enough/);
        const { made } = (await json(["retry", String(id)])).items[0];
        assert.equal((await api(daemon.base, `/jobs/${made}`)).retry_of, id);
        assert.equal((await ours(["cancel", String(made)])).code, 0);
        await ended(daemon.base, made);
        for (const action of ["trash", "restore", "purge"])
            assert.equal((await ours([action, String(made)])).code, 0, action);
        await refused(["show", String(made)], 1, /no job/);
    });

    test("what cannot be done is said job by job, with 1", async () => {
        const { code, out, err } = await ours(["retry", String(finished), "999999"]);
        assert.equal(code, 1);
        assert.match(out, new RegExp(`^job ${finished} is tried again as job \\d+\\n$`));
        assert.match(err, /no job 999999/);
        await refused(["pause", String(finished)], 1, /finished/);
    });
});

describe("export", () => {
    /** @param {string} path */
    const body = async (path) => Buffer.from(await (await fetch(`${daemon.base}/api/v1${path}`)).arrayBuffer());

    test("writes what the server sends, to standard output or a file", async () => {
        const { out } = await ours(["export", String(finished), "--what", "summary"]);
        assert.equal(out, String(await body(`/jobs/${finished}/export?what=summary`)));
        for (const [what, format] of [
            ["divergence", "npz"],
            ["metrics", "ndjson"],
            ["batch", "csv"],
        ]) {
            const path = join(place, `${what}.${format}`);
            const told = await json(["export", String(finished), "--what", what, "--format", format, "--out", path]);
            const expected = await body(`/jobs/${finished}/export?what=${what}&format=${format}`);
            assert.deepEqual(readFileSync(path), expected);
            assert.deepEqual(told, { file: path, bytes: expected.length });
        }
        const weights = join(place, "w.safetensors");
        assert.equal((await ours(["export", String(finished), "--what", "weights", "--out", weights])).code, 0);
        assert.deepEqual(readFileSync(weights), await body(`/jobs/${finished}/weights.safetensors`));
    });

    test("takes several jobs, by number or by filter", async () => {
        const { id } = await finishedJob(daemon.base, smallSpec("second", "affine", 0.1));
        const query = encodeURIComponent(`id IN (${finished}, ${id})`);
        const expected = String(await body(`/export?what=metrics&filter=${query}`));
        assert.match(expected, /^job,key,step,value\n/);
        assert.equal((await ours(["export", String(finished), String(id), "--what", "metrics"])).out, expected);
        const filter = `id IN (${finished}, ${id})`;
        assert.equal((await ours(["export", "--filter", filter, "--what", "metrics"])).out, expected);
        await refused(["export", "--filter", "id ="], 1, /column|character/);
    });

    test("does not write over a file, nor leave a part of one", async () => {
        const path = file("mine.csv", "mine");
        await refused(["export", String(finished), "--out", path], 1, /mine\.csv is there already.*--overwrite/);
        assert.equal(readFileSync(path, "utf8"), "mine");
        await refused(["export", "999999", "--out", join(place, "none.csv")], 1, /no job 999999/);
        await refused(["export", String(finished), "--out", join(place, "no/folder.csv")], 1, /cannot write/);
        assert.equal((await ours(["export", String(finished), "--out", path, "--overwrite"])).code, 0);
        assert.match(readFileSync(path, "utf8"), /^site,step,sample/);
        assert.deepEqual(
            readdirSync(place).filter((name) => /part|none\.csv/.test(name)),
            [],
        );
    });

    test("leaves no file where the server breaks off, or an interrupt comes", async () => {
        // A server of its own that begins an answer and ends it too early, or never.
        const broken = createServer((request, answer) => {
            answer.writeHead(200, { "Content-Type": "text/csv" });
            answer.write("site,step\n1.dense,1\n");
            if (request.url?.includes("/jobs/1/")) setTimeout(() => request.socket.destroy(), 50);
        });
        await new Promise((done) => broken.listen(0, "127.0.0.1", () => done(null)));
        const server = `http://127.0.0.1:${/** @type {any} */ (broken.address()).port}`;
        const path = join(place, "broken.csv");
        const { code, err } = await run(["export", "1", "--out", path, "--server", server]);
        assert.equal(code, 1);
        assert.match(err, /broke off/);
        const child = spawn(program, ["export", "2", "--out", path, "--server", server], { stdio: "ignore" });
        const end = new Promise((done) => child.once("close", done));
        const parts = () => readdirSync(place).filter((name) => name.startsWith("broken.csv"));
        await until("it writes", () => parts().length === 1 && readFileSync(join(place, parts()[0])).length > 0);
        child.kill("SIGINT");
        assert.equal(await end, 1);
        assert.deepEqual(parts(), []);
        broken.closeAllConnections();
        await new Promise((done) => broken.close(done));
    });
});

describe("import", () => {
    test("takes a run file in, over the server and without one", async () => {
        const path = join(place, "import.db");
        assert.equal((await ours(["export", String(finished), "--what", "run", "--out", path])).code, 0);
        const job = await json(["import", path]);
        assert.notEqual(job.id, finished);
        const rows = async (/** @type {number} */ id, base = daemon.base) =>
            (await api(base, `/jobs/${id}/divergence`)).items;
        assert.deepEqual(await rows(job.id), await rows(finished));

        const data = temporary();
        const first = await run(["import", path, "--json", "--data", data]);
        assert.equal(first.code, 0, first.err);
        assert.ok(existsSync(path), "the file is still the user's");
        const other = await startDaemon({ data });
        assert.deepEqual(await rows(JSON.parse(first.out).id, other.base), await rows(finished));
        const second = await run(["import", path, "--json", "--data", data]); // now over its socket
        assert.equal(JSON.parse(second.out).id, JSON.parse(first.out).id + 1);
        await other.stop();
        other.remove();
    });

    test("refuses what is no run file, and leaves nothing", async () => {
        const foreign = file("foreign.db", "not a database");
        await refused(["import", foreign], 1, /no run file/);
        const data = temporary();
        const { code, err } = await run(["import", foreign, "--data", data]);
        assert.equal(code, 1);
        assert.match(err, /no run file/);
        assert.deepEqual(readdirSync(join(data, "runs")), []);
        assert.deepEqual(readdirSync(join(data, "tmp")), []);
        rmSync(data, { recursive: true });
        await refused(["import", join(place, "none.db")], 1, /none\.db/);
    });
});

describe("tokens", () => {
    test("are made without a server, wanted by one, listed and revoked", async () => {
        const data = temporary();
        const made = await run(["token", "create", "--role", "admin", "--name", "ada", "--data", data]);
        assert.equal(made.code, 0, made.err);
        const token = made.out.trim();
        assert.match(token, /^plumbline_1_/);
        assert.match(made.err, /shown this once/);

        const guarded = await startDaemon({ data, flags: ["--require-token"] });
        const there = ["--server", guarded.base];
        const without = await run(["list", ...there]);
        assert.equal(without.code, 1);
        assert.match(without.err, /token.*PLUMBLINE_TOKEN or --token-file/);
        assert.equal((await run(["list", ...there], { env: { PLUMBLINE_TOKEN: token } })).code, 0);
        const kept = file("token", `${token}\n`);
        assert.equal((await run(["list", ...there, "--token-file", kept])).code, 0);
        assert.equal((await run(["list", ...there, "--token-file", file("empty", "")])).code, 1);
        assert.equal((await run(["list", ...there], { env: { PLUMBLINE_TOKEN: `${token}x` } })).code, 1);

        // Over the socket of the data directory no token is wanted.
        const viewer = JSON.parse((await run(["token", "create", "--json", "--data", data])).out);
        assert.deepEqual([viewer.id, viewer.role], [2, "viewer"]);
        const asViewer = { env: { PLUMBLINE_TOKEN: viewer.token } };
        assert.equal((await run(["token", "list", ...there], asViewer)).code, 1);
        assert.equal((await run(["list", ...there], asViewer)).code, 0);
        assert.equal((await run(["token", "revoke", "2", "--data", data])).out, "token 2 is revoked\n");
        assert.equal((await run(["list", ...there], asViewer)).code, 1);
        await guarded.stop();

        const listed = JSON.parse((await run(["token", "list", "--json", "--data", data])).out).items;
        assert.deepEqual(
            listed.map((/** @type {any} */ item) => [item.id, item.name, item.role, item.revoked_at !== null]),
            [
                [1, "ada", "admin", false],
                [2, "", "viewer", true],
            ],
        );
        assert.equal((await run(["token", "revoke", "9", "--data", data])).code, 1);
        assert.equal((await run(["token", "revoke", "1", "--json", "--data", data])).out, '{"id":1}\n');
        assert.match((await run(["token", "list", "--data", data])).out, /1 {2}admin .* ada\n/);
        guarded.remove();
    });
});

describe("which server", () => {
    test("one that does not answer is said plainly, and what to do", async () => {
        const { code, err } = await run(["list", "--server", "http://127.0.0.1:1"]);
        assert.equal(code, 1);
        assert.match(
            err,
            /no server answers at http:\/\/127\.0\.0\.1:1: start one with plumbline serve, or .*--server/,
        );
        const empty = temporary();
        const named = await run(["list", "--data", empty]);
        assert.equal(named.code, 1);
        assert.match(named.err, /no server runs on the data directory/);
        rmSync(empty, { recursive: true });
    });

    test("a submission whose answer is lost is sent once more, and makes one job or study", async () => {
        const { hostname, port } = new URL(daemon.base);
        let cut = 0;
        /** @type {Set<import("node:net").Socket>} */
        const open = new Set();
        const between = createTcpServer((near) => {
            const far = connect(Number(port), hostname);
            const first = cut++ % 2 === 0;
            for (const socket of [near, far]) open.add(socket.on("error", () => {}));
            near.on("end", () => far.end()).on("data", (piece) => far.write(piece));
            far.on("data", (piece) => (first ? near.destroy() : near.write(piece))).on("end", () => near.end());
        });
        await new Promise((done) => between.listen(0, "127.0.0.1", () => done(null)));
        const server = `http://${daemon.listen.replace(/:.*/, "")}:${/** @type {any} */ (between.address()).port}`;
        const base = smallSpec("lost answer", "affine", 0.1, { epochs: 1 });
        for (const [list, document] of /** @type {[string, object][]} */ ([
            ["/jobs", base],
            ["/studies", { name: "lost answer", base, grid: { "/seed": [1] } }],
        ])) {
            cut = 0;
            const { code, out, err } = await run(["submit", file("lost.json", document), "--json", "--server", server]);
            assert.equal(code, 0, err);
            assert.equal(cut, 2, "it was asked twice");
            const { items } = await api(daemon.base, `${list}?filter=name = 'lost answer'`);
            assert.deepEqual(
                items.map((/** @type {any} */ made) => made.id),
                [JSON.parse(out).id],
            );
        }
        for (const socket of open) socket.destroy();
        await new Promise((done) => between.close(done));
    });

    test("what is no Plumbline, or no address, is said so", async () => {
        const other = createServer((_, answer) => answer.end("<html>"));
        await new Promise((done) => other.listen(0, "127.0.0.1", () => done(null)));
        const port = /** @type {any} */ (other.address()).port;
        const server = ["--server", `127.0.0.1:${port}`];
        assert.match((await run(["list", ...server])).err, /no Plumbline server/);
        const out = join(place, "wrong.csv");
        for (const more of [[], ["--out", out]]) {
            const exported = await run(["export", "1", ...server, ...more]);
            assert.deepEqual([exported.code, exported.out], [1, ""]);
            assert.match(exported.err, /no Plumbline server: it sends what it does not name/);
        }
        assert.ok(!existsSync(out) && !existsSync(`${out}.part`));
        await new Promise((done) => other.close(done));
        assert.match((await run(["list", "--server", "ftp://a"])).err, /"ftp:\/\/a" is no server's address/);
    });

    test("the socket of the data directory is found, and a dead one is passed over", async () => {
        const own = await startDaemon();
        const env = { PLUMBLINE_DATA: own.data, PLUMBLINE_SERVER: "" };
        assert.equal((await run(["list"], { env })).code, 0);
        assert.equal((await run(["list", "--data", own.data])).code, 0);
        assert.equal((await run(["list", "--server", `unix:${join(own.data, "socket")}`])).code, 0);
        // --data goes before the variable, and --server before both.
        assert.equal(
            (
                await run(["list", "--data", own.data], {
                    env: { PLUMBLINE_SERVER: "127.0.0.1:1" },
                })
            ).code,
            0,
        );
        assert.equal((await run(["list", "--data", own.data, "--server", "127.0.0.1:1"])).code, 1);
        own.kill("SIGKILL");
        let dead = false;
        own.ended.then(() => (dead = true));
        await until("it is dead", () => dead);
        assert.ok(existsSync(join(own.data, "socket")));
        assert.match((await run(["token", "create", "--data", own.data])).out, /^plumbline_1_/);
        own.remove();
    });

    test("a server that is started anew is waited for", async () => {
        let own = await startDaemon();
        const { id } = await api(own.base, "/jobs", longSpec("survives"));
        await until("it runs", async () => (await api(own.base, `/jobs/${id}`)).state === "running");
        const watching = startWatch(id, own.base);
        await until("it is watched", () => /step \d+ of/.test(watching.err()));
        const { data, listen } = own;
        await own.stop();
        await until("it is missed", () => /waiting for it/.test(watching.err()));
        own = await startDaemon({ data, listen });
        await until("it runs again", async () => (await api(own.base, `/jobs/${id}`)).state === "running");
        await ask(own.base, `/jobs/${id}/cancel`, { method: "POST" });
        assert.equal(await watching.end, 1);
        assert.doesNotMatch(watching.err(), /plumbline watch:/);
        await own.stop();
        own.remove();
    });
});
