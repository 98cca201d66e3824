/* One line of `nvidia-smi --query-gpu=... --format=csv,noheader,nounits`. */
#ifndef VGPU_INVENTORY_CSV_H
#define VGPU_INVENTORY_CSV_H

#include <vgpu/types.h>

/* What is asked for, in the order csv_parse_gpu() expects. */
#define CSV_COLUMNS                                                                                          \
    "index,uuid,name,pci.bus_id,memory.total,memory.used,utilization.gpu,temperature.gpu,power.draw"

/* A value in brackets ("[N/A]", "[Not Supported]", ...) is absent. False: the line is no GPU, or does not say
 * which one. line need not be NUL-terminated. */
bool csv_parse_gpu(const char *line, size_t length, struct vgpu_gpu *gpu);

#endif
