/* A descriptor from start to end: registers, faults, time limits. */
#include "device.h"

/* What each bit of ERROR becomes, the most telling first. */
static const struct {
    uint32_t bit;
    int code;
    const char *text;
} faults[] = {
    {GF_ERROR_HASH, GF_EHASH, "the core refused the frames: it has another build hash"},
    {GF_ERROR_NO_ANSWER, GF_ETIMEOUT, "memory did not answer, and the core gave up"},
    {GF_ERROR_ABORTED, GF_EFAULT, "the core was told to give up: does another program use it?"},
    {GF_ERROR_NOT_LOADED, GF_EUNLOADED, "the core has no weights: call gf_load_weights() first"},
    {GF_ERROR_LENGTH, GF_EWEIGHTS, "the core refused the weights: their length is wrong"},
    {GF_ERROR_READ, GF_EBUS, "a read of the core's master got an error response"},
    {GF_ERROR_WRITE, GF_EBUS, "a write of the core's master got an error response"},
    {GF_ERROR_CHECKSUM, GF_EWEIGHTS, "the weights did not arrive intact, and the core has none now"},
    {GF_ERROR_TWO_STARTS, GF_EFAULT, "the core was started twice: does another program use it?"},
    {GF_ERROR_FRAMES, GF_EFAULT, "the core refused the number of frames"},
    {GF_ERROR_ALIGNMENT, GF_EFAULT, "the core refused an address: it is not aligned"},
    {GF_ERROR_NO_WINDOW, GF_EFAULT, "the core has no window"},
    {GF_ERROR_INTERNAL, GF_EFAULT, "the core found a fault in itself: its hardware failed"},
};

int gf_set(gf_device *device, uint32_t offset, uint32_t value)
{
    return device->backend->write(device, offset, value);
}

int gf_get(gf_device *device, uint32_t offset, uint32_t *value)
{
    return device->backend->read(device, offset, value);
}

uint64_t gf_deadline(gf_device *device, unsigned timeout_ms)
{
    return device->backend->now(device) + (uint64_t)timeout_ms * 1000u;
}

int gf_enable_interrupts(gf_device *device)
{
    int error = gf_set(device, GF_IER, GF_IER_DONE);
    if (!error)
        error = gf_set(device, GF_GIE, GF_GIE_ENABLE);
    device->interrupts = !error;
    return error;
}

static int set64(gf_device *device, uint32_t low, uint64_t value)
{
    const int error = gf_set(device, low, (uint32_t)value);
    return error ? error : gf_set(device, low + 4, (uint32_t)(value >> 32));
}

int gf_start(gf_device *device, uint32_t frames, uint32_t flags)
{
    int error = gf_set(device, GF_FRAMES, frames);
    if (!error && !(flags & GF_FLAGS_WINDOW))
        error = set64(device, GF_IN_ADDR_LO, device->address);
    if (!error && !(flags & (GF_FLAGS_WINDOW | GF_FLAGS_WEIGHTS)))
        error = set64(device, GF_OUT_ADDR_LO, device->address + device->out);
    if (!error)
        error = gf_set(device, GF_FLAGS, flags | GF_FLAGS_CHECK_HASH);
    if (!error)
        error = gf_set(device, GF_CTRL, GF_CTRL_AP_START);
    if (!error) {
        device->frames = frames;
        device->window = flags & GF_FLAGS_WINDOW;
        device->fresh = flags & GF_FLAGS_WEIGHTS; /* state that other weights left means nothing */
    }
    return error;
}

/* The core's sticky errors as a code with a message; they are cleared. */
static int take_faults(gf_device *device)
{
    uint32_t found = 0;
    int error = gf_get(device, GF_ERROR, &found);
    if (error || !found)
        return error;
    error = gf_set(device, GF_ERROR, found);
    if (error)
        return error;
    for (size_t n = 0; n < sizeof faults / sizeof *faults; n++)
        if (found & faults[n].bit)
            return gf_fail(device, faults[n].code, "%s (ERROR 0x%04x)", faults[n].text, found);
    return gf_fail(device, GF_EFAULT, "the core reported an unknown error (ERROR 0x%04x)", found);
}

/* Acknowledge the end of a descriptor, so that the next one may end. */
static int acknowledge(gf_device *device)
{
    uint32_t events = 0;
    int error = device->interrupts ? gf_get(device, GF_ISR, &events) : GF_OK;
    if (!error && events)
        error = gf_set(device, GF_ISR, events); /* writing 1 toggles */
    return error ? error : gf_set(device, GF_CTRL, GF_CTRL_AP_CONTINUE);
}

int gf_finish(gf_device *device, uint64_t deadline)
{
    for (;;) {
        uint32_t control = 0;
        int error = gf_get(device, GF_CTRL, &control);
        if (error)
            return error;
        if (control & GF_CTRL_AP_DONE)
            break;
        const uint64_t now = device->backend->now(device);
        if (now >= deadline)
            return gf_fail(device, GF_ETIMEOUT, "the core did not finish in time (CTRL 0x%02x): "
                           "%zu frames are still under way", control, device->frames);
        error = device->backend->wait(device, deadline - now);
        if (error)
            return error;
    }
    device->frames = 0;
    const int fault = take_faults(device);
    if (fault)
        device->fresh = true; /* results are missing in the sequence */
    const int error = acknowledge(device);
    return fault ? fault : error;
}

int gf_abort(gf_device *device, uint64_t deadline)
{
    uint32_t owed = 1;
    int error = gf_set(device, GF_ABORT, GF_ABORT_ABORT);
    while (!error && owed && device->backend->now(device) < deadline)
        error = gf_get(device, GF_ABORT, &owed);
    return error;
}

int gf_be_free(gf_device *device)
{
    if (!device->frames)
        return GF_OK;
    if (device->results)
        return gf_fail(device, GF_EBUSY, "a batch of %zu frames is under way: call gf_wait() first",
                       device->frames);
    const int error = gf_finish(device, 0);
    if (error == GF_ETIMEOUT)
        return gf_fail(device, GF_EBUSY, "%zu frames of a call that timed out are still under way",
                       device->frames);
    device->fresh = true; /* their results are missing in the sequence */
    return device->frames ? error : GF_OK; /* and their faults are of no interest */
}
