/* Messages on the guest's connection after the handshake. With shared memory they are few: lanes being opened
 * and segments being passed. In a window (wire/window.h) segments are named by where they lie, and messages
 * wake who sleeps. Without shared memory they carry the calls and answers themselves. */
#ifndef VGPU_WIRE_FRAME_H
#define VGPU_WIRE_FRAME_H

#include <stdint.h>
#include <sys/types.h>

#include "wire/record.h"

enum frame_type {
    FRAME_LANE_OPEN = 1, /* guest: a new lane; worker: its answer if memory is shared, with a descriptor, or
                          * value: the lane's first block in the window */
    FRAME_LANE_CLOSE,    /* guest: its thread has ended */
    FRAME_SEGMENT,       /* worker: a descriptor that an answer announced; value: its pages. In a window only
                          * the page of the process, right after the welcome; value: its block */
    FRAME_RECORD,        /* guest: a record follows */
    FRAME_REPLY,         /* worker: a reply_header and its body follow */
    FRAME_ERROR, /* worker: a forgotten call of this lane failed since its last answer; value: CUresult */
    FRAME_ENDED, /* worker: no call will be answered any more, and each returns value (CUresult); text follows
                  */
    FRAME_WAKE,  /* either, in a window: who sleeps at this lane's other end is to look */
};

#define FRAME_MAX_LANES 1024u

struct frame_header {
    uint32_t type;
    uint32_t lane;
    uint32_t bytes; /* that follow the header */
    uint32_t value;
};

/* Blocking reads and writes of whole messages; a signal does not cut them short. Return 0, or -1 with errno
 * set (ECONNRESET when the other side has closed). */
int frame_read(int fd, void *buffer, size_t bytes);
int frame_write(int fd, const struct frame_header *header, const void *body, size_t body_bytes);

/* Reads ahead: what has arrived is taken with one system call, however many messages it is. For one thread,
 * on a connection that brings no descriptors. Begins zeroed, but for fd. */
struct frame_reader {
    int fd;
    uint32_t begin, end; /* of what is here and not yet taken */
    uint8_t bytes[64u << 10];
};
int frame_reader_take(struct frame_reader *reader, void *buffer, size_t bytes);

/* One header that may bring a descriptor: *passed_fd is -1 when it brought none, otherwise the caller's to
 * close. Only on AF_UNIX. */
int frame_read_descriptor(int fd, struct frame_header *header, int *passed_fd);
int frame_write_descriptor(int fd, const struct frame_header *header, int passed_fd);

#endif
