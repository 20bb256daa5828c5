/**
 * What can be done with jobs, with what undoes it.
 */
import { Problem, request } from "./api.js";
import { toast } from "./dom.js";
import { isFinal, title } from "./job.js";

/** @typedef {import("./api.js").Job} Job */
/** @typedef {"pause" | "resume" | "cancel" | "retry" | "remove" | "restore"} ActionName */

/** Requests at once, where many jobs are meant. */
const AT_ONCE = 4;

/**
 * @type {Record<ActionName, { name: string, past: string, undo?: { name: string, by: ActionName },
 *     possible: (job: Job) => boolean }>}
 */
export const ACTIONS = {
    pause: {
        name: "Pause",
        past: "paused",
        undo: { name: "Resume", by: "resume" },
        possible: (job) => ["queued", "running"].includes(job.state) && !job.trashed_at,
    },
    resume: {
        name: "Resume",
        past: "resumed",
        undo: { name: "Pause", by: "pause" },
        possible: (job) => job.state === "paused" && !job.trashed_at,
    },
    cancel: {
        name: "Cancel",
        past: "cancelled",
        undo: { name: "Start again", by: "retry" },
        possible: (job) => !isFinal(job.state),
    },
    retry: { name: "Retry", past: "started again", possible: (job) => isFinal(job.state) && !job.trashed_at },
    remove: {
        name: "Move to trash",
        past: "in the trash",
        undo: { name: "Undo", by: "restore" },
        possible: (job) => isFinal(job.state) && !job.trashed_at,
    },
    restore: { name: "Restore", past: "back", possible: (job) => Boolean(job.trashed_at) },
};

/** @param {Job} job @param {ActionName} action @returns {Promise<any>} the job, or the new one of a retry */
const send = (job, action) =>
    action === "remove"
        ? request(`/jobs/${job.id}`, { method: "DELETE" })
        : request(`/jobs/${job.id}/${action}`, { method: "POST" });

/** @param {Job[]} jobs @param {ActionName} action */
const told = (jobs, action) =>
    jobs.length === 1
        ? `Job “${title(jobs[0])}” is ${ACTIONS[action].past}`
        : `${jobs.length} jobs are ${ACTIONS[action].past}`;

/**
 * What a page does with the outcome: `answers` are the jobs as they are now, and the new ones of a retry.
 * @typedef {{ changed: (done: Job[], answers: Job[], action: ActionName) => void, failed: (error: unknown) => void }} Outcome
 */

/**
 * Acts on jobs, and tells it with what undoes it. A job that went on by itself in the meantime is no fault: it is left.
 * @param {Job[]} jobs
 * @param {ActionName} action
 * @param {Outcome} page
 * @param {boolean} [undoing] the jobs are in another state than is known here, and there is no way back
 */
export async function act(jobs, action, page, undoing = false) {
    const { undo, possible } = ACTIONS[action];
    const waiting = undoing ? [...jobs] : jobs.filter(possible);
    /** @type {Job[]} */
    const done = [];
    /** @type {Job[]} */
    const answers = [];
    const work = async () => {
        for (let job = waiting.shift(); job; job = waiting.shift()) {
            try {
                const answer = await send(job, action);
                done.push(job);
                if (answer?.id) answers.push(answer);
            } catch (error) {
                if (!(error instanceof Problem) || error.code !== "wrong_state") return page.failed(error);
            }
        }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    page.changed(done, answers, action);
    if (!done.length) return;
    const back = undo && !undoing && { name: undo.name, run: () => act(done, undo.by, page, true) };
    toast({ text: told(done, action), action: back || undefined });
}
