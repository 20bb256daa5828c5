/* The dashboard's files, from the table that is embedded in the binary. */
#include <string.h>

#include "server/assets.h"
#include "server/route.h"

static const struct asset *find(const char *path)
{
    for (size_t i = 0; i < asset_count; i++)
        if (strcmp(assets[i].path, path) == 0)
            return &assets[i];
    return NULL;
}

enum status handle_asset(struct request *request, struct answer *answer, struct error *err)
{
    const struct asset *asset = find(request->path);
    if (!asset)
        return error_set(err, STATUS_NOT_FOUND, "no file %s belongs to this version of the dashboard", request->path);
    answer->asset = asset;
    return STATUS_OK;
}

/* The page's script reads the path and shows what stands there, or that nothing does. */
enum status handle_page(struct request *request, struct answer *answer, struct error *err)
{
    const struct asset *asset = find(request->path);
    answer->asset = asset ? asset : find("/index.html");
    return answer->asset ? STATUS_OK : error_set(err, STATUS_NOT_FOUND, "this program was built without a dashboard");
}
