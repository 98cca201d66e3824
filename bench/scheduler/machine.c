#include "machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* A worker that others wait for gives back when it has had nothing to run for so long. */
#define LINGER_NS 60000ull

struct vm {
    struct sched_vm sched;
    const struct load_vm *load;
    struct gpu *gpu;
    struct machine *machine;
    struct heap_node event; /* the next request is made, or the linger is over */
    size_t next;            /* of its requests */
    bool busy;              /* a request is being served */
    bool revoked;
    uint64_t made_ns;     /* that request */
    uint32_t kernels;     /* left of it, with the one that runs */
    uint64_t left_ns;     /* of the kernel that runs or is next */
    bool started;         /* that kernel has run already: it is to end before the VM can give back */
    uint64_t used_ns;     /* of the GPU, in all */
    struct vm *following; /* round robin, strict: in the queue of those that have work */
};

struct gpu {
    struct sched_gpu sched;
    struct heap_node event; /* the kernel that runs ends, or its slice */
    struct vm *runner, *last;
    uint64_t since_ns;
    uint64_t lost_ns; /* of the switch, still to pass */
    uint64_t slice_end_ns;
    struct vm *queue[SCHED_CLASS_COUNT], **tail[SCHED_CLASS_COUNT]; /* round robin: all in the first */
};

struct machine {
    const struct load *load;
    enum policy policy;
    struct outcome *outcome;
    struct sched sched;
    struct heap vm_events, gpu_events;
    struct vm *vms;
    struct gpu *gpus;
    uint64_t now_ns;
};

static bool is_ours(const struct machine *machine)
{
    return machine->policy >= POLICY_DRAIN;
}

static uint64_t now_us(const struct machine *machine)
{
    return machine->now_ns / 1000;
}

static void event_set(struct heap *events, struct heap_node *event, uint64_t time_ns)
{
    if (event->queued)
        heap_remove(events, event);
    event->key = time_ns;
    if (time_ns != SCHED_NEVER)
        heap_add(events, event);
}

/* ---- A GPU ---- */

static void gpu_settle(struct machine *machine, struct gpu *gpu)
{
    uint64_t passed_ns = machine->now_ns - gpu->since_ns;
    gpu->since_ns = machine->now_ns;
    if (!gpu->runner)
        return;
    uint64_t lost_ns = passed_ns < gpu->lost_ns ? passed_ns : gpu->lost_ns;
    gpu->lost_ns -= lost_ns;
    machine->outcome->switch_ns += lost_ns;
    passed_ns -= lost_ns;
    if (passed_ns > gpu->runner->left_ns)
        passed_ns = gpu->runner->left_ns;
    gpu->runner->started = gpu->runner->started || passed_ns > 0;
    gpu->runner->left_ns -= passed_ns;
    gpu->runner->used_ns += passed_ns;
    machine->outcome->work_ns[gpu->runner->load->class] += passed_ns;
}

/* Whose kernel runs: of those that hold and have work, the one whose slice goes first. */
static struct vm *holder_to_run(const struct gpu *gpu)
{
    static const int order[] = {[SCHED_SLICE_LONG] = 3,
                                [SCHED_SLICE_EQUAL] = 2,
                                [SCHED_SLICE_BRIEF] = 1,
                                [SCHED_SLICE_SHORT] = 0,
                                [SCHED_SLICE_PAUSED] = -1};
    struct vm *best = NULL;
    for (struct sched_vm *holder = gpu->sched.holders; holder; holder = holder->next_holder) {
        struct vm *vm = (struct vm *)holder;
        bool has_work = vm->busy && (!vm->revoked || vm->started);
        if (has_work && holder->slice != SCHED_SLICE_PAUSED &&
            (!best || order[holder->slice] > order[best->sched.slice]))
            best = vm;
    }
    return best;
}

static struct vm *queued_to_run(const struct machine *machine, const struct gpu *gpu)
{
    if (machine->policy == POLICY_STRICT && gpu->runner && gpu->runner->started && gpu->runner->left_ns)
        return gpu->runner;
    for (int class = SCHED_HIGH; class >= SCHED_LOW; class --) {
        if (gpu->queue[class])
            return gpu->queue[class];
    }
    return NULL;
}

