/*
 * A sample of a data set as a picture (PNG).
 *
 * Rank 3 with one channel is grey, with three is red, green, blue, with any other number the channels stand beside each
 * other in grey. Rank 2 is tokens down, features across. Rank 1 is one row, or past PICTURE_MOST_ROW features the
 * square that holds them, row by row, its unused end transparent. One value is one pixel: whoever shows it enlarges it.
 */
#ifndef PLUMBLINE_SERVER_PICTURE_H
#define PLUMBLINE_SERVER_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "core/dataset.h"
#include "core/status.h"

enum { PICTURE_MOST_ROW = 64 };

/*
 * `dataset` was loaded with SCALING_UNIT: 0 is black and 1 is white, what is beyond is cut, what is undefined is black.
 * The caller frees *ret_png. STATUS_NOT_FOUND for a sample that the split does not have.
 */
enum status picture_png(const struct dataset *dataset, enum split split, uint64_t index, uint8_t **ret_png,
                        size_t *ret_size, struct error *err);

/* The data set that was last asked for, kept in memory. Safe from any thread; one loads, the others wait. */
struct picture_cache; /* opaque */

enum status picture_cache_create(struct picture_cache **ret_cache, struct error *err);
void picture_cache_free(struct picture_cache *cache); /* nothing for NULL */

/* The same, of the data set that a spec names, whatever its scaling. Its statuses besides: those of dataset_load. */
enum status picture_of_spec(struct picture_cache *cache, const json_t *expanded_spec,
                            const struct dataset_folders *folders, enum split split, uint64_t index, uint8_t **ret_png,
                            size_t *ret_size, struct error *err);

#endif
