// The document of the API: well made, and true of the routes in both directions.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { operations } from "../contract.mjs";
import { api, ask, root, startDaemon } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
/** @type {any} */
let document;
before(async () => {
    daemon = await startDaemon({ flags: ["--max-body", "1024", "--max-upload", "1024"] });
    document = await api(daemon.base, "/openapi.json");
});
after(async () => {
    await daemon.stop();
    daemon.remove();
});

/** With something at the places in braces: what there is not. @param {string} path */
const filled = (path) => daemon.base + path.replace(/\{\w+\}/g, "987654");

describe("the document", () => {
    test("passes a linter without a warning", async (t) => {
        const cli = join(root, "web/node_modules/@redocly/cli/bin/cli.js");
        const [major, minor] = process.versions.node.split(".").map(Number);
        if (major < 20 || (major === 20 && minor < 19)) return t.skip("the linter needs Node.js 20.19");
        const path = join(daemon.data, "openapi.json");
        writeFileSync(path, JSON.stringify(document));
        const env = { ...process.env, REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" };
        const { stdout } = await promisify(execFile)(
            process.execPath,
            [cli, "lint", "--format=json", "--extends=recommended", path],
            { env },
        );
        const { totals, problems } = JSON.parse(stdout);
        assert.deepEqual(problems, []);
        assert.equal(totals.errors + totals.warnings, 0);
    });

    test("has every route of the server's table, and no others", () => {
        const table = readFileSync(join(root, "server/route.c"), "utf8");
        const rows = [...table.matchAll(/^ {4}\{"([A-Z]+)", (API )?"([^"]+)"/gm)].map(
            ([, method, api, path]) => `${method} ${api ? "/api/v1" : ""}${path}`,
        );
        const dashboard = ["GET /assets/{name}", "GET /{page}"];
        assert.deepEqual(
            rows.filter((row) => !dashboard.includes(row)).sort(),
            operations(document)
                .map(({ method, path }) => `${method} ${path}`)
                .sort(),
        );
        assert.equal(rows.length, table.match(/\bhandle_\w+,/g)?.length, "a row that the pattern above does not find");
    });

    test("names each operation once, and every schema is used", () => {
        const all = Object.values(document.paths).flatMap((methods) => Object.values(methods));
        const ids = all.map((operation) => /** @type {any} */ (operation).operationId);
        assert.equal(new Set(ids).size, ids.length);
        const text = JSON.stringify(document);
        for (const name of Object.keys(document.components.schemas))
            assert.ok(text.includes(`"#/components/schemas/${name}"`) || name === "Document", name);
    });
});

describe("every path", () => {
    const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];

    test("tells its methods, and refuses the others", async () => {
        for (const [path, known] of Object.entries(document.paths)) {
            const allowed = Object.keys(known).map((method) => method.toUpperCase());
            const expected = [...allowed, ...(allowed.includes("GET") ? ["HEAD"] : []), "OPTIONS"].sort();
            const allow = (/** @type {Headers} */ headers) => headers.get("allow")?.split(", ").sort();
            const options = await ask(daemon.base, filled(path), { method: "OPTIONS" });
            assert.equal(options.status, 204, path);
            assert.deepEqual(allow(options.headers), expected, path);
            for (const method of methods.filter((one) => !allowed.includes(one))) {
                const { status, headers, json } = await ask(daemon.base, filled(path), { method });
                assert.equal(status, 405, `${method} ${path}`);
                assert.equal(json.code, "method_not_allowed");
                assert.deepEqual(allow(headers), expected, path);
            }
        }
    });

    test("answers HEAD as GET, without the body", async () => {
        for (const [path, known] of Object.entries(document.paths)) {
            if (!known.get || path.endsWith("/events")) continue;
            const get = await ask(daemon.base, filled(path));
            const head = await ask(daemon.base, filled(path), { method: "HEAD" });
            assert.equal(head.status, get.status, path);
            assert.equal(head.headers.get("content-type"), get.headers.get("content-type"), path);
            assert.equal(head.bytes.length, 0, path);
        }
    });

    test("refuses a parameter that it does not have", async () => {
        for (const { method, path } of operations(document)) {
            const { status, json } = await ask(daemon.base, `${filled(path)}?no_such=1`, { method });
            assert.equal(status, 400, `${method} ${path}`);
            assert.match(json.detail, /no_such/);
        }
    });

    test("is nothing for another site's page", async () => {
        for (const { method, path } of operations(document)) {
            const headers = { Origin: "https://evil.example" };
            const { status, json } = await ask(daemon.base, filled(path), { method, headers });
            assert.deepEqual([status, json.code], [403, "origin_not_allowed"], `${method} ${path}`);
        }
    });

    test("takes no body that is too large", async () => {
        for (const { method, path } of operations(document).filter(({ method }) => method !== "GET")) {
            const body = " ".repeat(1025);
            const { status, json } = await ask(daemon.base, filled(path), { method, body });
            assert.deepEqual([status, json.code], [413, "body_too_large"], `${method} ${path}`);
        }
    });

    test("with a body wants JSON, or a run file, and refuses the rest", async () => {
        for (const { method, path, responses } of operations(document).filter(({ method }) => method !== "GET")) {
            const body = "<p>";
            const typed = await ask(daemon.base, filled(path), {
                method,
                body,
                headers: { "Content-Type": "text/html" },
            });
            assert.equal(typed.status, 415, `${method} ${path}`);
            if (!responses[422] || path.endsWith("/import")) continue;
            const { status, json } = await ask(daemon.base, filled(path), { method, body });
            assert.deepEqual([status, json.code], [400, "malformed_json"], `${method} ${path}`);
        }
    });

    test("with an id refuses one that is none", async () => {
        for (const { method, path } of operations(document).filter(({ path }) => path.includes("{id}")))
            for (const id of ["0", "-1", "1.5", "one", "99999999999999999999", "%201"]) {
                const url = daemon.base + path.replace("{id}", id).replace("{index}", "0");
                const query = path.endsWith("contributors") || path.endsWith("density") ? "?site=1.dense" : "";
                const body = method === "PATCH" ? {} : undefined;
                const { status } = await ask(daemon.base, url + query, { method, body });
                assert.equal(status, 404, `${method} ${url}`);
            }
    });
});
