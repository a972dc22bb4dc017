/* "uio:NAME": registers through Linux' UIO, memory from the module u-dma-buf.
 *
 * NAME is the name of the UIO device (/sys/class/uio/uioN/name), NAME-buffer that of the DMA buffer.
 * The buffer is mapped without a cache: frames are small and used once, and no system call is
 * needed to make them visible. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "device.h"

#ifndef GF_ROOT
#define GF_ROOT "" /* before /sys and /dev; tests put a folder here */
#endif

#ifndef GF_SPINS
/* Times that a descriptor's end is polled before the driver waits for the interrupt, which takes
 * about 20 us. */
#define GF_SPINS 400
#endif

enum {
    DEVICES = 64,  /* are looked at */
    PATH = 512,    /* bytes of a path */
    SLICE_MS = 100 /* of a wait: an interrupt that is lost costs no more */
};

struct uio {
    int file;
    volatile uint32_t *registers;
    unsigned spun;
};

/* The first word of a file; GF_EFILE where there is none. */
static int read_word(gf_device *device, const char *path, char *word, size_t size)
{
    FILE *file = fopen(path, "r");
    const int found = file && fgets(word, (int)size, file);
    if (file)
        (void)fclose(file);
    if (!found)
        return gf_fail(device, GF_EFILE, "%.200s cannot be read", path);
    word[strcspn(word, " \n")] = 0;
    return GF_OK;
}

static int read_number(gf_device *device, const char *path, uint64_t *number)
{
    char word[32] = "";
    const int error = read_word(device, path, word, sizeof word);
    *number = error ? 0 : strtoull(word, NULL, 0);
    return error;
}

/* Map all of a device file. */
static int map(gf_device *device, const char *path, int flags, size_t size, int *file, void **place)
{
    *file = open(path, O_RDWR | O_CLOEXEC | flags);
    if (*file < 0)
        return gf_fail(device, GF_EOPEN, "%.100s cannot be opened: %.60s", path, strerror(errno));
    *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *file, 0);
    if (*place == MAP_FAILED)
        return gf_fail(device, GF_EOPEN, "%.100s cannot be mapped: %.60s", path, strerror(errno));
    return GF_OK;
}

static int map_registers(gf_device *device, struct uio *uio, const char *name)
{
    char path[PATH], found[64] = "";
    for (int n = 0; n < DEVICES; n++) {
        (void)snprintf(path, sizeof path, GF_ROOT "/sys/class/uio/uio%d/name", n);
        if (read_word(device, path, found, sizeof found) || strcmp(found, name) != 0)
            continue;
        uint64_t size;
        (void)snprintf(path, sizeof path, GF_ROOT "/sys/class/uio/uio%d/maps/map0/size", n);
        const int error = read_number(device, path, &size);
        if (error)
            return error;
        if (size < GF_MAP_BYTES)
            return gf_fail(device, GF_EDEVICE, "uio%d maps %llu bytes, the registers take %u: the "
                           "device tree is of another core", n, (unsigned long long)size,
                           GF_MAP_BYTES);
        void *place = NULL;
        (void)snprintf(path, sizeof path, GF_ROOT "/dev/uio%d", n);
        const int failed = map(device, path, 0, GF_MAP_BYTES, &uio->file, &place);
        uio->registers = failed ? NULL : place;
        return failed;
    }
    return gf_fail(device, GF_EOPEN, "no UIO device is called \"%.40s\": is the bitstream loaded, "
                   "and generic-uio in the device tree?", name);
}

