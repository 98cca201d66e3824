#include "guest/pages.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/window.h"
#include "wire/own_calls.h"

/* Memory moves piece by piece, so that a piece is away for microseconds. */
#define MOVE_BYTES (256ull << 10)

/* --- what lies where --- */

struct mapping {
    uint64_t start, end;
    bool writable, private, is_segment, in_window;
};

/* One line of /proc/self/maps: proc(5). */
static bool mapping_read(const char *line, struct mapping *mapping)
{
    unsigned long long start, end, inode;
    unsigned major, minor;
    char access[5] = "";
    if (sscanf(line, "%llx-%llx %4s %*x %x:%x %llu", &start, &end, access, &major, &minor, &inode) != 6)
        return false;
    *mapping = (struct mapping){.start = start,
                                .end = end,
                                .writable = strncmp(access, "rw", 2) == 0,
                                .private = access[3] == 'p',
                                .is_segment = strstr(line, "/memfd:" SEGMENT_NAME) != NULL,
                                .in_window = window_has_mapping(major, minor, inode)};
    return true;
}

/* Calls each() with every mapping that has pages of [start, end), until it says no. False when it does, or
 * nobody can tell. */
static bool for_each_mapping(uint64_t start, uint64_t end, bool (*each)(const struct mapping *, void *),
                             void *context)
{
    char line[512];
    struct mapping mapping;
    bool good = true, at_start = true;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return false;
    while (good && fgets(line, sizeof line, maps) != NULL) {
        if (at_start && mapping_read(line, &mapping) && mapping.start < end && mapping.end > start)
            good = each(&mapping, context);
        at_start = strchr(line, '\n') != NULL; /* a long path goes on in the next piece */
    }
    fclose(maps);
    return good;
}

static bool can_move(const struct mapping *mapping, void *on_stack)
{
    uint64_t stack = (uintptr_t)on_stack;
    if (!mapping->writable || (stack >= mapping->start && stack < mapping->end))
        return false;
    return mapping->private || mapping->is_segment || mapping->in_window;
}

bool pages_can_move(uint64_t start, uint64_t end)
{
    int on_stack;
    return for_each_mapping(start, end, can_move, &on_stack);
}

/* --- the exchange --- */

/* Whole pages of the program's heap, which hold more than the program's own bytes: an address sanitizer would
 * see its red zones read. */
__attribute__((no_sanitize_address, noinline)) static void copy_pages(uint64_t *to, const uint64_t *from,
                                                                      uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes / sizeof *to; i++)
        to[i] = from[i];
}

bool pages_move_into(int fd, uint64_t offset, uint64_t start, uint64_t bytes)
{
    uint8_t *segment = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    if (segment == MAP_FAILED)
        return false;
    bool done = true;
    for (uint64_t at = 0; at < bytes && done; at += MOVE_BYTES) {
        uint64_t part = bytes - at < MOVE_BYTES ? bytes - at : MOVE_BYTES;
        void *place = (void *)(uintptr_t)(start + at);
        copy_pages((uint64_t *)(segment + at), place, part);
        done = mmap(place, part, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)(offset + at)) ==
               place;
    }
    munmap(segment, bytes);
    return done;
}

/* Filled elsewhere, the new pages come into their place piece by piece, each in one step. They are of one
 * mapping, and become one again. */
static bool make_private(uint64_t start, uint64_t bytes)
{
    uint8_t *fresh =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fresh == MAP_FAILED)
        return false;
    for (uint64_t at = 0; at < bytes; at += MOVE_BYTES) {
        uint64_t part = bytes - at < MOVE_BYTES ? bytes - at : MOVE_BYTES;
        void *place = (void *)(uintptr_t)(start + at);
        copy_pages((uint64_t *)(fresh + at), place, part);
        if (mremap(fresh + at, part, part, MREMAP_MAYMOVE | MREMAP_FIXED, place) == MAP_FAILED) {
            munmap(fresh + at, bytes - at);
            return false;
        }
    }
    return true;
}

struct search {
    uint64_t start, end;             /* where */
    uint64_t found_start, found_end; /* found_end 0: nothing yet */
};

static bool find_in_window(const struct mapping *mapping, void *context)
{
    struct search *search = context;
    if (!mapping->in_window)
        return true;
    search->found_start = mapping->start > search->start ? mapping->start : search->start;
    search->found_end = mapping->end < search->end ? mapping->end : search->end;
    return false;
}

bool pages_leave_window(uint64_t start, uint64_t end)
{
    for (;;) {
        struct search search = {.start = start, .end = end};
        if (for_each_mapping(start, end, find_in_window, &search))
            return true;
        if (search.found_end == 0 || !make_private(search.found_start, search.found_end - search.found_start))
            return false;
        start = search.found_end;
    }
}
