#include "core/loss.h"

#include <math.h>

/* The index of the largest logit; the first of equals. */
static uint32_t largest(const real *logits, size_t classes)
{
    uint32_t best = 0;
    for (uint32_t c = 1; c < classes; c++)
        if (logits[c] > logits[best])
            best = c;
    return best;
}

/* Σ e^(z − top), at least 1 with the largest for `top`. */
static double sum_exp(const real *z, size_t classes, double top)
{
    double sum = 0;
    for (size_t c = 0; c < classes; c++)
        sum += exp((double)z[c] - top);
    return sum;
}

void loss_cross_entropy(const real *logits, const uint32_t *labels, size_t rows, size_t batch, size_t classes,
                        double *ret_losses, uint32_t *ret_predicted, real *ret_gradient)
{
    for (size_t i = 0; i < rows; i++) {
        const real *z = logits + i * classes;
        uint32_t best = largest(z, classes);
        double top = (double)z[best], sum = sum_exp(z, classes, top);
        ret_predicted[i] = best;
        ret_losses[i] = log(sum) + top - (double)z[labels[i]];
        if (!ret_gradient)
            continue;
        for (size_t c = 0; c < classes; c++) {
            double probability = exp((double)z[c] - top) / sum;
            ret_gradient[i * classes + c] = (real)((probability - (c == labels[i] ? 1 : 0)) / (double)batch);
        }
    }
}

void loss_likeliest(const real *logits, size_t classes, size_t count, uint32_t *ret_classes, float *ret_probabilities)
{
    double top = (double)logits[largest(logits, classes)], sum = sum_exp(logits, classes, top);
    size_t found = 0;
    for (uint32_t c = 0; c < classes; c++) {
        size_t place = found;
        while (place > 0 && logits[ret_classes[place - 1]] < logits[c])
            place--;
        if (place == count)
            continue;
        found += found < count;
        for (size_t i = found - 1; i > place; i--)
            ret_classes[i] = ret_classes[i - 1];
        ret_classes[place] = c;
    }
    for (size_t i = 0; i < found; i++)
        ret_probabilities[i] = (float)(exp((double)logits[ret_classes[i]] - top) / sum);
}
