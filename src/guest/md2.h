/* The MD2 message digest (RFC 1319) and its keyed form (RFC 2104). Long broken, and no secret of ours hangs
 * on it: it is what the runtime library expects of a driver (guest/export_table_integrity.c). */
#ifndef VGPU_GUEST_MD2_H
#define VGPU_GUEST_MD2_H

#include <stddef.h>
#include <stdint.h>

#define MD2_BYTES 16u

struct md2 {
    uint8_t digest[MD2_BYTES];
    uint8_t checksum[MD2_BYTES];
    uint8_t block[MD2_BYTES];
    unsigned used; /* bytes in block */
};

void md2_begin(struct md2 *md2);
void md2_add(struct md2 *md2, const void *data, size_t bytes);
void md2_end(struct md2 *md2, uint8_t digest[MD2_BYTES]);

/* HMAC with a key of one block. */
struct md2_keyed {
    struct md2 inner;
    uint8_t key[MD2_BYTES];
};

void md2_keyed_begin(struct md2_keyed *keyed, const uint8_t key[MD2_BYTES]);
void md2_keyed_add(struct md2_keyed *keyed, const void *data, size_t bytes);
void md2_keyed_end(struct md2_keyed *keyed, uint8_t digest[MD2_BYTES]);

#endif
