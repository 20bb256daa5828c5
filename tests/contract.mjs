// The document that the server gives of itself, as a contract: every answer that a test sees is held against it.
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const fromWeb = createRequire(join(dirname(fileURLToPath(import.meta.url)), "../web/package.json"));
const { default: Ajv } = fromWeb("ajv/dist/2020");

/** Refusals that any request can meet, which the document leaves to "default". */
const ANYWHERE = [405, 421, 500];

/** @typedef {{ method: string, path: string, pattern: RegExp, responses: Record<string, any>,
 *     role?: string }} Operation role: what a token must have; none where no token is needed */

/**
 * The operations of a document, in its order, by which the first that fits is meant.
 * @param {any} document
 * @returns {Operation[]}
 */
export const operations = (document) =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => ({
            method: method.toUpperCase(),
            path,
            pattern: new RegExp(`^${path.replace(/[.]/g, "\\.").replace(/\{\w+\}/g, "[^/]+")}$`),
            responses: operation.responses,
            role: operation.security[0]?.bearer[0],
        })),
    );

/** @param {string} base */
async function read(base) {
    const document = await (await fetch(`${base}/api/v1/openapi.json`)).json();
    const ajv = new Ajv({ strictSchema: true, allowUnionTypes: true, allErrors: true, formats: { "date-time": true } });
    ajv.addVocabulary(["openapi", "info", "servers", "security", "paths", "components"]);
    ajv.addSchema(document, "document");
    return { document, all: operations(document), ajv };
}

/** @type {ReturnType<typeof read> | undefined} */
let contract;

/** @type {Set<string>} */
const noted = new Set();

/** For the list of what was tried, which tests/coverage.mjs makes of all test files. @param {string} line */
function note(line) {
    const list = process.env.PLUMBLINE_SEEN;
    if (list && !noted.has(line)) appendFileSync(resolve(list), `${line}\n`);
    noted.add(line);
}

/**
 * Holds an answer against the document: the status is one of the operation's, the body of its media type and schema.
 * @param {string} base
 * @param {string} method
 * @param {string} url
 * @param {{ status: number, headers: Headers, json?: unknown }} answer json: the body, where it is JSON and was read
 */
export async function holdAgainst(base, method, url, { status, headers, json }) {
    contract ??= read(base).catch((error) => {
        contract = undefined; // the server may have been killed: the next one is asked
        throw error;
    });
    const { document, all, ajv } = await contract;
    const path = decodeURIComponent(new URL(url).pathname);
    const wanted = method === "HEAD" ? "GET" : method;
    const operation = all.find((one) => one.method === wanted && one.pattern.test(path));
    const what = `${method} ${path}: ${status}`;
    if (status >= 400 && json !== undefined) {
        const validate = ajv.getSchema("document#/components/schemas/Problem");
        assert.ok(validate(json), `${what} ${JSON.stringify(json)}: ${ajv.errorsText(validate.errors)}`);
        assert.equal(/** @type {any} */ (json).status, status, what);
    }
    if (!operation) return;
    let response = operation.responses[status];
    if (!response && ANYWHERE.includes(status)) response = operation.responses.default;
    assert.ok(response, `${what}, which the document of ${operation.method} ${operation.path} does not tell of`);
    note(`${method} ${operation.path} ${status}`);
    if (response.$ref) response = document.components.responses[response.$ref.split("/").at(-1)];
    const media = (headers.get("content-type") ?? "").replace(/;.*/, "");
    assert.ok(media in response.content, `${what} is ${media}, not ${Object.keys(response.content)}`);
    const schema = response.content[media].schema;
    if (json === undefined || method === "HEAD" || !schema.$ref) return;
    const validate = ajv.getSchema(`document${schema.$ref}`);
    assert.ok(validate(json), `${what} is no ${schema.$ref}: ${ajv.errorsText(validate.errors)}`);
}
