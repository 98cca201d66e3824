#include "libvgpu/configuration_text.h"

#include "base/error.h"
#include "libvgpu/vm_limits.h"
#include "libvgpu/words.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT_NAME    "vgpu-configuration"
#define FORMAT_VERSION 1

/* ---- Writing ---- */

/* What a driver calls a GPU may be any bytes; what is not UTF-8 becomes ASCII. */
static json_t *make_text(const char *text)
{
    char plain[VGPU_VM_NAME_BYTES];
    json_t *value = json_string(text);
    if (value != NULL)
        return value;
    snprintf(plain, sizeof plain, "%s", text);
    for (char *byte = plain; *byte != '\0'; byte++)
        if ((unsigned char)*byte >= 0x80)
            *byte = '?';
    return json_string(plain);
}

static json_t *make_letters(const char *pools)
{
    json_t *letters = json_array();
    for (const char *pool = pools; *pool != '\0'; pool++)
        json_array_append_new(letters, json_stringn(pool, 1));
    return letters;
}

static json_t *make_gpu(const struct vgpu_gpu *gpu)
{
    return json_pack("{s:o, s:i, s:o, s:o, s:o}", "gpu_uuid", make_text(gpu->gpu_uuid), "gpu_id",
                     (int)gpu->gpu_id, "gpu_name", make_text(gpu->gpu_name), "pci_address",
                     make_text(gpu->pci_address), "pools", make_letters(gpu->pools));
}

/* A name that follows from the number is left out, so that it goes on following it. */
static json_t *make_vm(const struct vgpu_vm *vm)
{
    char standard[VGPU_VM_NAME_BYTES];
    json_t *object =
        json_pack("{s:s, s:i, s:o, s:s}", "vm_uuid", vm->vm_uuid, "vm_id", (int)vm->vm_id, "pool",
                  json_stringn(&vm->pool, 1), "priority", vgpu_priority_name(vm->priority));
    snprintf(standard, sizeof standard, "VM-%" PRId32, vm->vm_id);
    if (strcmp(vm->vm_name, standard) != 0)
        json_object_set_new(object, "vm_name", make_text(vm->vm_name));
    if (vm->vsock_cid != 0)
        json_object_set_new(object, "vsock_cid", json_integer(vm->vsock_cid));
    if (vm->paused)
        json_object_set_new(object, "paused", json_true());
    if (vm->limits.set != 0)
        json_object_set_new(object, "limits", limits_document(&vm->limits));
    if (vm->quarantined)
        json_object_set_new(object, "quarantine", make_text(vm->quarantine_reason));
    return object;
}

/* One line of a list; takes the reference. */
static bool print_line(FILE *out, json_t *value, bool last)
{
    bool good = value != NULL && json_dumpf(value, out, JSON_ENCODE_ANY) == 0;
    json_decref(value);
    fputs(last ? "\n" : ",\n", out);
    return good;
}

/* One line for each pool that has limits of its own; nothing where none has. */
static bool print_pool_limits(FILE *out, const struct vgpu_snapshot *snapshot)
{
    bool good = true;
    bool any = false;
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        if (snapshot->pools[i].limits.set == 0)
            continue;
        json_t *limits = limits_document(&snapshot->pools[i].limits);
        fprintf(out, "%s\"%c\": ", any ? ",\n" : "\"pool_limits\": {\n", snapshot->pools[i].pool);
        good &= limits != NULL && json_dumpf(limits, out, 0) == 0;
        json_decref(limits);
        any = true;
    }
    fputs(any ? "\n},\n" : "", out);
    return good;
}

/* By hand, because one VM belongs in one line: so a difference of one VM is a difference of one line. */
static bool print(FILE *out, const struct vgpu_snapshot *snapshot)
{
    bool good = true;
    fprintf(out, "{\n\"format\": \"%s\",\n\"version\": %d,\n\"pools\": [", FORMAT_NAME, FORMAT_VERSION);
    for (size_t i = 0; i < snapshot->pool_count; i++)
        fprintf(out, "%s\"%c\"", i > 0 ? ", " : "", snapshot->pools[i].pool);
    fputs("],\n", out);
    good &= print_pool_limits(out, snapshot);
    fputs("\"gpus\": [\n", out);
    for (size_t i = 0; i < snapshot->gpu_count; i++)
        good &= print_line(out, make_gpu(&snapshot->gpus[i]), i + 1 == snapshot->gpu_count);
    fputs("],\n\"vms\": [\n", out);
    for (size_t i = 0; i < snapshot->vm_count; i++)
        good &= print_line(out, make_vm(&snapshot->vms[i]), i + 1 == snapshot->vm_count);
    fputs("]\n}\n", out);
    return good;
}

