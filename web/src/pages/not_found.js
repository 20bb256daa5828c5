/** What is shown for a path that is no page. */
import { html } from "lit-html";
import { path } from "../router.js";

/** @type {import("../main.js").PageModule["open"]} */
export const open = () => ({
    title: () => "Not found",
    close: () => {},
    view: () => html`
        <div class="page-head"><h1>There is no page at this address</h1></div>
        <p class="lead-text"><code>${path.value}</code> is not a page of Plumbline. <a href="/">Go to the jobs</a>.</p>
    `,
});
