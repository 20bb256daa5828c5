// Who may do what: tokens and their roles on every route, the browser's cookie, the socket of this machine.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { operations } from "../contract.mjs";
import { ask, program, run, smallSpec, startDaemon, temporary, until } from "../daemon.mjs";

const ROLES = ["viewer", "submitter", "admin"];

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
/** By role. @type {Record<string, { id: number, token: string }>} */
const tokens = {};

const bearer = (/** @type {string} */ token) => ({ Authorization: `Bearer ${token}` });
const cookie = (/** @type {string} */ token) => ({ Cookie: `plumbline=${token}` });
/** @param {Record<string, string>} headers @param {string} path @param {any} [options] */
const as = (headers, path, options = {}) => ask(daemon.base, path, { headers, ...options });

/** What a server with --first-token prints until it answers. @param {string} data @returns {Promise<string>} */
const printed = (data) =>
    new Promise((done, fail) => {
        const args = ["serve", "--listen", "127.0.0.1:0", "--data", data, "--require-token", "--first-token"];
        const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
        let out = "";
        child.stdout.setEncoding("utf8").on("data", (text) => {
            out += text;
            if (/at http/.test(out)) child.kill("SIGTERM");
        });
        child.once("error", fail).once("close", () => done(out));
    });

/**
 * A request over the Unix socket of a data directory.
 * @param {string} path
 * @param {{ method?: string, body?: unknown, host?: string }} [options]
 * @returns {Promise<{ status: number | undefined, json: any }>}
 */
const local = (path, { method = "GET", body, host = "localhost" } = {}) =>
    new Promise((done, fail) => {
        const text = body === undefined ? "" : JSON.stringify(body);
        const headers = {
            Host: host,
            ...(text ? { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) } : {}),
        };
        const options = { socketPath: join(daemon.data, "socket"), path: `/api/v1${path}`, method, headers };
        const sent = request(options, (answer) => {
            let all = "";
            answer.setEncoding("utf8").on("data", (piece) => (all += piece));
            answer.on("end", () => done({ status: answer.statusCode, json: JSON.parse(all) }));
        });
        sent.on("error", fail).end(text);
    });

before(async () => {
    const data = temporary();
    const first = /plumbline_1_[\w-]{43}/.exec(await printed(data))?.[0] ?? "";
    daemon = await startDaemon({ data, flags: ["--require-token"] });
    tokens.admin = { id: 1, token: first };
    for (const role of ["viewer", "submitter"]) {
        const { status, json } = await as(bearer(first), "/tokens", { body: { name: `the ${role}`, role } });
        assert.deepEqual([status, json.role, json.name], [201, role, `the ${role}`]);
        tokens[role] = json;
    }
});
after(async () => {
    await daemon.stop();
    daemon.remove();
});

