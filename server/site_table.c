#include "server/site_table.h"

#include <stdio.h>
#include <string.h>

#include "server/terminal.h"

/* A figure in ten columns; a dash where it is undefined. */
static const char *figure(const json_t *value, char text[32])
{
    if (json_is_number(value))
        snprintf(text, 32, "%10.4g", json_number_value(value));
    else
        snprintf(text, 32, "%10s", "-");
    return text;
}

/* The pooled summary of a site and column, or NULL. */
static const json_t *find_item(const json_t *items, const char *site)
{
    size_t i;
    const json_t *item;
    json_array_foreach(items, i, item)
    {
        const char *found = json_string_value(json_object_get(item, "site"));
        if (found && site && strcmp(found, site) == 0)
            return item;
    }
    return NULL;
}

static const json_t *quantile(const json_t *item, const char *percent)
{
    return json_object_get(json_object_get(item, "quantiles"), percent);
}

static void print_site(const json_t *site, const json_t *factors, const json_t *scales)
{
    const char *name = json_string_value(json_object_get(site, "name"));
    const char *variant = json_string_value(json_object_get(site, "variant"));
    const json_t *scale = find_item(scales, name);
    char text[4][32];
    print_text(stdout, name, 18);
    putchar(' ');
    print_text(stdout, variant, 14);
    printf(" %s  %s %s %s\n", figure(quantile(find_item(factors, name), "50"), text[0]),
           figure(quantile(scale, "5"), text[1]), figure(quantile(scale, "50"), text[2]),
           figure(quantile(scale, "95"), text[3]));
}

void site_table_print(const json_t *sites, const json_t *factors, const json_t *scales)
{
    size_t steps = json_array_size(json_object_get(sites, "steps")), i;
    const json_t *site;
    if (steps == 0)
        return;
    printf("\n%-18s %-14s %10s  %s\n", "", "", "self", "scale (1 is ideal), over the samples of the");
    printf("%-18s %-14s %10s  last %zu measured step%s: 5 %%, 50 %%, 95 %%\n", "site", "variant", "factor",
           steps < SITE_TABLE_STEPS ? steps : SITE_TABLE_STEPS, steps == 1 ? "" : "s");
    json_array_foreach(json_object_get(sites, "sites"), i, site)
    {
        print_site(site, factors, scales);
    }
}
