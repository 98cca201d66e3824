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
        if (channel->client == client && (channel->object == object || channel->group == object ||
                                          channel->device == object || object == client))
            known.channels[i--] = known.channels[--known.count];
    }
    for (size_t i = 0; i < known.subdevice_count; i++) {
        const struct subdevice *subdevice = &known.subdevices[i];
        if (subdevice->client == client &&
            (subdevice->object == object || subdevice->device == object || object == client))
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

static bool set_these(const struct channel *channels, size_t count, bool paused)
{
    const struct subdevice *subdevice = subdevice_of(channels);
    struct disable_channels parameters = {.disable = paused, .count = (uint32_t)count};
    for (size_t i = 0; i < count; i++) {
        parameters.clients[i] = channels[i].client;
        parameters.channels[i] = channels[i].object;
    }
    uint32_t status = subdevice == NULL ? ~0u
                                        : driver_control(subdevice->fd, subdevice->client, subdevice->object,
                                                         DISABLE_CHANNELS, &parameters, sizeof parameters);
    if (status != 0)
        log_debug("%zu channels cannot be %s: %#x", count, paused ? "disabled" : "enabled", status);
    return status == 0;
}

/* How many from the first on are of one device, and no more than one call takes. */
static size_t alike(const struct channel *channels, size_t count)
{
    size_t same = 1;
    while (same < count && same < CHANNELS_A_CALL && channels[same].client == channels->client &&
           channels[same].device == channels->device)
        same++;
    return same;
}

bool channel_pause_is_possible(void)
{
    return known.count > 0 && !known.too_many;
}

/* A list with one that is gone is refused whole: then each is tried, and who is refused alone is gone. */
bool channel_pause_set(bool paused)
{
    size_t kept = 0, count = known.count, step;
    for (size_t i = 0; i < count; i += step) {
        step = alike(&known.channels[i], count - i);
        bool all = set_these(&known.channels[i], step, paused);
        for (size_t k = i; k < i + step; k++) {
            if (all || set_these(&known.channels[k], 1, paused))
                known.channels[kept++] = known.channels[k];
        }
    }
    known.count = kept;
    return kept > 0 || count == 0;
}
