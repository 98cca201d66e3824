#include "daemon/grant_page.h"

#include "base/error.h"
#include "wire/futex.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define GENERATION_MASK (UINT32_MAX >> GRANT_STATE_BITS)

/* A worker takes at most one step while the daemon tries (HELD or CONTENDED to NONE). One that keeps the word
 * moving is broken. */
#define ATTEMPTS 4

enum vgpu_status grant_page_create(struct grant_page **page, int *memfd, struct vgpu_error *err)
{
    int fd = memfd_create("vgpu-grant", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return error_set_errno(err, VGPU_ERR_IO, "cannot make a grant page");
    if (ftruncate(fd, GRANT_PAGE_BYTES) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        error_set_errno(err, VGPU_ERR_IO, "cannot size a grant page");
        close(fd);
        return VGPU_ERR_IO;
    }
    void *mapped = mmap(NULL, GRANT_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) {
        error_set_errno(err, VGPU_ERR_MEMORY, "cannot map a grant page");
        close(fd);
        return VGPU_ERR_MEMORY;
    }
    *page = mapped;
    *memfd = fd;
    return VGPU_OK;
}

void grant_page_destroy(struct grant_page *page)
{
    if (page)
        munmap(page, GRANT_PAGE_BYTES);
}

/* Moves the word to `to` from whichever of the two states it is in. Pairs with the worker's acquire load
 * that opens the gate, and with its release of NONE. */
static enum grant_move page_move(struct grant_page *page, uint32_t generation, enum grant_state from,
                                 enum grant_state or_from, uint32_t to)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint32_t word = atomic_load_explicit(&page->word, memory_order_acquire);
        enum grant_state state = grant_word_state(word);
        if (grant_word_generation(word) != generation)
            return GRANT_BROKEN;
        if (state != from && state != or_from)
            return from == GRANT_NONE ? GRANT_BROKEN : GRANT_GIVEN_BACK;
        if (atomic_compare_exchange_strong_explicit(&page->word, &word, to, memory_order_acq_rel,
                                                    memory_order_relaxed)) {
            futex_wake_all(&page->word);
            return GRANT_MOVED;
        }
    }
    return GRANT_BROKEN;
}

enum grant_move grant_page_grant(struct grant_page *page, uint32_t *generation, bool contended)
{
    uint32_t next = (*generation + 1) & GENERATION_MASK;
    uint32_t to = grant_word(next, contended ? GRANT_CONTENDED : GRANT_HELD);
    enum grant_move move = page_move(page, *generation, GRANT_NONE, GRANT_NONE, to);
    if (move == GRANT_MOVED)
        *generation = next;
    return move;
}

enum grant_move grant_page_contend(struct grant_page *page, uint32_t generation, bool contended)
{
    enum grant_state to = contended ? GRANT_CONTENDED : GRANT_HELD;
    return page_move(page, generation, GRANT_HELD, GRANT_CONTENDED, grant_word(generation, to));
}

enum grant_move grant_page_revoke(struct grant_page *page, uint32_t generation)
{
    return page_move(page, generation, GRANT_HELD, GRANT_CONTENDED, grant_word(generation, GRANT_REVOKED));
}

bool grant_page_is_given_back(const struct grant_page *page, uint32_t generation)
{
    uint32_t word = atomic_load_explicit(&page->word, memory_order_acquire);
    return word == grant_word(generation, GRANT_NONE);
}
