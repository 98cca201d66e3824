/* The grant protocol, for spin: vgpud, the workers of two VMs, their grant pages and control sockets, and one GPU.
 * src/wire/grant.h has the picture; this says the same in a language in which a machine can try everything.
 * tests/system/model/test_grant.py runs it.
 *
 * What is modelled, and the C function that each step stands for:
 *
 *   Lane     wait_for_grant, gate_enter, gate_exit (src/worker/gate.c), with the delay of a plain store and the
 *            membarrier that ends it (src/worker/meeting.h)
 *   Watcher  watch_grant, give_back_when_idle, give_back (src/worker/gate.c)
 *   Daemon   message_handle, process_ended, worker_grant, _contend, _revoke (src/daemon/worker.c); page_move
 *            (src/daemon/grant_page.c); seat_* (src/daemon/seat.c); sched_vm_want, _withdraw, _released, _remove and
 *            gpu_review (src/sched/sched.c)
 *   Driver   the GPU, which finishes what it was given at some time
 *   Fate     kills a worker at any step, CRASHES times in all. Its last work runs until it is reaped, and its
 *            messages are read before or then. Another process of its VM may follow it, with a new page
 *
 * VM 0 has the workers below LAST, VM 1 has LAST. The control socket is an ordered channel for each worker. The
 * generation counts modulo 2: no message is older than one grant. Sleep and wake-up are the futex's: a sleep begins only if the word is
 * unchanged since it was read (with 30 bits of generation, equal and unchanged are the same).
 *
 * With SLICES, VM 1 is of a higher class and all workers follow time slices: both VMs may be on the GPU, one at the
 * front and one in the background, which is which changes (an aged turn), others of their class wait (they are told, and
 * revoked, at any moment), and
 *
 *   Follower   the thread that sets the slices that the page says (src/worker/time_slice.c)
 *
 * What is left out: time (a revoke may come at any moment, whoever is granted next is any VM that waits, a
 * worker in CONTENDED may give back or go on), classes, pause and shutdown, more than one GPU, several contexts,
 * a second CONTROL_READY or CONTROL_END (a worker that is told to end is one that ends at some step), workers
 * that lie, and work that waits for its own process.
 *
 * What is checked:
 *
 *   - no work is submitted while work of another VM is on the GPU, or may still be put there (submit)
 *   - each change of a page follows an arrow of the picture, by the side that it belongs to (page_set), and the
 *     daemon never finds a page broken
 *   - a release ends the grant that it names and no other (released)
 *   - a grant answers a WANT (give), and a VM that is granted has a worker that holds (grant)
 *   - with SLICES, while both are on the GPU: one is told a long slice and the other a short one, each of its workers that
 *     holds, draining or not (two_places); and at rest every worker has set what it was told (at_rest)
 *   - no deadlock and no lost wake-up: wherever nothing can move any more, no lane waits (spin's invalid end states)
 *   - with FAIR: a lane that waits is granted, or its worker dies (the claim `granted`, weak fairness)
 *
 * Shape: LAST; LANES_0, LANES_1, LANES_2 (0, 1 or 2: lanes of each worker); CRASHES.
 * QUIET, with SLICES: nobody else waits. CALLS: so many calls of each lane, instead of any number.
 * LOOSE: workers that do all that grant.h allows and gate.c avoids: each lane asks for itself, a WANT may overtake
 * the RELEASED, a RELEASED may come twice.
 * MUTANT: the model broken on purpose. spin must find each, else it would not see such an error in the C code. */

#ifndef LAST
#define LAST 2 /* the worker of VM 1; 2: VM 0 has two workers */
#endif
#ifndef LANES_0
#define LANES_0 1
#endif
#ifndef LANES_1
#define LANES_1 1
#endif
#ifndef LANES_2
#define LANES_2 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef WATCHED
#define WATCHED LAST /* FAIR: the worker whose first lane must be granted */
#endif

