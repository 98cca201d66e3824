/* vgpu-run: runs a command on the host as one of the VMs. The guest's CUDA library goes in front of the
 * library path, the VM's socket into VGPU_SERVER; then the command takes this process's place, so that its
 * exit status and signals are the caller's to see. */
#include "base/error.h"
#include "base/prefix.h"
#include "base/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vgpu/vgpu.h>

struct arguments {
    const char *vm_uuid;
    const char *config_path;
    char **command; /* NULL-terminated */
    bool help;
    bool version;
};

static void print_help(void)
{
    puts("usage: vgpu-run --vm-uuid=VM [--config=FILE] [--SETTING=VALUE ...] [--] COMMAND [ARGUMENT ...]\n"
         "\n"
         "Runs COMMAND on this host as the registered VM: its CUDA calls go through the queue of that VM's "
         "GPU.\n"
         "\n"
         "  --vm-uuid=VM    a registered VM (vgpu-admin list-vms)\n"
         "  --config=FILE   settings, default " SETTINGS_DEFAULT_FILE "; run_dir is what counts\n"
         "  --version\n"
         "  --help\n"
         "\n"
         "example: vgpu-run --vm-uuid=abc123 -- ./vector_add\n"
         "\n"
         "Exit status: COMMAND's own; 1 when it could not be run, 2 for wrong usage.");
}

/* Everything up to the command; settings are looked at by settings_apply. */
static enum vgpu_status arguments_read(char **argv, struct arguments *arguments, struct vgpu_error *err)
{
    char **next = argv + 1;
    for (; *next && **next == '-'; next++) {
        if (strcmp(*next, "--") == 0) {
            next++;
            break;
        }
        if (strcmp(*next, "--help") == 0)
            arguments->help = true;
        else if (strcmp(*next, "--version") == 0)
            arguments->version = true;
        else if (strncmp(*next, "--vm-uuid=", 10) == 0)
            arguments->vm_uuid = *next + 10;
        else if (strcmp(*next, "--vm-uuid") == 0 && next[1])
            arguments->vm_uuid = *++next;
        else if (strncmp(*next, "--config=", 9) == 0)
            arguments->config_path = *next + 9;
        else if (!settings_is_option(*next))
            return error_set(err, VGPU_ERR_USAGE, "unknown option '%s'; vgpu-run --help lists them", *next);
    }
    arguments->command = next;
    if (arguments->help || arguments->version)
        return VGPU_OK;
    if (!arguments->vm_uuid)
        return error_set(err, VGPU_ERR_USAGE, "which VM? say --vm-uuid=VM before the command");
    if (!*next)
        return error_set(err, VGPU_ERR_USAGE, "no command to run as VM %s; write it after --",
                         arguments->vm_uuid);
    return VGPU_OK;
}

static enum vgpu_status settings_apply(struct settings *settings, char **argv, char *const *command,
                                       struct vgpu_error *err)
{
    enum vgpu_status status = VGPU_OK;
    for (char **next = argv + 1; next < command && status == VGPU_OK; next++) {
        if (settings_is_option(*next))
            status = settings_set_option(settings, *next, err);
    }
    return status;
}

/* Whether somebody listens there, and lets us in. */
static enum vgpu_status socket_try(const char *path, const char *vm_uuid, struct vgpu_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, VGPU_ERR_IO,
                         "%s: the path of a socket can have %zu bytes at most; use a shorter VGPU_RUN_DIR",
                         path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path));
    struct stat info;
    if (stat(path, &info) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return error_set(err, VGPU_ERR_NOT_FOUND,
                             "VM %s has no socket %s: it is not registered, or vgpud is not running "
                             "(vgpu-admin list-vms)",
                             vm_uuid, path);
        return error_set_errno(err, VGPU_ERR_PERMISSION, "VM %s: cannot look at %s", vm_uuid, path);
    }
    if (access(path, W_OK) < 0)
        return error_set_errno(
            err, VGPU_ERR_PERMISSION,
            "VM %s: this user may not open %s (see guest_socket_mode and guest_socket_owner)", vm_uuid, path);
    return VGPU_OK;
}

static enum vgpu_status environment_set(const char *socket_path, struct vgpu_error *err)
{
    char guest_dir[PATH_MAX];
    char *server = NULL;
    char *libraries = NULL;
    const char *before = getenv("LD_LIBRARY_PATH");
    enum vgpu_status status = prefix_find(PREFIX_GUEST_DIR, guest_dir, err);
    if (status != VGPU_OK)
        return status;
    if (asprintf(&server, "unix:%s", socket_path) < 0 ||
        asprintf(&libraries, "%s%s%s", guest_dir, before && *before ? ":" : "", before ? before : "") < 0 ||
        setenv("VGPU_SERVER", server, 1) < 0 || setenv("LD_LIBRARY_PATH", libraries, 1) < 0)
        status = error_set(err, VGPU_ERR_MEMORY, "out of memory");
    free(server);
    free(libraries);
    return status;
}

/* Comes back only on error. */
static enum vgpu_status command_run(char *const *command, struct vgpu_error *err)
{
    execvp(command[0], command);
    if (errno == ENOENT)
        return error_set(err, VGPU_ERR_NOT_FOUND, "there is no command '%s'", command[0]);
    return error_set_errno(err, VGPU_ERR_IO, "cannot run '%s'", command[0]);
}

static enum vgpu_status run(char **argv, const struct arguments *arguments, struct vgpu_error *err)
{
    char vm_uuid[VGPU_VM_UUID_BYTES];
    char socket_path[PATH_MAX];
    struct settings *settings;
    enum vgpu_status status = vgpu_parse_vm_uuid(arguments->vm_uuid, vm_uuid, err);
    if (status == VGPU_OK)
        status = settings_load(&settings, arguments->config_path, err);
    if (status != VGPU_OK)
        return status;
    status = settings_apply(settings, argv, arguments->command, err);
    snprintf(socket_path, sizeof socket_path, "%s/guests/%s.sock", settings_text(settings, SETTING_RUN_DIR),
             vm_uuid);
    settings_destroy(settings);
    if (status == VGPU_OK)
        status = socket_try(socket_path, vm_uuid, err);
    if (status == VGPU_OK)
        status = environment_set(socket_path, err);
    return status == VGPU_OK ? command_run(arguments->command, err) : status;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    struct vgpu_error err;
    enum vgpu_status status = arguments_read(argv, &arguments, &err);
    if (status == VGPU_OK && arguments.help) {
        print_help();
        return 0;
    }
    if (status == VGPU_OK && arguments.version) {
        puts("vgpu-run " VGPU_VERSION);
        return 0;
    }
    if (status == VGPU_OK)
        status = run(argv, &arguments, &err);
    fprintf(stderr, "vgpu-run: %s\n", err.message);
    return status == VGPU_ERR_USAGE ? 2 : 1;
}
