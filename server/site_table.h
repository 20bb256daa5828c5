/* The table of what was measured at each site, as `plumbline run` and `plumbline show` print it. */
#ifndef PLUMBLINE_SERVER_SITE_TABLE_H
#define PLUMBLINE_SERVER_SITE_TABLE_H

#include <jansson.h>

/* So many of the last probed steps are pooled for it. */
#define SITE_TABLE_STEPS 8

/* `sites` as GET …/divergence/sites gives them, and the items of GET …/divergence/summary, pooled, of the columns
 * self_factor and scale. Nothing where nothing was measured. */
void site_table_print(const json_t *sites, const json_t *factors, const json_t *scales);

#endif
