#include "guest/visible_devices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* As GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx. */
static void write_uuid(const CUuuid *uuid, char text[41])
{
    char *at = text + sprintf(text, "GPU");
    for (unsigned i = 0; i < sizeof uuid->bytes; i++) {
        bool begins_group = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
        at += sprintf(at, begins_group ? "-%02x" : "%02x", (unsigned)(unsigned char)uuid->bytes[i]);
    }
}

bool visible_devices_show(const char *list, const CUuuid *uuid)
{
    if (list == NULL)
        return true;
    list += strspn(list, " \t");
    size_t length = strcspn(list, ", \t");
    if (length >= 4 && strncasecmp(list, "GPU-", 4) == 0) {
        char own[41];
        write_uuid(uuid, own);
        return length <= strlen(own) && strncasecmp(list, own, length) == 0;
    }
    char *end;
    return strtol(list, &end, 10) == 0 && end != list && end == list + length;
}
