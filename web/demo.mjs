// The main job, from the terminal: starts the server, submits the pair of demonstration jobs, shows their progress,
// prints what was measured, and leaves the server running until Ctrl-C. Usage: node demo.mjs PLUMBLINE [serve's flags]
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { PAIR } from "./src/demo_pair.js";

const [program, ...flags] = process.argv.slice(2);
const terminal = process.stdout.isTTY;

/** Starts `plumbline serve` and resolves with its address once it accepts connections. */
function serve() {
    const child = spawn(program, ["serve", ...flags], { stdio: ["ignore", "pipe", "inherit"] });
    // A terminal sends Ctrl-C to the server as well, and its second SIGINT would end it at once.
    for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill("SIGTERM"));
    child.on("error", (error) => fail(`${program}: ${error.message}`));
    const gone = new Promise((resolve) => child.on("exit", (code) => resolve(code ?? 1)));
    const address = new Promise((resolve) => {
        const lines = createInterface({ input: child.stdout });
        lines.on("line", (line) => {
            const found = / at (http:\/\/\S+)/.exec(line);
            if (found) resolve(found[1]);
        });
    });
    return { address, gone };
}

function fail(message) {
    console.error(message);
    process.exit(1);
}

async function api(base, path, body) {
    const options = body && {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
    };
    const answer = await fetch(`${base}/api/v1${path}`, options || undefined);
    const json = await answer.json();
    if (!answer.ok) {
        const places = (json.errors ?? []).map((e) => `\n  ${e.pointer}: ${e.detail}`).join("");
        throw new Error(`${json.detail ?? json.title}${places}`);
    }
    return json;
}

const final = (job) => ["finished", "failed", "diverged", "cancelled"].includes(job.state);

function bar(job) {
    const { step = 0, steps = 0, eta_seconds: left } = job.progress ?? {};
    const share = final(job) && job.state === "finished" ? 1 : steps ? step / steps : 0;
    const full = Math.round(share * 30);
    const note = final(job) ? job.state : left == null ? job.state : `${Math.ceil(left)} s left`;
    return `${job.name.padEnd(20)} ${"█".repeat(full)}${"░".repeat(30 - full)} ${String(Math.floor(100 * share)).padStart(3)} %  ${note}`;
}

/** Shows a line a job until all have ended; in place on a terminal, else one line whenever a tenth more is done. */
async function watch(base, ids) {
    let drawn = 0;
    const told = new Map();
    for (;;) {
        const jobs = await Promise.all(ids.map((id) => api(base, `/jobs/${id}`)));
        if (terminal) {
            process.stdout.write(
                `${drawn ? `\x1b[${drawn}A` : ""}${jobs.map((job) => `\x1b[2K${bar(job)}\n`).join("")}`,
            );
            drawn = jobs.length;
        } else {
            for (const job of jobs) {
                const tenth = `${job.state} ${Math.floor((10 * (job.progress?.step ?? 0)) / (job.progress?.steps || 1))}`;
                if (told.get(job.id) !== tenth) console.log(bar(job));
                told.set(job.id, tenth);
            }
        }
        if (jobs.every(final)) return jobs;
        await new Promise((resolve) => setTimeout(resolve, 250));
    }
}

/** Three significant digits. */
const number = (value) =>
    value == null
        ? "–"
        : Math.abs(value) >= 1000
          ? Math.round(value).toLocaleString("en-GB")
          : Number(value.toPrecision(3)).toString();

async function table(base, jobs) {
    const head = ["variant", "η", "test accuracy", "site", "self factor, median", "scale 5 %", "50 %", "95 %"];
    const rows = [];
    for (const job of jobs) {
        if (job.state !== "finished")
            throw new Error(`job ${job.id} "${job.name}" ${job.state}: ${job.reason ?? "no reason given"}`);
        const sites = await api(base, `/jobs/${job.id}/divergence/sites`);
        const pooled = async (column) =>
            (await api(base, `/jobs/${job.id}/divergence/summary?column=${column}&last=8&pooled=true`)).items;
        const [factors, scales] = [await pooled("self_factor"), await pooled("scale")];
        sites.sites.forEach((site, i) => {
            const factor = factors.find((item) => item.site === site.name)?.quantiles["50"];
            const scale = scales.find((item) => item.site === site.name)?.quantiles ?? {};
            rows.push([
                i ? "" : site.variant,
                i ? "" : String(job.spec.optimiser.learning_rate),
                i ? "" : `${(100 * job.results["test/accuracy"]).toFixed(1)} %`,
                site.name,
                number(factor),
                number(scale["5"]),
                number(scale["50"]),
                number(scale["95"]),
            ]);
        });
    }
    const widths = head.map((text, c) => Math.max(text.length, ...rows.map((row) => row[c].length)));
    const line = (row) =>
        row.map((text, c) => (c === 0 || c === 3 ? text.padEnd(widths[c]) : text.padStart(widths[c]))).join("  ");
    console.log(`\n${line(head)}\n${widths.map((w) => "─".repeat(w)).join("  ")}\n${rows.map(line).join("\n")}`);
    console.log(
        "\nScale: how many times its ideal step each sample's activation really took, over the last 8 probed steps;",
    );
    console.log("self factor: what the theory predicts for the sample alone. The rest is interference from the batch.");
}

const { address, gone } = serve();
const base = await Promise.race([address, gone.then((code) => process.exit(code))]);
console.log(`Plumbline at ${base}\n`);
try {
    const jobs = [];
    for (const spec of PAIR) jobs.push(await api(base, "/jobs", spec));
    const ids = jobs.map((job) => job.id);
    const ended = await Promise.race([watch(base, ids), gone.then((code) => process.exit(code))]);
    await table(base, ended);
    console.log(`\nSee it: ${base}/compare?jobs=${ids.join(",")}\nThe server runs until Ctrl-C.`);
} catch (error) {
    console.error(`\n${error.message}`);
    process.exitCode = 1;
}
process.exit((await gone) || process.exitCode || 0);
