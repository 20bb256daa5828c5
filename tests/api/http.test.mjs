// What the server lets in and how it answers, down to the bytes.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { api, ask, smallSpec, startDaemon } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
before(async () => void (daemon = await startDaemon({ flags: ["--request-seconds", "2", "--max-body", "4096"] })));
after(async () => {
    await daemon.stop();
    daemon.remove();
});

/**
 * Sends bytes as they are and gives all that comes back until the server closes.
 * @param {string} text
 * @returns {Promise<string>}
 */
const raw = (text) =>
    new Promise((done, fail) => {
        const { hostname, port } = new URL(daemon.base);
        const socket = connect(Number(port), hostname, () => socket.write(text));
        let answer = "";
        socket.setEncoding("latin1").on("data", (piece) => (answer += piece));
        socket.on("end", () => done(answer)).on("error", fail);
    });

/** @param {string} line @param {string[]} headers @param {string} body */
const request = (line, headers = [], body = "") =>
    raw([`${line} HTTP/1.1`, `Host: ${daemon.listen}`, "Connection: close", ...headers, "", body].join("\r\n"));

const status = (/** @type {string} */ answer) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

describe("every answer", () => {
    test("carries the security headers", async () => {
        for (const path of ["/", "/api/v1/jobs", "/api/v1/nothing", "/healthz", "/assets/none.js"]) {
            const { headers } = await fetch(daemon.base + path);
            assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'; script-src 'self'/, path);
            assert.equal(headers.get("x-content-type-options"), "nosniff", path);
            assert.equal(headers.get("x-frame-options"), "DENY", path);
            assert.equal(headers.get("referrer-policy"), "same-origin", path);
        }
    });

    test("to a fault is a problem document", async () => {
        const { status, headers, json } = await ask(daemon.base, "/jobs/99999");
        assert.equal(status, 404);
        assert.match(headers.get("content-type") ?? "", /^application\/problem\+json/);
        assert.deepEqual(Object.keys(json).sort(), ["code", "detail", "status", "title", "type"]);
        assert.equal(json.code, "not_found");
        assert.match(json.detail, /99999/);
        assert.equal((await ask(daemon.base, "/jobs/one")).status, 404);
        assert.equal((await ask(daemon.base, "/nothing")).status, 404);
    });

    test("to another method names those there are", async () => {
        const answer = await ask(daemon.base, "/jobs", { method: "DELETE" });
        assert.equal(answer.status, 405);
        assert.deepEqual(answer.headers.get("allow")?.split(", ").sort(), ["GET", "HEAD", "OPTIONS", "POST"]);
        const options = await ask(daemon.base, "/jobs", { method: "OPTIONS" });
        assert.equal(options.status, 204);
        assert.match(options.headers.get("allow") ?? "", /POST/);
        const head = await fetch(`${daemon.base}/api/v1/version`, { method: "HEAD" });
        assert.equal(head.status, 200);
        assert.equal(await head.text(), "");
    });

    test("is compressed for who takes that", async () => {
        const plain = await request("GET /api/v1/layers");
        const packed = await request("GET /api/v1/layers", ["Accept-Encoding: gzip"]);
        assert.match(packed, /content-encoding: gzip/i);
        assert.ok(packed.length < plain.length / 2);
        assert.deepEqual(
            await (await fetch(`${daemon.base}/api/v1/layers`)).json(),
            JSON.parse(Buffer.from(plain.slice(plain.indexOf("\r\n\r\n")), "latin1").toString()),
        );
    });

    test("has the coding that its Accept-Encoding likes best", async () => {
        const isPacked = async (/** @type {string[]} */ headers, path = "/api/v1/layers", method = "GET") => {
            const answer = await request(`${method} ${path}`, headers);
            assert.equal(status(answer), 200, headers.join());
            assert.match(answer, /^vary: accept-encoding\r$/im);
            return /^content-encoding: gzip\r$/im.test(answer);
        };
        for (const [value, packed] of /** @type {[string, boolean][]} */ ([
            ["gzip", true],
            ["GZip", true],
            ["x-gzip", true],
            ["deflate, gzip, br", true],
            ["gzip;q=0.5", true],
            ["gzip ; Q=0.001", true],
            ["br;q=1.0, gzip;q=0.8, *;q=0.1", true],
            ["*", true],
            ["*;q=0.1", true],
            ["identity;q=0", false], // and nothing else is named: as it is
            ["gzip, identity;q=0", true],
            ["gzip;q=0.5, identity;q=0.5", true],
            ["", false],
            ["br", false],
            ["gzipped", false],
            ["gzip;q=0", false],
            ["gzip;q=0.000", false],
            ["gzip; q=0", false],
            ["*, gzip;q=0", false],
            ["*;q=0", false],
            ["identity", false],
            ["gzip;q=0.5, identity", false],
            ["gzip;q=0.5, *", true],
            ["gzip;q=2", false],
            ["gzip;q=x, br", false],
            ["gzip;level=9", false],
        ])) {
            assert.equal(await isPacked([`Accept-Encoding: ${value}`]), packed, value);
            assert.equal(await isPacked([`Accept-Encoding: ${value}`], "/api/v1/layers", "HEAD"), packed, value);
        }
        assert.equal(await isPacked([]), false);
        assert.equal(await isPacked(["Accept-Encoding: br", "Accept-Encoding: gzip"]), true, "two lines are one list");
        assert.equal(await isPacked(["Accept-Encoding: gzip"], "/api/v1/version"), false, "it fits a packet");
        assert.equal(await isPacked(["Accept-Encoding: gzip, identity;q=0"], "/api/v1/version"), true);
    });
});