static int map_memory(gf_device *device, const char *name)
{
    char path[PATH];
    uint64_t size = 0;
    (void)snprintf(path, sizeof path, GF_ROOT "/sys/class/u-dma-buf/%.40s-buffer/phys_addr", name);
    int error = read_number(device, path, &device->address);
    (void)snprintf(path, sizeof path, GF_ROOT "/sys/class/u-dma-buf/%.40s-buffer/size", name);
    if (!error)
        error = read_number(device, path, &size);
    if (error)
        return gf_fail(device, GF_EOPEN, "there is no DMA buffer %.40s-buffer: is the module "
                       "u-dma-buf loaded?", name);
    int file;
    void *place = NULL;
    (void)snprintf(path, sizeof path, GF_ROOT "/dev/%.40s-buffer", name);
    error = map(device, path, O_SYNC, (size_t)size, &file, &place);
    if (file >= 0)
        (void)close(file); /* the mapping stays */
    device->memory = error ? NULL : place;
    device->size = error ? 0 : (size_t)size;
    return error;
}

static void close_uio(gf_device *device)
{
    struct uio *uio = device->state;
    if (device->memory)
        (void)munmap(device->memory, device->size);
    if (uio->registers)
        (void)munmap((void *)(uintptr_t)uio->registers, GF_MAP_BYTES);
    if (uio->file >= 0)
        (void)close(uio->file);
    free(uio);
}

static int open_uio(gf_device *device, const char *place)
{
    struct uio *uio = malloc(sizeof *uio);
    if (!uio)
        return gf_fail(device, GF_ENOMEM, "no memory for a device");
    *uio = (struct uio){.file = -1};
    device->state = uio;
    int error = strchr(place, '/') ? gf_fail(device, GF_EINVAL, "a UIO device is named as in "
                                             "/sys/class/uio/uioN/name, without a slash")
                                   : map_registers(device, uio, place);
    if (!error)
        error = map_memory(device, place);
    if (error)
        close_uio(device);
    return error;
}

/* What was written to memory is there before what follows, for the core as well. */
static void barrier(void)
{
#if defined(__aarch64__)
    __asm__ volatile("dsb sy" ::: "memory");
#else
    __sync_synchronize();
#endif
}

static int read_uio(gf_device *device, uint32_t offset, uint32_t *value)
{
    const struct uio *uio = device->state;
    *value = uio->registers[offset / 4];
    return GF_OK;
}

static int write_uio(gf_device *device, uint32_t offset, uint32_t value)
{
    struct uio *uio = device->state;
    uio->registers[offset / 4] = value;
    if (offset == GF_CTRL)
        uio->spun = 0;
    return GF_OK;
}

static int share(gf_device *device, size_t offset, size_t size)
{
    (void)device, (void)offset, (void)size;
    barrier();
    return GF_OK;
}

static int wait_uio(gf_device *device, uint64_t limit_us)
{
    struct uio *uio = device->state;
    if (uio->spun < GF_SPINS) {
        uio->spun++;
        return GF_OK;
    }
    if (!device->interrupts)
        return gf_enable_interrupts(device);
    const uint32_t enable = 1;
    if (write(uio->file, &enable, sizeof enable) != sizeof enable)
        return gf_fail(device, GF_EDEVICE, "the interrupt cannot be enabled: %.60s",
                       strerror(errno));
    struct pollfd wanted = {.fd = uio->file, .events = POLLIN};
    const uint64_t limit_ms = limit_us / 1000 + 1;
    const int ready = poll(&wanted, 1, limit_ms < SLICE_MS ? (int)limit_ms : SLICE_MS);
    uint32_t count;
    if (ready < 0 && errno != EINTR)
        return gf_fail(device, GF_EDEVICE, "waiting for the interrupt failed: %.60s",
                       strerror(errno));
    if (ready > 0 && read(uio->file, &count, sizeof count) != sizeof count)
        return gf_fail(device, GF_EDEVICE, "the interrupt cannot be read: %.60s", strerror(errno));
    return GF_OK;
}

static uint64_t now_uio(gf_device *device)
{
    struct timespec now;
    (void)device;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

const struct gf_backend gf_uio = {"uio", open_uio, close_uio, read_uio, write_uio,
                                  share, share,    wait_uio,  now_uio};
