/* Opening, closing, and what a device is. */
#include "device.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPEN_MS = 2000,
    CLOSE_MS = 900, /* for what is under way to end, */
    ABORT_MS = 100, /* and then to be given up */
    MOST = 0xFFFFFF, /* frames of a descriptor */
    PAGE = 4096 /* the output frames begin at one */
};

static _Thread_local char why_not_open[sizeof((gf_device *)0)->message] = "no error";

static const struct gf_backend *const backends[] = {&gf_sim, &gf_uio, &gf_socket};

int gf_fail(gf_device *device, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int used = snprintf(device->message, sizeof device->message, "%s: ", gf_error_name(code));
    (void)vsnprintf(device->message + used, sizeof device->message - (size_t)used, format,
                    arguments);
    va_end(arguments);
    return code;
}

const char *gf_message(const gf_device *device)
{
    return device ? device->message : why_not_open;
}

const char *gf_error_name(int code)
{
    static const char *const names[] = {
        "GF_OK",   "GF_EINVAL", "GF_EOPEN",     "GF_EDEVICE",  "GF_EHASH", "GF_ETIMEOUT", "GF_EBUSY",
        "GF_EBUS", "GF_EFAULT", "GF_EUNLOADED", "GF_EWEIGHTS", "GF_EFILE", "GF_ENOMEM",
        "GF_EUNSUPPORTED"};
    return code <= 0 && (size_t)-code < sizeof names / sizeof *names ? names[-code] : "unknown";
}

/* Whether the device is the core that this library was generated for. */
static int identify(gf_device *device)
{
    static const uint32_t offsets[] = {GF_MAGIC, GF_VERSION, GF_HASH_LO, GF_HASH_HI};
    uint32_t values[4] = {0};
    for (size_t n = 0; n < 4; n++) {
        const int error = gf_get(device, offsets[n], &values[n]);
        if (error)
            return error;
    }
    if (values[0] != GF_CORE_MAGIC)
        return gf_fail(device, GF_EDEVICE, "this is no Gatefold core: MAGIC reads 0x%08x, not "
                       "0x%08x", values[0], GF_CORE_MAGIC);
    if (values[1] >> 16 != GF_CORE_VERSION >> 16)
        return gf_fail(device, GF_EDEVICE, "the core's registers are of version %u, this library "
                       "knows %u: take the library from the folder of the core", values[1] >> 16,
                       GF_CORE_VERSION >> 16);
    if (values[2] != GF_CORE_HASH_LO || values[3] != GF_CORE_HASH_HI)
        return gf_fail(device, GF_EHASH, "the device holds build %08x%08x, this library was "
                       "generated for %08x%08x: take the library from the folder of the core",
                       values[3], values[2], GF_CORE_HASH_HI, GF_CORE_HASH_LO);
    return gf_set(device, GF_EXPECTED_HASH, GF_CORE_HASH_LO);
}

/* End what an earlier program left behind: a descriptor under way, an old error. */
static int settle(gf_device *device)
{
    uint32_t control = 0;
    int error = gf_get(device, GF_CTRL, &control);
    const uint64_t deadline = gf_deadline(device, OPEN_MS);
    while (!error && !(control & GF_CTRL_AP_IDLE)) {
        if (device->backend->now(device) >= deadline)
            return gf_fail(device, GF_ETIMEOUT, "the core is busy with the frames of another "
                           "program (CTRL 0x%02x)", control);
        error = control & GF_CTRL_AP_DONE ? gf_set(device, GF_CTRL, GF_CTRL_AP_CONTINUE)
                                          : device->backend->wait(device, 1000);
        if (!error)
            error = gf_get(device, GF_CTRL, &control);
    }
    if (!error)
        error = gf_set(device, GF_GIE, 0);
    if (!error)
        error = gf_set(device, GF_IER, 0);
    uint32_t events = 0;
    if (!error)
        error = gf_get(device, GF_ISR, &events);
    if (!error && events)
        error = gf_set(device, GF_ISR, events);
    return error ? error : gf_set(device, GF_ERROR, 0xFFFFFFFFu);
}

