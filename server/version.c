#include "server/version.h"

#include <microhttpd.h>
#include <sqlite3.h>

#include "core/blas.h"

json_t *version_json(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", "plumbline", "version", PLUMBLINE_VERSION, "build",
                     PLUMBLINE_BUILD, "blas", blas_version(), "blas_kernel", blas_kernel(), "sqlite",
                     sqlite3_libversion(), "libmicrohttpd", MHD_get_version());
}
