#include "worker/call.h"

#include <string.h>

#include "driver_api.h"
#include "worker/connection.h"
#include "worker/handle_map.h"

const char *call_string(const struct call *call)
{
    if (call->tail_bytes == 0 || call->tail[call->tail_bytes - 1] != '\0')
        return NULL;
    return (const char *)call->tail;
}

static uint64_t current_context(void)
{
    CUcontext context;
    return driver.cuCtxGetCurrent(&context) == CUDA_SUCCESS && context != NULL
               ? handle_known(HANDLE_CONTEXT, context)
               : 0;
}

uint64_t call_name(enum handle_kind kind, uint64_t wanted, void *object, uint64_t parent)
{
    bool of_context = kind != HANDLE_CONTEXT && kind != HANDLE_LIBRARY && kind != HANDLE_KERNEL &&
                      kind != HANDLE_POOL && kind != HANDLE_ALLOCATION && kind != HANDLE_GREEN_CONTEXT &&
                      kind != HANDLE_RESOURCE_DESCRIPTION && kind != HANDLE_GRAPH &&
                      kind != HANDLE_GRAPH_NODE && kind != HANDLE_GRAPH_EXEC && kind != HANDLE_USER_OBJECT;
    struct handle_owners owners = {.parent = parent, .context = of_context ? current_context() : 0};
    uint64_t name = handle_name(kind, wanted, object, owners);
    if (name == 0 && object != NULL)
        connection_end("the program gave an object a name that cannot be used; its worker has stopped");
    return name;
}

bool call_reply_append(struct call *call, const void *data, size_t bytes)
{
    if (bytes > call->reply_room - call->reply_bytes)
        return false;
    if (bytes > 0)
        memcpy((uint8_t *)call->reply + call->reply_bytes, data, bytes);
    call->reply_bytes += (uint32_t)bytes;
    return true;
}

void call_reply_text(struct call *call, const char *text)
{
    size_t bytes = strlen(text) + 1, room = call->reply_room - call->reply_bytes;
    if (room == 0)
        return;
    call_reply_append(call, text, bytes < room ? bytes : room - 1);
    if (bytes >= room)
        call_reply_append(call, "", 1);
}
