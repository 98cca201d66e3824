#include "simgpu/lz4.h"

#include <string.h>

struct input {
    const unsigned char *at;
    const unsigned char *end;
};

/* A length that starts in four bits of the token and goes on in bytes while they are 255. */
static bool read_length(struct input *in, size_t *length)
{
    if (*length < 15)
        return true;
    unsigned char more;
    do {
        if (in->at == in->end)
            return false;
        more = *in->at++;
        *length += more;
    } while (more == 255);
    return true;
}

static bool copy_literals(struct input *in, unsigned char **out, const unsigned char *out_end, size_t length)
{
    if (length > (size_t)(in->end - in->at) || length > (size_t)(out_end - *out))
        return false;
    memcpy(*out, in->at, length);
    in->at += length;
    *out += length;
    return true;
}

/* Source and destination overlap when the offset is shorter than the match: byte by byte, as the format
 * wants. */
static bool copy_match(struct input *in, const unsigned char *out_start, unsigned char **out,
                       const unsigned char *out_end, size_t length)
{
    if (in->end - in->at < 2)
        return false;
    size_t offset = (size_t)in->at[0] | (size_t)in->at[1] << 8;
    in->at += 2;
    if (!read_length(in, &length))
        return false;
    length += 4;
    if (offset == 0 || offset > (size_t)(*out - out_start) || length > (size_t)(out_end - *out))
        return false;
    for (; length > 0; length--, (*out)++)
        **out = *(*out - offset);
    return true;
}

bool lz4_decompress(const void *in, size_t in_bytes, void *out, size_t out_bytes)
{
    struct input input = {in, (const unsigned char *)in + in_bytes};
    unsigned char *at = out;
    const unsigned char *end = at + out_bytes;
    while (input.at < input.end) {
        unsigned char token = *input.at++;
        size_t literals = token >> 4;
        if (!read_length(&input, &literals) || !copy_literals(&input, &at, end, literals))
            return false;
        if (input.at == input.end)
            break; /* the last sequence is literals alone */
        if (!copy_match(&input, out, &at, end, token & 15))
            return false;
    }
    return at == end;
}