/* The mutants: MUTANT=NAME breaks one thing. */
#define DRAIN_NOT_AWAITED 1    /* give_back: without wait_for_gpu */
#define LANES_NOT_AWAITED 2    /* give_back: without waiting for who is inside */
#define NO_MEMBARRIER 3        /* give_back: without meeting_lanes */
#define WANT_SENT_STAYS 4      /* give_back: want_sent is not cleared */
#define NO_WAKE_BY_WORKER 5    /* give_back: without futex_wake_all */
#define NO_WAKE_BY_DAEMON 6    /* page_move: without futex_wake_all */
#define GENERATION_STANDS 7    /* grant_page_grant: does not raise the generation */
#define BLIND_STORE 8          /* page_move: a store in place of the compare-and-swap */
#define WANT_UNCHECKED 9       /* seat_worker_wants: without looking at the generation */
#define WANT_NOT_KEPT 10       /* seat_worker_wants: drops it while the worker holds */
#define WANT_AT_ONCE 11        /* seat_worker_wants: grants anew although the RELEASED is still to come */
#define RELEASED_UNCHECKED 12  /* seat_worker_released: without looking at the generation */
#define FIRST_FREES 13         /* seat_worker_released: the VM has given back when its first worker has */
#define REVOKED_IS_FREE 14     /* gpu_review: grants to the next when the holder was told */
#define FREE_AT_HANGUP 15      /* seat_worker_gone: before the process was reaped */
#define ASKED_FOR_EVER 16      /* seat_give_back: the VM still waits for a worker that has ended */
#define DRAINING_UNTOLD 17     /* grant_page_tell: leaves a page alone that says REVOKED */
#define DRAINING_REOPENED 18   /* grant_page_tell: opens a page that says REVOKED */
#define LATE_SLICE 19          /* seat_give: a worker that comes later does not get the VM's slice */
#define NO_WAKE_FOR_SLICE 20   /* grant_page_tell: without futex_wake_all where only the slice changes */
#ifdef LOOSE
#define IS_LOOSE true
#else
#define IS_LOOSE false
#endif
#ifndef MUTANT
#define MUTANT 0
#endif
#define BROKEN(name) (MUTANT == name)

#define WORKERS (LAST + 1)
#define NOBODY 2

#define VM(w) ((w) == LAST)
#define NEXT(generation) (((generation) + 1) & 1)

/* Per worker, threads are bits: lanes 1 and 2, the watcher 4, the follower 8. */
#define WATCHER 4
#define FOLLOWER 8

mtype = { NONE, HELD, CONTENDED, REVOKED };         /* enum grant_state */
mtype = { WANT, RELEASED };                         /* enum control_type; for the daemon, events as are */
mtype = { REVOKE, REAP, GONE, SPAWN, NOTHING };     /* these */
mtype = { AGE, CONTEND, NEAR };                     /* with SLICES */
mtype = { EQUAL, SHORT, LONG };                     /* enum grant_slice */
mtype = { IDLE, WAITING, HOLDING, REVOKING };       /* enum sched_vm_state */

/* ---- A worker ---- */

mtype state[WORKERS] = NONE; /* the grant word: its state */
byte generation[WORKERS];    /* and its generation */
bool dead[WORKERS];          /* it ended and is not reaped yet */
byte threads[WORKERS];        /* those that run */
chan control[WORKERS] = [4] of { mtype, byte };

byte fresh[WORKERS];    /* threads that have read the word as it is now */
byte asleep[WORKERS];   /* threads in futex_wait */
byte inside[WORKERS];   /* gate_pass.inside, as the watcher sees it */
byte buffered[WORKERS]; /* the same, not yet visible to other threads */
bool locked[WORKERS];   /* gate.lock, where it is held for more than one step */
bool want_sent[WORKERS];
bool work[WORKERS];  /* it has work on the GPU */
byte passed[WORKERS]; /* lanes between the gate and the end of their call */

