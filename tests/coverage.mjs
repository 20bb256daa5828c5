// Holds what the API's tests have tried (contract.mjs notes it) against the document: every operation must have
// succeeded somewhere. Usage: node coverage.mjs LIST
import { readFileSync } from "node:fs";
import { operations } from "./contract.mjs";
import { api, startDaemon } from "./daemon.mjs";

const seen = new Set(readFileSync(process.argv[2], "utf8").split("\n"));
const daemon = await startDaemon();
const all = operations(await api(daemon.base, "/openapi.json"));
await daemon.stop();
daemon.remove();

const missing = [];
const unseen = [];
let documented = 0;
for (const { method, path, responses } of all)
    for (const status of Object.keys(responses).filter((one) => one !== "default")) {
        documented++;
        if (seen.has(`${method} ${path} ${status}`)) continue;
        (Number(status) < 300 ? missing : unseen).push(`${method} ${path} ${status}`);
    }
console.log(
    `${all.length} operations, ${documented} statuses documented, ${documented - missing.length - unseen.length} seen`,
);
for (const line of unseen) console.log(`  not seen: ${line}`);
for (const line of missing) console.log(`not ok - never succeeded: ${line}`);
process.exitCode = missing.length > 0 ? 1 : 0;
