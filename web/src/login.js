/**
 * A server that asks who is there: the token is kept in a cookie that no script can read.
 */
import { signal } from "@preact/signals-core";
import { html, nothing } from "lit-html";
import { request } from "./api.js";
import { errorNotice } from "./dom.js";

/** @type {import("@preact/signals-core").Signal<unknown>} */
const failed = signal(null);

/** @param {SubmitEvent} event */
async function send(event) {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.target));
    try {
        await request("/login", { method: "POST", body: { token: String(form.get("token") ?? "").trim() } });
        location.reload();
    } catch (error) {
        failed.value = error;
    }
}

export const loginView = () =>
    html`<div class="page-head">
            <div class="lead">
                <h1>Who is there?</h1>
                <p>This server asks for a token. Who runs it makes one with <code>plumbline token create</code>.</p>
            </div>
        </div>
        ${failed.value ? errorNotice("That is not known here.", failed.value) : nothing}
        <form class="fields login" @submit=${send}>
            <div class="field s4">
                <label for="token">Token</label>
                <input class="input" id="token" name="token" type="password" autocomplete="current-password" required />
            </div>
            <div class="actions s6"><button class="btn primary" type="submit">Go on</button></div>
        </form>`;
