/* For the files that are compiled twice: the name of an operation's function has the instruction set in it.
 * PTX_SUFFIX comes from the build. */
#ifndef SIMGPU_PTX_OPS_VECTOR_H
#define SIMGPU_PTX_OPS_VECTOR_H

#include <string.h>

#include "simgpu/ptx_exec.h"

#define PTX_JOIN_(A, B, C) A##B##_##C
#define PTX_JOIN(A, B, C)  PTX_JOIN_(A, B, C)
#define PTX_RUN(NAME)      PTX_JOIN(ptx_run_, NAME, PTX_SUFFIX)

#define PTX_DECLARE(NAME) void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i);
PTX_VECTOR_OPS(PTX_DECLARE)
#undef PTX_DECLARE

/* d = EXPRESSION of x, y, z, with the sources as type T and the result as type D. */
#define PTX_UNARY(NAME, D, T, EXPRESSION)                                                                    \
    void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                        \
    {                                                                                                        \
        D *d = PTX_PLANE(w, D, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a);                                                                  \
        PTX_FOR_LANES(w->mask, T x = a[lane]; d[lane] = (D)(EXPRESSION));                                    \
    }

#define PTX_BINARY(NAME, D, T, EXPRESSION)                                                                   \
    void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                        \
    {                                                                                                        \
        D *d = PTX_PLANE(w, D, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a), *b = PTX_PLANE(w, T, i->b);                                      \
        PTX_FOR_LANES(w->mask, T x = a[lane]; T y = b[lane]; d[lane] = (D)(EXPRESSION));                     \
    }

#define PTX_TERNARY(NAME, D, T, EXPRESSION)                                                                  \
    void PTX_RUN(NAME)(struct ptx_warp * w, const struct ptx_insn *i)                                        \
    {                                                                                                        \
        D *d = PTX_PLANE(w, D, i->d);                                                                        \
        const T *a = PTX_PLANE(w, T, i->a), *b = PTX_PLANE(w, T, i->b), *c = PTX_PLANE(w, T, i->c);          \
        PTX_FOR_LANES(w->mask, T x = a[lane]; T y = b[lane]; T z = c[lane]; d[lane] = (D)(EXPRESSION));      \
    }

#endif