#ifdef SLICES
mtype slice[WORKERS] = EQUAL;   /* the grant word: its slice */
mtype slice_set[WORKERS] = EQUAL; /* what the follower has set */
#endif

bool asked[WORKERS];   /* a WANT for what the page says was sent */
bool waiting_lane;     /* FAIR: lane 1 of the worker WATCHED waits */

#define OPEN(w) (state[w] == HELD || state[w] == CONTENDED)

#define ARROW_OF_DAEMON(from, to)                                                                             \
    ((from == NONE && (to == HELD || to == CONTENDED)) || (from == HELD && to == CONTENDED) ||                \
     (from == CONTENDED && to == HELD) || ((from == HELD || from == CONTENDED) && to == REVOKED))
#define ARROW_OF_WORKER(from, to) ((from == CONTENDED && to == REVOKED) || (from == REVOKED && to == NONE))

inline page_set(w, by_daemon, to_generation, to)
{
    assert((by_daemon && ARROW_OF_DAEMON(state[w], to)) || (!by_daemon && ARROW_OF_WORKER(state[w], to)));
    assert(to_generation == (state[w] == NONE -> NEXT(generation[w]) : generation[w]));
    state[w] = to;
    generation[w] = to_generation;
    fresh[w] = 0;
}

#ifdef SLICES
#define SLICE_SET(w, to) slice[w] = to; fresh[w] = 0
#define AT_REST(w) (dead[w] || state[w] == NONE || slice_set[w] == slice[w])
#else
#define SLICE_SET(w, to) skip
#endif

inline futex_wait(w, me)
{
    atomic {
        if
        :: (fresh[w] & me) -> asleep[w] = asleep[w] | me
        :: else
        fi;
        fresh[w] = fresh[w] & ~me
    }
    !(asleep[w] & me)
}

/* Asks if nobody has. One step: whoever holds the lock waits for nothing but room in the socket. */
inline wait_for_grant(w, me)
{
    atomic {
        !locked[w] && nfull(control[w]);
        if
        :: !OPEN(w) -> fresh[w] = fresh[w] | me
        :: else
        fi;
        if
#ifdef LOOSE
        :: state[w] == NONE ->
#else
        :: state[w] == NONE && !want_sent[w] ->
            want_sent[w] = true;
#endif
            asked[w] = true;
            control[w]!WANT(generation[w])
        :: else
        fi
    }
    futex_wait(w, me)
}

#if LAST == 1
#define WORK_OF_OTHERS(w) (work[1 - w] || passed[1 - w])
#else
#define WORK_OF_OTHERS(w)                                                                                     \
    ((w) == LAST -> work[0] || work[1] || passed[0] || passed[1] : work[LAST] || passed[LAST])
#endif

proctype Lane(byte w; byte me)
{
#ifdef CALLS
    byte calls = CALLS;
#endif
born:
    {
        do
#ifdef CALLS
        :: calls == 0 -> break
        :: calls > 0 ->
            calls--;
#else
        ::
#endif
            atomic { /* the guest calls; gate_enter: the store */
                waiting_lane = waiting_lane || (w == WATCHED && me == 1);
                buffered[w] = buffered[w] | me
            }
            do
            :: atomic { /* the look */
                    OPEN(w) -> passed[w] = passed[w] | me;
                    break
                }
            :: atomic {
                    !OPEN(w) -> inside[w] = inside[w] & ~me;
                    buffered[w] = buffered[w] & ~me
                }
                wait_for_grant(w, me);
                buffered[w] = buffered[w] | me
            od;
            atomic { /* the driver's call, and gate_exit */
#ifndef SLICES
                assert(!WORK_OF_OTHERS(w));
#endif
                work[w] = true;
                waiting_lane = waiting_lane && !(w == WATCHED && me == 1);
                passed[w] = passed[w] & ~me;
                inside[w] = inside[w] & ~me;
                buffered[w] = buffered[w] & ~me
            }
#ifndef CALLS
        :: true -> break /* the guest has nothing to run any more */
#endif
        od;
end_idle:
        false
    } unless { atomic { dead[w] -> threads[w]-- } };
end_dead:
    atomic {
        !dead[w];
        threads[w]++;
        goto born
    }
}