static void gpu_pick(struct machine *machine, struct gpu *gpu)
{
    struct vm *runner = is_ours(machine) ? holder_to_run(gpu) : queued_to_run(machine, gpu);
    if (runner && runner != gpu->runner) {
        bool preempts = machine->policy == POLICY_ROUND_ROBIN || machine->policy == POLICY_SLICES;
        if (runner != gpu->last)
            gpu->lost_ns =
                preempts && gpu->last && gpu->last->busy && gpu->last->started ? SWITCH_NS : HANDOVER_NS;
        gpu->last = runner;
        gpu->slice_end_ns = machine->now_ns + gpu->lost_ns + SLICE_NS;
    }
    gpu->runner = runner;
    uint64_t end_ns = runner ? machine->now_ns + gpu->lost_ns + runner->left_ns : SCHED_NEVER;
    if (runner && machine->policy == POLICY_ROUND_ROBIN && runner->following && gpu->slice_end_ns < end_ns)
        end_ns = gpu->slice_end_ns;
    event_set(&machine->gpu_events, &gpu->event, end_ns);
}

/* ---- Round robin and strict priority ---- */

static int queue_of(const struct machine *machine, const struct vm *vm)
{
    return machine->policy == POLICY_STRICT ? (int)vm->load->class : 0;
}

static void queue_append(struct machine *machine, struct vm *vm)
{
    int queue = queue_of(machine, vm);
    vm->following = NULL;
    if (!vm->gpu->queue[queue])
        vm->gpu->tail[queue] = &vm->gpu->queue[queue];
    *vm->gpu->tail[queue] = vm;
    vm->gpu->tail[queue] = &vm->following;
}

/* Who runs is the first of its queue. */
static void queue_shift(struct machine *machine, struct vm *vm)
{
    int queue = queue_of(machine, vm);
    vm->gpu->queue[queue] = vm->following;
}

/* ---- Our scheduler ---- */

static void on_grant(void *context, struct sched_vm *sched)
{
    struct machine *machine = context;
    struct vm *vm = (struct vm *)sched;
    machine->outcome->decisions++;
    vm->revoked = false;
}

static void on_tell(void *context, struct sched_vm *sched)
{
    struct machine *machine = context;
    struct vm *vm = (struct vm *)sched;
    machine->outcome->decisions++;
    if (sched->contended && !vm->busy)
        event_set(&machine->vm_events, &vm->event, machine->now_ns + LINGER_NS);
}

static void on_revoke(void *context, struct sched_vm *sched)
{
    struct machine *machine = context;
    struct vm *vm = (struct vm *)sched;
    machine->outcome->decisions++;
    vm->revoked = true;
    if (!vm->busy || !vm->started) /* nothing to drain */
        event_set(&machine->vm_events, &vm->event, machine->now_ns);
}

static uint64_t on_gpu_time(void *context, const struct sched_vm *sched)
{
    return ((const struct vm *)sched)->used_ns / 1000;
}

static const struct sched_actions actions = {
    .grant = on_grant, .tell = on_tell, .revoke = on_revoke, .gpu_time = on_gpu_time};

static void vm_release(struct machine *machine, struct vm *vm)
{
    vm->revoked = false;
    sched_vm_released(&machine->sched, &vm->sched, now_us(machine));
    if (vm->busy)
        sched_vm_want(&machine->sched, &vm->sched, now_us(machine));
}

/* ---- A VM ---- */

static uint64_t next_made_ns(const struct machine *machine, const struct vm *vm)
{
    if (vm->next == vm->load->count)
        return SCHED_NEVER;
    uint64_t arrival_ns = vm->load->requests[vm->next].arrival_ns;
    return arrival_ns > machine->now_ns ? arrival_ns : machine->now_ns;
}

static void vm_make_request(struct machine *machine, struct vm *vm)
{
    const struct request *request = &vm->load->requests[vm->next++];
    vm->made_ns = machine->now_ns;
    vm->kernels = request->kernels;
    vm->left_ns = request->kernel_ns;
    vm->busy = true;
    vm->started = false;
    if (is_ours(machine))
        sched_vm_want(&machine->sched, &vm->sched, now_us(machine));
    else
        queue_append(machine, vm);
}

static void vm_request_done(struct machine *machine, struct vm *vm)
{
    int class = vm->load->class;
    histogram_add(&machine->outcome->latency_us[class], (machine->now_ns - vm->made_ns) / 1000);
    machine->outcome->requests[class]++;
    vm->busy = false;
    uint64_t next_ns = next_made_ns(machine, vm);
    if (next_ns == machine->now_ns) {
        vm_make_request(machine, vm);
        return;
    }
    if (is_ours(machine) && vm->sched.contended && next_ns - machine->now_ns > LINGER_NS)
        next_ns = machine->now_ns + LINGER_NS;
    event_set(&machine->vm_events, &vm->event, next_ns);
}

static void vm_event(struct machine *machine, struct vm *vm)
{
    gpu_settle(machine, vm->gpu);
    event_set(&machine->vm_events, &vm->event, SCHED_NEVER);
    bool holds = is_ours(machine) && sched_vm_holds(&vm->sched);
    if (!vm->busy && next_made_ns(machine, vm) == machine->now_ns)
        vm_make_request(machine, vm);
    if (holds && (vm->revoked ? !vm->busy || !vm->started : !vm->busy && vm->sched.contended))
        vm_release(machine, vm);
    if (!vm->busy && !vm->event.queued)
        event_set(&machine->vm_events, &vm->event, next_made_ns(machine, vm));
    gpu_pick(machine, vm->gpu);
}

