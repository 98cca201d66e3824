/* Inside of libvgpu: what else is to be known of words; <vgpu/vgpu.h> has the functions that check them. */
#ifndef VGPU_LIBVGPU_WORDS_H
#define VGPU_LIBVGPU_WORDS_H

#include <stdbool.h>
#include <vgpu/types.h>

/* Whether a VM's identifier is a UUID (in any case) and not another word. */
bool words_is_real_uuid(const char *text);

/* The nearest that vgpu_parse_vm_name() takes to text, which may be anything: without what it refuses, cut
 * after 64 characters; empty where nothing is left. */
void words_fit_vm_name(const char *text, char vm_name[VGPU_VM_NAME_BYTES]);

/* Makes any text one line of UTF-8 without control characters, cut to what fits. */
void words_fit_line(const char *text, char *line, size_t size);

#endif