describe("a request", () => {
    test("with a host that is not ours is refused", async () => {
        for (const host of [
            "evil.example",
            "evil.example:8420",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1:8420, evil.example",
            "localhost:8420@evil.example",
            "[::1]evil.example",
            "",
        ])
            assert.equal(
                status(await raw(`GET /api/v1/jobs HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)),
                421,
                host,
            );
        assert.equal(status(await raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")), 400);
        const two = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert.equal(status(await raw(two)), 400);
        assert.equal(status(await raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")), 200);
    });

    test("from another site's page is refused, on every method", async () => {
        for (const line of ["GET /api/v1/jobs", "POST /api/v1/jobs", "GET /api/v1/events"])
            for (const origin of ["https://evil.example", "null", `http://${daemon.listen}.evil.example`])
                assert.equal(status(await request(line, [`Origin: ${origin}`])), 403, `${line} ${origin}`);
        assert.equal(status(await request("GET /api/v1/jobs", [`Origin: ${daemon.base}`])), 200);
    });

    test("whose path leads elsewhere is refused", async () => {
        for (const path of [
            "/assets/../index.html",
            "/assets/%2e%2e/index.html",
            "/assets/..%2f..%2fetc/passwd",
            "/api/v1/jobs/1%00",
            "/api/v1//jobs",
            "/api/v1/jobs/%zz",
            "/api/v1/jobs/%5c..%5c",
        ])
            assert.equal(status(await request(`GET ${path}`)), 400, path);
    });

    test("may name the server in its first line, if it names the Host", async () => {
        assert.equal(status(await request(`GET http://${daemon.listen}/healthz`)), 200);
        assert.equal(status(await request("GET http://evil.example/healthz")), 400);
    });

    test("framed in two ways is refused, and its connection closed", async () => {
        const both = await request(
            "POST /api/v1/jobs",
            ["Content-Type: application/json", "Content-Length: 2", "Transfer-Encoding: chunked"],
            "0\r\n\r\n",
        );
        assert.equal(status(both), 400);
        const json = "Content-Type: application/json";
        for (const headers of [
            ["Transfer-Encoding: gzip"], // a body without an end
            ["Transfer-Encoding: identity", "Content-Length: 2"],
        ])
            assert.equal(status(await request("POST /api/v1/jobs", [json, ...headers], "{}")), 400, headers[0]);
        assert.equal(status(await request("GET /healthz", ["Content-Length : 3"])), 400);
    });

    test("must say that its body is JSON, and send JSON", async () => {
        const spec = JSON.stringify(smallSpec("typed", "affine", 0.1));
        const packed = { "Content-Encoding": "gzip" };
        assert.equal(
            (await ask(daemon.base, "/jobs", { body: gzipSync(spec), headers: packed })).json.code,
            "body_encoded",
        );
        const untyped = await ask(daemon.base, "/jobs", { body: spec, headers: { "Content-Type": "text/plain" } });
        assert.equal(untyped.status, 415);
        for (const [body, detail] of /** @type {[string, RegExp][]} */ ([
            ["{", /line 1/],
            ["", /not JSON/],
            ['{"a": 1, "a": 2}', /duplicate/],
            ["[".repeat(100) + "]".repeat(100), /deep/],
            ['{"name": "\\ud800"}', /not JSON/],
        ])) {
            const { status, json } = await ask(daemon.base, "/jobs", { body });
            assert.equal(status, 400, body);
            assert.equal(json.code, "malformed_json");
            assert.match(json.detail, detail);
        }
        assert.equal((await ask(daemon.base, "/jobs", { body: "[]" })).status, 422);
        assert.deepEqual((await api(daemon.base, "/jobs")).items, []);
    });

    test("with too large a body is refused before it is read, and when it grows", async () => {
        const long = "x".repeat(5000);
        const announced = await request("POST /api/v1/jobs", [
            "Content-Type: application/json",
            "Content-Length: 1000000000",
        ]);
        assert.equal(status(announced), 413);
        const chunked = await request(
            "POST /api/v1/jobs",
            ["Content-Type: application/json", "Transfer-Encoding: chunked"],
            `1388\r\n${long}\r\n0\r\n\r\n`,
        );
        assert.equal(status(chunked), 413);
        assert.match(chunked, /4096/);
    });

    test("that is refused is answered when all of it has come, and the connection stays", async () => {
        const body = "x".repeat(20000); // more than is taken, and less than is read and thrown away
        const whole = (/** @type {string} */ path, /** @type {string} */ type) =>
            `POST ${path} HTTP/1.1\r\nHost: ${daemon.listen}\r\nContent-Type: ${type}\r\nContent-Length: 20000\r\n\r\n${body}`;
        const answers = await raw(
            whole("/api/v1/nothing", "application/json") +
                whole("/api/v1/jobs", "text/plain") +
                `GET /healthz HTTP/1.1\r\nHost: ${daemon.listen}\r\nConnection: close\r\n\r\n`,
        );
        const statuses = [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]));
        assert.deepEqual(statuses, [404, 413, 200]);
    });

    test("that sends a file may take longer, as long as it comes on", async () => {
        const { hostname, port } = new URL(daemon.base);
        const piece = Buffer.alloc(1 << 18, 1);
        const pieces = 16; // four seconds, where another request has two
        const answer = await new Promise((done, fail) => {
            const socket = connect(Number(port), hostname);
            let text = "";
            let sent = 0;
            socket.setEncoding("latin1").on("data", (more) => (text += more));
            socket.on("error", fail).on("end", () => done(text));
            socket.write(
                `POST /api/v1/import HTTP/1.1\r\nHost: ${daemon.listen}\r\nConnection: close\r\n` +
                    `Content-Type: application/vnd.sqlite3\r\nContent-Length: ${pieces * piece.length}\r\n\r\n`,
            );
            const timer = setInterval(() => {
                socket.write(piece);
                if (++sent === pieces) clearInterval(timer);
            }, 250);
        });
        assert.equal(status(answer), 422, "it came whole, and is no run file");
    });

    test("that takes too long is cut off", async () => {
        const { hostname, port } = new URL(daemon.base);
        await new Promise((done, fail) => {
            const socket = connect(Number(port), hostname, () => socket.write("GET /healthz HTTP/1.1\r\nHost: loc"));
            const drip = setInterval(() => socket.write("a"), 200);
            const late = setTimeout(() => fail(new Error("still open")), 20_000);
            socket.on("error", () => {});
            socket.on("close", () => {
                clearInterval(drip);
                clearTimeout(late);
                done(undefined);
            });
        });
        assert.equal((await fetch(`${daemon.base}/healthz`)).status, 200);
    });
});

describe("the service tells", () => {
    test("what runs", async () => {
        const version = await api(daemon.base, "/version");
        assert.equal(version.name, "plumbline");
        assert.match(version.version, /^\d+\.\d+\.\d+/);
        assert.match(version.blas, /OpenBLAS/);
        for (const path of ["/healthz", "/readyz"])
            assert.equal((await ask(daemon.base, daemon.base + path)).json, "ok\n");
    });

    test("every layer with its variants, formulas and factors", async () => {
        const { items } = await api(daemon.base, "/layers");
        const dense = items.find((/** @type {any} */ layer) => layer.type === "dense");
        const variants = dense.variants.map((/** @type {any} */ variant) => variant.name);
        assert.deepEqual(variants.sort(), ["affine", "affine-like", "batch", "l2", "layer", "rms"]);
        for (const layer of items) assert.ok(layer.formula.length > 0, layer.type);
    });

    test("every data set, and whether it is there", async () => {
        const { items } = await api(daemon.base, "/datasets");
        const names = items.map((/** @type {any} */ item) => item.name);
        for (const name of ["fashion-mnist", "mnist", "npy", "synthetic"]) assert.ok(names.includes(name), name);
        for (const item of items) assert.ok(item.found || item.detail, item.name);
    });

    test("how many jobs are in each state", async () => {
        const queue = await api(daemon.base, "/queue");
        assert.equal(queue.queued, 0);
        assert.ok(queue.workers >= 1);
        assert.equal(Object.keys(queue.states).length, 7);
    });
});

describe("the dashboard's files", () => {
    test("are served compressed, with strong tags, and kept by name", async () => {
        const page = await fetch(daemon.base);
        assert.match(page.headers.get("content-type") ?? "", /^text\/html/);
        assert.equal(page.headers.get("cache-control"), "no-cache");
        const etag = page.headers.get("etag") ?? "";
        assert.match(etag, /^"[\w-]+"$/);
        const again = await fetch(daemon.base, { headers: { "If-None-Match": etag } });
        assert.equal(again.status, 304);
        const script = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text())?.[1];
        const answer = await fetch(daemon.base + script);
        assert.equal(answer.status, 200);
        assert.match(answer.headers.get("content-type") ?? "", /javascript/);
        assert.match(answer.headers.get("cache-control") ?? "", /immutable/);
        assert.equal(answer.headers.get("content-encoding"), "gzip");
    });
});
