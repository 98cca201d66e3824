/* A call on its way from guest to worker, and the answer. The same bytes travel through a shared ring and
 * through a stream. Both sides are x86-64: little-endian, natural alignment. */
#ifndef VGPU_WIRE_RECORD_H
#define VGPU_WIRE_RECORD_H

#include <stdint.h>

#define RECORD_MAX_BYTES    (320u << 10) /* a whole record, header included */
#define RECORD_INLINE_BYTES (256u << 10) /* bulk data in one record; more is sent in several */
#define REPLY_MAX_BYTES     (320u << 10) /* a whole reply */

enum record_flags {
    RECORD_WANTS_REPLY = 1, /* the guest's thread waits; otherwise the call is forgotten once sent */
};

/* Followed by the request structure of the call and, after it, its variable part. */
struct record_header {
    uint32_t bytes; /* of the record, header included; a multiple of 8 */
    uint16_t call;  /* enum call_number; CALL_INVALID: padding up to the ring's end */
    uint16_t flags;
    /* Order across lanes. Forgotten calls of a process are numbered 0, 1, 2, ... in `ticket` and executed in
     * that order. A call with a reply carries the number of forgotten calls sent before it, by any thread,
     * and is executed when all those have been. */
    uint64_t ticket;
    uint32_t body_bytes; /* request structure and variable part, without the padding to 8 */
    uint32_t reserved;
};

/* Followed by reply structure and variable part. */
struct reply_header {
    int32_t result; /* CUresult */
    uint32_t size;  /* bytes that follow; and REPLY_TEXT_WAITS */
};

/* Device code has printed something: CALL_device_text fetches it. */
#define REPLY_TEXT_WAITS 0x80000000u

static inline uint32_t reply_body_bytes(const struct reply_header *header)
{
    return header->size & ~REPLY_TEXT_WAITS;
}

#endif