/* Divide the memory: input frames, then output frames. */
static int divide(gf_device *device)
{
    const size_t each = (size_t)GF_CORE_IN_BYTES + GF_CORE_OUT_BYTES;
    device->most = device->size > PAGE ? (device->size - PAGE) / each : 0;
    if (!device->most)
        return gf_fail(device, GF_ENOMEM, "the DMA buffer has %zu bytes, a frame takes %zu and a "
                       "page: make it larger", device->size, each);
    if (device->most > MOST)
        device->most = MOST;
    device->out = (device->most * GF_CORE_IN_BYTES + PAGE - 1) / PAGE * PAGE;
    device->values = malloc(GF_CORE_OUT_ELEMENTS * sizeof *device->values);
    return device->values ? GF_OK : gf_fail(device, GF_ENOMEM, "no memory for a frame");
}

static int open_at(gf_device *device, const char *where)
{
    for (size_t n = 0; n < sizeof backends / sizeof *backends; n++) {
        const size_t length = strlen(backends[n]->scheme);
        if (strncmp(where, backends[n]->scheme, length) || where[length] != ':')
            continue;
        if (!where[length + 1])
            break;
        int error = backends[n]->open(device, where + length + 1);
        if (error)
            return error;
        device->backend = backends[n];
        error = identify(device);
        if (!error)
            error = divide(device);
        return error ? error : settle(device);
    }
    return gf_fail(device, GF_EINVAL, "\"%.60s\" names no device: give sim:DIR, uio:NAME or "
                   "socket:PATH", where);
}

static void release(gf_device *device)
{
    if (device->backend)
        device->backend->close(device);
    free(device->values);
    free(device);
}

int gf_open(gf_device **out, const char *where)
{
    if (!out)
        return GF_EINVAL;
    *out = NULL;
    gf_device *device = calloc(1, sizeof *device);
    if (!device) {
        (void)snprintf(why_not_open, sizeof why_not_open, "GF_ENOMEM: no memory for a device");
        return GF_ENOMEM;
    }
    (void)snprintf(device->message, sizeof device->message, "no error");
    device->fresh = true;
    const int error = where ? open_at(device, where)
                            : gf_fail(device, GF_EINVAL, "no device is named");
    if (error) {
        memcpy(why_not_open, device->message, sizeof why_not_open);
        release(device);
    } else {
        *out = device;
    }
    return error;
}

void gf_close(gf_device *device)
{
    if (!device)
        return;
    if (device->frames) /* the core must not write to memory that is somebody else's by then */
        (void)gf_finish(device, gf_deadline(device, CLOSE_MS));
    if (device->frames)
        (void)gf_abort(device, gf_deadline(device, ABORT_MS));
    release(device);
}

size_t gf_input_elements(const gf_device *device)
{
    return device ? GF_CORE_IN_ELEMENTS : 0;
}

size_t gf_output_elements(const gf_device *device)
{
    return device ? GF_CORE_OUT_ELEMENTS : 0;
}

size_t gf_max_frames(const gf_device *device)
{
    return device ? device->most : 0;
}

static int get64(gf_device *device, uint32_t low, uint64_t *value)
{
    uint32_t halves[2] = {0};
    int error = gf_get(device, low, &halves[0]); /* holds the other half */
    if (!error)
        error = gf_get(device, low + 4, &halves[1]);
    *value = (uint64_t)halves[1] << 32 | halves[0];
    return error;
}

int gf_read_counters(gf_device *device, gf_counters *counters)
{
    if (!device)
        return GF_EINVAL;
    if (!counters)
        return gf_fail(device, GF_EINVAL, "counters is NULL");
    int error = get64(device, GF_FRAMES_DONE_LO, &counters->frames);
    if (!error)
        error = get64(device, GF_CYCLES_LO, &counters->cycles);
    return error ? error : get64(device, GF_STALLS_LO, &counters->stalls);
}
