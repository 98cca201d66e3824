/* A hostile guest.  hostile SOCKET list | attack NAME | fuzz SEED MILLISECONDS
 *
 * Exit status 0 when the attack was made and the worker did as it should: `survived` or `ended` on stdout
 * says which. What it may not do to others, who starts this program looks at. */
#include "attacks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int make(const struct attack *attack, struct attacker *attacker)
{
    if (!attack->raw)
        attacker_start(attacker, !attack->stream);
    attack->make(attacker);
    bool ended = attack->outcome == ENDS ? attacker_awaits_end(attacker)
                                         : attacker->fd < 0 || attacker_is_cut_off(attacker);
    bool good = attack->outcome == EITHER_WAY || ended == (attack->outcome == ENDS);
    printf("%s\n", ended ? "ended" : "survived");
    return good ? 0 : 1;
}

static const struct attack *find(const struct attack *attacks, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(attacks[i].name, name) == 0)
            return &attacks[i];
    return NULL;
}

int main(int argc, char **argv)
{
    struct attacker attacker = {.path = argc > 1 ? argv[1] : "", .fd = -1};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[2], "list") == 0) {
        for (size_t i = 0; i < connection_attack_count; i++)
            printf("%s\n", connection_attacks[i].name);
        for (size_t i = 0; i < call_attack_count; i++)
            printf("%s\n", call_attacks[i].name);
        return 0;
    }
    if (argc == 4 && strcmp(argv[2], "attack") == 0) {
        const struct attack *attack = find(connection_attacks, connection_attack_count, argv[3]);
        if (attack == NULL)
            attack = find(call_attacks, call_attack_count, argv[3]);
        return attack != NULL ? make(attack, &attacker) : 2;
    }
    if (argc == 5 && strcmp(argv[2], "fuzz") == 0) {
        fuzz(&attacker, strtoull(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
        return 0;
    }
    fprintf(stderr, "usage: hostile SOCKET list | attack NAME | fuzz SEED MILLISECONDS\n");
    return 2;
}
