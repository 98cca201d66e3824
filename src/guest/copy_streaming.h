/* Copying much memory that will not be read again soon. */
#ifndef VGPU_GUEST_COPY_STREAMING_H
#define VGPU_GUEST_COPY_STREAMING_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* As memcpy, writing around the cache: the target's lines are not read first, and the source (a staging slot
 * that the GPU has just filled) stays in it. Worth it from some hundred kilobytes on, where memcpy itself
 * only begins to write so at sizes beyond a slot's. */
static inline void copy_streaming(uint8_t *to, const uint8_t *from, size_t bytes)
{
#if defined(__SSE2__)
    const size_t line = 64;
    size_t head = (line - (uintptr_t)to % line) % line;
    if (bytes > 64 * line) {
        memcpy(to, from, head);
        to += head;
        from += head;
        bytes -= head;
        for (; bytes >= line; bytes -= line, to += line, from += line) {
            _mm_prefetch((const char *)from + 8 * line, _MM_HINT_NTA);
            __m128i a = _mm_loadu_si128((const __m128i *)from),
                    b = _mm_loadu_si128((const __m128i *)from + 1);
            __m128i c = _mm_loadu_si128((const __m128i *)from + 2),
                    d = _mm_loadu_si128((const __m128i *)from + 3);
            _mm_stream_si128((__m128i *)to, a);
            _mm_stream_si128((__m128i *)to + 1, b);
            _mm_stream_si128((__m128i *)to + 2, c);
            _mm_stream_si128((__m128i *)to + 3, d);
        }
        _mm_sfence();
    }
#endif
    memcpy(to, from, bytes);
}

#endif
