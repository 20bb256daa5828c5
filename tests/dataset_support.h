/* What the tests of the data sets' files share. */
#ifndef PLUMBLINE_TESTS_DATASET_SUPPORT_H
#define PLUMBLINE_TESTS_DATASET_SUPPORT_H

#include "core/dataset.h"
#include "tests/files.h"

/* Expects loading to fail with that status, in those words. */
static inline void assert_refused(const struct dataset_spec *spec, const struct dataset_folders *folders,
                                  enum status expected, const char *words)
{
    struct dataset *dataset = NULL;
    struct error err = {""};
    enum status status = dataset_load(spec, folders, &dataset, &err);
    if (status != expected || !strstr(err.text, words))
        fail_msg("\"%s\" (%s) in place of \"%s\"", err.text, status_name(status), words);
    assert_null(dataset);
}

#endif
