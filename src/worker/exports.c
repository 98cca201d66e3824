#include "worker/exports.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/frame.h"
#include "worker/vm.h"

/* How long a worker may take to ask, or to answer. */
#define PATIENCE_S 2

struct own_export {
    enum vm_export_kind kind;
    uint64_t object;
    struct vm_export_name name;
    int fd; /* -1: none */
    struct own_export *next;
};

static struct {
    pthread_mutex_t lock;
    struct own_export *list;
    _Atomic uint32_t count;     /* of the list; changed under the lock */
    struct vm_export_door door; /* address_bytes 0: not open yet */
    int listener;
} own = {.lock = PTHREAD_MUTEX_INITIALIZER, .listener = -1};

/* --- descriptors: who knows the key and the name is a worker of this VM --- */

struct fetch {
    uint64_t key[4];
    struct vm_export_name name;
};

static int descriptor_of(const struct vm_export_name *name)
{
    int fd = -1;
    pthread_mutex_lock(&own.lock);
    for (const struct own_export *one = own.list; one != NULL && fd < 0; one = one->next)
        if (one->fd >= 0 && memcmp(&one->name, name, sizeof *name) == 0)
            fd = dup(one->fd);
    pthread_mutex_unlock(&own.lock);
    return fd;
}

static void limit_waiting(int fd)
{
    struct timeval limit = {.tv_sec = PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static bool is_of_this_user(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 && peer.uid == geteuid();
}

/* The address is no secret: anybody on the host may come, and is sent away without a word. */
static void *give_descriptors(void *unused)
{
    for (;;) {
        int asker = accept4(own.listener, NULL, NULL, SOCK_CLOEXEC);
        if (asker < 0) {
            if (errno != EINTR && errno != ECONNABORTED)
                usleep(10000);
            continue;
        }
        struct fetch fetch;
        limit_waiting(asker);
        if (is_of_this_user(asker) && recv(asker, &fetch, sizeof fetch, 0) == (ssize_t)sizeof fetch &&
            memcmp(fetch.key, own.door.key, sizeof fetch.key) == 0) {
            int fd = descriptor_of(&fetch.name);
            struct frame_header header = {.type = FRAME_SEGMENT};
            if (fd >= 0) {
                frame_write_descriptor(asker, &header, fd);
                close(fd);
            }
        }
        close(asker);
    }
    return unused;
}

/* Under the lock: opens the door once, at an address that the kernel chooses. */
static bool open_door(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t bytes = sizeof address;
    pthread_t thread;
    if (own.door.address_bytes != 0)
        return true;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && getrandom(own.door.key, sizeof own.door.key, 0) == (ssize_t)sizeof own.door.key &&
        bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) == 0 && listen(fd, 16) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &bytes) == 0 &&
        bytes - sizeof address.sun_family <= sizeof own.door.address) {
        own.listener = fd;
        memcpy(own.door.address, address.sun_path, bytes - sizeof address.sun_family);
        if (pthread_create(&thread, NULL, give_descriptors, NULL) == 0) {
            pthread_detach(thread);
            own.door.address_bytes = (uint32_t)(bytes - sizeof address.sun_family);
            return true;
        }
    }
    if (fd >= 0)
        close(fd);
    return false;
}

int export_fetch(const struct vm_export *found)
{
    struct vm_export_door door;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct fetch fetch = {.name = found->name};
    struct frame_header header;
    int fd = -1;
    memcpy(&door, found->data, sizeof door);
    if (door.address_bytes == 0 || door.address_bytes > sizeof door.address)
        return -1;
    memcpy(address.sun_path, door.address, door.address_bytes);
    memcpy(fetch.key, door.key, sizeof fetch.key);
    int asked = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (asked < 0)
        return -1;
    limit_waiting(asked);
    if (connect(asked, (struct sockaddr *)&address,
                (socklen_t)(sizeof address.sun_family + door.address_bytes)) != 0 ||
        send(asked, &fetch, sizeof fetch, MSG_NOSIGNAL) != (ssize_t)sizeof fetch ||
        frame_read_descriptor(asked, &header, &fd) != 0)
        fd = -1;
    close(asked);
    return fd;
}

/* --- the list --- */

/* Under the lock. */
static struct own_export **find_own(enum vm_export_kind kind, uint64_t object)
{
    struct own_export **link = &own.list;
    while (*link != NULL && ((*link)->kind != kind || (*link)->object != object))
        link = &(*link)->next;
    return link;
}

bool export_known(enum vm_export_kind kind, uint64_t object, struct vm_export_name *name)
{
    pthread_mutex_lock(&own.lock);
    const struct own_export *found = *find_own(kind, object);
    if (found != NULL)
        *name = found->name;
    pthread_mutex_unlock(&own.lock);
    return found != NULL;
}

CUresult export_add(enum vm_export_kind kind, uint64_t object, uint64_t bytes, const void *data,
                    size_t data_bytes, int fd, struct vm_export_name *name)
{
    struct vm_export entry = {.kind = kind, .owner = (uint32_t)getpid(), .bytes = bytes};
    struct own_export *noted = calloc(1, sizeof *noted);
    CUresult result = noted != NULL && data_bytes <= sizeof entry.data &&
                              getrandom(&entry.name, sizeof entry.name, 0) == (ssize_t)sizeof entry.name
                          ? CUDA_SUCCESS
                          : CUDA_ERROR_OUT_OF_MEMORY;
    pthread_mutex_lock(&own.lock);
    if (result == CUDA_SUCCESS && data == NULL && !open_door())
        result = CUDA_ERROR_OPERATING_SYSTEM;
    if (result == CUDA_SUCCESS) {
        if (data != NULL)
            memcpy(entry.data, data, data_bytes);
        else
            memcpy(entry.data, &own.door, sizeof own.door);
        if (!vm_exports_add(vm_exports, &entry))
            result = CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (result == CUDA_SUCCESS) {
        *noted = (struct own_export){.kind = kind,
                                     .object = object,
                                     .name = entry.name,
                                     .fd = data == NULL ? fd : -1,
                                     .next = own.list};
        own.list = noted;
        atomic_fetch_add_explicit(&own.count, 1, memory_order_release);
        *name = entry.name;
    }
    pthread_mutex_unlock(&own.lock);
    if (result != CUDA_SUCCESS) {
        free(noted);
        if (data == NULL)
            close(fd);
    }
    return result;
}

void export_remove(enum vm_export_kind kind, uint64_t object, uint64_t extent)
{
    if (atomic_load_explicit(&own.count, memory_order_acquire) == 0)
        return;
    pthread_mutex_lock(&own.lock);
    for (struct own_export **link = &own.list; *link != NULL;) {
        struct own_export *one = *link;
        if (one->kind != kind || one->object - object >= extent) {
            link = &one->next;
            continue;
        }
        vm_exports_remove(vm_exports, (uint32_t)getpid(), &one->name);
        *link = one->next;
        if (one->fd >= 0)
            close(one->fd);
        free(one);
        atomic_fetch_sub_explicit(&own.count, 1, memory_order_release);
    }
    pthread_mutex_unlock(&own.lock);
}

CUresult export_find(enum vm_export_kind kind, const struct vm_export_name *name, struct vm_export *found)
{
    return vm_exports_find(vm_exports, name, found) && found->kind == (uint32_t)kind
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}
