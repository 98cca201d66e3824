#include "base/histogram.h"

#include <stddef.h>

/* Below SUB_BUCKETS each value has a bucket of its own; above, the bits behind the leading one choose among
 * the SUB_BUCKETS of its power of two. */
static size_t bucket_of(uint64_t value)
{
    const uint64_t most = (1ull << HISTOGRAM_MAX_BITS) - 1;
    if (value > most)
        value = most;
    if (value < HISTOGRAM_SUB_BUCKETS)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift);
}

/* The largest value of a bucket. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < HISTOGRAM_SUB_BUCKETS)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t sub = (bucket & (HISTOGRAM_SUB_BUCKETS - 1)) + HISTOGRAM_SUB_BUCKETS;
    return ((sub + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    uint32_t *count = &histogram->counts[bucket_of(value)];
    if (*count < UINT32_MAX) {
        (*count)++;
        histogram->total++;
    }
}

void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
    for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        uint64_t sum = (uint64_t)histogram->counts[bucket] + other->counts[bucket];
        histogram->counts[bucket] = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
    }
    histogram->total += other->total;
}

uint64_t histogram_count_below(const struct histogram *histogram, uint64_t bound)
{
    uint64_t count = 0;
    size_t end = bucket_of(bound);
    for (size_t bucket = 0; bucket < end; bucket++)
        count += histogram->counts[bucket];
    return count;
}

bool histogram_percentiles(const struct histogram *histogram, const unsigned *percents, uint64_t *values,
                           size_t count)
{
    uint64_t seen = 0;
    size_t bucket = 0;
    if (histogram->total == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint64_t wanted = (histogram->total * percents[i] + 99) / 100;
        while (bucket < HISTOGRAM_BUCKETS - 1 && seen + histogram->counts[bucket] < wanted)
            seen += histogram->counts[bucket++];
        values[i] = bucket_end(bucket);
    }
    return true;
}

bool histogram_percentile(const struct histogram *histogram, unsigned percent, uint64_t *value)
{
    return histogram_percentiles(histogram, &percent, value, 1);
}
