/** Two sentences beside each figure, for somebody who has read no more than the paper's abstract. */

/** @type {Record<string, string>} */
const TEXTS = {
    glance: "Steepest descent would move every activation by exactly −η times its gradient: a scale of 1, the upright line. Each row shows how many times that ideal step the samples’ activations at one site really took, when the weights were stepped instead.",
    loss: "Both networks learn: the loss falls with every step of the weights. Whether their activations moved as they should is another question, and the figures below answer it.",
    accuracy:
        "The share of pictures that are classified correctly, for the batch of each step and for the pictures that were kept back. A step that is far from ideal can still lead somewhere good.",
    network:
        "One cell for each place where activations are measured, from the input to the classes. The more a cell stands out from the page, the further its steps are from the ideal.",
    theory: "Across is what theory predicts for a sample alone, ‖x‖² + 1 for a plain layer: samples with a large input are stepped more. Up is what was measured in a batch, where every other sample moves the same weights; on the dashed line the others would not matter.",
    drift: "How scale at one site changes as the network learns. Below 0 a sample was moved away from its own ideal, by what the rest of the batch wanted.",
    heat: "Every site at every measured step, from the first layer at the top to the last. A row of one colour keeps its mismatch; a change along the row is a change in training.",
    direction:
        "A step can have the right length and still point elsewhere: 1 on the right means exactly along the ideal. The higher a sample stands, the more of its step comes from other samples than from itself.",
    made: "A sample’s step along its ideal is its own part, what its other positions add, and what the other samples of the batch add. The correction makes the own part 1; what others do remains.",
    promise:
        "To first order the step promises that the loss falls by the stacked heights. The line is how far it fell on the same batch: where the line lies below, curvature has eaten the rest.",
    ridges: "The same measurement as whole distributions rather than quantiles, so that two peaks would be seen as two. All rows share one axis.",
};

/** @param {string} id of a figure */
export const guideText = (id) => TEXTS[id] ?? "";
