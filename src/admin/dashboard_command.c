/* dashboard: the control panel, live. */
#include <ctype.h>
#include <curses.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "admin/commands.h"
#include "admin/dashboard_screen.h"
#include "admin/dashboard_view.h"
#include "admin/snapshot.h"
#include "admin/text.h"
#include "base/clock.h"
#include "base/error.h"

#define REFRESH_MS 1000
#define ESCAPE     27

struct dashboard {
    struct vgpu *vgpu;
    struct dashboard_model model;
    struct dashboard_choice choice;
    char note[512];      /* the last action's outcome, until the next key */
    char read_note[512]; /* why the last reading failed; empty: it did not */
    uint64_t read_at_ns; /* when it ended */
    bool quit;
};

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

static enum vgpu_status read_once(struct dashboard *dashboard, struct vgpu_error *err)
{
    struct vgpu_snapshot snapshot;
    struct vgpu_live live;
    struct vgpu_error driver_note, daemon_note = {0};
    enum vgpu_status status = vgpu_get_snapshot(dashboard->vgpu, &snapshot, err);
    if (status != VGPU_OK)
        return status;
    snapshot_refresh(dashboard->vgpu, &snapshot, &driver_note);
    bool has_live = vgpu_get_live(dashboard->vgpu, &live, &daemon_note) == VGPU_OK;
    status = dashboard_model_update(&dashboard->model, &snapshot, has_live ? &live : NULL,
                                    daemon_note.message, clock_monotonic_ns() / 1000, err);
    if (status != VGPU_OK && has_live)
        vgpu_live_fini(&live);
    snprintf(dashboard->model.driver_note, sizeof dashboard->model.driver_note, "%s", driver_note.message);
    vgpu_snapshot_fini(&snapshot);
    return status;
}

/* Reads everything anew. When that fails the last reading stays on the screen, with the reason. */
static enum vgpu_status read_all(struct dashboard *dashboard, struct vgpu_error *err)
{
    enum vgpu_status status = read_once(dashboard, err);
    snprintf(dashboard->read_note, sizeof dashboard->read_note, "%s", status == VGPU_OK ? "" : err->message);
    dashboard->read_at_ns = clock_monotonic_ns();
    return status;
}

static int time_to_refresh_ms(const struct dashboard *dashboard)
{
    uint64_t age_ms = (clock_monotonic_ns() - dashboard->read_at_ns) / 1000000;
    return age_ms >= REFRESH_MS ? 0 : (int)(REFRESH_MS - age_ms);
}

static void refresh_when_due(struct dashboard *dashboard)
{
    struct vgpu_error error; /* read_all() has noted it */
    if (time_to_refresh_ms(dashboard) == 0)
        (void)read_all(dashboard, &error);
}

static void draw(struct dashboard *dashboard, const char *prompt)
{
    view_draw(&dashboard->model, &dashboard->choice,
              dashboard->note[0] != '\0' ? dashboard->note : dashboard->read_note, prompt);
}

/* Appends a typed character to an answer, where it has room. */
static void type_character(char *answer, size_t bytes, int key)
{
    char typed[MB_LEN_MAX + 1] = "";
    size_t used = strlen(answer);
    mbstate_t state = {0};
    size_t length = wcrtomb(typed, (wchar_t)(key & ~SCREEN_CHARACTER), &state);
    if (length == (size_t)-1 || used + length >= bytes)
        return;
    typed[length] = '\0';
    if (text_is_printable(typed))
        memcpy(answer + used, typed, length + 1);
}

static void delete_character(char *answer)
{
    size_t used = strlen(answer);
    while (used > 0 && ((unsigned char)answer[--used] & 0xC0) == 0x80)
        continue; /* what follows the first byte of a character */
    answer[used] = '\0';
}

/* Reads a line at the bottom of the screen. False when the user pressed Escape. The panel goes on living
 * above. */
static bool ask_line(struct dashboard *dashboard, const char *question, char *answer, size_t bytes)
{
    char prompt[512];
    while (stop_signal == 0 && !dashboard->quit) {
        snprintf(prompt, sizeof prompt, "%s %s", question, answer);
        draw(dashboard, prompt);
        int key = screen_key(time_to_refresh_ms(dashboard));
        if (key == '\n' || key == '\r' || key == KEY_ENTER)
            return true;
        if (key == ESCAPE)
            return false;
        if (key == SCREEN_LOST)
            dashboard->quit = true;
        else if (key == KEY_BACKSPACE || key == 127 || key == 8)
            delete_character(answer);
        else if (key >= SCREEN_CHARACTER || (key >= ' ' && key < 127))
            type_character(answer, bytes, key);
        refresh_when_due(dashboard);
    }
    return false;
}

