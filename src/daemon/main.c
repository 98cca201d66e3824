/* vgpud: the daemon of a host whose GPUs are shared by VMs.
 *
 * It listens on a socket for each registered VM, starts a worker process for each guest process that
 * connects, and decides which VM may have work running on which GPU. It never touches CUDA, and never reads a
 * guest's bytes: workers do.
 *
 * One thread runs the event loop; whatever may wait for a disk or a driver is done by libuv's pool. */
#include "base/log.h"
#include "daemon/daemon.h"

#include <stdio.h>
#include <string.h>

static void print_help(void)
{
    puts("usage: vgpud [--config=FILE] [--SETTING=VALUE ...]\n"
         "\n"
         "Serves the GPUs of this host to its VMs, in the foreground, until SIGTERM or SIGINT.\n"
         "\n"
         "  --config=FILE   settings, default " SETTINGS_DEFAULT_FILE "\n"
         "  --version\n"
         "  --help\n"
         "\n"
         "settings (also in the file, or as VGPU_SETTING in the environment):");
    for (int key = 0; key < SETTING_COUNT; key++) {
        const struct setting_description *setting = settings_describe((enum setting_key)key);
        printf("  --%-20s %s\n", setting->name, setting->summary);
    }
}

static int fail(const struct vgpu_error *err)
{
    fprintf(stderr, "vgpud: %s\n", err->message);
    return err->status == VGPU_ERR_USAGE ? 2 : 1;
}

static int wrong_argument(const char *argument)
{
    fprintf(stderr, "vgpud: unknown argument '%s'; vgpud --help lists them\n", argument);
    return 2;
}

int main(int argc, char **argv)
{
    const char *config_path = NULL;
    struct settings *settings;
    struct vgpu_error err;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            print_help();
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("vgpud " VGPU_VERSION);
            return 0;
        }
        if (strncmp(argv[i], "--config=", 9) == 0)
            config_path = argv[i] + 9;
        else if (!settings_is_option(argv[i]))
            return wrong_argument(argv[i]);
    }
    if (settings_load(&settings, config_path, &err) != VGPU_OK)
        return fail(&err);
    enum vgpu_status status = VGPU_OK;
    for (int i = 1; i < argc && status == VGPU_OK; i++) {
        if (settings_is_option(argv[i]))
            status = settings_set_option(settings, argv[i], &err);
    }
    if (status == VGPU_OK) {
        log_init("vgpud", (enum log_level)settings_choice(settings, SETTING_LOG_LEVEL));
        status = daemon_run(settings, &err);
    }
    settings_destroy(settings);
    return status == VGPU_OK ? 0 : fail(&err);
}
