/* Batches of frames, in floats and in the core's own numbers. */
#include <string.h>

#include "device.h"

enum {
    CONTAINER = (GF_CORE_FORMAT & GF_FORMAT_CONTAINER) / 8,
    DENSE_IN = GF_CORE_IN_ELEMENTS * CONTAINER, /* bytes of a frame without what pads it */
    DENSE_OUT = GF_CORE_OUT_ELEMENTS * CONTAINER,
    /* Up to so many bytes of a frame, in and out, go through the window: each word is a register
     * access, but the core fetches nothing from memory (docs/latency.md). */
    SMALL = 32,
    WINDOW = (GF_CORE_CAPS & GF_CAPS_WINDOW) && GF_CORE_IN_BYTES + GF_CORE_OUT_BYTES <= SMALL
};

size_t gf_input_bytes(const gf_device *device)
{
    return device ? DENSE_IN : 0;
}

size_t gf_output_bytes(const gf_device *device)
{
    return device ? DENSE_OUT : 0;
}

/* Whether a call is legal now. */
static int check(gf_device *device, const void *in, const void *out, size_t frames)
{
    if (!in || !out)
        return gf_fail(device, GF_EINVAL, "%s is NULL", in ? "out" : "in");
    if (!frames)
        return gf_fail(device, GF_EINVAL, "the number of frames is 0: give at least one");
    return gf_be_free(device);
}

/* Copy words to or from a window, in which every access has 32 bits. */
static int window(gf_device *device, uint32_t offset, size_t size, uint8_t *bytes, bool out)
{
    int error = GF_OK;
    for (size_t n = 0; n < size && !error; n += 4) {
        uint32_t word = 0;
        if (out) {
            error = gf_get(device, offset + (uint32_t)n, &word);
            memcpy(bytes + n, &word, 4);
        } else {
            memcpy(&word, bytes + n, 4);
            error = gf_set(device, offset + (uint32_t)n, word);
        }
    }
    return error;
}

/* Start the frames at the beginning of the memory. */
static int start(gf_device *device, size_t frames)
{
    uint32_t flags = device->fresh && GF_CORE_CAPS & GF_CAPS_STATEFUL ? GF_FLAGS_FIRST : 0;
    int error;
    if (WINDOW && frames == 1) {
        flags |= GF_FLAGS_WINDOW;
        error = window(device, GF_WINDOW_IN, GF_CORE_IN_BYTES, device->memory, false);
    } else {
        error = device->backend->to_core(device, 0, frames * GF_CORE_IN_BYTES);
    }
    return error ? error : gf_start(device, (uint32_t)frames, flags);
}

/* Wait for the frames under way, until their results are in the memory. */
static int finish(gf_device *device, uint64_t deadline)
{
    const size_t frames = device->frames;
    const int error = gf_finish(device, deadline);
    if (error)
        return error;
    if (device->window)
        return window(device, GF_WINDOW_OUT, GF_CORE_OUT_BYTES, device->memory + device->out, true);
    return device->backend->from_core(device, device->out, frames * GF_CORE_OUT_BYTES);
}

static int pack_raw(gf_device *device, const void *in, size_t frames)
{
    const uint8_t *from = in;
    for (size_t n = 0; n < frames; n++)
        memcpy(device->memory + n * GF_CORE_IN_BYTES, from + n * DENSE_IN, DENSE_IN);
    return GF_OK;
}

static void unpack_raw(gf_device *device, void *out, size_t frames)
{
    uint8_t *to = out;
    for (size_t n = 0; n < frames; n++)
        memcpy(to + n * DENSE_OUT, device->memory + device->out + n * GF_CORE_OUT_BYTES, DENSE_OUT);
}

/* All frames, in parts that the memory holds; floats, or else the core's own numbers. */
static int infer(gf_device *device, const void *in, void *out, size_t frames, unsigned timeout_ms,
                 bool floats)
{
    if (!device)
        return GF_EINVAL;
    int error = check(device, in, out, frames);
    const uint8_t *from = in;
    uint8_t *to = out;
    const size_t size_in = floats ? GF_CORE_IN_ELEMENTS * sizeof(float) : DENSE_IN;
    const size_t size_out = floats ? GF_CORE_OUT_ELEMENTS * sizeof(float) : DENSE_OUT;
    const uint64_t deadline = gf_deadline(device, timeout_ms);
    while (!error && frames) {
        const size_t now = frames < device->most ? frames : device->most;
        error = floats ? gf_pack(device, (const float *)(const void *)from, device->memory, now)
                       : pack_raw(device, from, now);
        if (!error)
            error = start(device, now);
        if (!error)
            error = finish(device, deadline);
        if (!error && floats)
            gf_unpack(device, device->memory + device->out, (float *)(void *)to, now);
        if (!error && !floats)
            unpack_raw(device, to, now);
        frames -= now;
        from += now * size_in;
        to += now * size_out;
    }
    return error;
}

int gf_infer(gf_device *device, const float *in, float *out, size_t frames, unsigned timeout_ms)
{
    return infer(device, in, out, frames, timeout_ms, true);
}

int gf_infer_raw(gf_device *device, const void *in, void *out, size_t frames, unsigned timeout_ms)
{
    return infer(device, in, out, frames, timeout_ms, false);
}

int gf_submit(gf_device *device, const void *in, void *out, size_t frames)
{
    if (!device)
        return GF_EINVAL;
    int error = check(device, in, out, frames);
    if (!error && frames > device->most)
        error = gf_fail(device, GF_ENOMEM, "%zu frames are too many for one batch: the DMA buffer "
                        "holds %zu", frames, device->most);
    if (!error)
        error = pack_raw(device, in, frames);
    if (!error)
        error = start(device, frames);
    if (!error)
        device->results = out;
    return error;
}

int gf_wait(gf_device *device, unsigned timeout_ms)
{
    if (!device)
        return GF_EINVAL;
    if (!device->results)
        return gf_fail(device, GF_EINVAL, "no batch is under way: call gf_submit() first");
    const size_t frames = device->frames;
    const int error = finish(device, gf_deadline(device, timeout_ms));
    if (!error)
        unpack_raw(device, device->results, frames);
    if (!device->frames)
        device->results = NULL;
    return error;
}

int gf_reset_state(gf_device *device)
{
    if (!device)
        return GF_EINVAL;
    if (!(GF_CORE_CAPS & GF_CAPS_STATEFUL))
        return gf_fail(device, GF_EUNSUPPORTED, "this core keeps no state between frames");
    device->fresh = true;
    return GF_OK;
}
