/* What the files of the driver share: the device, and the table of functions of a backend. */
#ifndef GATEFOLD_DEVICE_H
#define GATEFOLD_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gatefold.h"
#include "gatefold_regs.h"

/* Programs see what gatefold.h declares, and nothing of what follows. */
#pragma GCC visibility push(hidden)

/* A way to reach a device. Functions that return int return GF_OK, or an error with a message. */
struct gf_backend {
    const char *scheme; /* what stands before the colon of gf_open() */
    /* Sets state, memory, address and size of the device. */
    int (*open)(gf_device *device, const char *place);
    void (*close)(gf_device *device);
    int (*read)(gf_device *device, uint32_t offset, uint32_t *value);
    int (*write)(gf_device *device, uint32_t offset, uint32_t value);
    /* Make a part of the memory visible to the core, or here what the core wrote. */
    int (*to_core)(gf_device *device, size_t offset, size_t size);
    int (*from_core)(gf_device *device, size_t offset, size_t size);
    /* Let time pass: until an interrupt, or for at most `limit_us` microseconds. */
    int (*wait)(gf_device *device, uint64_t limit_us);
    /* Microseconds since some fixed moment: of this machine, or of the simulation. */
    uint64_t (*now)(gf_device *device);
};

extern const struct gf_backend gf_sim, gf_uio, gf_socket;

struct gf_device {
    const struct gf_backend *backend;
    void *state;      /* the backend's own */
    uint8_t *memory;  /* that the core's master reads and writes */
    uint64_t address; /* of the memory's first byte, as the core sees it */
    size_t size;      /* of the memory in bytes */
    size_t out;       /* offset of the output frames in it; input frames are at 0 */
    size_t most;      /* frames that a descriptor can have */
    size_t frames;    /* of the descriptor under way, 0 without one */
    bool window;      /* whether that descriptor uses the windows */
    void *results;    /* where gf_wait() puts its results; NULL where a call gave up on them */
    bool fresh;       /* the next frame begins a new sequence */
    bool interrupts;  /* are enabled */
    double *values;   /* of one output frame, for gf_unpack() */
    char message[320];
};

/* A descriptor from start to end (run.c). `flags` are those of GF_FLAGS. */
int gf_start(gf_device *device, uint32_t frames, uint32_t flags);
int gf_finish(gf_device *device, uint64_t deadline);
/* Have the core give up what is under way; wait for the last access of its master to memory. */
int gf_abort(gf_device *device, uint64_t deadline);
/* GF_OK where nothing is under way; what a call gave up on has ended by then, or GF_EBUSY. */
int gf_be_free(gf_device *device);
/* Have the core raise its interrupt at the end of each descriptor from now on. */
int gf_enable_interrupts(gf_device *device);
int gf_set(gf_device *device, uint32_t offset, uint32_t value);
int gf_get(gf_device *device, uint32_t offset, uint32_t *value);
uint64_t gf_deadline(gf_device *device, unsigned timeout_ms);

/* Record an error of a device and return its code. */
int gf_fail(gf_device *device, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Floats to the core's frames and back (numbers.c). Frames begin every GF_CORE_IN_BYTES and
 * GF_CORE_OUT_BYTES bytes. */
int gf_pack(gf_device *device, const float *in, uint8_t *frames, size_t count);
void gf_unpack(gf_device *device, const uint8_t *frames, float *out, size_t count);

#pragma GCC visibility pop

#endif
