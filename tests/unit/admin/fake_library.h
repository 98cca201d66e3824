/* A libvgpu for the tests of vgpu-admin that shows what the test says: the functions that read or change
 * something are replaced at link time (-Wl,--wrap), words and names are the real library's. */
#ifndef VGPU_TESTS_ADMIN_FAKE_LIBRARY_H
#define VGPU_TESTS_ADMIN_FAKE_LIBRARY_H

#include <vgpu/vgpu.h>

struct fake_library {
    enum vgpu_status open_status; /* what vgpu_open() returns, with the message "the fake said so" */
    unsigned opened;              /* times that it was opened */
    struct vgpu_snapshot snapshot;
    enum vgpu_status refresh_status; /* of vgpu_refresh_gpus(), likewise */
    enum vgpu_status live_status;    /* of vgpu_get_live(), likewise */
    struct vgpu_live live;
    enum vgpu_status scan_status; /* of vgpu_scan_vms(), likewise */
    struct vgpu_vm_scan scan;     /* by default nobody is asked */
    const struct vgpu_grant *grants;
    size_t grant_count;
    const struct vgpu_change *changes;
    size_t change_count;
    bool colour; /* of the terminal */
    struct vgpu_history_filter
        last_filter; /* of the last vgpu_list_grants(); its vm_uuid is only NULL or not */
};

extern struct fake_library fake;

/* Runs a command line, words separated by single spaces. Returns the exit status; *out and *errors get what
 * was printed, from malloc. width: columns, 0 for no terminal. */
int fake_run(const char *command_line, size_t width, char **out, char **errors);

/* As fake_run for words that may be anything; ends with NULL and begins with the command. */
int fake_run_words(const char *const *words, size_t width, char **out, char **errors);

#endif