enum vgpu_status configuration_format(const struct vgpu_snapshot *snapshot, char **text,
                                      struct vgpu_error *err)
{
    char *printed = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&printed, &length);
    bool good = out != NULL && print(out, snapshot);
    if (out != NULL && fclose(out) != 0)
        good = false;
    if (!good) {
        free(printed);
        return error_set(err, VGPU_ERR_MEMORY, "out of memory while writing the configuration");
    }
    *text = printed;
    return VGPU_OK;
}

/* ---- Reading ---- */

/* Members of one object; the first fault sticks. where: "vms[3]", for messages. */
struct reader {
    const json_t *object;
    char where[32];
    enum vgpu_status status;
    struct vgpu_error *err;
};

#define fail(reader, ...) ((reader)->status = error_set((reader)->err, VGPU_ERR_CORRUPT, __VA_ARGS__))

static struct reader reader_start(const json_t *list, const char *name, size_t index, struct vgpu_error *err)
{
    struct reader reader = {.object = json_array_get(list, index), .err = err};
    snprintf(reader.where, sizeof reader.where, "%s[%zu]", name, index);
    if (!json_is_object(reader.object))
        fail(&reader, "%s is no object: write it as {\"%s\": ...}", reader.where,
             strcmp(name, "vms") == 0 ? "vm_uuid" : "gpu_uuid");
    return reader;
}

/* A member of another name is a mistake: it would be believed to count. */
static void check_members(struct reader *reader, const char *const *names, size_t count)
{
    const char *member;
    const json_t *value;
    if (reader->status != VGPU_OK)
        return;
    json_object_foreach((json_t *)reader->object, member, value) /* which it does not change */
    {
        bool known = false;
        for (size_t i = 0; i < count; i++)
            known |= strcmp(names[i], member) == 0;
        if (!known) {
            fail(reader, "%s has a member \"%.40s\" that means nothing here: correct or remove it",
                 reader->where, member);
            return;
        }
    }
}

static const char *read_text(struct reader *reader, const char *name, bool required)
{
    const json_t *value = json_object_get(reader->object, name);
    if (reader->status != VGPU_OK || (value == NULL && !required))
        return NULL;
    if (!json_is_string(value)) {
        fail(reader, "%s: \"%s\" %s: write it as a text in quotes", reader->where, name,
             value == NULL ? "is missing" : "is no text");
        return NULL;
    }
    return json_string_value(value);
}

static int64_t read_number(struct reader *reader, const char *name, bool required, int64_t least,
                           int64_t most)
{
    const json_t *value = json_object_get(reader->object, name);
    if (reader->status != VGPU_OK || (value == NULL && !required))
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < least || json_integer_value(value) > most) {
        fail(reader, "%s: \"%s\" %s: write a whole number from %" PRId64 " to %" PRId64, reader->where, name,
             value == NULL ? "is missing" : "is not what it can be", least, most);
        return 0;
    }
    return json_integer_value(value);
}

static bool read_flag(struct reader *reader, const char *name)
{
    const json_t *value = json_object_get(reader->object, name);
    if (reader->status == VGPU_OK && value != NULL && !json_is_boolean(value))
        fail(reader, "%s: \"%s\" is not what it can be: write true or false", reader->where, name);
    return json_is_true(value);
}

/* A word that libvgpu's own checks have refused. */
static void refuse_word(struct reader *reader, const struct vgpu_error *why)
{
    fail(reader, "%s: %.400s", reader->where, why->message);
}

static void read_fixed(struct reader *reader, const char *name, char *text, size_t size, bool required)
{
    const char *value = read_text(reader, name, required);
    if (value == NULL)
        return;
    if ((required && value[0] == '\0') || strlen(value) >= size)
        fail(reader, "%s: \"%s\" has %zu bytes: write 1 to %zu", reader->where, name, strlen(value),
             size - 1);
    else
        memcpy(text, value, strlen(value) + 1);
}

static bool has_pool(const struct vgpu_snapshot *snapshot, char pool)
{
    for (size_t i = 0; i < snapshot->pool_count; i++)
        if (snapshot->pools[i].pool == pool)
            return true;
    return false;
}

