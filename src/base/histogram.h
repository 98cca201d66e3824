/* A histogram of durations: counts in buckets that grow with the value, so that a percentile is at most a
 * sixteenth above the truth whatever the range, in a fixed amount of memory. One thread at a time. */
#ifndef VGPU_BASE_HISTOGRAM_H
#define VGPU_BASE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 16 buckets for each power of two, up to 2^40 (12 days in microseconds); larger values count as that. */
#define HISTOGRAM_SUB_BITS    4u
#define HISTOGRAM_SUB_BUCKETS (1u << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_MAX_BITS    40u
#define HISTOGRAM_BUCKETS     ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_BUCKETS)

/* Zeroed: empty. */
struct histogram {
    uint64_t total;
    uint32_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* Adds all values of another one. */
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* How many values are below `bound`, a power of two. */
uint64_t histogram_count_below(const struct histogram *histogram, uint64_t bound);

/* Values that percents[i] (1..100, rising) of 100 values do not exceed, all in one pass. False when there are
 * none yet.
 */
bool histogram_percentiles(const struct histogram *histogram, const unsigned *percents, uint64_t *values,
                           size_t count);
/* One of them. */
bool histogram_percentile(const struct histogram *histogram, unsigned percent, uint64_t *value);

#endif
