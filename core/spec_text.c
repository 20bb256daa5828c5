/* A spec as text: read from a file, and hashed. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_text.h"
#include "core/spec_internal.h"

/* The same bound as for a body of the API. */
#define SPEC_MOST (1U << 20)

static void cleanup_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

/* A spec may come through a pipe, so that its size is known only at its end. */
static enum status read_text(const char *path, char **ret_text, size_t *ret_size, struct error *err)
{
    attribute_cleanup(cleanup_file) FILE *file = fopen(path, "re");
    if (!file)
        return error_set(err, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_IO, "%s cannot be opened: %s", path,
                         strerror(errno));
    char *text = malloc(SPEC_MOST + 1);
    if (!text)
        return error_no_memory(err);
    size_t size = fread(text, 1, SPEC_MOST + 1, file);
    enum status status = STATUS_OK;
    if (ferror(file))
        status = error_set(err, STATUS_IO, "%s cannot be read: %s", path, strerror(errno));
    else if (size > SPEC_MOST)
        status = error_set(err, STATUS_INVALID, "%s is longer than 1 MiB, which no spec is", path);
    if (status != STATUS_OK) {
        free(text);
        return status;
    }
    *ret_text = text;
    *ret_size = size;
    return STATUS_OK;
}

enum status spec_read(const char *path, const struct dataset_folders *folders, struct spec **ret_spec,
                      struct problem_list *problems, struct error *err)
{
    attribute_cleanup(cleanup_free) char *text = NULL;
    size_t size = 0;
    enum status status = read_text(path, &text, &size, err);
    if (status != STATUS_OK)
        return status;
    json_error_t where;
    json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!json && where.line < 0) /* it says nothing where memory runs out */
        return error_no_memory(err);
    if (!json)
        return error_set(err, STATUS_INVALID, "%s is not JSON: line %d, column %d: %s", path, where.line, where.column,
                         where.text);
    status = spec_parse_given(json, folders, ret_spec, problems, err);
    json_decref(json);
    return status;
}

/*
 * The hash is of compact JSON with sorted keys, reals as real_text has them: of a spec as it is shown, Python makes the
 * same text by json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False). Left out is what changes no
 * row of a run: how it is called, when it is started and how long it may take.
 */
static enum status hash_text(const char *text, char ret_hash[65], struct error *err)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    if (!text)
        return error_no_memory(err);
    crypto_hash_sha256(digest, (const unsigned char *)text, strlen(text));
    sodium_bin2hex(ret_hash, 65, digest, sizeof digest);
    return STATUS_OK;
}

enum status spec_hash(const json_t *expanded, char ret_hash[65], char ret_former[65], struct error *err)
{
    static const char *const left_out[] = {"name",         "tags",      "priority", "checkpoint_every",
                                           "memory_limit", "time_limit"};
    const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
    if (sodium_init() < 0)
        return error_set(err, STATUS_IO, "libsodium cannot be initialised");
    json_t *hashed = json_copy((json_t *)expanded);
    if (json_object_size(hashed) != json_object_size(expanded)) { /* a copy that lacks memory lacks members */
        json_decref(hashed);
        return error_no_memory(err);
    }
    for (size_t i = 0; hashed && i < sizeof left_out / sizeof *left_out; i++)
        json_object_del(hashed, left_out[i]);
    attribute_cleanup(cleanup_free) char *text = json_text(hashed, flags);
    attribute_cleanup(cleanup_free) char *former = json_raw_text(hashed, flags);
    json_decref(hashed);
    enum status status = hash_text(text, ret_hash, err);
    return status == STATUS_OK ? hash_text(former, ret_former, err) : status;
}
