/* A module's queries and its end. */
#include "simgpu/ptx.h"

#include <stdlib.h>

void ptx_log_fini(struct ptx_log *log)
{
    free(log->error);
    free(log->info);
    log->error = NULL;
    log->info = NULL;
}