/* 0 after a fault. */
static char check_pool(struct reader *reader, const struct vgpu_snapshot *snapshot, const char *text)
{
    struct vgpu_error why;
    char pool = '\0';
    if (text == NULL || reader->status != VGPU_OK)
        return '\0';
    if (vgpu_parse_pool(text, &pool, &why) != VGPU_OK)
        refuse_word(reader, &why);
    else if (!has_pool(snapshot, pool))
        fail(reader, "%s: there is no pool %c in \"pools\": add it there, or name another", reader->where,
             pool);
    return pool;
}

static void read_gpu_pools(struct reader *reader, const struct vgpu_snapshot *snapshot, char *pools)
{
    const json_t *list = json_object_get(reader->object, "pools");
    if (reader->status == VGPU_OK && !json_is_array(list))
        fail(reader, "%s: \"pools\" is no list: write it as [\"A\"], the primary pool first", reader->where);
    for (size_t i = 0; reader->status == VGPU_OK && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        char pool = check_pool(reader, snapshot, text == NULL ? "" : text);
        if (reader->status == VGPU_OK && strchr(pools, pool) != NULL)
            fail(reader, "%s: pool %c stands twice in \"pools\": name it once", reader->where, pool);
        if (reader->status == VGPU_OK)
            pools[strlen(pools)] = pool; /* the rest is zeroed, and there are no more letters than room */
    }
}

static enum vgpu_status read_gpu(const json_t *list, size_t index, const struct vgpu_snapshot *snapshot,
                                 struct vgpu_gpu *gpu, struct vgpu_error *err)
{
    static const char *const members[] = {"gpu_uuid", "gpu_id", "gpu_name", "pci_address", "pools"};
    struct reader reader = reader_start(list, "gpus", index, err);
    check_members(&reader, members, sizeof members / sizeof members[0]);
    read_fixed(&reader, "gpu_uuid", gpu->gpu_uuid, sizeof gpu->gpu_uuid, true);
    gpu->gpu_id = (int32_t)read_number(&reader, "gpu_id", true, 0, INT32_MAX);
    read_fixed(&reader, "gpu_name", gpu->gpu_name, sizeof gpu->gpu_name, false);
    read_fixed(&reader, "pci_address", gpu->pci_address, sizeof gpu->pci_address, false);
    read_gpu_pools(&reader, snapshot, gpu->pools);
    return reader.status;
}

static void read_words(struct reader *reader, struct vgpu_vm *vm)
{
    struct vgpu_error why;
    const char *vm_uuid = read_text(reader, "vm_uuid", true);
    const char *vm_name = read_text(reader, "vm_name", false);
    const char *priority = read_text(reader, "priority", true);
    if (reader->status == VGPU_OK && vgpu_parse_vm_uuid(vm_uuid, vm->vm_uuid, &why) != VGPU_OK)
        refuse_word(reader, &why);
    if (reader->status == VGPU_OK && vm_name != NULL &&
        vgpu_parse_vm_name(vm_name, vm->vm_name, &why) != VGPU_OK)
        refuse_word(reader, &why);
    if (reader->status == VGPU_OK && vgpu_parse_priority(priority, &vm->priority, &why) != VGPU_OK)
        refuse_word(reader, &why);
}

static void read_limits(struct reader *reader, struct vgpu_vm *vm)
{
    struct vgpu_error why;
    const json_t *limits = json_object_get(reader->object, "limits");
    const char *quarantine = read_text(reader, "quarantine", false);
    if (reader->status == VGPU_OK && limits != NULL &&
        limits_from_document(limits, false, &vm->limits, &why) != VGPU_OK)
        refuse_word(reader, &why);
    if (reader->status != VGPU_OK || quarantine == NULL)
        return;
    vm->quarantined = true;
    words_fit_line(quarantine, vm->quarantine_reason, sizeof vm->quarantine_reason);
}

static enum vgpu_status read_vm(const json_t *list, size_t index, const struct vgpu_snapshot *snapshot,
                                struct vgpu_vm *vm, struct vgpu_error *err)
{
    static const char *const members[] = {"vm_uuid",   "vm_id",  "vm_name", "pool",      "priority",
                                          "vsock_cid", "paused", "limits",  "quarantine"};
    struct reader reader = reader_start(list, "vms", index, err);
    char standard[VGPU_VM_NAME_BYTES];
    check_members(&reader, members, sizeof members / sizeof members[0]);
    read_words(&reader, vm);
    vm->vm_id = (int32_t)read_number(&reader, "vm_id", true, 1, VGPU_VM_ID_MAX);
    vm->vsock_cid = (uint32_t)read_number(&reader, "vsock_cid", false, 3, UINT32_MAX - 1);
    vm->paused = read_flag(&reader, "paused");
    read_limits(&reader, vm);
    vm->pool = check_pool(&reader, snapshot, read_text(&reader, "pool", true));
    snprintf(standard, sizeof standard, "VM-%" PRId32, vm->vm_id);
    if (strcmp(vm->vm_name, standard) == 0)
        vm->vm_name[0] = '\0';
    return reader.status;
}

