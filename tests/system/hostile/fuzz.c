#include "attacks.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LANES 4

struct fuzzer {
    struct attacker *attacker;
    struct attack_lane *lanes[LANES];
    uint64_t state;
    uint64_t device;
};

/* xorshift64*: the same sequence for the same seed, everywhere. */
static uint64_t next(struct fuzzer *fuzzer)
{
    fuzzer->state ^= fuzzer->state >> 12;
    fuzzer->state ^= fuzzer->state << 25;
    fuzzer->state ^= fuzzer->state >> 27;
    return fuzzer->state * 0x2545f4914f6cdd1dull;
}

static unsigned below(struct fuzzer *fuzzer, unsigned limit)
{
    return (unsigned)(next(fuzzer) >> 33) % limit;
}

/* Numbers that mean something to somebody. */
static uint64_t number(struct fuzzer *fuzzer)
{
    switch (below(fuzzer, 8)) {
    case 0:
        return below(fuzzer, 8);
    case 1:
        return UINT64_MAX - below(fuzzer, 8);
    case 2:
        return fuzzer->device + below(fuzzer, 1 << 20);
    case 3:
        return fuzzer->attacker->arena_base + (uint64_t)below(fuzzer, 1 << 12) * 4096;
    case 4:
        return 1ull << below(fuzzer, 64);
    case 5:
    case 6:
        return handle_value((enum handle_kind)(1 + below(fuzzer, HANDLE_KINDS)), below(fuzzer, 4), 0);
    default:
        return next(fuzzer);
    }
}

static size_t random_body(struct fuzzer *fuzzer, uint64_t body[64])
{
    unsigned words = below(fuzzer, 24);
    for (unsigned i = 0; i < words; i++) {
        body[i] = number(fuzzer);
        if (below(fuzzer, 3) == 0)
            body[i] = (uint64_t)below(fuzzer, 64) << 32 | below(fuzzer, 64);
    }
    return words * 8 - (words > 0 ? below(fuzzer, 8) : 0);
}

static void random_record(struct fuzzer *fuzzer)
{
    struct attack_lane *lane = fuzzer->lanes[below(fuzzer, LANES)];
    uint64_t body[64];
    if (lane == NULL)
        return;
    size_t bytes = random_body(fuzzer, body);
    unsigned which = 1 + below(fuzzer, CALL_COUNT - 1);
    if (below(fuzzer, 2))
        forget(lane, which, body, bytes);
    else
        call(lane, which, body, bytes);
}

static void random_step(struct fuzzer *fuzzer)
{
    struct attack_lane **lane = &fuzzer->lanes[below(fuzzer, LANES)];
    switch (below(fuzzer, 400)) {
    case 0:
        if (*lane != NULL)
            lane_stop(*lane);
        *lane = lane_start(fuzzer->attacker);
        break;
    case 1:
        if (*lane != NULL && (*lane)->shared != NULL)
            ((uint8_t *)(*lane)->shared)[below(fuzzer, 4096)] = (uint8_t)next(fuzzer);
        break;
    case 2:
        if (*lane != NULL && (*lane)->shared != NULL)
            (*lane)->shared->ring[below(fuzzer, LANE_RING_BYTES)] = (uint8_t)next(fuzzer);
        break;
    case 3:
        if (below(fuzzer, 8) == 0)
            send_frame_of(fuzzer->attacker, below(fuzzer, 9), below(fuzzer, 6),
                          below(fuzzer, 2) * below(fuzzer, 4096));
        break;
    case 4:
        if (fuzzer->attacker->window != NULL) /* but for its head: all further connections would be streams */
            fuzzer->attacker->window[4096 + next(fuzzer) % (fuzzer->attacker->window_bytes - 4096)] ^=
                (uint8_t)next(fuzzer);
        break;
    case 5:
        if (fuzzer->attacker->shared && fuzzer->attacker->window != NULL)
            send_frame_of(fuzzer->attacker, FRAME_WAKE, below(fuzzer, 2 * LANES), 0);
        break;
    default:
        random_record(fuzzer);
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void fuzz(struct attacker *attacker, uint64_t seed, unsigned milliseconds)
{
    struct fuzzer fuzzer = {.attacker = attacker, .state = seed * 0x9e3779b97f4a7c15ull + 1};
    uint64_t end = now_ms() + milliseconds;
    attacker->patience_ms = 300; /* some of what it asks for never ends */
    for (unsigned round = 0; now_ms() < end; round++) {
        attacker_start(attacker, round % 3 != 2);
        for (int i = 0; i < LANES; i++)
            fuzzer.lanes[i] = lane_start(attacker);
        MUST(fuzzer.lanes[0] != NULL);
        fuzzer.device = prepare(fuzzer.lanes[0]);
        for (unsigned steps = 0; steps < 3000 && now_ms() < end && !attacker_is_cut_off(attacker); steps++)
            random_step(&fuzzer);
        attacker_stop(attacker);
    }
}
