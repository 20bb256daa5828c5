// Bundles the dashboard and writes it as a C table (server/assets.h): node build.mjs ../build/web_assets.c
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const KB = 1000;
/** What a first visit may cost, and all pages together: gzipped script and style. */
const BUDGET = { first: 60 * KB, all: 200 * KB };
/** @type {Record<string, string>} */
const TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
};

/**
 * What no figure uses of Observable Plot, more than a quarter of its weight, is left out: maps, dates, named colour
 * schemes, legends, tips, arrowheads and bins. Plot asks these functions all the same and is answered that there is none; any other call
 * is a mistake.
 * @type {import("esbuild").Plugin}
 */
const leanPlot = {
    name: "lean-plot",
    setup({ onLoad }) {
        /** @type {Record<string, string>} */
        const answers = {
            createProjection: "",
            projectionAspectRatio: "",
            hasProjection: "return false",
            isCategoricalScheme: "return false",
            isDivergingScheme: "return false",
            maybeBooleanRange: "",
            exposeLegends: "",
            createLegends: "return []",
            markers: "",
            applyMarkers: "",
            applyGroupedMarkers: "",
            maybeDenseIntervalX: "return arguments[0]",
            maybeDenseIntervalY: "return arguments[0]",
        };
        const parts = "projection|scales/schemes|legends|marker|marks/tip|interactions/pointer|transforms/bin";
        const filter = new RegExp(`plot/src/(${parts})\\.js$|d3-(geo|time-format)/dist/d3-[a-z-]+\\.mjs$`);
        onLoad({ filter }, ({ path }) => {
            const source = readFileSync(path, "utf8");
            const named = [...source.matchAll(/^export (?:function|class) (\w+)/gm)].map((match) => match[1]);
            const listed = /^export \{([^}]*)\};/m.exec(source)?.[1].split(",") ?? [];
            const names = [...named, ...listed.map((item) => item.trim().split(" as ").pop())];
            if (!names.length) throw new Error(`${path} exports nothing that is known`);
            const answer = (/** @type {string} */ name) =>
                answers[name] ?? `throw new Error("${name} is left out of this build")`;
            return { contents: names.map((name) => `export function ${name}() { ${answer(name ?? "")} }`).join("\n") };
        });
    },
};

/**
 * Pages' templates are indented as their source is: no reader needs that.
 * @type {import("esbuild").Plugin}
 */
const flatTemplates = {
    name: "flat-templates",
    setup({ onLoad }) {
        onLoad({ filter: /web\/src\/.*\.js$/ }, ({ path }) => ({
            contents: readFileSync(path, "utf8").replace(/\n\s+/g, "\n"),
        }));
    },
};

/** @typedef {{ path: string, type: string, immutable: boolean, bytes: Buffer }} Asset */

/** @param {Buffer} bytes */
const hash = (bytes) => createHash("sha256").update(bytes).digest("base64url").slice(0, 22);
/** @param {Buffer} bytes */
const compress = (bytes) => gzipSync(bytes, { level: 9 });

/**
 * The bundle: one entry of script, one of style, and the chunks that are loaded when a page needs them.
 * @param {string} folder
 */
async function bundle(folder) {
    const result = await build({
        absWorkingDir: here,
        entryPoints: { app: "src/main.js", style: "src/style.css" },
        outdir: join(folder, "assets"),
        bundle: true,
        splitting: true,
        minify: true,
        format: "esm",
        target: ["chrome111", "firefox115", "safari16.4"],
        entryNames: "[name]-[hash]",
        chunkNames: "[name]-[hash]",
        legalComments: "none",
        plugins: [leanPlot, flatTemplates],
        metafile: true,
        logLevel: "warning",
    });
    return result.metafile;
}

/**
 * The output of an entry point, and all that it loads at once.
 * @param {import("esbuild").Metafile} meta
 * @param {string} entry
 */
function entryOutputs(meta, entry) {
    const first = Object.keys(meta.outputs).find((path) => meta.outputs[path].entryPoint === entry);
    if (!first) throw new Error(`esbuild made no output for ${entry}`);
    const all = [first];
    for (const path of all)
        for (const used of meta.outputs[path].imports)
            if (used.kind === "import-statement" && !all.includes(used.path)) all.push(used.path);
    return all;
}

/**
 * The licences of everything that was bundled, as they ask to travel with it.
 * @param {import("esbuild").Metafile} meta
 */
function licences(meta) {
    const folders = new Set();
    for (const input of Object.keys(meta.inputs)) {
        const match = /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
        if (match) folders.add(match[1]);
    }
    const texts = [...folders].sort().map((folder) => {
        const about = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
        const file = readdirSync(join(here, folder)).find((name) => /^licen[cs]e/i.test(name));
        const text = file ? readFileSync(join(here, folder, file), "utf8").trim() : "";
        return `${about.name} ${about.version} (${about.license})\n\n${text}\n`;
    });
    return `Plumbline's pages contain the following software.\n\n${texts.join(`\n${"-".repeat(72)}\n\n`)}`;
}

