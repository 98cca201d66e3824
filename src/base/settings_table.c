#include "base/settings.h"

#include "base/settings_value.h"

#include <assert.h>
#include <stdint.h>

#define US_PER_MS INT64_C(1000)
#define US_PER_S  INT64_C(1000000)

#define BYTES_MOST (INT64_C(1) << 40)

static const char *const driver_choices[] = {"nvidia", "simulated", NULL}; /* enum setting_driver */
static const char *const log_choices[] = {"error", "warning", "info", "debug", NULL}; /* enum log_level */

static const struct setting_description table[SETTING_COUNT] = {
    [SETTING_STATE_DIR] = {"state_dir", SETTING_TYPE_PATH, "/var/lib/vgpu", 0, 0, NULL,
                           "folder of what must survive a restart: the database vgpu.db"},
    [SETTING_RUN_DIR] = {"run_dir", SETTING_TYPE_PATH, "/run/vgpu", 0, 0, NULL,
                         "folder of the sockets: admin.sock and guests/<vm_uuid>.sock"},
    [SETTING_DRIVER] = {"driver", SETTING_TYPE_CHOICE, NULL, 0, 0, driver_choices,
                        "the GPU driver underneath; nvidia where one is loaded, else simulated"},
    [SETTING_LOG_LEVEL] = {"log_level", SETTING_TYPE_CHOICE, "info", 0, 0, log_choices,
                           "most detailed messages to log"},
    [SETTING_QUANTUM] = {"quantum", SETTING_TYPE_DURATION, "20ms", US_PER_MS, 60 * US_PER_S, NULL,
                         "how long a VM may keep a GPU while another of its class waits"},
    [SETTING_AGEING] = {"ageing", SETTING_TYPE_DURATION, "2s", 0, 3600 * US_PER_S, NULL,
                        "a waiting VM rises one class each time this passes; 0 never"},
    [SETTING_MIN_HOLD] = {"min_hold", SETTING_TYPE_DURATION, "0", 0, 60 * US_PER_S, NULL,
                          "how long a VM keeps a GPU at least before a higher class takes it"},
    [SETTING_DRAIN_TIMEOUT] = {"drain_timeout", SETTING_TYPE_DURATION, "30s", 0, 3600 * US_PER_S, NULL,
                               "a guest process that has not given a GPU back after this is ended; 0 never"},
    [SETTING_GRANT_HISTORY] = {"grant_history", SETTING_TYPE_INTEGER, "100000", 0, 100000000, NULL,
                               "how many of the latest grants the database keeps"},
    [SETTING_GPU_RESCAN] = {"gpu_rescan", SETTING_TYPE_DURATION, "5s", 0, 3600 * US_PER_S, NULL,
                            "how often the daemon looks which GPUs are there; 0 only when told to scan"},
    [SETTING_GUEST_SOCKET_MODE] = {"guest_socket_mode", SETTING_TYPE_MODE, "0660", 0, 0777, NULL,
                                   "permissions of a VM's socket: who may open it is that VM"},
    [SETTING_GUEST_SOCKET_OWNER] = {"guest_socket_owner", SETTING_TYPE_STRING, "", 0, 255, NULL,
                                    "user or user:group that owns a VM's socket; empty for the daemon's own"},
    [SETTING_LISTEN_VSOCK_PORT] = {"listen_vsock_port", SETTING_TYPE_INTEGER, "0", 0, UINT32_MAX - 1, NULL,
                                   "vsock port for guests, VMs being known by their CID; 0 for none"},
    [SETTING_LISTEN_TCP] = {"listen_tcp", SETTING_TYPE_LIST, "", 0, 65535, NULL,
                            "ADDRESS:PORT=VM_UUID, ...: who may reach that port is that VM; empty for none"},
    [SETTING_WINDOW_SIZE] =
        {"window_size", SETTING_TYPE_SIZE, "0", 0, BYTES_MOST, NULL,
         "memory that a virtual machine shares with the host as a PCI device; 0 for none"},
    [SETTING_WINDOW_DIR] = {"window_dir", SETTING_TYPE_PATH, "/dev/shm", 0, 0, NULL,
                            "folder, on a tmpfs, of that memory: a file vgpu-<vm_uuid> for each VM"},
    [SETTING_MAX_GUESTS_PER_VM] = {"max_guests_per_vm", SETTING_TYPE_INTEGER, "64", 1, 65536, NULL,
                                   "guest processes one VM may have at a time"},
    [SETTING_MAX_GUESTS] = {"max_guests", SETTING_TYPE_INTEGER, "1024", 1, 65536, NULL,
                            "guest processes the host serves at a time"},
    [SETTING_WARM_WORKERS] = {"warm_workers", SETTING_TYPE_INTEGER, "1", 0, 256, NULL,
                              "workers a GPU keeps with a context made, for guest processes to come; 0 none"},
    [SETTING_SPIN_US] = {"spin_us", SETTING_TYPE_INTEGER, "50", 0, 10000, NULL,
                         "microseconds a lane of a worker looks for the next call before it sleeps"},
    [SETTING_IMAGE_STORE] = {"image_store", SETTING_TYPE_SIZE, "512M", 0, BYTES_MOST, NULL,
                             "code sent by guests that is kept, so that it need not be sent again; 0 none"},
    [SETTING_HYPERVISOR_URIS] =
        {"hypervisor_uris", SETTING_TYPE_LIST, "auto", 0, 65535, NULL,
         "hypervisors to ask for VMs: libvirt's URIs, xe; auto for those found, or none"},
    [SETTING_TIME_LIMIT] = {"time_limit", SETTING_TYPE_DURATION, "0", 0, 86400 * US_PER_S, NULL,
                            "how long one piece of work of a VM may run on the GPU; 0 for ever"},
    [SETTING_CALL_RATE] = {"call_rate", SETTING_TYPE_INTEGER, "0", 0, 1000000000, NULL,
                           "calls a second that a VM may make; 0 without limit"},
    [SETTING_CALL_BURST] = {"call_burst", SETTING_TYPE_INTEGER, "0", 0, 1000000000, NULL,
                            "calls that a VM may make at once after a pause; 0 as in a tenth of a second"},
    [SETTING_BYTE_RATE] = {"byte_rate", SETTING_TYPE_SIZE, "0", 0, BYTES_MOST, NULL,
                           "bytes a second that a VM may copy; 0 without limit"},
    [SETTING_BYTE_BURST] = {"byte_burst", SETTING_TYPE_SIZE, "0", 0, BYTES_MOST, NULL,
                            "bytes that a VM may copy at once after a pause; 0 as in a tenth of a second"},
    [SETTING_QUEUE_DEPTH] =
        {"queue_depth", SETTING_TYPE_INTEGER, "0", 0, 65536, NULL,
         "pieces of work that a VM may have given to the GPU and that are not complete; 0 without limit"},
    [SETTING_MEMORY_LIMIT] = {"memory_limit", SETTING_TYPE_SIZE, "0", 0, 1024 * BYTES_MOST, NULL,
                              "device memory that a VM may have; 0 all there is"},
    [SETTING_MAX_FAULTS] = {"max_faults", SETTING_TYPE_INTEGER, "100", 0, 1000, NULL,
                            "faults within fault_window that put a VM into quarantine; 0 never"},
    [SETTING_FAULT_WINDOW] = {"fault_window", SETTING_TYPE_DURATION, "10min", US_PER_S, 30 * 86400 * US_PER_S,
                              NULL, "for how long a fault of a VM counts towards max_faults"},
    [SETTING_METRICS_ADDRESS] = {"metrics_address", SETTING_TYPE_STRING, "", 0, 255, NULL,
                                 "ADDRESS:PORT of metrics for Prometheus, at /metrics; empty for none"},
    [SETTING_METRICS_MAX_VMS] = {"metrics_max_vms", SETTING_TYPE_INTEGER, "1000", 0, 100000, NULL,
                                 "VMs that have metrics of their own there"},
};

const struct setting_description *settings_describe(enum setting_key key)
{
    assert((unsigned)key < SETTING_COUNT);
    return &table[key];
}
