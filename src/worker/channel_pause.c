#include "worker/channel_pause.h"

#include <stddef.h>

#include "base/log.h"
#include "worker/driver_ioctl.h"

#define DISABLE_CHANNELS 0x2080110bu
#define CHANNELS_A_CALL  64u

/* NV2080_CTRL_FIFO_DISABLE_CHANNELS_PARAMS. */
struct disable_channels {
    uint8_t disable;
    uint32_t count;
    uint8_t only_disable_scheduling; /* what runs goes on until its slice is over */
    uint8_t rewind;
    _Alignas(8) uint64_t event;
    uint32_t clients[CHANNELS_A_CALL], channels[CHANNELS_A_CALL];
};
_Static_assert(sizeof(struct disable_channels) == 536 && offsetof(struct disable_channels, clients) == 24,
               "the resource manager's layout");

/* A context has eight channels in the group whose kernels stand still. Beyond these nobody is paused. */
#define CHANNELS_MAX   2048u
#define SUBDEVICES_MAX 16u

static struct {
    struct channel {
        uint32_t client, device, group, object;
    } channels[CHANNELS_MAX];
    size_t count;
    bool too_many;
    struct subdevice {
        int fd;
        uint32_t client, device, object;
    } subdevices[SUBDEVICES_MAX];
    size_t subdevice_count;
} known;

void channel_pause_subdevice_made(int fd, uint32_t client, uint32_t device, uint32_t object)
{
    if (known.subdevice_count < SUBDEVICES_MAX)
        known.subdevices[known.subdevice_count++] =
            (struct subdevice){.fd = fd, .client = client, .device = device, .object = object};
}

void channel_pause_channel_made(uint32_t client, uint32_t device, uint32_t group, uint32_t object)
{
    if (known.count < CHANNELS_MAX)
        known.channels[known.count++] =
            (struct channel){.client = client, .device = device, .group = group, .object = object};
    else
        known.too_many = true;
}

void channel_pause_object_gone(uint32_t client, uint32_t object)
{
    for (size_t i = 0; i < known.count; i++) {
        const struct channel *channel = &known.channels[i];
        if (channel->client == client &&
            (channel->object == object || channel->group == object || object == client))
            known.channels[i--] = known.channels[--known.count];
    }
    for (size_t i = 0; i < known.subdevice_count; i++) {
        const struct subdevice *subdevice = &known.subdevices[i];
        if (subdevice->client == client && (subdevice->object == object || object == client))
            known.subdevices[i--] = known.subdevices[--known.subdevice_count];
    }
}

static const struct subdevice *subdevice_of(const struct channel *channel)
{
    for (size_t i = 0; i < known.subdevice_count; i++) {
        if (known.subdevices[i].client == channel->client && known.subdevices[i].device == channel->device)
            return &known.subdevices[i];
    }
    return NULL;
}

/* Some channels, all of one device; from the first on. How many of the list that were; 0: it failed. */
static size_t set_some(const struct channel *first, size_t count, bool paused)
{
    const struct subdevice *subdevice = subdevice_of(first);
    struct disable_channels parameters = {.disable = paused};
    while (parameters.count < CHANNELS_A_CALL && parameters.count < count &&
           first[parameters.count].client == first->client &&
           first[parameters.count].device == first->device) {
        parameters.clients[parameters.count] = first->client;
        parameters.channels[parameters.count] = first[parameters.count].object;
        parameters.count++;
    }
    uint32_t status = subdevice == NULL ? ~0u
                                        : driver_control(subdevice->fd, subdevice->client, subdevice->object,
                                                         DISABLE_CHANNELS, &parameters, sizeof parameters);
    if (status != 0)
        log_debug("channels cannot be %s: %#x", paused ? "disabled" : "enabled", status);
    return status == 0 ? parameters.count : 0;
}

bool channel_pause_set(bool paused)
{
    bool all = !paused || (known.count > 0 && !known.too_many);
    size_t done = 0;
    while (all && done < known.count) {
        size_t some = set_some(&known.channels[done], known.count - done, paused);
        all = some > 0;
        done += some;
    }
    if (!all && paused && done > 0)
        channel_pause_set(false);
    return all;
}
