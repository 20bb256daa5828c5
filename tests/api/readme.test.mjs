// What README tells to type, typed; on the program that people get.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { program, root, temporary } from "../daemon.mjs";

const readme = readFileSync(join(root, "README.md"), "utf8");
const released = existsSync(join(root, "build/plumbline")) ? join(root, "build/plumbline") : program;

/** The lines to type, without what is said of them; not those within a listing. */
const lines = readme
    .replaceAll(/^```[^]*?^```$/gm, "")
    .split("\n")
    .filter((line) => line.startsWith("    "))
    .map((line) => line.replace(/ {2,}# .*/, "").trim());

/** Where a line that is not typed here is run. @type {[RegExp, string][]} */
const ELSEWHERE = [
    [/^make test$/, ".ci/run"],
    [/^make run$/, "below: its installing is make test's, the rest is the demonstration"],
    [/^cp \.env\.example|^docker /, "tests/deploy/run.sh"],
    [/^systemctl enable/, "tests/deploy/run.sh, which has the unit looked at by systemd-analyze"],
];

/** @param {import("node:child_process").ChildProcess} child @returns {Promise<number | null>} */
const ended = (child) => new Promise((done) => child.once("close", done));

test("the commands of the first ten minutes", async () => {
    const place = temporary();
    const env = { ...process.env, PLUMBLINE_DATA: join(place, "data"), PLUMBLINE_LISTEN: "127.0.0.1:0" };
    mkdirSync(join(place, "build"));
    symlinkSync(released, join(place, "build/plumbline"));
    writeFileSync(join(place, "my.json"), /```json\n([^]*?)```/.exec(readme)?.[1] ?? "");
    const here = lines.filter((line) => !ELSEWHERE.some(([pattern]) => pattern.test(line)));
    assert.ok(here.length >= 6, "README has lines to type");
    let server;
    for (const line of here) {
        const child = spawn("bash", ["-c", `exec ${line}`], { cwd: place, env, stdio: ["ignore", "pipe", "pipe"] });
        let said = "";
        for (const from of [child.stdout, child.stderr])
            from.setEncoding("utf8").on("data", (/** @type {string} */ text) => (said += text));
        if (/ serve$/.test(line)) {
            server = child;
            for await (const told of createInterface({ input: child.stdout })) if (/ at http:/.test(told)) break;
        } else {
            assert.equal(await ended(child), 0, `${line}\n${said}`);
        }
    }
    assert.ok(server, "README starts the server");
    server.kill("SIGTERM");
    assert.equal(await ended(server), 0);
    for (const made of ["my.db", "my.npz", "data/runs/1.db"]) assert.ok(existsSync(join(place, made)), made);
    rmSync(place, { recursive: true });
});

test("the demonstration: two jobs on Fashion-MNIST, a table, an address, and an end by Ctrl-C", async (t) => {
    if (!existsSync("/usr/share/datasets/fashion-mnist")) return t.skip("no dataset-fashion-mnist");
    const place = temporary();
    const child = spawn("node", [join(root, "web/demo.mjs"), released, "--listen", "127.0.0.1:0", "--data", place]);
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text) => (said += text));
    let address = "";
    for await (const line of createInterface({ input: child.stdout })) {
        said += `${line}\n`;
        address = /(http:\/\/\S+)/.exec(line)?.[1] ?? address;
        if (/Ctrl-C/.test(line)) break;
    }
    assert.match(address, /^http:/, said);
    assert.equal((await fetch(address)).status, 200);
    const row = /([1357]\.dense) +(\S+) +(\S+) +(\S+) +(\S+)$/;
    const rows = said.split("\n").flatMap((line) => (row.exec(line) ? [row.exec(line) ?? []] : []));
    assert.equal(rows.length, 8, said);
    for (const [i, [, site, factor]] of rows.entries())
        if (i < 4) assert.ok(Number(factor) > (site === "1.dense" ? 500 : 20), said);
        else assert.equal(Number(factor), 1, said);
    child.kill("SIGINT");
    assert.equal(await ended(child), 0, said);
    rmSync(place, { recursive: true });
});