inline give_back(w)
{
    d_step { /* meeting_lanes */
        if
        :: !BROKEN(NO_MEMBARRIER) ->
            inside[w] = inside[w] | buffered[w];
            buffered[w] = 0
        :: else
        fi
    }
    inside[w] == 0 || BROKEN(LANES_NOT_AWAITED);
    atomic {
        !work[w] || BROKEN(DRAIN_NOT_AWAITED); /* wait_for_gpu */
        locked[w] = !IS_LOOSE;
        want_sent[w] = BROKEN(WANT_SENT_STAYS) && want_sent[w];
        given = generation[w];
        page_set(w, false, given, NONE)
    }
    control[w]!RELEASED(given);
#ifdef LOOSE
    if
    :: control[w]!RELEASED(given)
    :: true
    fi;
#endif
    atomic {
        locked[w] = false;
        given = 0;
        asleep[w] = (BROKEN(NO_WAKE_BY_WORKER) -> asleep[w] : 0) /* futex_wake_all */
    }
}

proctype Watcher(byte w)
{
    byte given;
born:
    {
        do
        :: state[w] == REVOKED -> give_back(w)
        :: atomic { /* give_back_when_idle, which may find it idle at any moment */
                state[w] == CONTENDED -> page_set(w, false, generation[w], REVOKED)
            }
            give_back(w)
        :: state[w] == CONTENDED -> skip /* or busy */
        :: atomic {
                state[w] == NONE || state[w] == HELD -> fresh[w] = fresh[w] | WATCHER
            }
            atomic {
                if
                :: (fresh[w] & WATCHER) -> asleep[w] = asleep[w] | WATCHER
                :: else
                fi;
                fresh[w] = fresh[w] & ~WATCHER
            }
end_asleep:
            !(asleep[w] & WATCHER)
        od
    } unless { atomic { dead[w] -> threads[w]-- } };
end_dead:
    atomic {
        !dead[w];
        threads[w]++;
        given = 0;
        goto born
    }
}

#ifdef SLICES
proctype Follower(byte w)
{
born:
    {
        do
        :: atomic {
                true -> fresh[w] = fresh[w] | FOLLOWER;
                slice_set[w] = (state[w] != NONE -> slice[w] : slice_set[w])
            }
            atomic {
                if
                :: (fresh[w] & FOLLOWER) -> asleep[w] = asleep[w] | FOLLOWER
                :: else
                fi;
                fresh[w] = fresh[w] & ~FOLLOWER
            }
end_asleep:
            !(asleep[w] & FOLLOWER)
        od
    } unless { atomic { dead[w] -> threads[w]-- } };
end_dead:
    atomic {
        !dead[w];
        threads[w]++;
        goto born
    }
}
#endif

/* ---- The GPU, and fate ---- */

proctype Driver(byte w)
{
end:
    do
    :: work[w] -> work[w] = false
    od
}

proctype Fate()
{
    byte left = CRASHES;
    byte w;
end:
    do
    :: atomic {
            left > 0 ->
            select(w : 0 .. LAST);
            if
            :: !dead[w] ->
                dead[w] = true;
                left--
            :: else
            fi;
            w = 0
        }
    od
}

/* ---- The daemon: one thread, an event at a time ---- */

/* page_move. A compare-and-swap that is tried until it succeeds, or finds nothing to do, is one step. */
inline page_move(w, from, or_from, to)
{
    assert(generation[w] == known[w]); /* else GRANT_BROKEN */
    if
    :: state[w] == from || state[w] == or_from || BROKEN(BLIND_STORE) ->
        known[w] = (from == NONE && !BROKEN(GENERATION_STANDS) -> NEXT(known[w]) : known[w]);
        page_set(w, true, known[w], to);
        asleep[w] = (BROKEN(NO_WAKE_BY_DAEMON) -> asleep[w] : 0)
    :: else -> assert(from != NONE) /* GRANT_GIVEN_BACK */
    fi
}

