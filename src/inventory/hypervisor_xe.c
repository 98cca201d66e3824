/* VMs of XCP-ng and XenServer, through their command line xe. */
#include "inventory/hypervisor_vendor.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where XenServer installs it; root's PATH may lack the folder under sudo and in services. */
#define INSTALLED_PROGRAM "/opt/xensource/bin/xe"

static bool xe_takes(const char *word)
{
    return strcmp(word, "xe") == 0;
}

static bool in_path(const char *program)
{
    const char *path = getenv("PATH");
    if (strchr(program, '/') != NULL)
        return access(program, X_OK) == 0;
    while (path != NULL && *path != '\0') {
        char file[PATH_MAX];
        size_t length = strcspn(path, ":");
        int written = snprintf(file, sizeof file, "%.*s/%s", (int)length, path, program);
        if (length > 0 && written < (int)sizeof file && access(file, X_OK) == 0)
            return true;
        path += length + (path[length] == ':');
    }
    return false;
}

static const char *xe_program(const struct hypervisor_options *options)
{
    if (options->xe_program != NULL)
        return options->xe_program;
    return in_path("xe") || !in_path(INSTALLED_PROGRAM) ? "xe" : INSTALLED_PROGRAM;
}

static bool xe_discover(const struct hypervisor_options *options, struct hypervisor_target_list *list)
{
    return !in_path(xe_program(options)) || hypervisor_add_target(list, &hypervisor_xe, "xe", false);
}

static void xe_command(const struct hypervisor_options *options, const struct hypervisor_target *target,
                       const char *arguments[HYPERVISOR_MAX_ARGUMENTS + 1])
{
    arguments[0] = xe_program(options);
    arguments[1] = "vm-list";
    arguments[2] = "params=uuid,name-label,power-state,is-control-domain";
    arguments[3] = NULL;
}

static enum vgpu_power power_of_word(const char *word)
{
    static const struct {
        const char *word;
        enum vgpu_power power;
    } powers[] = {{"running", VGPU_POWER_RUNNING},
                  {"halted", VGPU_POWER_SHUT_OFF},
                  {"paused", VGPU_POWER_PAUSED},
                  {"suspended", VGPU_POWER_SUSPENDED},
                  {"crashed", VGPU_POWER_CRASHED}};
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++)
        if (strcmp(word, powers[i].word) == 0)
            return powers[i].power;
    return VGPU_POWER_UNKNOWN;
}

/* A record being read: pointers into the output. */
struct record {
    const char *uuid, *name, *power, *control;
};

static bool end_record(struct record *record, struct hypervisor_vm_list *list)
{
    struct record read = *record;
    *record = (struct record){.uuid = NULL};
    /* The control domain is the host itself. */
    if (read.uuid == NULL || (read.control != NULL && strcmp(read.control, "true") == 0))
        return true;
    return hypervisor_add_vm(list, read.uuid, read.name != NULL ? read.name : "",
                             power_of_word(read.power != NULL ? read.power : ""));
}

/* Cuts "  name-label ( RW)  : web" in two, in place. NULL: it is no such line. */
static const char *split_field(char *line, const char **key)
{
    char *value = strchr(line, ')');
    if (value == NULL)
        return NULL;
    value += 1 + strspn(value + 1, " ");
    if (*value != ':')
        return NULL;
    line += strspn(line, " ");
    line[strcspn(line, " ")] = '\0';
    *key = line;
    return value + 1 + (value[1] == ' ');
}

/* Records of lines "key ( RO): value", each beginning with its uuid. */
static bool xe_read(char *output, struct hypervisor_vm_list *list)
{
    struct record record = {.uuid = NULL};
    char *rest = NULL;
    for (char *line = strtok_r(output, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        const char *key = NULL;
        const char *value = split_field(line, &key);
        if (value == NULL)
            continue;
        if (strcmp(key, "uuid") == 0) {
            if (!end_record(&record, list))
                return false;
            record.uuid = value;
        } else if (strcmp(key, "name-label") == 0) {
            record.name = value;
        } else if (strcmp(key, "power-state") == 0) {
            record.power = value;
        } else if (strcmp(key, "is-control-domain") == 0) {
            record.control = value;
        }
    }
    return end_record(&record, list);
}

const struct hypervisor_vendor hypervisor_xe = {
    .takes = xe_takes,
    .discover = xe_discover,
    .command = xe_command,
    .missing = "there is no program xe here; take xe out of hypervisor_uris, or run this on the "
               "XenServer host",
    .read = xe_read,
};