static bool confirm(struct dashboard *dashboard, const char *question)
{
    char answer[8] = "";
    return ask_line(dashboard, question, answer, sizeof answer) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* Says how an action ended and shows what has become of it. */
static void finish(struct dashboard *dashboard, enum vgpu_status status, const struct vgpu_error *error,
                   const char *done)
{
    struct vgpu_error ignored;
    snprintf(dashboard->note, sizeof dashboard->note, "%s", status == VGPU_OK ? done : error->message);
    (void)read_all(dashboard, &ignored);
}

static void update_vm(struct dashboard *dashboard, const struct dashboard_vm *vm,
                      const struct vgpu_vm_update *update, const char *question, const char *done)
{
    char vm_uuid[VGPU_VM_UUID_BYTES];
    struct vgpu_error error;
    snprintf(vm_uuid, sizeof vm_uuid, "%s", vm->vm.vm_uuid);
    if (!confirm(dashboard, question)) {
        snprintf(dashboard->note, sizeof dashboard->note, "Nothing was changed");
        return;
    }
    finish(dashboard, vgpu_update_vm(dashboard->vgpu, vm_uuid, update, NULL, &error), &error, done);
}

/* The selected VM, or NULL with a note. */
static const struct dashboard_vm *selected_vm(struct dashboard *dashboard)
{
    size_t row = dashboard_model_find_row(&dashboard->model, dashboard->choice.vm_uuid);
    const struct dashboard_vm *vm = dashboard_model_row(&dashboard->model, row);
    if (vm == NULL)
        snprintf(dashboard->note, sizeof dashboard->note, "Select a VM first: Tab, then the arrow keys");
    return vm;
}

static void move_vm(struct dashboard *dashboard)
{
    const struct dashboard_vm *vm = selected_vm(dashboard);
    char question[400], done[400], answer[8] = "";
    struct vgpu_error error;
    struct vgpu_vm_update update = {.fields = VGPU_VM_POOL};
    if (vm == NULL)
        return;
    struct vgpu_vm chosen = vm->vm;
    snprintf(question, sizeof question, "Move %s from pool %c to pool (%s):", chosen.vm_name, chosen.pool,
             dashboard->model.pools);
    if (!ask_line(dashboard, question, answer, sizeof answer))
        return;
    if (vgpu_parse_pool(answer, &update.pool, &error) != VGPU_OK) {
        snprintf(dashboard->note, sizeof dashboard->note, "%s", error.message);
        return;
    }
    snprintf(question, sizeof question, "Move %s from pool %c to pool %c? (y/n)", chosen.vm_name, chosen.pool,
             update.pool);
    snprintf(done, sizeof done, "%s is in pool %c now", chosen.vm_name, update.pool);
    struct dashboard_vm target = {.vm = chosen};
    update_vm(dashboard, &target, &update, question, done);
}

static void change_priority(struct dashboard *dashboard)
{
    const struct dashboard_vm *vm = selected_vm(dashboard);
    char question[400], done[400], answer[8] = "";
    struct vgpu_vm_update update = {.fields = VGPU_VM_PRIORITY};
    if (vm == NULL)
        return;
    struct dashboard_vm target = {.vm = vm->vm};
    snprintf(question, sizeof question,
             "Priority of %s, now %s, (l)ow, (m)edium or (h)igh:", target.vm.vm_name,
             vgpu_priority_name(target.vm.priority));
    if (!ask_line(dashboard, question, answer, sizeof answer))
        return;
    static const char letters[] = "lmh"; /* in the order of enum vgpu_priority */
    const char *letter = answer[0] != '\0' ? strchr(letters, tolower((unsigned char)answer[0])) : NULL;
    if (letter == NULL) {
        snprintf(dashboard->note, sizeof dashboard->note, "Not a priority: answer l, m or h");
        return;
    }
    update.priority = (enum vgpu_priority)(letter - letters);
    snprintf(question, sizeof question, "Give %s priority %s? (y/n)", target.vm.vm_name,
             vgpu_priority_name(update.priority));
    snprintf(done, sizeof done, "%s has priority %s now", target.vm.vm_name,
             vgpu_priority_name(update.priority));
    update_vm(dashboard, &target, &update, question, done);
}

static void pause_vm(struct dashboard *dashboard)
{
    const struct dashboard_vm *vm = selected_vm(dashboard);
    char question[400], done[400];
    if (vm == NULL)
        return;
    struct dashboard_vm target = {.vm = vm->vm};
    struct vgpu_vm_update update = {.fields = VGPU_VM_PAUSED, .paused = !target.vm.paused};
    snprintf(question, sizeof question,
             update.paused ? "Pause %s? Its programs wait for the GPU until it goes on (y/n)"
                           : "Let %s go on? (y/n)",
             target.vm.vm_name);
    snprintf(done, sizeof done, update.paused ? "%s is paused" : "%s goes on", target.vm.vm_name);
    update_vm(dashboard, &target, &update, question, done);
}

static void quarantine_vm(struct dashboard *dashboard)
{
    const struct dashboard_vm *vm = selected_vm(dashboard);
    char question[400], done[400];
    if (vm == NULL)
        return;
    struct dashboard_vm target = {.vm = vm->vm};
    struct vgpu_vm_update update = {.fields = VGPU_VM_QUARANTINE,
                                    .quarantined = !target.vm.quarantined,
                                    .quarantine_reason = "put there from the dashboard"};
    snprintf(question, sizeof question,
             update.quarantined ? "Put %s into quarantine? Its programs lose the GPU (y/n)"
                                : "Release %s from quarantine? (y/n)",
             target.vm.vm_name);
    snprintf(done, sizeof done, update.quarantined ? "%s is in quarantine" : "%s is released",
             target.vm.vm_name);
    update_vm(dashboard, &target, &update, question, done);
}

static void assign_gpu(struct dashboard *dashboard)
{
    char question[400], done[400], answer[VGPU_POOLS_BYTES * 2] = "", pools[VGPU_POOLS_BYTES];
    struct vgpu_error error;
    int32_t gpu_id = dashboard->choice.gpu_id;
    if (dashboard_model_find_gpu(&dashboard->model, gpu_id) == dashboard->model.gpu_count) {
        snprintf(dashboard->note, sizeof dashboard->note, "Select a GPU first: Tab, then the arrow keys");
        return;
    }
    snprintf(question, sizeof question, "GPU %" PRId32 " shall serve the pools (as A or A,B):", gpu_id);
    if (!ask_line(dashboard, question, answer, sizeof answer))
        return;
    if (vgpu_parse_pools(answer, pools, &error) != VGPU_OK) {
        snprintf(dashboard->note, sizeof dashboard->note, "%s", error.message);
        return;
    }
    snprintf(question, sizeof question, "Assign GPU %" PRId32 " to %s and no other pool? (y/n)", gpu_id,
             answer);
    if (!confirm(dashboard, question)) {
        snprintf(dashboard->note, sizeof dashboard->note, "Nothing was changed");
        return;
    }
    snprintf(done, sizeof done, "GPU %" PRId32 " serves %s now", gpu_id, answer);
    finish(dashboard, vgpu_assign_gpu_to_pools(dashboard->vgpu, gpu_id, pools, &error), &error, done);
}

static void scan_gpus(struct dashboard *dashboard)
{
    struct vgpu_gpu *gpus;
    size_t count;
    struct vgpu_error error;
    char done[64] = "";
    snprintf(dashboard->note, sizeof dashboard->note, "Looking for GPUs...");
    draw(dashboard, NULL); /* this may take seconds */
    enum vgpu_status status = vgpu_scan_gpus(dashboard->vgpu, &gpus, &count, &error);
    if (status == VGPU_OK) {
        snprintf(done, sizeof done, "Found %zu GPU%s", count, count == 1 ? "" : "s");
        vgpu_free(gpus);
    }
    finish(dashboard, status, &error, done);
}

static void set_filter(struct dashboard *dashboard)
{
    char text[FILTER_BYTES];
    snprintf(text, sizeof text, "%s", dashboard->model.filter);
    if (ask_line(dashboard, "Show only VMs with:", text, sizeof text))
        dashboard_model_filter(&dashboard->model, text);
}

/* The entry so many further; `count` must not be 0. */
static size_t move_by(size_t at, long rows, size_t count)
{
    long to = (long)at + rows;
    return to < 0 ? 0 : to >= (long)count ? count - 1 : (size_t)to;
}

/* Where nothing is selected, the first is; where the selected GPU has gone, likewise. */
static void select_gpu(struct dashboard *dashboard, long rows)
{
    size_t count = dashboard->model.gpu_count;
    size_t at = dashboard_model_find_gpu(&dashboard->model, dashboard->choice.gpu_id);
    if (count > 0)
        dashboard->choice.gpu_id =
            dashboard->model.gpus[at == count ? 0 : move_by(at, rows, count)].gpu.gpu_id;
}

/* Where nothing is selected the first row is the next; where the selected VM has gone, the one in its place.
 */
static void select_vm(struct dashboard *dashboard, long rows)
{
    struct dashboard_choice *choice = &dashboard->choice;
    size_t count = dashboard->model.row_count;
    size_t at = dashboard_model_find_row(&dashboard->model, choice->vm_uuid);
    if (count == 0)
        return;
    at = at < count ? move_by(at, rows, count) : move_by(choice->row, rows > 0 ? rows - 1 : rows, count);
    snprintf(choice->vm_uuid, sizeof choice->vm_uuid, "%s",
             dashboard_model_row(&dashboard->model, at)->vm.vm_uuid);
}

static void select_by(struct dashboard *dashboard, long rows)
{
    if (dashboard->choice.focus == FOCUS_GPUS)
        select_gpu(dashboard, rows);
    else
        select_vm(dashboard, rows);
}

static void on_movement(struct dashboard *dashboard, int key)
{
    long page = (long)view_page();
    long all = (long)dashboard->model.row_count + (long)dashboard->model.gpu_count;
    switch (key) {
    case KEY_UP:
        select_by(dashboard, -1);
        break;
    case KEY_DOWN:
        select_by(dashboard, 1);
        break;
    case KEY_PPAGE:
        select_by(dashboard, -page);
        break;
    case KEY_NPAGE:
        select_by(dashboard, page);
        break;
    case KEY_HOME:
        select_by(dashboard, -all);
        break;
    case KEY_END:
        select_by(dashboard, all);
        break;
    default:
        break;
    }
}

static void on_key(struct dashboard *dashboard, int key)
{
    dashboard->note[0] = '\0';
    if (dashboard->choice.help) {
        dashboard->choice.help = false;
        return;
    }
    switch (key) {
    case 'q':
    case 'Q':
        dashboard->quit = true;
        break;
    case '?':
    case 'h':
        dashboard->choice.help = true;
        break;
    case '\t':
        dashboard->choice.focus = dashboard->choice.focus == FOCUS_VMS ? FOCUS_GPUS : FOCUS_VMS;
        if (dashboard->choice.focus == FOCUS_GPUS)
            select_gpu(dashboard, 0);
        break;
    case 's':
        dashboard_model_sort(&dashboard->model, (dashboard->model.sort + 1) % SORT_COUNT);
        break;
    case 'S':
        dashboard_model_sort(&dashboard->model, dashboard->model.sort);
        break;
    case '/':
        set_filter(dashboard);
        break;
    case 'm':
        move_vm(dashboard);
        break;
    case 'p':
        change_priority(dashboard);
        break;
    case 'P':
        pause_vm(dashboard);
        break;
    case 'x':
        quarantine_vm(dashboard);
        break;
    case 'a':
        assign_gpu(dashboard);
        break;
    case 'r':
        scan_gpus(dashboard);
        break;
    default:
        on_movement(dashboard, key);
    }
}

/* Until the user quits, a signal asks to, or the terminal has gone. */
static void live(struct dashboard *dashboard)
{
    while (!dashboard->quit && stop_signal == 0) {
        draw(dashboard, NULL);
        int key = screen_key(time_to_refresh_ms(dashboard));
        if (key == SCREEN_LOST)
            dashboard->quit = true;
        else if (key != ERR && key != KEY_RESIZE)
            on_key(dashboard, key);
        refresh_when_due(dashboard);
    }
}

enum vgpu_status run_dashboard(const struct command_context *context, struct vgpu_error *err)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || context->output == OUTPUT_JSON)
        return run_status(context, err);
    struct dashboard dashboard = {.vgpu = context->vgpu};
    dashboard_model_init(&dashboard.model);
    enum vgpu_status status = read_all(&dashboard, err);
    char why[256];
    if (status == VGPU_OK && !screen_open(why, sizeof why))
        status = error_set(err, VGPU_ERR_UNAVAILABLE, "%s", why);
    if (status == VGPU_OK) {
        const struct sigaction action = {.sa_handler = on_signal};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        sigaction(SIGHUP, &action, NULL);
        live(&dashboard);
        screen_close();
    }
    dashboard_model_fini(&dashboard.model);
    return status;
}