/* seat_give */
inline give(w)
{
    wants[w] = false;
    holds[w] = true;
    holders[VM(w)]++;
    assert(asked[w]);
    asked[w] = false;
    if
    :: contended[VM(w)] -> page_move(w, NONE, NONE, CONTENDED)
    :: else -> page_move(w, NONE, NONE, HELD)
    fi;
    SLICE_SET(w, (BROKEN(LATE_SLICE) && holders[VM(w)] > 1 -> EQUAL : told_slice[VM(w)]))
}

/* sched_vm_want */
inline sched_want(vm)
{
    if
    :: sched[vm] == REVOKING -> wants_again[vm] = true
    :: sched[vm] == IDLE -> sched[vm] = WAITING
    :: else
    fi
}

/* sched_vm_withdraw */
inline sched_withdraw(vm)
{
    wants_again[vm] = false;
    if
    :: sched[vm] == WAITING -> sched[vm] = IDLE
    :: else
    fi
}

#define SEAT_WANTS(vm)                                                                                        \
    ((vm) == 1 -> wants[LAST] : wants[0] || (LAST == 2 && wants[LAST - 1]))
#define SEAT_EMPTY(vm)                                                                                        \
    ((vm) == 1 -> !present[LAST] : !present[0] && (LAST == 1 || !present[LAST - 1]))

/* seat_give_back: the last holder has given back. */
inline seat_give_back(vm)
{
    then_wants = (SEAT_WANTS(vm) -> vm : NOBODY);
    if
    :: then_wants == NOBODY && !BROKEN(ASKED_FOR_EVER) -> sched_withdraw(vm)
    :: else
    fi;
    sched[vm] = (wants_again[vm] -> WAITING : IDLE); /* sched_vm_released */
    wants_again[vm] = false;
    contended[vm] = false;
    holder = (holder == vm -> NOBODY : holder)
}

/* seat_worker_wants */
inline wanted(w)
{
    if
    :: about == known[w] || BROKEN(WANT_UNCHECKED) ->
        wants[w] = !(BROKEN(WANT_NOT_KEPT) && holds[w]);
        if
        :: sched[VM(w)] == HOLDING && (!holds[w] || BROKEN(WANT_AT_ONCE)) -> give(w)
        :: sched[VM(w)] == HOLDING && holds[w] && !BROKEN(WANT_AT_ONCE)
        :: else ->
            if
            :: wants[w] -> sched_want(VM(w))
            :: else
            fi
        fi
    :: else
    fi
}

inline holder_gone(w)
{
    holds[w] = false;
    holders[VM(w)]--
}

/* seat_worker_released */
inline released(w)
{
    if
    :: holds[w] && (about == known[w] || BROKEN(RELEASED_UNCHECKED)) ->
        assert(about == generation[w]);                    /* it ends no newer grant */
        assert(state[w] == NONE && generation[w] == known[w]); /* worker_has_given_back */
        holder_gone(w);
        if
        :: holders[VM(w)] == 0 || BROKEN(FIRST_FREES) -> seat_give_back(VM(w))
        :: else ->
            if
            :: wants[w] && sched[VM(w)] == HOLDING -> give(w)
            :: else
            fi
        fi
    :: else
    fi
}

/* seat_worker_gone, after process_ended has read the last words. */
inline gone(w)
{
    ends_grant = holds[w] && holders[VM(w)] == 1;
    present[w] = false;
    wants[w] = false;
    if
    :: holds[w] -> holder_gone(w)
    :: else
    fi;
    if
    :: SEAT_EMPTY(VM(w)) -> /* sched_vm_remove */
        sched[VM(w)] = IDLE;
        wants_again[VM(w)] = false;
        contended[VM(w)] = false;
        holder = (holder == VM(w) -> NOBODY : holder)
    :: else ->
        if
        :: ends_grant -> seat_give_back(VM(w))
        :: !ends_grant && !SEAT_WANTS(VM(w)) -> sched_withdraw(VM(w))
        :: else
        fi
    fi;
    ends_grant = false
}

