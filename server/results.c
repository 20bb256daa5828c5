#include "server/results.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "server/json_util.h"

static const char *const shown_keys[] = {
    "test/accuracy",        "test/loss",        "train/loss",  "train/accuracy", "epoch/train/loss",
    "epoch/train/accuracy", "steps_per_second", "probe_share",
};

static bool is_shown(const char *key)
{
    for (size_t i = 0; i < sizeof shown_keys / sizeof *shown_keys; i++)
        if (strcmp(shown_keys[i], key) == 0)
            return true;
    return false;
}

static enum status note_accuracy(json_t *results, double value, struct error *err)
{
    json_t *best = json_object_get(results, "best/test/accuracy");
    enum status status = STATUS_OK;
    if (isfinite(value) && (!best || value > json_number_value(best)))
        status = json_put(results, "best/test/accuracy", json_real(value), err);
    json_t *series = json_object_get(results, "accuracy_series");
    if (status == STATUS_OK && !series) {
        status = json_put(results, "accuracy_series", json_array(), err);
        series = json_object_get(results, "accuracy_series");
    }
    return status == STATUS_OK ? json_add(series, json_number_or_word(value), err) : status;
}

enum status results_scalar(json_t *results, const char *key, double value, struct error *err)
{
    if (!is_shown(key))
        return STATUS_OK;
    enum status status = json_put(results, key, json_number_or_word(value), err);
    if (status == STATUS_OK && strcmp(key, "test/accuracy") == 0)
        status = note_accuracy(results, value, err);
    return status;
}

static enum status note_median(json_t *results, const char *key, const char *site, double value, struct error *err)
{
    json_t *sites = json_object_get(results, key);
    if (!sites) {
        enum status status = json_put(results, key, json_object(), err);
        if (status != STATUS_OK)
            return status;
        sites = json_object_get(results, key);
    }
    return json_put(sites, site, json_number_or_null(value), err);
}

enum status results_site(json_t *results, const char *site, double median_scale, double median_self_factor,
                         struct error *err)
{
    enum status status = note_median(results, "median_scale", site, median_scale, err);
    if (status == STATUS_OK)
        status = note_median(results, "median_self_factor", site, median_self_factor, err);
    return status;
}
