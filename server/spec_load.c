#include "server/spec_load.h"

#include <stdio.h>

static void print_problems(const char *path, const struct problem_list *problems)
{
    size_t i;
    const json_t *problem;
    json_array_foreach(problems->items, i, problem)
    {
        const char *pointer = json_string_value(json_object_get(problem, "pointer"));
        fprintf(stderr, "%s: %s: %s\n", path, pointer && *pointer ? pointer : "the whole",
                json_string_value(json_object_get(problem, "detail")));
    }
}

enum status spec_load(const char *command, const char *path, const struct dataset_folders *folders,
                      struct spec **ret_spec, json_t **ret_cost, json_t **ret_faults)
{
    struct problem_list problems = {0};
    struct error err = {""};
    attribute_cleanup(cleanup_spec) struct spec *spec = NULL;
    enum status status = problem_list_init(&problems, &err);
    if (status == STATUS_OK)
        status = spec_read(path, folders, &spec, &problems, &err);
    if (status == STATUS_OK)
        status = spec_check(spec, folders, ret_cost, &problems, &err);
    if (status != STATUS_OK && problem_list_count(&problems) > 0)
        print_problems(path, &problems);
    else if (status != STATUS_OK)
        fprintf(stderr, "plumbline %s: %s\n", command, err.text);
    if (status != STATUS_OK && problem_list_count(&problems) == 0)
        problem_add(&problems, "", "%s", err.text);
    if (ret_faults)
        *ret_faults = json_incref(problems.items); /* NULL stays NULL */
    problem_list_clear(&problems);
    if (status == STATUS_OK) {
        *ret_spec = spec;
        spec = NULL;
    }
    return status;
}
