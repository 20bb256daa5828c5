// Runs test files, some at once, and prints TAP. Node has options for that, but later than Debian 12's has.
//
//     node tests/suite.mjs AT-ONCE SECONDS FILE…     SECONDS: that a file's tests may take
import { resolve } from "node:path";
import { run } from "node:test";
import { tap } from "node:test/reporters";

const [atOnce, seconds, ...files] = process.argv.slice(2);
const stream = run({
    files: files.map((file) => resolve(file)),
    concurrency: Number(atOnce),
    timeout: Number(seconds) * 1000,
});
stream.on("test:fail", () => (process.exitCode = 1));
stream.compose(tap).pipe(process.stdout);