describe("a server that asks for tokens", () => {
    test("does not start while there is none, and says how to make one", async () => {
        for (const flags of [
            ["--listen", "127.0.0.1:0", "--require-token"],
            ["--listen", "0.0.0.0:0"],
        ]) {
            const data = temporary();
            const { code, err } = await run(["serve", "--data", data, ...flags]);
            assert.equal(code, 1);
            assert.match(err, /token create --role admin.*--first-token/);
            rmSync(data, { recursive: true, force: true });
        }
    });

    test("prints the first token once, and keeps only its hash", async () => {
        const data = temporary();
        const secret = /shown this once: plumbline_1_([\w-]{43})\n/.exec(await printed(data))?.[1] ?? "none";
        assert.equal(secret.length, 43);
        assert.doesNotMatch(await printed(data), /plumbline_\d/);
        const files = readdirSync(data).filter((name) => name.startsWith("catalog.db"));
        assert.ok(files.length > 0);
        for (const name of files) {
            const bytes = readFileSync(join(data, name));
            assert.ok(!bytes.includes(secret), name);
            assert.ok(!bytes.includes(Buffer.from(secret, "base64url")), name);
        }
        rmSync(data, { recursive: true, force: true });
    });

    test("answers every route but the open ones with 401 to who shows none", async () => {
        const wrong = [
            {},
            bearer(""),
            bearer("plumbline_1_"),
            bearer(tokens.admin.token.slice(0, -1)),
            bearer(`${tokens.admin.token}A`),
            bearer(tokens.admin.token.replace("_1_", "_2_")),
            bearer(tokens.admin.token.replace("plumbline_1_", "plumbline_99_")),
            bearer(tokens.admin.token.toUpperCase()),
            bearer("x".repeat(4000)),
            { Authorization: `Basic ${Buffer.from(`:${tokens.admin.token}`).toString("base64")}` },
            cookie("plumbline_1_none"),
            { ...cookie(tokens.admin.token), ...bearer("none") },
            { Cookie: `other=${tokens.admin.token}` },
        ];
        const document = (await as({}, "/openapi.json")).json;
        for (const { method, path, role } of operations(document)) {
            const url = daemon.base + path.replace(/\{\w+\}/g, "987654");
            for (const headers of role ? wrong : []) {
                const answer = await as(headers, url, { method });
                assert.equal(answer.status, 401, `${method} ${path} ${JSON.stringify(headers)}`);
                assert.match(answer.headers.get("www-authenticate") ?? "", /^Bearer realm=/);
                assert.match(answer.json.code, /^(token_wanted|unknown_token)$/);
                if (path !== "/api/v1/jobs") break; // what a wrong token looks like matters on one route
            }
            if (!role)
                assert.ok(![401, 403].includes((await as({}, url, { method })).status) || path.endsWith("login"));
        }
    });

    test("lets each role do what it may, on every route, and no more", async () => {
        const document = (await as({}, "/openapi.json")).json;
        const all = operations(document);
        const wants = (/** @type {string} */ line) => all.find((one) => `${one.method} ${one.path}` === line)?.role;
        assert.equal(wants("GET /api/v1/jobs"), "viewer");
        assert.equal(wants("POST /api/v1/jobs"), "submitter");
        assert.equal(wants("POST /api/v1/tokens"), "admin");
        for (const { method, path, role } of all.filter((one) => one.role && !one.path.endsWith("/events"))) {
            const reads = method === "GET" && !path.endsWith("/tokens");
            assert.equal(role === "viewer", reads, `${method} ${path}: a viewer may read, and only that`);
            for (const own of ROLES) {
                const may = ROLES.indexOf(own) >= ROLES.indexOf(role ?? "");
                for (const headers of [bearer(tokens[own].token), cookie(tokens[own].token)]) {
                    const { status, json } = await as(headers, daemon.base + path.replace(/\{\w+\}/g, "987654"), {
                        method,
                    });
                    const what = `${method} ${path} as ${own}: ${status}`;
                    if (may) assert.ok(![401, 403].includes(status), what);
                    else assert.deepEqual([status, json.code], [403, "role_too_low"], what);
                }
            }
        }
    });

    test("lets a submitter submit and a viewer look", async () => {
        const { status, json } = await as(bearer(tokens.submitter.token), "/jobs", {
            body: smallSpec("by a submitter", "affine", 0.05, { epochs: 1 }),
            headers: { ...bearer(tokens.submitter.token), "Idempotency-Key": "mine" },
        });
        assert.equal(status, 201);
        assert.equal((await as(bearer(tokens.viewer.token), `/jobs/${json.id}`)).json.name, "by a submitter");
        const other = await as({}, "/jobs", {
            body: smallSpec("by an administrator", "affine", 0.05, { epochs: 1 }),
            headers: { ...bearer(tokens.admin.token), "Idempotency-Key": "mine" },
        });
        assert.equal(other.status, 201, "keys are told apart by who sends them");
        const stream = await fetch(`${daemon.base}/api/v1/events`, { headers: bearer(tokens.viewer.token) });
        assert.equal(stream.status, 200);
        await stream.body?.cancel();
        assert.equal((await fetch(`${daemon.base}/api/v1/events`)).status, 401);
    });

    test("shows its dashboard and whether it is well to everyone", async () => {
        for (const path of ["/", "/jobs/1", "/healthz", "/readyz"])
            assert.equal((await fetch(daemon.base + path)).status, 200, path);
    });
});

describe("tokens", () => {
    const admin = () => bearer(tokens.admin.token);

    test("are listed without their secrets, with their last use", async () => {
        await as(bearer(tokens.viewer.token), "/jobs");
        const { json, bytes } = await as(admin(), "/tokens?order_by=id");
        assert.deepEqual(
            json.items.map((/** @type {any} */ one) => [one.name, one.role, one.revoked_at]),
            [
                ["first", "admin", null],
                ["the viewer", "viewer", null],
                ["the submitter", "submitter", null],
            ],
        );
        assert.match(json.items[1].last_used_at, /^\d{4}-/);
        for (const { token } of Object.values(tokens)) assert.ok(!bytes.includes(token.slice(-43)));
    });

    test("that are revoked are refused at once, for good", async () => {
        const made = (await as(admin(), "/tokens", { body: { name: "lost", role: "admin" } })).json;
        assert.equal((await as(bearer(made.token), "/tokens")).status, 200);
        const { status, json } = await as(admin(), `/tokens/${made.id}`, { method: "DELETE" });
        assert.deepEqual([status, json], [200, { id: made.id }]);
        const refused = await as(bearer(made.token), "/tokens");
        assert.deepEqual([refused.status, refused.json.code], [401, "unknown_token"]);
        assert.equal((await as({}, "/login", { body: { token: made.token } })).status, 401);
        assert.equal((await as(cookie(made.token), "/session")).json.role, null);
        assert.equal((await as(admin(), "/tokens/987654", { method: "DELETE" })).status, 404);
    });

    test("that are revoked end their streams of events, and no others", async () => {
        const made = (await as(admin(), "/tokens", { body: { name: "watches" } })).json;
        const [lost, kept] = await Promise.all(
            [made.token, tokens.viewer.token].map((token) =>
                fetch(`${daemon.base}/api/v1/events`, { headers: bearer(token) }),
            ),
        );
        const reader = /** @type {any} */ (kept.body).getReader();
        const decoder = new TextDecoder();
        let heard = decoder.decode((await reader.read()).value);
        await as(admin(), `/tokens/${made.id}`, { method: "DELETE" });
        await lost.text(); // it ends by itself
        const { json } = await as(admin(), "/jobs", { body: smallSpec("seen", "affine", 0.05, { epochs: 1 }) });
        while (!heard.includes(`"job":${json.id},`)) {
            const { value, done } = await reader.read();
            assert.ok(!done, "the other's goes on");
            heard += decoder.decode(value, { stream: true });
        }
        await reader.cancel();
        assert.equal((await as(bearer(made.token), "/events")).status, 401);
    });

    test("have a role that there is and a name that is none too long", async () => {
        for (const body of [{ role: "owner" }, { name: 7 }, { name: "x".repeat(101) }, { secret: "mine" }, []]) {
            const { status, json } = await as(admin(), "/tokens", { body });
            assert.deepEqual([status, json.code], [422, "invalid_token"], JSON.stringify(body));
        }
        const { json } = await as(admin(), "/tokens", { body: {} });
        assert.deepEqual([json.name, json.role], ["", "viewer"], "the least unless more is asked for");
    });
});

