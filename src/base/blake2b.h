/* BLAKE2b (RFC 7693) with digests of 32 bytes, no key: names for contents. In base because guest and worker
 * must agree, and the guest library has nothing but libc. */
#ifndef VGPU_BASE_BLAKE2B_H
#define VGPU_BASE_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

#define BLAKE2B_BYTES 32u

struct blake2b {
    uint64_t state[8];
    uint64_t bytes; /* digested so far; enough for any content of ours */
    uint8_t block[128];
    size_t used;
};

void blake2b_begin(struct blake2b *blake2b);
void blake2b_add(struct blake2b *blake2b, const void *data, size_t bytes);
void blake2b_end(struct blake2b *blake2b, uint8_t digest[BLAKE2B_BYTES]);

#endif
