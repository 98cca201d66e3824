/* Values as people read them. Each function fills buffer and returns it. */
#ifndef VGPU_ADMIN_FORMAT_H
#define VGPU_ADMIN_FORMAT_H

#include <stdint.h>

#define FORMAT_BYTES 48

/* 512 is "512MB", 81559 is "80GB": from 1,024 MB on in whole gigabytes, rounded as makers of GPUs do. */
const char *format_memory(char buffer[FORMAT_BYTES], uint64_t megabytes);

/* 812 is "812 µs", 12400 is "12 ms", then "1.5 s" from a second, "2 min 5 s" from a minute, "3 h 20 min" from
 * an hour and "2 d 4 h" from a day on. */
const char *format_duration(char buffer[FORMAT_BYTES], uint64_t microseconds);

/* A point in time in microseconds since 1970, in the user's time zone: "2026-11-23 04:48:03.123". */
const char *format_time(char buffer[FORMAT_BYTES], uint64_t wall_us);

/* The same without the date: "04:48:03.123". */
const char *format_clock(char buffer[FORMAT_BYTES], uint64_t wall_us);

#endif