describe("the browser", () => {
    test("keeps a token in a cookie that scripts and other sites do not get", async () => {
        const { token } = tokens.submitter;
        assert.deepEqual((await as({}, "/session")).json, { token_wanted: true, role: null });
        const { status, headers, json } = await as({}, "/login", { body: { token } });
        assert.deepEqual([status, json], [200, { token_wanted: true, role: "submitter" }]);
        const [pair, ...attributes] = (headers.get("set-cookie") ?? "").split("; ");
        assert.equal(pair, `plumbline=${token}`);
        assert.deepEqual(attributes.sort(), ["HttpOnly", "Max-Age=2592000", "Path=/", "SameSite=Strict"]);
        assert.equal(headers.get("cache-control"), "no-store");
        assert.deepEqual((await as({ Cookie: pair }, "/session")).json.role, "submitter");
        assert.equal((await as({ Cookie: `a=b; ${pair}; c=d` }, "/jobs")).status, 200);
    });

    test("gives it back", async () => {
        const { headers, json } = await as(cookie(tokens.viewer.token), "/logout", { method: "POST" });
        assert.equal(json.role, null);
        const [pair, ...attributes] = (headers.get("set-cookie") ?? "").split("; ");
        assert.equal(pair, "plumbline=");
        assert.deepEqual(attributes.sort(), ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Strict"]);
    });

    test("cannot be made to log in or act by another site's page", async () => {
        for (const [path, body] of /** @type {[string, object][]} */ ([
            ["/login", { token: tokens.viewer.token }],
            ["/jobs", {}],
        ])) {
            const headers = { ...cookie(tokens.admin.token), Origin: "https://evil.example" };
            const answer = await as(headers, path, { body });
            assert.deepEqual([answer.status, answer.json.code], [403, "origin_not_allowed"]);
            assert.equal(answer.headers.get("set-cookie"), null);
        }
    });

    test("is refused with a token that is none", async () => {
        for (const token of ["", "none", `${tokens.viewer.token}; Domain=evil.example`, "plumbline_1_\r\nX: y"]) {
            const { status, headers } = await as({}, "/login", { body: { token } });
            assert.equal(status, 401, token);
            assert.equal(headers.get("set-cookie"), null);
        }
        for (const body of [{}, { token: 7 }, []])
            assert.equal((await as({}, "/login", { body })).status, 422, JSON.stringify(body));
    });
});

describe("the socket of the data directory", () => {
    test("is this user's alone, and trusted", async () => {
        const { mode } = statSync(join(daemon.data, "socket"));
        assert.equal(mode & 0o777, 0o600);
        assert.equal((await local("/tokens")).status, 200);
        const made = await local("/tokens", { method: "POST", body: { name: "by the socket", role: "viewer" } });
        assert.equal(made.status, 201);
        assert.equal((await as(bearer(made.json.token), "/jobs")).status, 200);
        assert.equal((await local("/session")).json.role, "admin");
        assert.equal((await local("/session", { host: "plumbline.local" })).status, 200);
    });

    test("is gone after a stop, and replaced where a server was killed", async () => {
        let other = await startDaemon();
        assert.ok(existsSync(join(other.data, "socket")));
        let gone = false;
        other.ended.then(() => (gone = true));
        other.kill("SIGKILL");
        await until("it is gone", () => gone);
        assert.ok(existsSync(join(other.data, "socket")));
        other = await startDaemon({ data: other.data });
        await other.stop();
        assert.ok(!existsSync(join(other.data, "socket")));
        other.remove();
    });
});