/* worker_start: a page and a socket of its own. */
inline spawn(w)
{
    d_step {
        state[w] = NONE;
        generation[w] = 0;
#ifdef SLICES
        slice[w] = EQUAL;
        slice_set[w] = EQUAL;
#endif
        fresh[w] = 0;
        asleep[w] = 0;
        inside[w] = 0;
        buffered[w] = 0;
        passed[w] = 0;
        locked[w] = false;
        want_sent[w] = false;
        asked[w] = false;
        known[w] = 0;
        may_follow[w] = false;
        present[w] = true;
        dead[w] = false
    }
}

#define NO_WORKER 3

#define FOR_WORKERS_OF(vm, condition, action)                                                                 \
    w = (vm == 1 -> LAST : 0);                                                                                \
    do                                                                                                        \
    :: w <= LAST && VM(w) == vm ->                                                                            \
        if                                                                                                    \
        :: present[w] && condition -> action                                                                  \
        :: else                                                                                               \
        fi;                                                                                                   \
        w++                                                                                                   \
    :: else -> break                                                                                          \
    od;                                                                                                       \
    w = 0

/* worker_tell */
inline tell(w, vm)
{
#ifdef SLICES
    if
    :: state[w] == REVOKED && !BROKEN(DRAINING_REOPENED) -> /* the slice alone */
        if
        :: slice[w] != told_slice[vm] && !BROKEN(DRAINING_UNTOLD) ->
            SLICE_SET(w, told_slice[vm]);
            asleep[w] = (BROKEN(NO_WAKE_FOR_SLICE) -> asleep[w] : 0)
        :: else
        fi
    :: state[w] == REVOKED && BROKEN(DRAINING_REOPENED) -> page_set(w, true, generation[w], HELD)
    :: state[w] != REVOKED && state[w] != NONE ->
        if
        :: contended[vm] && state[w] == HELD -> page_move(w, HELD, CONTENDED, CONTENDED)
        :: !contended[vm] && state[w] == CONTENDED -> page_move(w, HELD, CONTENDED, HELD)
        :: else
        fi;
        if
        :: slice[w] != told_slice[vm] ->
            SLICE_SET(w, told_slice[vm]);
            asleep[w] = (BROKEN(NO_WAKE_FOR_SLICE) -> asleep[w] : 0)
        :: else
        fi
    :: else
    fi
#else
    if
    :: contended[vm] -> page_move(w, HELD, CONTENDED, CONTENDED)
    :: else -> page_move(w, HELD, CONTENDED, HELD)
    fi
#endif
}

#ifdef SLICES
#define ON(vm) (sched[vm] == HOLDING || sched[vm] == REVOKING)
#define SLICE_OF(vm)                                                                                          \
    (ON(1 - (vm)) -> ((vm) == front -> LONG : SHORT) : ((vm) == 1 -> LONG : SHORT))

/* holders_are_told, for one VM */
inline told(vm)
{
    if
    :: ON(vm) && (told_slice[vm] != SLICE_OF(vm) || contended[vm] != wanted_contended[vm]) ->
        told_slice[vm] = SLICE_OF(vm);
        contended[vm] = wanted_contended[vm];
        FOR_WORKERS_OF(vm, holds[w], tell(w, vm))
    :: else
    fi
}

/* Of those that hold, each is told the slice of its place. */
inline two_places()
{
    w = 0;
    do
    :: w <= LAST ->
        assert(!present[w] || !holds[w] || state[w] == NONE || slice[w] == SLICE_OF(VM(w)));
        w++
    :: else -> break
    od;
    w = 0
}
#endif

