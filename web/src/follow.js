/**
 * Keeps what a page shows of some runs up with what happens to them.
 */
import { openStream } from "./events.js";
import { applyEvent } from "./job.js";

/**
 * @param {import("./run_data.js").RunData[]} runs
 * @param {{ event?: (event: import("./events.js").LiveEvent) => void, reload?: () => void }} [page]
 *     event: what else it does with an event of one of the runs; reload: what else it reads anew
 */
export function follow(runs, { event: take, reload } = {}) {
    const read = () => {
        for (const run of runs) run.refresh();
        reload?.();
    };
    const stream = openStream({
        jobs: runs.map((run) => run.id),
        reload: read,
        apply(events) {
            for (const event of events) {
                const run = runs.find(({ id }) => id === event.data.job);
                if (!run) continue;
                const { state } = run.job;
                if (state.value.data) state.value = { ...state.value, data: applyEvent(state.value.data, event) };
                if (event.type === "divergence") run.grow();
                if (event.type === "job.state") run.refresh();
                take?.(event);
            }
        },
    });
    stream.ready.then(read);
    return { read, close: stream.close };
}
