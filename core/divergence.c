#include "core/divergence.h"

#include <string.h>

const struct column_info divergence_columns[COLUMN_COUNT] = {
    [COLUMN_IDEAL_NORM] = {"ideal_norm", "‖a‖, the length of the ideal update −ηg", "activation units"},
    [COLUMN_EFFECTIVE_NORM] = {"effective_norm", "‖e‖, the length of the effective update", "activation units"},
    [COLUMN_SCALE] = {"scale", "(e·a)/‖a‖², the multiple of the ideal step really taken along it", "1 is ideal"},
    [COLUMN_COSINE] = {"cosine", "(e·a)/(‖e‖‖a‖)", "−1 … 1, 1 is ideal"},
    [COLUMN_DIVERGENCE] = {"divergence", "‖e − a‖/‖a‖", "0 is ideal"},
    [COLUMN_SELF_FACTOR] = {"self_factor", "k_ii, the scale predicted for the sample alone", "1 is ideal"},
    [COLUMN_SCALE_WITHIN] = {"scale_within", "the part of scale from the sample's other positions", "signed"},
    [COLUMN_SCALE_ACROSS] = {"scale_across", "the part of scale from other samples", "signed"},
    [COLUMN_INTERFERENCE] = {"interference", "‖e − self part‖/‖a‖", "0 is none"},
    [COLUMN_INTERFERENCE_WITHIN] = {"interference_within", "interference from the sample's other positions",
                                    "0 is none"},
    [COLUMN_INTERFERENCE_ACROSS] = {"interference_across", "interference from other samples", "0 is none"},
    [COLUMN_INPUT_NORM] = {"input_norm", "‖x‖ of the layer's input, before its feature map", "activation units"},
    [COLUMN_NETWORK_SCALE] = {"network_scale", "scale with the effective update of the whole network", "1 is ideal"},
    [COLUMN_NETWORK_COSINE] = {"network_cosine", "cosine likewise", "−1 … 1, 1 is ideal"},
    [COLUMN_NETWORK_DIVERGENCE] = {"network_divergence", "divergence likewise", "0 is ideal"},
};

enum column divergence_column(const char *name)
{
    int column = 0;
    while (column < COLUMN_COUNT && strcmp(divergence_columns[column].name, name) != 0)
        column++;
    return (enum column)column;
}
