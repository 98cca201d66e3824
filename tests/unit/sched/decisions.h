/* What the scheduler's tests of one place stand on: a scheduler whose decisions are recorded, and are then
 * expected one after the other. */
#ifndef TESTS_UNIT_SCHED_DECISIONS_H
#define TESTS_UNIT_SCHED_DECISIONS_H

#include "sched/sched.h"

#include <stddef.h>

#define QUANTUM       1000u
#define AGEING        10000u
#define DECISIONS_MAX 2000

enum decision { NOTHING, GRANT, GRANT_CONTENDED, CONTEND, UNCONTEND, SLICE, REVOKE };

/* One scheduler, two GPUs, some VMs, and the decisions since they were last looked at. Nothing here has a
 * time slice unless a test says so: the meters run while a VM holds. */
struct fixture {
    struct sched sched;
    struct sched_gpu gpu, other_gpu;
    struct sched_vm low, low2, medium, medium2, high, elsewhere;
    struct {
        enum decision what;
        const struct sched_vm *vm;
    } decisions[DECISIONS_MAX];
    size_t made, seen;
    bool told_contended[6]; /* as the VMs have heard it last */
};

/* With QUANTUM and AGEING; or as it is told. The fixture stays where it is. */
void start(struct fixture *f);
void start_with(struct fixture *f, struct sched_config config);

/* The next decision made is this one. */
void expect(struct fixture *f, enum decision what, const struct sched_vm *vm);
void expect_no_more(const struct fixture *f);

#endif
