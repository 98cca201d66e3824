/* Images of code that guests have sent, kept by content: files RUN_DIR/images/DIGEST, shared by all workers
 * of the host, so that the next process of a guest, and other VMs, need not send them again. Any thread.
 *
 * The name is the BLAKE2b digest of what is in the file, computed here; what is read is digested again before
 * it is used. So nobody can put something else in a name's place, and only who knows an image's bytes, or
 * their digest, gets it. That an image is here, who has the same bytes can tell by how fast it loads. */
#ifndef VGPU_WORKER_IMAGE_STORE_H
#define VGPU_WORKER_IMAGE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/blake2b.h"

/* Once. limit_bytes for all images together; 0: nothing is kept. What goes wrong is logged, and then nothing
 * is kept. */
void image_store_open(const char *run_dir, uint64_t limit_bytes);

/* Whether there is an image of that name and size. */
bool image_store_has(const uint8_t digest[BLAKE2B_BYTES], uint64_t bytes);

/* Reads the image of that name and size into `to`. False when it is not here. */
bool image_store_read(const uint8_t digest[BLAKE2B_BYTES], uint8_t *to, uint64_t bytes);

/* Keeps a copy, if there is room or those used longest ago make room. */
void image_store_add(const uint8_t *image, uint64_t bytes);

#endif
