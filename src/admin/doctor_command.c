/* doctor: checks the installation. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "admin/doctor.h"
#include "admin/document.h"
#include "admin/text.h"
#include "base/error.h"

static const char *const level_names[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARNING] = "warning", [DOCTOR_FAULT] = "fault"};

/* ---- The report ---- */

void doctor_init(struct doctor *doctor)
{
    *doctor = (struct doctor){.findings = NULL};
}

void doctor_fini(struct doctor *doctor)
{
    if (doctor->daemon_answers)
        vgpu_live_fini(&doctor->live);
    vgpu_snapshot_fini(&doctor->snapshot);
    vgpu_close(doctor->vgpu);
    settings_destroy(doctor->settings);
    free(doctor->findings);
}

void doctor_note(struct doctor *doctor, enum doctor_level level, const char *area, const char *format, ...)
{
    struct doctor_finding *larger = reallocarray(doctor->findings, doctor->finding_count + 1, sizeof *larger);
    if (larger == NULL) {
        doctor->out_of_memory = true;
        return;
    }
    doctor->findings = larger;
    struct doctor_finding *finding = &larger[doctor->finding_count++];
    *finding = (struct doctor_finding){.level = level, .area = area};
    va_list args;
    va_start(args, format);
    vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
}

size_t doctor_count(const struct doctor *doctor, enum doctor_level level)
{
    size_t count = 0;
    for (size_t i = 0; i < doctor->finding_count; i++)
        count += doctor->findings[i].level == level;
    return count;
}

/* ---- Printing ---- */

static void print_findings(const struct command_context *context, const struct doctor *doctor)
{
    static const enum text_style styles[] = {
        [DOCTOR_OK] = TEXT_GOOD, [DOCTOR_WARNING] = TEXT_NOTABLE, [DOCTOR_FAULT] = TEXT_BAD};
    FILE *out = context->out;
    for (size_t i = 0; i < doctor->finding_count; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];
        text_style_begin(out, context->colour, styles[finding->level]);
        fprintf(out, "%-8s", level_names[finding->level]);
        text_style_end(out, context->colour, styles[finding->level]);
        fprintf(out, " %-13s ", finding->area);
        text_put(out, finding->text, SIZE_MAX);
        fputc('\n', out);
    }
}

static enum vgpu_status print_document(const struct command_context *context, const struct doctor *doctor,
                                       struct vgpu_error *err)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < doctor->finding_count; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];
        json_array_append_new(findings,
                              json_pack("{s:s, s:s, s:o}", "level", level_names[finding->level], "area",
                                        finding->area, "text", document_text(finding->text)));
    }
    return document_print(context,
                          json_pack("{s:o, s:I, s:I}", "findings", findings, "faults",
                                    (json_int_t)doctor_count(doctor, DOCTOR_FAULT), "warnings",
                                    (json_int_t)doctor_count(doctor, DOCTOR_WARNING)),
                          err);
}

enum vgpu_status run_doctor(const struct command_context *context, struct vgpu_error *err)
{
    struct doctor doctor;
    enum vgpu_status status = VGPU_OK;
    doctor_init(&doctor);
    doctor_check_configuration(&doctor);
    doctor_check_settings(&doctor);
    doctor_check_files(&doctor);
    doctor_check_driver(&doctor);
    doctor_check_database(&doctor);
    doctor_check_gpus(&doctor);
    doctor_check_daemon(&doctor);
    doctor_check_sockets(&doctor);
    doctor_check_vsock(&doctor);
    doctor_check_windows(&doctor);
    doctor_check_hypervisors(&doctor);
    size_t faults = doctor_count(&doctor, DOCTOR_FAULT);
    if (doctor.out_of_memory)
        status = error_set(err, VGPU_ERR_MEMORY, "out of memory; close other programs and try again");
    else if (context->output == OUTPUT_JSON)
        status = print_document(context, &doctor, err);
    else
        print_findings(context, &doctor);
    doctor_fini(&doctor);
    if (status == VGPU_OK && faults > 0)
        status = error_set(err, VGPU_ERR_UNAVAILABLE, "%zu fault%s found; each line above says what to do",
                           faults, faults == 1 ? " is" : "s are");
    return status;
}