/* seat_granted, for the VM that the scheduler has chosen */
inline grant(vm)
{
    sched[vm] = HOLDING;
#ifdef SLICES
    wanted_contended[vm] = false;
    contended[vm] = false;
    told_slice[vm] = SLICE_OF(vm);
#else
    holder = vm;
#ifdef FAIR
    last_holder = vm;
#endif
    contended[vm] = sched[1 - vm] == WAITING;
#endif
    FOR_WORKERS_OF(vm, wants[w], give(w));
    assert(holders[vm] > 0)
}

#define IS_FREE (holder == NOBODY || (BROKEN(REVOKED_IS_FREE) && sched[holder] == REVOKING))
#ifdef FAIR /* the longest wait, and a revoke only for another */
#define PREFERRED(vm) (last_holder != (vm) || sched[1 - (vm)] != WAITING)
#define QUANTUM_OVER (sched[1 - holder] == WAITING)
#else
#define PREFERRED(vm) true
#define QUANTUM_OVER true
#endif

/* gpu_review, without the revoke */
inline review()
{
#ifdef SLICES
    /* Who comes is beside who is there, in front of it or behind it: the other is told first. */
    front = (ON(0) && ON(1) -> front : 1);
    if
    :: sched[0] == WAITING -> coming = 0
    :: sched[0] != WAITING && sched[1] == WAITING -> coming = 1
    :: else
    fi;
    if
    :: coming != NOBODY ->
        sched[coming] = HOLDING;
        told(1 - coming);
        grant(coming);
        coming = NOBODY
    :: else
    fi;
    if
    :: sched[1] == WAITING -> sched[1] = HOLDING; told(0); grant(1)
    :: else
    fi;
    told(0);
    told(1);
    two_places()
#else
    if
    :: IS_FREE && sched[0] == WAITING && PREFERRED(0) -> grant(0)
    :: IS_FREE && sched[1] == WAITING && PREFERRED(1) -> grant(1)
    :: else
    fi;
    if
    :: holder != NOBODY && sched[holder] == HOLDING &&
       contended[holder] != (sched[1 - holder] == WAITING) ->
        contended[holder] = !contended[holder];
        FOR_WORKERS_OF(holder, holds[w], tell(w, holder))
    :: else
    fi
#endif
}

#ifdef FAIR /* each event has its turn, so that none waits for ever */
#define TURN(number) turn == (number) &&
#else
#define TURN(number)
#endif

#define EVENTS_OF(i)                                                                                          \
    :: TURN(i) present[i] && nempty(control[i]) && (reaping == NO_WORKER || reaping == i) ->                  \
        control[i]?event(about);                                                                              \
        who = i                                                                                               \
    :: TURN(i) reaping == i && empty(control[i]) ->                                                           \
        event = GONE;                                                                                         \
        who = i                                                                                               \
    :: TURN(WORKERS + i) present[i] && dead[i] && (threads[i] == 0 || BROKEN(FREE_AT_HANGUP)) && reaping == NO_WORKER ->                                     \
        event = REAP;                                                                                         \
        who = i                                                                                               \
    :: TURN(WORKERS + i) may_follow[i] && threads[i] == 0 ->                                                                     \
        event = SPAWN;                                                                                        \
        who = i

