// The README's example for notebooks, run as it stands there against the real daemon.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { api, root, startDaemon, temporary } from "../daemon.mjs";

const example = join(root, "tests/examples/grid.py");

test("the README shows the example that is tested", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const section = readme.slice(readme.indexOf("\n## From a notebook"));
    const shown = /```python\n([^]*?)```/.exec(section)?.[1];
    assert.equal(shown, readFileSync(example, "utf8"));
});

/** The first Python that has a module, or null. @param {string} module */
const pythonWith = (module) =>
    ["/usr/bin/python3", "python3"].find((python) => spawnSync(python, ["-c", `import ${module}`]).status === 0);

test("the example submits a grid, waits, and plots", async (t) => {
    const python = pythonWith("numpy, matplotlib") ?? pythonWith("numpy");
    if (!python) return t.skip("no python3 with numpy");
    const place = temporary();
    const daemon = await startDaemon({ flags: ["--workers", "2"] });
    const child = spawn(python, [example], { cwd: place, env: { ...process.env, PLUMBLINE_SERVER: daemon.base } });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (err += text));
    const code = await new Promise((done) => child.once("close", done));
    assert.equal(code, 0, err);
    const bare = out.includes("no matplotlib");

    const { points } = await api(daemon.base, "/studies/1/results?keys=test/accuracy");
    assert.equal(points.length, 4);
    for (const { point, figures } of points) {
        const { n, mean, sd } = figures["test/accuracy"];
        const line = `${point["/model/variant"].padEnd(12)} batch ${String(point["/batch_size"]).padStart(3)}`;
        assert.ok(out.includes(`${line}  accuracy ${mean.toFixed(4)} sd ${sd.toFixed(4)} n ${n}\n`), `${out}\n${line}`);
    }
    const scale = (/** @type {string} */ variant) =>
        Number(new RegExp(`^${variant} +median scale at 1\\.dense, over all steps ([\\d.]+)$`, "m").exec(out)?.[1]);
    assert.ok(scale("affine") > 10 * scale("affine-like"), out);
    if (!bare) assert.equal(readFileSync(join(place, "grid.png")).subarray(1, 4).toString(), "PNG");
    else assert.equal(existsSync(join(place, "grid.png")), false);
    if (bare) t.diagnostic("skipped: the plot, for there is no matplotlib");
    await daemon.stop();
    daemon.remove();
    rmSync(place, { recursive: true, force: true });
});