static enum vgpu_status read_pools(const json_t *list, struct vgpu_snapshot *snapshot, struct vgpu_error *err)
{
    snapshot->pools = calloc(json_array_size(list) + 1, sizeof *snapshot->pools);
    if (snapshot->pools == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct vgpu_error why;
        char pool = '\0';
        const char *text = json_string_value(json_array_get(list, i));
        if (vgpu_parse_pool(text == NULL ? "" : text, &pool, &why) != VGPU_OK)
            return error_set(err, VGPU_ERR_CORRUPT, "pools[%zu]: %.400s", i, why.message);
        if (has_pool(snapshot, pool))
            return error_set(err, VGPU_ERR_CORRUPT, "pools[%zu]: pool %c stands twice: name it once", i,
                             pool);
        snapshot->pools[snapshot->pool_count++].pool = pool;
    }
    if (!has_pool(snapshot, 'A') || !has_pool(snapshot, 'B'))
        return error_set(err, VGPU_ERR_CORRUPT, "\"pools\" lacks A or B, which always exist: add them");
    return VGPU_OK;
}

/* limits NULL: there are none. */
static enum vgpu_status read_pool_limits(const json_t *limits, struct vgpu_snapshot *snapshot,
                                         struct vgpu_error *err)
{
    const char *letter;
    const json_t *value;
    if (limits != NULL && !json_is_object(limits))
        return error_set(err, VGPU_ERR_CORRUPT,
                         "\"pool_limits\" is no object: write it as {\"A\": {\"weight\": 4}}");
    json_object_foreach((json_t *)limits, letter, value) /* which it does not change */
    {
        struct vgpu_error why;
        struct vgpu_pool *pool = NULL;
        for (size_t i = 0; i < snapshot->pool_count; i++)
            if (snapshot->pools[i].pool == letter[0] && letter[1] == '\0')
                pool = &snapshot->pools[i];
        if (pool == NULL)
            return error_set(err, VGPU_ERR_CORRUPT,
                             "pool_limits: \"%.40s\" is not in \"pools\": add it there, or name another",
                             letter);
        if (limits_from_document(value, true, &pool->limits, &why) != VGPU_OK)
            return error_set(err, VGPU_ERR_CORRUPT, "pool_limits: %c: %.400s", pool->pool, why.message);
    }
    return VGPU_OK;
}

static enum vgpu_status read_gpus(const json_t *list, struct vgpu_snapshot *snapshot, struct vgpu_error *err)
{
    snapshot->gpus = calloc(json_array_size(list) + 1, sizeof *snapshot->gpus);
    if (snapshot->gpus == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const struct vgpu_gpu *gpu = &snapshot->gpus[i];
        enum vgpu_status status = read_gpu(list, i, snapshot, &snapshot->gpus[i], err);
        if (status != VGPU_OK)
            return status;
        for (size_t j = 0; j < i; j++)
            if (strcmp(snapshot->gpus[j].gpu_uuid, gpu->gpu_uuid) == 0 ||
                snapshot->gpus[j].gpu_id == gpu->gpu_id)
                return error_set(
                    err, VGPU_ERR_CORRUPT,
                    "gpus[%zu] has the gpu_uuid or the gpu_id of gpus[%zu]: no two have the same", i, j);
        snapshot->gpu_count++;
    }
    return VGPU_OK;
}

/* ---- No two VMs with the same ---- */

enum key { KEY_UUID, KEY_ID, KEY_CID, KEY_COUNT };

static int compare_key(const void *left, const void *right, void *key)
{
    const struct vgpu_vm *first = *(const struct vgpu_vm *const *)left;
    const struct vgpu_vm *second = *(const struct vgpu_vm *const *)right;
    switch (*(const enum key *)key) {
    case KEY_UUID:
        return strcmp(first->vm_uuid, second->vm_uuid);
    case KEY_ID:
        return (first->vm_id > second->vm_id) - (first->vm_id < second->vm_id);
    default:
        return (first->vsock_cid > second->vsock_cid) - (first->vsock_cid < second->vsock_cid);
    }
}

