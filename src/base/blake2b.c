#include "base/blake2b.h"

#include <stdbool.h>
#include <string.h>

#define BLOCK_BYTES sizeof(((struct blake2b *)0)->block)

static const uint64_t initial[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* Which word of the message goes where; rounds 10 and 11 are as 0 and 1. */
static const uint8_t order[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return value >> bits | value << (64 - bits);
}

static inline void mix(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t x, uint64_t y)
{
    *a += *b + x;
    *d = rotate(*d ^ *a, 32);
    *c += *d;
    *b = rotate(*b ^ *c, 24);
    *a += *b + y;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 63);
}

static void compress(struct blake2b *blake2b, const uint8_t *block, bool last)
{
    uint64_t v[16], m[16];
    memcpy(m, block, sizeof m);
    memcpy(v, blake2b->state, sizeof blake2b->state);
    memcpy(v + 8, initial, sizeof initial);
    v[12] ^= blake2b->bytes;
    v[14] ^= last ? UINT64_MAX : 0;
    for (unsigned round = 0; round < 12; round++) {
        const uint8_t *s = order[round % 10];
        mix(&v[0], &v[4], &v[8], &v[12], m[s[0]], m[s[1]]);
        mix(&v[1], &v[5], &v[9], &v[13], m[s[2]], m[s[3]]);
        mix(&v[2], &v[6], &v[10], &v[14], m[s[4]], m[s[5]]);
        mix(&v[3], &v[7], &v[11], &v[15], m[s[6]], m[s[7]]);
        mix(&v[0], &v[5], &v[10], &v[15], m[s[8]], m[s[9]]);
        mix(&v[1], &v[6], &v[11], &v[12], m[s[10]], m[s[11]]);
        mix(&v[2], &v[7], &v[8], &v[13], m[s[12]], m[s[13]]);
        mix(&v[3], &v[4], &v[9], &v[14], m[s[14]], m[s[15]]);
    }
    for (unsigned i = 0; i < 8; i++)
        blake2b->state[i] ^= v[i] ^ v[i + 8];
}

void blake2b_begin(struct blake2b *blake2b)
{
    memset(blake2b, 0, sizeof *blake2b);
    memcpy(blake2b->state, initial, sizeof initial);
    blake2b->state[0] ^= 0x01010000u | BLAKE2B_BYTES;
}

/* The last block is kept back, as it is digested differently. */
void blake2b_add(struct blake2b *blake2b, const void *data, size_t bytes)
{
    const uint8_t *from = data;
    while (bytes > 0) {
        if (blake2b->used == BLOCK_BYTES) {
            blake2b->bytes += BLOCK_BYTES;
            compress(blake2b, blake2b->block, false);
            blake2b->used = 0;
        }
        if (blake2b->used == 0 && bytes > BLOCK_BYTES) {
            blake2b->bytes += BLOCK_BYTES;
            compress(blake2b, from, false);
            from += BLOCK_BYTES;
            bytes -= BLOCK_BYTES;
            continue;
        }
        size_t part = BLOCK_BYTES - blake2b->used < bytes ? BLOCK_BYTES - blake2b->used : bytes;
        memcpy(blake2b->block + blake2b->used, from, part);
        blake2b->used += part;
        from += part;
        bytes -= part;
    }
}

void blake2b_end(struct blake2b *blake2b, uint8_t digest[BLAKE2B_BYTES])
{
    memset(blake2b->block + blake2b->used, 0, BLOCK_BYTES - blake2b->used);
    blake2b->bytes += blake2b->used;
    compress(blake2b, blake2b->block, true);
    memcpy(digest, blake2b->state, BLAKE2B_BYTES);
}
