/* The attacks, in two files: on the connection and its shared memory, and with calls that lie. */
#ifndef TEST_ATTACKS_H
#define TEST_ATTACKS_H

#include "attacker.h"

enum outcome {
    ANSWERS,    /* the worker serves on */
    ENDS,       /* the worker ends by itself */
    EITHER_WAY, /* whichever: nobody else may notice */
};

struct attack {
    const char *name;
    enum outcome outcome;
    void (*make)(struct attacker *attacker);
    bool raw;    /* connects by itself */
    bool stream; /* over the socket, not shared memory */
};

extern const struct attack connection_attacks[];
extern const size_t connection_attack_count;
extern const struct attack call_attacks[];
extern const size_t call_attack_count;

/* Random frames, records, requests and scribbles for a while. */
void fuzz(struct attacker *attacker, uint64_t seed, unsigned milliseconds);

#endif
