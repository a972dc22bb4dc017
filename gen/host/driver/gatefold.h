/* Gatefold: inference on a core from C.
 *
 * A library serves one core: gf_open() refuses a device with another build hash. A device may be
 * used by one thread at a time; different devices are independent of each other.
 *
 *     gf_device *device;
 *     if (gf_open(&device, "uio:gatefold0") || gf_infer(device, in, out, frames, 1000))
 *         fprintf(stderr, "%s\n", gf_message(device));
 *     gf_close(device);
 */
#ifndef GATEFOLD_H
#define GATEFOLD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gf_device gf_device;

/* What a call returns. The numbers are stable: a new version only adds some. */
enum gf_error {
    GF_OK = 0,
    GF_EINVAL = -1,       /* an argument is wrong: a null pointer, no frames, an unknown scheme */
    GF_EOPEN = -2,        /* there is no such device, or it cannot be opened */
    GF_EDEVICE = -3,      /* the device is no Gatefold core, or has another version of the map */
    GF_EHASH = -4,        /* the device holds another core than this library was generated for */
    GF_ETIMEOUT = -5,     /* the device, or its memory, did not answer in time */
    GF_EBUSY = -6,        /* earlier frames are still under way */
    GF_EBUS = -7,         /* a memory or register access ended with an error response */
    GF_EFAULT = -8,       /* the core reported a fault; results of this call are not valid */
    GF_EUNLOADED = -9,    /* the core has no weights yet: gf_load_weights() */
    GF_EWEIGHTS = -10,    /* the weight file is damaged, or belongs to another core */
    GF_EFILE = -11,       /* a file cannot be read */
    GF_ENOMEM = -12,      /* too little memory, or more frames than the device's buffer holds */
    GF_EUNSUPPORTED = -13 /* this core cannot do that: it keeps no state, or its weights are fixed */
};

/* Open a device: "sim:DIR", the simulated core of a folder made by `gatefold build`, after
 * `make -C DIR/driver sim`; "uio:NAME", a core behind Linux' UIO, its DMA buffer from u-dma-buf;
 * "socket:PATH", a simulated core that another program serves. Takes at most 2 seconds.
 * On failure *out is NULL, and gf_message(NULL) tells why. A stateful core begins a sequence. */
int gf_open(gf_device **out, const char *where);

/* Compute `frames` frames of floats. `in` holds gf_input_elements() floats a frame, `out` receives
 * gf_output_elements(). The numbers are those of `gatefold run`: inputs are rounded half up and
 * saturated, outputs are scaled, and followed by the softmax that the core leaves to its host.
 * NaN is refused (GF_EINVAL); a core built with --io float32 takes it as 0 (docs/numbers.md).
 * Batches of any size are legal; larger ones than gf_max_frames() go in several parts, and the
 * timeout holds for each call, not for each part. On an error `out` is not valid, and a stateful core
 * begins a new sequence. After GF_ETIMEOUT calls answer GF_EBUSY until the frames have ended. */
int gf_infer(gf_device *device, const float *in, float *out, size_t frames, unsigned timeout_ms);

/* The same with the core's own numbers: frames without gaps between them, each of
 * gf_input_bytes() and gf_output_bytes(), elements in little-endian containers. In the device's memory
 * frames begin at whole words of the memory port; the driver moves them there and back, and neither
 * `in` nor `out` needs any alignment. */
int gf_infer_raw(gf_device *device, const void *in, void *out, size_t frames, unsigned timeout_ms);

/* Begin a batch of at most gf_max_frames() frames without waiting for it. `in` is copied before the
 * call returns, `out` is written by gf_wait(). One batch can be under way (else GF_EBUSY). */
int gf_submit(gf_device *device, const void *in, void *out, size_t frames);

/* Wait for the batch of gf_submit(). After GF_ETIMEOUT it is still under way: wait again. */
int gf_wait(gf_device *device, unsigned timeout_ms);

/* Load the weights of a loadable core from DIR/weights/load.gfw. Takes at most 10 seconds. */
int gf_load_weights(gf_device *device, const char *path);

/* Begin a new sequence with the next frame of a stateful core. Cannot block. */
int gf_reset_state(gf_device *device);

/* The last error of a device in words; of NULL, the last failure of gf_open() in this thread.
 * Never NULL. The text is valid until the next call with this device. */
const char *gf_message(const gf_device *device);

/* Close a device; NULL is legal. Takes at most 1 second where a batch is still under way. */
void gf_close(gf_device *device);

/* Elements and bytes of a frame, and the most frames of one gf_submit(). */
size_t gf_input_elements(const gf_device *device);
size_t gf_output_elements(const gf_device *device);
size_t gf_input_bytes(const gf_device *device);
size_t gf_output_bytes(const gf_device *device);
size_t gf_max_frames(const gf_device *device);

/* What the core counted since it was reset. */
typedef struct gf_counters {
    uint64_t frames; /* computed */
    uint64_t cycles; /* in which the core was busy */
    uint64_t stalls; /* of these, cycles in which the master waited for memory */
} gf_counters;
int gf_read_counters(gf_device *device, gf_counters *counters);

/* The name of an error code, such as "GF_ETIMEOUT". */
const char *gf_error_name(int code);

#ifdef __cplusplus
}
#endif

#endif