/**
 * Every file as it is served.
 * @param {import("esbuild").Metafile} meta
 * @param {string} folder
 * @returns {Asset[]}
 */
function collect(meta, folder) {
    const outputs = Object.keys(meta.outputs).sort();
    /** @type {Asset[]} */
    const assets = outputs.map((path) => {
        const file = resolve(here, path);
        return {
            path: "/" + relative(folder, file).split("\\").join("/"),
            type: TYPES[extname(file)],
            immutable: true,
            bytes: readFileSync(file),
        };
    });
    const mark = readFileSync(join(here, "mark.svg"));
    const markPath = `/assets/mark-${hash(mark).slice(0, 8)}.svg`;
    assets.push({ path: markPath, type: TYPES[".svg"], immutable: true, bytes: mark });
    assets.push({ path: "/licences.txt", type: TYPES[".txt"], immutable: false, bytes: Buffer.from(licences(meta)) });

    /** @param {string} entry */
    const served = (entry) => "/" + relative(folder, resolve(here, entryOutputs(meta, entry)[0]));
    /** @type {Record<string, string>} */
    const places = { app: served("src/main.js"), style: served("src/style.css"), mark: markPath };
    // The first page's scripts are asked for at once, not one after the other as they name each other.
    const [, ...chunks] = entryOutputs(meta, "src/main.js").map((path) => "/" + relative(folder, resolve(here, path)));
    places.chunks = chunks.map((path) => `<link rel="modulepreload" href="${path}" />`).join("\n        ");
    const page = readFileSync(join(here, "index.html"), "utf8").replace(/\{(\w+)\}/g, (_, name) => places[name]);
    assets.push({ path: "/index.html", type: TYPES[".html"], immutable: false, bytes: Buffer.from(page) });
    for (const asset of assets) if (!asset.type) throw new Error(`no content type for ${asset.path}`);
    return assets;
}

/**
 * Bytes as a C string literal, in lines.
 * @param {Buffer} bytes
 */
function literal(bytes) {
    const lines = [];
    for (let at = 0; at < bytes.length; at += 96) {
        let line = "";
        for (const byte of bytes.subarray(at, at + 96)) {
            // "?" would make trigraphs, and a digit after an escape must not become part of it: three octal digits.
            const plain = byte >= 32 && byte < 127 && byte !== 34 && byte !== 92 && byte !== 63;
            line += plain ? String.fromCharCode(byte) : "\\" + byte.toString(8).padStart(3, "0");
        }
        lines.push(`    "${line}"`);
    }
    return lines.length ? lines.join("\n") : '    ""';
}

/** @param {Asset[]} assets */
function table(assets) {
    const parts = ["/* Made by web/build.mjs. */", '#include "server/assets.h"', ""];
    const rows = assets.map((asset, i) => {
        const gzip = compress(asset.bytes);
        const smaller = gzip.length < asset.bytes.length;
        parts.push(`static const unsigned char bytes_${i}[] =\n${literal(asset.bytes)};`);
        if (smaller) parts.push(`static const unsigned char gzip_${i}[] =\n${literal(gzip)};`);
        const quoted = `"\\"${hash(asset.bytes)}\\""`;
        const packed = smaller ? `gzip_${i}, ${gzip.length}` : "NULL, 0";
        return `    {"${asset.path}", "${asset.type}", ${quoted}, ${asset.immutable}, bytes_${i}, ${asset.bytes.length}, ${packed}},`;
    });
    parts.push("", "const struct asset assets[] = {", ...rows, "};");
    parts.push("const size_t asset_count = sizeof assets / sizeof assets[0];", "");
    return parts.join("\n");
}

/**
 * Fails when a page would cost more than it may.
 * @param {import("esbuild").Metafile} meta
 */
function weigh(meta) {
    /** @param {string} path */
    const size = (path) => compress(readFileSync(resolve(here, path))).length;
    const all = Object.keys(meta.outputs);
    const first = [...entryOutputs(meta, "src/main.js"), ...entryOutputs(meta, "src/style.css")];
    /** @param {string[]} paths */
    const sum = (paths) => paths.reduce((total, path) => total + size(path), 0);
    const sums = { first: sum(first), all: sum(all) };
    const text = (/** @type {number} */ bytes) => `${(bytes / KB).toFixed(1)} kB`;
    console.log(
        `web: first route ${text(sums.first)} of ${text(BUDGET.first)}, all ${text(sums.all)} of ${text(BUDGET.all)} (gzip)`,
    );
    if (sums.first > BUDGET.first || sums.all > BUDGET.all) throw new Error("the pages are heavier than they may be");
}

const target = process.argv[2];
if (!target) {
    console.error("usage: node build.mjs WEB_ASSETS.c");
    process.exit(2);
}
const output = resolve(target);
const folder = join(dirname(output), "web");
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const meta = await bundle(folder);
const assets = collect(meta, folder);
for (const asset of assets) {
    const file = join(folder, asset.path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, asset.bytes);
}
weigh(meta);
writeFileSync(output, table(assets));
