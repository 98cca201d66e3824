/* Times, and when something is to be decided on a GPU next. Internal to the scheduler. */
#ifndef VGPU_SCHED_DEADLINE_H
#define VGPU_SCHED_DEADLINE_H

#include "sched/sched.h"

static inline uint64_t time_later(uint64_t a_us, uint64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

/* SCHED_NEVER instead of an overflow. */
static inline uint64_t time_add(uint64_t time_us, uint64_t more_us)
{
    return more_us < SCHED_NEVER - time_us ? time_us + more_us : SCHED_NEVER;
}

static inline uint64_t quantum_us(const struct sched *sched)
{
    return sched->config.quantum_us ? sched->config.quantum_us : 1;
}

/* A review of one GPU: what is due is done, and the earliest of what is not is its next deadline. */
struct review {
    struct sched *sched;
    struct sched_gpu *gpu;
    uint64_t due_us; /* that earliest time, as far as it has been asked; SCHED_NEVER: none */
};

/* Whether that time has come. If not, the review remembers it: there is to be another one then. */
static inline bool is_due(struct review *review, uint64_t time_us)
{
    if (time_us <= review->sched->now_us)
        return true;
    if (time_us < review->due_us)
        review->due_us = time_us;
    return false;
}

/* The GPU's next review is then, instead of when it was to be. SCHED_NEVER: at its next event. */
void deadline_set(struct sched *sched, struct sched_gpu *gpu, uint64_t time_us);

#endif
