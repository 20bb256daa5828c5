export { open } from "./not_found.js";
