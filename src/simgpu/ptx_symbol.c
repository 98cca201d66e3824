/* Names and the blocks they are known in. */
#include <string.h>

#include "simgpu/ptx_compile.h"

static unsigned hash_name(const char *name, size_t length)
{
    unsigned hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)name[i]) * 16777619u;
    return hash % SYMBOL_BUCKETS;
}

void scope_enter(struct ptx_compiler *c)
{
    if (c->scope >= MAX_NESTING)
        compile_fail(c, c->token.line, "blocks are nested deeper than %d", MAX_NESTING);
    c->scopes[++c->scope] = NULL;
}

void scope_leave(struct ptx_compiler *c)
{
    for (struct symbol *symbol = c->scopes[c->scope]; symbol; symbol = symbol->next_in_scope) {
        struct symbol **bucket = &c->buckets[hash_name(symbol->name, symbol->length)];
        while (*bucket != symbol)
            bucket = &(*bucket)->next_in_bucket;
        *bucket = symbol->next_in_bucket;
    }
    c->scopes[c->scope--] = NULL;
}

static struct symbol *find(const struct ptx_compiler *c, const char *name, size_t length, bool is_range)
{
    struct symbol *symbol = c->buckets[hash_name(name, length)];
    for (; symbol; symbol = symbol->next_in_bucket)
        if (symbol->length == length && (symbol->kind == SYMBOL_RANGE) == is_range &&
            memcmp(symbol->name, name, length) == 0)
            return symbol;
    return NULL;
}

struct symbol *symbol_find(const struct ptx_compiler *c, const char *name, size_t length)
{
    return find(c, name, length, false);
}

struct symbol *symbol_find_in_scope(const struct ptx_compiler *c, const char *name, size_t length)
{
    struct symbol *symbol = find(c, name, length, false);
    return symbol && symbol->scope == c->scope ? symbol : NULL;
}

struct symbol *symbol_find_range(const struct ptx_compiler *c, const char *name, size_t length,
                                 uint32_t *number)
{
    /* A prefix may itself end in digits ("%p1_<5>"), so every split is tried, shortest number first. */
    uint64_t value = 0, unit = 1;
    for (size_t split = length; split > 1;) {
        char digit = name[--split];
        if (digit < '0' || digit > '9' || length - split > 9)
            return NULL;
        value += (uint64_t)(digit - '0') * unit;
        unit *= 10;
        if (digit == '0' && length - split > 1)
            continue;
        struct symbol *symbol = find(c, name, split, true);
        if (symbol && value < symbol->count) {
            *number = (uint32_t)value;
            return symbol;
        }
    }
    return NULL;
}

struct symbol *symbol_add(struct ptx_compiler *c, const struct ptx_token *name, enum symbol_kind kind)
{
    struct symbol *known = find(c, name->text, name->length, kind == SYMBOL_RANGE);
    if (known && known->scope == c->scope)
        compile_fail(c, name->line, "Duplicate definition of '%.*s'",
                     (int)(name->length < 200 ? name->length : 200), name->text);
    struct symbol *symbol = compile_alloc(c, 1, sizeof *symbol);
    symbol->name = compile_copy(c, name->text, name->length);
    symbol->length = name->length;
    symbol->kind = kind;
    symbol->scope = c->scope;
    symbol->plane = PTX_PLANE_NONE;
    struct symbol **bucket = &c->buckets[hash_name(name->text, name->length)];
    symbol->next_in_bucket = *bucket;
    *bucket = symbol;
    symbol->next_in_scope = c->scopes[c->scope];
    c->scopes[c->scope] = symbol;
    return symbol;
}
