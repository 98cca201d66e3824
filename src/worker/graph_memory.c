#include "worker/graph_memory.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define RANGES_MAX 65536u

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range {
    uint64_t address, bytes;
} * ranges;
static uint32_t count, room;

void graph_memory_add(uint64_t address, uint64_t bytes)
{
    pthread_mutex_lock(&lock);
    uint32_t at = 0;
    while (at < count && ranges[at].address != address)
        at++;
    if (at == room && room < RANGES_MAX) {
        uint32_t more = room > 0 ? room * 2 : 64;
        struct range *grown = realloc(ranges, more * sizeof *grown);
        if (grown != NULL) {
            ranges = grown;
            room = more;
        }
    }
    if (at < room) {
        ranges[at] = (struct range){address, bytes};
        count = at == count ? count + 1 : count;
    }
    pthread_mutex_unlock(&lock);
}

static bool is_listed(uint64_t address)
{
    bool listed = false;
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < count && !listed; i++)
        listed = address - ranges[i].address < ranges[i].bytes;
    pthread_mutex_unlock(&lock);
    return listed;
}

/* The driver keeps its address ranges as mappings that nobody may touch. */
static bool is_readable(uint64_t address)
{
    char line[512], rights[8];
    unsigned long long start, end;
    bool readable = false, found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return true;
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        found = sscanf(line, "%llx-%llx %7s", &start, &end, rights) == 3 && address >= start && address < end;
        readable = found && (rights[0] != '-' || rights[1] != '-' || rights[2] != '-');
    }
    fclose(maps);
    return readable;
}

bool graph_memory_holds(uint64_t address)
{
    return is_listed(address) && !is_readable(address);
}
