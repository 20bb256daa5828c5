/** The names of the classes of data sets that have some, in the order of their labels. */

/** @type {Record<string, string[]>} */
const NAMES = {
    "fashion-mnist": "T-shirt,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot".split(","),
    "cifar-10": "Airplane,Automobile,Bird,Cat,Deer,Dog,Frog,Horse,Ship,Truck".split(","),
};
const PICTURED = ["fashion-mnist", "mnist", "cifar-10", "cifar-100"];

/** @param {import("./api.js").Spec} spec @param {number | null | undefined} label */
export const className = (spec, label) =>
    label == null ? "–" : (NAMES[spec.dataset.name]?.[label] ?? `class ${label}`);

/**
 * The address of a sample's picture; null where samples are no pictures.
 * @param {import("./api.js").Job} job
 * @param {number} sample
 */
export const pictureOf = (job, sample) =>
    PICTURED.includes(job.spec.dataset.name) ? `/api/v1/jobs/${job.id}/samples/${sample}.png` : null;
