/**
 * Saved views: addresses that the server keeps under a short id.
 */
import { allPages, request } from "./api.js";
import { copyText, toast } from "./dom.js";

/** @typedef {{ id: number | string, name: string, path: string }} View */

const LIMIT = 500;

/** @param {AbortSignal} [signal] @returns {Promise<View[]>} */
export const readViews = async (signal) => (await allPages("/views", {}, { limit: LIMIT, signal })).items;

/** Saves the page as it is shown, and copies its short link. @param {string} name */
export async function saveView(name) {
    const { pathname, search } = new URL(location.href);
    try {
        const { id } = await request("/views", { method: "POST", body: { name, path: pathname + search } });
        const link = `${location.origin}/view/${id}`;
        toast({ text: (await copyText(link)) ? `Saved; the link /view/${id} is copied` : `Saved as ${link}` });
    } catch (error) {
        toast({ text: `The view was not saved. ${/** @type {Error} */ (error).message}` });
    }
}

/** @param {View} view */
export const removeView = (view) => request(`/views/${view.id}`, { method: "DELETE" });
