// What the server does at its limits: each operation is told so, in the form that its document promises.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { operations } from "../contract.mjs";
import { api, ask, run, startDaemon, temporary, until } from "../daemon.mjs";

/** @type {Awaited<ReturnType<typeof startDaemon>>} */
let daemon;
/** @type {ReturnType<typeof operations>} */
let all;
before(async () => {
    daemon = await startDaemon();
    all = operations(await api(daemon.base, "/openapi.json"));
});
after(async () => {
    await daemon.stop();
    daemon.remove();
});

/** An address of an operation. @param {string} path */
const urlOf = (path) => path.replace(/\{\w+\}/g, "1");

describe("connections", () => {
    test("beyond those that are taken are told to come again, whatever they ask", async () => {
        const small = await startDaemon({ flags: ["--max-connections", "10"] });
        const { hostname, port } = new URL(small.base);
        // They are accepted in this order: whatever comes after is one too many.
        const held = Array.from({ length: 10 }, () => connect(Number(port), hostname));
        await Promise.all(held.map((socket) => new Promise((done) => socket.once("connect", done))));
        for (const { method, path } of all) {
            const { status, headers, json } = await ask(small.base, small.base + urlOf(path), { method });
            assert.deepEqual([status, json.code], [503, "too_many_connections"], `${method} ${path}`);
            assert.match(headers.get("retry-after") ?? "", /^[1-9]\d*$/);
            assert.match(json.detail, /\(10\)/);
        }
        for (const socket of held) socket.destroy();
        await until("there is room again", async () => (await ask(small.base, "/queue")).status === 200);
        await small.stop();
        small.remove();
    });
});

describe("wrong tokens", () => {
    test("that go on are answered with 429, on each operation, and hinder no good one", async () => {
        const data = temporary();
        const made = await run(["token", "create", "--role", "admin", "--json", "--data", data]);
        assert.equal(made.code, 0, made.err);
        const strict = await startDaemon({ data, flags: ["--require-token"] });
        const { token, id } = JSON.parse(made.out);
        const bearer = (/** @type {string} */ text) => ({ Authorization: `Bearer ${text}` });
        const wrong = token.slice(0, -4) + (token.endsWith("AAAA") ? "BBBB" : "AAAA");
        const body = { token: wrong };
        const wrongly = (/** @type {string} */ method, /** @type {string} */ path) =>
            path.endsWith("/login")
                ? ask(strict.base, strict.base + path, { method, body })
                : ask(strict.base, strict.base + urlOf(path), { method, headers: bearer(wrong) });
        let before = 0;
        await until("it is too much", async () => {
            const { status } = await wrongly("GET", "/api/v1/queue");
            before += Number(status === 401);
            return status === 429;
        });
        assert.ok(before >= 30, `${before}: a few are forgiven`);
        for (const { method, path, responses } of all) {
            if (!responses["429"]) continue;
            const { status, headers, json } = await until(`${method} ${path} is refused`, async () => {
                const answer = await wrongly(method, path);
                return answer.status !== 401 && answer; // a second gives back one
            });
            assert.deepEqual([status, json.code], [429, "too_many_tokens"], `${method} ${path}`);
            assert.match(headers.get("retry-after") ?? "", /^[1-9]\d*$/);
        }
        assert.equal((await ask(strict.base, "/queue", { headers: bearer(token) })).status, 200);
        assert.equal((await ask(strict.base, "/login", { body: { token } })).status, 200);
        assert.equal((await ask(strict.base, "/queue")).json.code, "token_wanted", "none is no wrong one");
        await until("time has gone by", async () => (await wrongly("GET", "/api/v1/queue")).status === 401);
        const gone = await ask(strict.base, `/tokens/${id}`, { method: "DELETE", headers: bearer(token) });
        assert.equal(gone.status, 200);
        await strict.stop();
        strict.remove();
    });
});
