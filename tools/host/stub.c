/* The driver before a device that has always finished: what is left is the driver's own work.
 * stub CALLS: gf_infer() of one frame, so many times; the number of register accesses of a call. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "device.h"

static uint8_t memory[1 << 20];
static unsigned reads, writes;

static int open_stub(gf_device *device, const char *place)
{
    (void)place;
    device->memory = memory;
    device->size = sizeof memory;
    return GF_OK;
}

static void close_stub(gf_device *device)
{
    (void)device;
}

static int read_stub(gf_device *device, uint32_t offset, uint32_t *value)
{
    static const uint32_t identity[] = {GF_CORE_MAGIC, GF_CORE_VERSION, GF_CORE_HASH_LO,
                                        GF_CORE_HASH_HI};
    (void)device;
    reads++;
    *value = offset >= GF_MAGIC && offset <= GF_HASH_HI ? identity[(offset - GF_MAGIC) / 4]
             : offset == GF_CTRL                        ? GF_CTRL_AP_DONE | GF_CTRL_AP_IDLE
                                                        : 0;
    return GF_OK;
}

static int write_stub(gf_device *device, uint32_t offset, uint32_t value)
{
    (void)device, (void)offset, (void)value;
    writes++;
    return GF_OK;
}

static int share(gf_device *device, size_t offset, size_t size)
{
    (void)device, (void)offset, (void)size;
    return GF_OK;
}

static int wait_stub(gf_device *device, uint64_t limit_us)
{
    (void)device, (void)limit_us;
    return GF_OK;
}

static uint64_t now_stub(gf_device *device)
{
    (void)device;
    return 0;
}

#define STUB(name) {name, open_stub, close_stub, read_stub, write_stub, share, share, wait_stub, \
                    now_stub}
const struct gf_backend gf_sim = STUB("sim"), gf_uio = STUB("uio"), gf_socket = STUB("socket");

int main(int count, char **words)
{
    const long calls = count > 1 ? strtol(words[1], NULL, 10) : 1;
    static float in[GF_CORE_IN_ELEMENTS], out[GF_CORE_OUT_ELEMENTS];
    gf_device *device;
    struct timespec from, to;
    if (gf_open(&device, "sim:stub"))
        return 1;
    reads = writes = 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    for (long n = 0; n < calls; n++)
        if (gf_infer(device, in, out, 1, 1))
            return 1;
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    const double ns = 1e9 * (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec);
    (void)printf("%.1f %ld %ld\n", ns / (double)calls, reads / calls, writes / calls);
    gf_close(device);
    return 0;
}
