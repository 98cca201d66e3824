#include "worker/call.h"

#include <string.h>

const char *call_string(const struct call *call)
{
    if (call->tail_bytes == 0 || call->tail[call->tail_bytes - 1] != '\0')
        return NULL;
    return (const char *)call->tail;
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
