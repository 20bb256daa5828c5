import { request } from "./api.js";
import { PAIR } from "./demo_pair.js";

/** Submits the pair. @returns {Promise<import("./api.js").Job[]>} */
export async function startDemoPair() {
    const jobs = [];
    for (const body of PAIR) jobs.push(await request("/jobs", { method: "POST", body }));
    return jobs;
}
