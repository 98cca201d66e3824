#include "daemon/grant_page.h"

#include "base/error.h"
#include "wire/futex.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* A worker takes at most two steps while the daemon tries (CONTENDED to REVOKED to NONE). One that keeps the
 * word moving is broken. */
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

enum intent { TO_GRANT, TO_TELL, TO_REVOKE };

/* What the word is to become. false: its state stays (the slice of `to` counts). */
static bool word_next(uint32_t word, enum intent intent, uint32_t told, uint32_t *to)
{
    enum grant_state state = grant_word_state(word);
    if (intent == TO_GRANT) {
        *to = told;
        return state == GRANT_NONE;
    }
    bool open = state == GRANT_HELD || state == GRANT_CONTENDED;
    if (intent == TO_REVOKE)
        *to = open ? grant_word_in_state(word, GRANT_REVOKED) : word;
    else
        *to = open ? told : state == GRANT_NONE ? word : grant_word_in_state(told, state);
    return open;
}

/* Pairs with the worker's acquire load that opens the gate, and with its release of NONE. */
static enum grant_move page_move(struct grant_page *page, uint32_t generation, enum intent intent,
                                 uint32_t told)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint32_t word = atomic_load_explicit(&page->word, memory_order_acquire);
        uint32_t to;
        if (grant_word_generation(word) != generation)
            return GRANT_BROKEN;
        bool moves = word_next(word, intent, told, &to);
        if (!moves && intent == TO_GRANT)
            return GRANT_BROKEN;
        if (to == word)
            return moves ? GRANT_MOVED : GRANT_GIVEN_BACK;
        if (atomic_compare_exchange_strong_explicit(&page->word, &word, to, memory_order_acq_rel,
                                                    memory_order_relaxed)) {
            futex_wake_all(&page->word);
            return moves ? GRANT_MOVED : GRANT_GIVEN_BACK;
        }
    }
    return GRANT_BROKEN;
}

static enum grant_state open_state(bool contended)
{
    return contended ? GRANT_CONTENDED : GRANT_HELD;
}

enum grant_move grant_page_grant(struct grant_page *page, uint32_t *generation, bool contended,
                                 enum grant_slice slice)
{
    uint32_t next = (*generation + 1) & GRANT_GENERATION_MASK;
    enum grant_move move =
        page_move(page, *generation, TO_GRANT, grant_word_sliced(next, slice, open_state(contended)));
    if (move == GRANT_MOVED)
        *generation = next;
    return move;
}

enum grant_move grant_page_tell(struct grant_page *page, uint32_t generation, bool contended,
                                enum grant_slice slice)
{
    return page_move(page, generation, TO_TELL, grant_word_sliced(generation, slice, open_state(contended)));
}

enum grant_move grant_page_revoke(struct grant_page *page, uint32_t generation)
{
    return page_move(page, generation, TO_REVOKE, 0);
}

void grant_page_announce(struct grant_page *page, uint32_t generation)
{
    uint32_t none = grant_word(generation, GRANT_NONE);
    atomic_compare_exchange_strong_explicit(&page->word, &none,
                                            grant_word_sliced(generation, GRANT_NEAR, GRANT_NONE),
                                            memory_order_relaxed, memory_order_relaxed);
    futex_wake_all(&page->word);
}

bool grant_page_is_given_back(const struct grant_page *page, uint32_t generation)
{
    uint32_t word = atomic_load_explicit(&page->word, memory_order_acquire);
    return word == grant_word(generation, GRANT_NONE);
}
