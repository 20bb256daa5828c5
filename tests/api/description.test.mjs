// What is made from the one description of the commands: help, manual page, completions.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { run, temporary } from "../daemon.mjs";

const place = temporary();
after(() => rmSync(place, { recursive: true, force: true }));

/** @param {string} name @param {string} content */
function file(name, content) {
    const path = join(place, name);
    writeFileSync(path, content);
    return path;
}

/** All commands, from the program's own list. */
async function commandNames() {
    const { out } = await run(["--help"]);
    return [...out.matchAll(/^ {2}(\S+(?: \S+)?) {2,}\S/gm)].map((match) => match[1]);
}

describe("every command", () => {
    test("explains itself, from the one description", async () => {
        const names = await commandNames();
        assert.ok(names.length >= 25);
        for (const name of names) {
            const { code, out, err } = await run([...name.split(" "), "--help"]);
            assert.equal(code, 0, name);
            assert.ok(out.startsWith(`Usage: plumbline ${name}`), name);
            assert.match(out, /Exit code: 0 good, 1 .*2\s+wrong\s+use/s, name);
            assert.equal(err, "");
            for (const line of out.split("\n")) assert.ok([...line].length <= 80, `${name}: ${line}`);
        }
    });

    test("answers an unknown option with 2 and nothing on standard output", async () => {
        for (const name of await commandNames()) {
            const { code, out, err } = await run([...name.split(" "), "--no-such-option"]);
            assert.equal(code, 2, name);
            assert.equal(out, "");
            assert.match(err, /unknown option --no-such-option/);
        }
    });
});

describe("made from the same description", () => {
    test("the manual page has every command and option, and no warnings", async (t) => {
        const { code, out } = await run(["man"]);
        assert.equal(code, 0);
        const page = file("plumbline.1", out);
        for (const name of await commandNames()) {
            assert.ok(out.includes(`.SS "${name}"`), name);
            const { out: help } = await run([...name.split(" "), "--help"]);
            const part = out.slice(
                out.indexOf(`.SS "${name}"`),
                out.indexOf("\nExit status", out.indexOf(`.SS "${name}"`)),
            );
            for (const [, option] of help.matchAll(/^ {2}--(\S+)/gm))
                if (option !== "help")
                    assert.ok(part.includes(`\\fB\\-\\-${option.replaceAll("-", "\\-")}\\fR`), `${name} --${option}`);
        }
        const man = spawnSync("man", ["--warnings", "-l", page], {
            env: {
                ...process.env,
                LC_ALL: "C.UTF-8",
                MANROFFSEQ: "",
                MANWIDTH: "80",
                PAGER: "cat",
                MANPAGER: "cat",
            },
            encoding: "utf8",
        });
        if (man.error || /minimi[sz]ed/.test(man.stdout)) return t.skip("no man(1) to check the page with");
        assert.equal(man.stderr, "");
        assert.match(man.stdout, /PLUMBLINE_TOKEN/);
    });

    /** What bash offers for the last of some words. @param {string} script @param {string[]} words */
    function bashOffers(script, words) {
        const text = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _plumbline_complete; printf '%s\\n' "\${COMPREPLY[@]}"`;
        const shell = spawnSync("bash", ["-c", text, "bash", script, ...words], {
            encoding: "utf8",
            cwd: place,
        });
        assert.equal(shell.stderr, "");
        return shell.stdout.trim().split("\n");
    }

    test("bash completes commands, options, their values and files", async () => {
        const script = file("completion.bash", (await run(["completion", "bash"])).out);
        file("complete-me.json", "{}");
        const offers = (/** @type {string[]} */ ...words) => bashOffers(script, ["plumbline", ...words]);
        assert.deepEqual(offers("sub"), ["submit"]);
        assert.deepEqual(offers("token", "cr"), ["create"]);
        assert.deepEqual(offers("token", "create", "--role", ""), ["viewer", "submitter", "admin"]);
        assert.deepEqual(offers("export", "1", "--format", "n"), ["ndjson", "npz"]);
        assert.deepEqual(offers("export", "1", "--over"), ["--overwrite"]);
        assert.deepEqual(offers("submit", "complete"), ["complete-me.json"]);
        assert.deepEqual(offers("completion", "z"), ["zsh"]);
        // Readline takes "=" for a word of its own; where it is told not to, the whole word is completed.
        assert.deepEqual(offers("list", "--state", "=", "fi"), ["finished"]);
        assert.deepEqual(offers("token", "create", "--role", "="), ["viewer", "submitter", "admin"]);
        assert.deepEqual(offers("token", "create", "--role", "=", "s"), ["submitter"]);
        assert.deepEqual(offers("list", "--state=fi"), ["--state=finished"]);
        assert.deepEqual(offers("export", "1", "--out", "=", "complete"), ["complete-me.json"]);
        assert.deepEqual(offers("export", "1", "--out=complete"), ["--out=complete-me.json"]);
        for (const name of await commandNames()) assert.ok(offers("").includes(name.split(" ")[0]), name);
    });

    test("zsh takes its script", async (t) => {
        if (spawnSync("zsh", ["--version"]).error) return t.skip("no zsh");
        const script = file("_plumbline", (await run(["completion", "zsh"])).out);
        const text = `autoload -U compinit && compinit -u -d ${join(place, "zcompdump")}
            source "$1"; COMP_WORDS=(plumbline token create --role s); COMP_CWORD=4
            setopt ksharrays shwordsplit; _plumbline_complete; print -l "\${COMPREPLY[@]}"`;
        const shell = spawnSync("zsh", ["-f", "-c", text, "zsh", script], {
            encoding: "utf8",
        });
        assert.equal(shell.stderr, "");
        assert.equal(shell.stdout.trim(), "viewer\nsubmitter\nadmin"); // zsh itself picks those that begin so
    });
});
