/* What is wrong with an installation, and what to do about it: the parts of the command doctor.
 *
 * Each check looks at one area and notes what it finds; none changes anything but that opening the database
 * brings an older one up to date, as every command does. A check that needs what an earlier one has found
 * missing (settings, database) notes nothing: the cause is said once. */
#ifndef VGPU_ADMIN_DOCTOR_H
#define VGPU_ADMIN_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <vgpu/vgpu.h>

#include "base/settings.h"

enum doctor_level {
    DOCTOR_OK,
    DOCTOR_WARNING, /* works, but perhaps not as wanted */
    DOCTOR_FAULT,   /* VMs cannot use the GPUs, or some of them */
};

struct doctor_finding {
    enum doctor_level level;
    const char *area; /* one word */
    char text[768];   /* one line: what is, and what to do unless it is well */
};

struct doctor {
    struct doctor_finding *findings; /* from malloc */
    size_t finding_count;
    bool out_of_memory; /* a finding is missing */

    /* What the checks have found for each other. */
    struct settings *settings;     /* NULL: they cannot be read */
    struct vgpu *vgpu;             /* NULL: the database cannot be opened, or there is none yet */
    struct vgpu_snapshot snapshot; /* empty without vgpu */
    bool daemon_answers;           /* then live is filled in */
    struct vgpu_live live;
};

void doctor_init(struct doctor *doctor);
void doctor_fini(struct doctor *doctor);

/* Adds a finding. area must be constant. */
void doctor_note(struct doctor *doctor, enum doctor_level level, const char *area, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
size_t doctor_count(const struct doctor *doctor, enum doctor_level level);

/* In the order of the report. */
void doctor_check_configuration(struct doctor *doctor); /* doctor_configuration.c: the file */
void doctor_check_settings(struct doctor *doctor);      /* and what makes no sense in it */
void doctor_check_files(struct doctor *doctor);         /* doctor_files.c: our own programs and libraries */
void doctor_check_driver(struct doctor *doctor);        /* doctor_driver.c: kernel module, CUDA, NVML */
void doctor_check_database(struct doctor *doctor);      /* doctor_database.c */
void doctor_check_gpus(struct doctor *doctor);          /* doctor_driver.c: those that are registered */
void doctor_check_daemon(struct doctor *doctor);        /* doctor_daemon.c */
void doctor_check_sockets(struct doctor *doctor);       /* doctor_daemon.c */
void doctor_check_vsock(struct doctor *doctor);         /* doctor_host.c */
void doctor_check_windows(struct doctor *doctor);       /* doctor_host.c */
void doctor_check_hypervisors(struct doctor *doctor);   /* doctor_host.c */

#endif