static void kernel_ended(struct machine *machine, struct gpu *gpu, struct vm *vm)
{
    vm->started = false;
    vm->left_ns = vm->load->requests[vm->next - 1].kernel_ns;
    if (!is_ours(machine))
        queue_shift(machine, vm);
    if (--vm->kernels == 0)
        vm_request_done(machine, vm);
    else if (!is_ours(machine))
        queue_append(machine, vm);
    gpu->runner = NULL;
    if (vm->revoked)
        vm_release(machine, vm);
}

static void gpu_event(struct machine *machine, struct gpu *gpu)
{
    struct vm *vm = gpu->runner;
    gpu_settle(machine, gpu);
    if (vm->left_ns == 0) {
        kernel_ended(machine, gpu, vm);
    } else { /* its slice has */
        queue_shift(machine, vm);
        queue_append(machine, vm);
        gpu->runner = NULL;
    }
    gpu_pick(machine, gpu);
}

/* ---- A run ---- */

static void machine_set_up(struct machine *machine)
{
    const struct load *load = machine->load;
    const struct sched_config config = {.quantum_us = 20000, .ageing_us = 2000000, .aged_percent = 10};
    machine->vms = calloc(load->vm_count, sizeof *machine->vms);
    machine->gpus = calloc(load->gpu_count, sizeof *machine->gpus);
    if (!machine->vms || !machine->gpus) {
        fputs("bench-scheduler: out of memory\n", stderr);
        exit(1);
    }
    sched_init(&machine->sched, &config, &actions, machine);
    for (size_t i = 0; i < load->gpu_count; i++)
        sched_gpu_add(&machine->sched, &machine->gpus[i].sched);
    for (size_t i = 0; i < load->vm_count; i++) {
        struct vm *vm = &machine->vms[i];
        vm->load = &load->vms[i];
        vm->machine = machine;
        vm->gpu = &machine->gpus[vm->load->gpu];
        sched_vm_add(&machine->sched, &vm->gpu->sched, &vm->sched, vm->load->class);
        sched_vm_set_preemptible(&machine->sched, &vm->sched, machine->policy == POLICY_SLICES, 0);
        event_set(&machine->vm_events, &vm->event, next_made_ns(machine, vm));
    }
}

/* Decisions change who runs, on any GPU that the time concerned. */
static void deadlines_meet(struct machine *machine)
{
    for (size_t i = 0; i < machine->load->gpu_count; i++)
        if (machine->gpus[i].sched.deadline.queued && machine->gpus[i].sched.deadline.key <= now_us(machine))
            gpu_settle(machine, &machine->gpus[i]);
    sched_advance(&machine->sched, now_us(machine));
    for (size_t i = 0; i < machine->load->gpu_count; i++)
        if (machine->gpus[i].since_ns == machine->now_ns)
            gpu_pick(machine, &machine->gpus[i]);
}

static uint64_t first_key(const struct heap *heap)
{
    return heap_first(heap) ? heap_first(heap)->key : SCHED_NEVER;
}

void machine_run(const struct load *load, enum policy policy, struct outcome *outcome)
{
    struct machine machine = {.load = load, .policy = policy, .outcome = outcome};
    *outcome = (struct outcome){0};
    machine_set_up(&machine);
    for (;;) {
        uint64_t vm_ns = first_key(&machine.vm_events);
        uint64_t gpu_ns = first_key(&machine.gpu_events);
        uint64_t deadline_us = sched_next_deadline_us(&machine.sched);
        uint64_t deadline_ns = deadline_us == SCHED_NEVER ? SCHED_NEVER : deadline_us * 1000;
        uint64_t next_ns = vm_ns < gpu_ns ? vm_ns : gpu_ns;
        if (deadline_ns < next_ns)
            next_ns = deadline_ns;
        if (next_ns >= load->end_ns)
            break;
        if (next_ns > machine.now_ns)
            machine.now_ns = next_ns;
        if (next_ns == deadline_ns)
            deadlines_meet(&machine);
        else if (next_ns == gpu_ns)
            gpu_event(&machine,
                      (struct gpu *)((char *)heap_first(&machine.gpu_events) - offsetof(struct gpu, event)));
        else
            vm_event(&machine,
                     (struct vm *)((char *)heap_first(&machine.vm_events) - offsetof(struct vm, event)));
    }
    free(machine.vms);
    free(machine.gpus);
}
