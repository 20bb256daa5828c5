/* What the files of the writing side share: run_writer.c (opening, rows, sealing), run_resume.c (going on). */
#ifndef PLUMBLINE_SERVER_RUN_WRITER_INTERNAL_H
#define PLUMBLINE_SERVER_RUN_WRITER_INTERNAL_H

#include "server/run_file.h"
#include "server/sqlite_util.h"

enum kept {
    KEPT_SITE,
    KEPT_SCALAR,
    KEPT_ROW,
    KEPT_SUMMARY,
    KEPT_BATCH,
    KEPT_DENSITY,
    KEPT_CONTRIBUTOR,
    KEPT_SAMPLE,
    KEPT_LOG,
    KEPT_COUNT
};

struct run_writer {
    char *path;
    int lock;
    sqlite3 *db;
    sqlite3_stmt *kept[KEPT_COUNT];
};

/*
 * Within the transaction that the writer opens with: takes over what an earlier attempt at the same spec left, back to
 * its checkpoint, or deletes all of it; then the table `run` is this attempt's.
 */
enum status run_resume(struct run_writer *writer, const struct run_identity *identity, struct error *err);

#endif