static enum vgpu_status check_unique(const struct vgpu_snapshot *snapshot, struct vgpu_error *err)
{
    static const char *const names[] = {"vm_uuid", "vm_id", "vsock_cid"};
    const struct vgpu_vm **sorted = calloc(snapshot->vm_count + 1, sizeof *sorted);
    enum vgpu_status status = VGPU_OK;
    if (sorted == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < snapshot->vm_count; i++)
        sorted[i] = &snapshot->vms[i];
    for (int number = 0; status == VGPU_OK && number < KEY_COUNT; number++) {
        enum key key = (enum key)number;
        qsort_r(sorted, snapshot->vm_count, sizeof *sorted, compare_key, &key);
        for (size_t i = 1; status == VGPU_OK && i < snapshot->vm_count; i++) {
            bool none = key == KEY_CID && sorted[i]->vsock_cid == 0;
            if (!none && compare_key(&sorted[i - 1], &sorted[i], &key) == 0)
                status = error_set(err, VGPU_ERR_CORRUPT,
                                   "vms[%zd] (%s) and vms[%zd] (%s) have the same \"%s\": no two may",
                                   sorted[i - 1] - snapshot->vms, sorted[i - 1]->vm_uuid,
                                   sorted[i] - snapshot->vms, sorted[i]->vm_uuid, names[key]);
        }
    }
    free(sorted);
    return status;
}

static enum vgpu_status read_vms(const json_t *list, struct vgpu_snapshot *snapshot, struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    snapshot->vms = calloc(json_array_size(list) + 1, sizeof *snapshot->vms);
    if (snapshot->vms == NULL)
        return error_set(err, VGPU_ERR_MEMORY, "out of memory");
    for (size_t i = 0; status == VGPU_OK && i < json_array_size(list); i++) {
        status = read_vm(list, i, snapshot, &snapshot->vms[i], err);
        snapshot->vm_count++;
    }
    return status == VGPU_OK ? check_unique(snapshot, err) : status;
}

/* ---- The whole ---- */

static enum vgpu_status check_head(const json_t *root, struct vgpu_error *err)
{
    static const char *const members[] = {"format", "version", "pools", "gpus", "vms", "pool_limits"};
    const char *format = json_string_value(json_object_get(root, "format"));
    const json_t *version = json_object_get(root, "version");
    struct reader reader = {.object = root, .where = "it", .err = err};
    if (format == NULL || strcmp(format, FORMAT_NAME) != 0)
        return error_set(err, VGPU_ERR_CORRUPT,
                         "it is no configuration of vgpu (\"format\" is not \"" FORMAT_NAME
                         "\"): give a file that export wrote");
    if (!json_is_integer(version) || json_integer_value(version) < 1)
        return error_set(err, VGPU_ERR_CORRUPT, "\"version\" is no version: write %d", FORMAT_VERSION);
    if (json_integer_value(version) > FORMAT_VERSION)
        return error_set(err, VGPU_ERR_VERSION,
                         "it was made by a newer vgpu (its version is %" JSON_INTEGER_FORMAT
                         ", this program knows up to %d): update this installation",
                         json_integer_value(version), FORMAT_VERSION);
    check_members(&reader, members, sizeof members / sizeof members[0]);
    for (size_t i = 2; reader.status == VGPU_OK && i < 5; i++) /* the lists, which must be there */
        if (!json_is_array(json_object_get(root, members[i])))
            fail(&reader, "\"%s\" is missing or no list: write it as [...], or [] for none", members[i]);
    return reader.status;
}

enum vgpu_status configuration_parse(const char *text, size_t length, struct vgpu_snapshot *snapshot,
                                     struct vgpu_error *err)
{
    json_error_t where;
    struct vgpu_snapshot read = {.gpus = NULL};
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL)
        return error_set(err, VGPU_ERR_CORRUPT, "it is no JSON, at line %d, column %d: %s", where.line,
                         where.column, where.text);
    enum vgpu_status status = check_head(root, err);
    if (status == VGPU_OK)
        status = read_pools(json_object_get(root, "pools"), &read, err);
    if (status == VGPU_OK)
        status = read_pool_limits(json_object_get(root, "pool_limits"), &read, err);
    if (status == VGPU_OK)
        status = read_gpus(json_object_get(root, "gpus"), &read, err);
    if (status == VGPU_OK)
        status = read_vms(json_object_get(root, "vms"), &read, err);
    json_decref(root);
    if (status == VGPU_OK)
        *snapshot = read;
    else
        vgpu_snapshot_fini(&read);
    return status;
}
