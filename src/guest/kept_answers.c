#include "guest/kept_answers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "guest/call.h"
#include "guest/connection.h"
#include "guest/thread.h"

#define PLACES 512u

/* An answer counts while its generation is the current one. A question asked before a change and answered
 * after it has the old generation, so what could be stale is never found. */
static _Atomic uint64_t generation = 1;

void kept_forget(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_acq_rel);
}

static struct kept_answer *place_of(struct guest_thread *thread, const struct kept_question *question)
{
    uint64_t words[sizeof *question / sizeof(uint64_t)];
    memcpy(words, question, sizeof words);
    uint64_t mixed = 0;
    for (size_t i = 1; i < sizeof words / sizeof words[0]; i++)
        mixed = (mixed ^ words[i]) * 0x9e3779b97f4a7c15u;
    return &thread->kept[(mixed >> 40) % PLACES];
}

static uint64_t current_context(const struct guest_thread *thread)
{
    return thread->context_count > 0 ? (uintptr_t)thread->contexts[thread->context_count - 1] : 0;
}

bool kept_find(struct kept_question *question, enum call_number call, const void *request,
               size_t request_bytes, void *reply, size_t reply_bytes)
{
    struct guest_thread *thread = thread_self();
    memset(question, 0, sizeof *question);
    if (thread == NULL || connection_state() != CUDA_SUCCESS || call_errors_stay())
        return false;
    question->generation = atomic_load_explicit(&generation, memory_order_acquire);
    question->call = call;
    question->context = current_context(thread);
    memcpy(question->request, request, request_bytes);
    if (thread->kept == NULL)
        return false;
    const struct kept_answer *kept = place_of(thread, question);
    if (memcmp(&kept->question, question, sizeof *question) != 0)
        return false;
    memcpy(reply, kept->reply, reply_bytes);
    return true;
}

void kept_remember(const struct kept_question *question, const void *reply, size_t reply_bytes)
{
    struct guest_thread *thread = thread_self();
    if (thread == NULL || question->generation == 0)
        return;
    if (thread->kept == NULL)
        thread->kept = calloc(PLACES, sizeof *thread->kept);
    if (thread->kept == NULL)
        return;
    struct kept_answer *kept = place_of(thread, question);
    kept->question = *question;
    memcpy(kept->reply, reply, reply_bytes);
}
