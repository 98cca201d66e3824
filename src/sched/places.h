/* The front and the background of a GPU, and who of its holders is where. Internal to the scheduler. */
#ifndef VGPU_SCHED_PLACES_H
#define VGPU_SCHED_PLACES_H

#include "sched/sched.h"

/* The order in which VMs are served. Each class has two ranks: that of its own VMs, and above it that of
 * lower ones that have risen to it by going without. */
#define RANK_NONE (-2)
#define RANK_LATE (-1) /* of those that take too long to drain: behind all others */
static inline int class_rank(enum sched_class class, bool aged)
{
    return 2 * (int)class + aged;
}
static inline int holder_rank(const struct sched_vm *holder)
{
    return holder->late ? RANK_LATE : class_rank(holder->held_class, holder->aged);
}

/* The highest rank of a holder; RANK_NONE: the GPU is free. */
int gpu_top_rank(const struct sched_gpu *gpu);

/* Who is where. */
struct places {
    int top;                       /* the rank of the front; RANK_NONE: the GPU is free */
    unsigned front, front_holding; /* holders there; those that are not revoked */
    unsigned background, background_holding, late;
    int background_top;          /* the highest rank there; RANK_NONE: it is empty */
    const struct sched_vm *next; /* the one there that goes before all others; NULL: it is empty */
    bool preemptible;            /* all of them; true of a free GPU */
    uint64_t front_us;           /* since when the latest turn at the front lasts; 0: all there are revoked */
};

/* As it is now: it does not follow what is done to the holders afterwards. */
struct places places_now(const struct sched_gpu *gpu);

#endif
