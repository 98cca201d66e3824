/* Limits as a program gives them. */
#ifndef VGPU_LIBVGPU_VM_LIMITS_H
#define VGPU_LIBVGPU_VM_LIMITS_H

#include <jansson.h>
#include <vgpu/error.h>
#include <vgpu/types.h>

/* VGPU_ERR_USAGE: one of them does not exist, is out of its range, or is not to be set for a VM. */
enum vgpu_status limits_check(const struct vgpu_limits *change, bool of_pool, struct vgpu_error *err);

/* Those that are set as an object, {"weight": 4, "time_limit_us": 10000000}. */
json_t *limits_document(const struct vgpu_limits *limits);
/* VGPU_ERR_CORRUPT: it is no such object; the message is the complaint alone. */
enum vgpu_status limits_from_document(const json_t *object, bool of_pool, struct vgpu_limits *limits,
                                      struct vgpu_error *err);

#endif
