/* Copying much memory that will not be read again soon. */
#ifndef VGPU_GUEST_COPY_STREAMING_H
#define VGPU_GUEST_COPY_STREAMING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

/* Lines of 64 bytes, the target aligned to one, around the cache. */
__attribute__((target("avx2"))) static inline void stream_lines_avx2(uint8_t *to, const uint8_t *from,
                                                                     size_t lines)
{
    for (; lines > 0; lines--, to += 64, from += 64) {
        _mm_prefetch((const char *)from + 1024, _MM_HINT_T0);
        __m256i low = _mm256_loadu_si256((const __m256i *)from);
        __m256i high = _mm256_loadu_si256((const __m256i *)from + 1);
        _mm256_stream_si256((__m256i *)to, low);
        _mm256_stream_si256((__m256i *)to + 1, high);
    }
}

static inline void stream_lines_sse2(uint8_t *to, const uint8_t *from, size_t lines)
{
    for (; lines > 0; lines--, to += 64, from += 64) {
        const __m128i *source = (const __m128i *)from;
        __m128i *target = (__m128i *)to;
        _mm_prefetch((const char *)from + 1024, _MM_HINT_T0);
        __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
        __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
        _mm_stream_si128(target, a);
        _mm_stream_si128(target + 1, b);
        _mm_stream_si128(target + 2, c);
        _mm_stream_si128(target + 3, d);
    }
}
#endif

/* As memcpy, writing around the cache: the target's lines are not read first, and the source (a staging slot
 * that the GPU has just filled) stays in it. memcpy itself only begins to write so at sizes beyond a slot's.
 */
static inline void copy_streaming(uint8_t *to, const uint8_t *from, size_t bytes)
{
#if defined(__x86_64__)
    size_t head = (64 - (uintptr_t)to % 64) % 64;
    if (bytes > 4096) {
        memcpy(to, from, head);
        size_t lines = (bytes - head) / 64;
        if (__builtin_cpu_supports("avx2"))
            stream_lines_avx2(to + head, from + head, lines);
        else
            stream_lines_sse2(to + head, from + head, lines);
        _mm_sfence();
        head += lines * 64;
        to += head;
        from += head;
        bytes -= head;
    }
#endif
    memcpy(to, from, bytes);
}

#endif
