#include "server/study_table.h"

#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "server/json_util.h"
#include "server/sink.h"

static bool is_figure(const json_t *value)
{
    return json_is_number(value) || json_is_string(value);
}

/* The names of a group of columns, in the order in which they are first met: the members of the jobs' `part`. */
static json_t *names_of(const json_t *rows, const char *part, bool figures)
{
    json_t *names = json_object();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const char *name;
        json_t *value;
        json_object_foreach(json_object_get(json_array_get(rows, i), part), name, value)
        {
            if ((!figures || is_figure(value)) && json_object_set_new(names, name, json_true()) != 0) {
                json_decref(names);
                return NULL;
            }
        }
    }
    return names;
}

/* A point's value is any JSON; a text stands for itself. */
static void write_csv(const json_t *value, struct sink_buffer *out)
{
    if (json_is_string(value)) {
        sink_csv_text(out, json_string_value(value));
        return;
    }
    attribute_cleanup(cleanup_free) char *text =
        value && !json_is_null(value) ? json_text(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text)
        sink_csv_text(out, text);
    else if (value && !json_is_null(value))
        sink_fail(out, STATUS_NO_MEMORY, "out of memory");
}

static void write_json(const json_t *value, struct sink_buffer *out)
{
    attribute_cleanup(cleanup_free) char *text = value ? json_text(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (value && !text)
        sink_fail(out, STATUS_NO_MEMORY, "out of memory");
    else
        sink_text(out, text ? text : "null");
}

/* The part of a line that is of one group of columns; each value is put by `write`. */
static void write_group(const json_t *row, const char *part, const json_t *names, bool csv, struct sink_buffer *out)
{
    const json_t *values = json_object_get(row, part);
    const char *name;
    json_t *unused;
    json_object_foreach((json_t *)names, name, unused)
    {
        const json_t *value = json_object_get(values, name);
        sink_text(out, ",");
        if (csv) {
            write_csv(value, out);
            continue;
        }
        sink_json_string(out, name);
        sink_text(out, ":");
        write_json(value, out);
    }
}

static void write_header(const json_t *keys, const json_t *figures, struct sink_buffer *out)
{
    const json_t *groups[] = {keys, figures};
    sink_text(out, "job,state");
    for (int i = 0; i < 2; i++) {
        const char *name;
        json_t *unused;
        json_object_foreach((json_t *)groups[i], name, unused)
        {
            sink_text(out, ",");
            sink_csv_text(out, name);
        }
    }
    sink_text(out, "\n");
}

static void write_line(const json_t *row, const json_t *keys, const json_t *figures, bool csv, struct sink_buffer *out)
{
    sink_text(out, csv ? "" : "{\"job\":");
    sink_integer(out, json_integer_value(json_object_get(row, "job")));
    sink_text(out, csv ? "," : ",\"state\":");
    (csv ? write_csv : write_json)(json_object_get(row, "state"), out);
    write_group(row, "point", keys, csv, out);
    write_group(row, "results", figures, csv, out);
    sink_text(out, csv ? "\n" : "}\n");
}

enum status study_table(const json_t *rows, bool csv, char **ret_text, size_t *ret_size, struct error *err)
{
    struct sink_memory memory = {0};
    const struct sink sink = sink_to_memory(&memory);
    attribute_cleanup(cleanup_free) struct sink_buffer *out = NULL;
    attribute_cleanup(cleanup_json) json_t *keys = names_of(rows, "point", false);
    attribute_cleanup(cleanup_json) json_t *figures = names_of(rows, "results", true);
    enum status status = keys && figures ? sink_buffer_create(&sink, &out, err) : error_no_memory(err);
    if (status == STATUS_OK && csv)
        write_header(keys, figures, out);
    for (size_t i = 0; status == STATUS_OK && i < json_array_size(rows); i++) {
        write_line(json_array_get(rows, i), keys, figures, csv, out);
        status = sink_status(out, err);
    }
    if (status == STATUS_OK)
        status = sink_flush(out, err);
    if (status != STATUS_OK) {
        free(memory.bytes);
        return status;
    }
    *ret_text = memory.bytes;
    *ret_size = memory.size;
    return STATUS_OK;
}