proctype Daemon()
{
    /* struct worker */
    bool present[WORKERS] = true;
    byte known[WORKERS]; /* its generation */
    bool wants[WORKERS];
    bool holds[WORKERS];
    /* struct seat with its struct sched_vm; the last is nobody's */
    byte holders[3];
    mtype sched[3] = IDLE;
    bool wants_again[3];
    bool contended[3];
    /* struct sched_gpu */
    byte holder = NOBODY;
    byte last_holder = NOBODY;
#ifdef SLICES
    byte front = 1;
    byte coming = NOBODY;
    bool wanted_contended[3];
    mtype told_slice[3] = EQUAL;
#endif

    byte revoked_vm;
    byte announced = 1;
    byte ages = 2; /* not for ever, else nothing ever rests */
    byte reaping = NO_WORKER;  /* its last words are being read */
    bool may_follow[WORKERS];  /* another process will come */
    byte turn;
    /* within an event */
    mtype event = NOTHING;
    byte who;
    byte about;
    byte then_wants = NOBODY;
    byte w;
    bool ends_grant;

#ifdef SLICES
#define REST :: timeout -> assert(AT_REST(0) && AT_REST(1) && AT_REST(LAST)); break
#else
#define REST
#endif
end:
    do
    REST
    :: atomic {
            if
            EVENTS_OF(0)
            EVENTS_OF(1)
#if LAST == 2
            EVENTS_OF(2)
#endif
#ifndef SLICES
            :: TURN(2 * WORKERS) holder != NOBODY && sched[holder] == HOLDING && QUANTUM_OVER &&
               reaping == NO_WORKER ->
                event = REVOKE
#endif
#ifdef SLICES
#ifndef QUIET
            :: sched[0] == HOLDING && reaping == NO_WORKER -> event = REVOKE; who = 0
            :: sched[1] == HOLDING && reaping == NO_WORKER -> event = REVOKE; who = LAST
            :: sched[0] == HOLDING && !wanted_contended[0] -> event = CONTEND; who = 0
            :: sched[1] == HOLDING && !wanted_contended[1] -> event = CONTEND; who = LAST
#endif
            :: ages > 0 && ON(0) && ON(1) -> event = AGE
            :: announced > 0 && present[0] && wants[0] && state[0] == NONE -> event = NEAR
#endif
#ifdef FAIR
            :: else
#endif
            fi;
#ifdef FAIR
            turn = (turn + 1) % (2 * WORKERS + 1);
#endif
        if
        :: event == WANT && reaping == NO_WORKER -> wanted(who)
        :: event == RELEASED -> released(who)
        :: event == REVOKE -> /* vm_revoke, seat_revoked */
#ifdef SLICES
            revoked_vm = VM(who);
#else
            revoked_vm = holder;
#endif
            sched[revoked_vm] = REVOKING;
            FOR_WORKERS_OF(revoked_vm, holds[w], page_move(w, HELD, CONTENDED, REVOKED))
#ifdef SLICES
        :: event == CONTEND -> wanted_contended[VM(who)] = true
        :: event == AGE -> front = 1 - front; ages--
        :: event == NEAR -> /* grant_page_announce: the lanes look again */
            announced--;
            fresh[0] = 0;
            asleep[0] = 0
#endif
        :: event == REAP -> /* process_ended: the driver has stopped its work */
            reaping = who;
            work[who] = BROKEN(FREE_AT_HANGUP) && work[who];
            passed[who] = 0
        :: event == GONE ->
            gone(who);
            reaping = NO_WORKER;
            if
            :: may_follow[who] = true
            :: true
            fi
        :: event == SPAWN -> spawn(who)
        :: else
        fi;
        event = NOTHING;
        who = 0;
        about = 0;
        review();
        if
        :: then_wants != NOBODY ->
            sched_want(then_wants);
            then_wants = NOBODY;
            review()
        :: else
        fi
        }
    od
}

#define LANES(i) ((i) == 0 -> LANES_0 : ((i) == 1 -> LANES_1 : LANES_2))

init {
    atomic {
        byte i;
        for (i : 0 .. LAST) {
            threads[i] = 1 + LANES(i);
            run Watcher(i);
            run Driver(i);
#ifdef SLICES
            threads[i]++;
            run Follower(i);
#endif
            if
            :: LANES(i) >= 1 -> run Lane(i, 1)
            :: else
            fi;
            if
            :: LANES(i) == 2 -> run Lane(i, 2)
            :: else
            fi
        }
        run Fate();
        run Daemon()
    }
}

#ifdef FAIR
ltl granted { [] (waiting_lane -> <> (!waiting_lane || OPEN(WATCHED) || dead[WATCHED])) }
#endif
