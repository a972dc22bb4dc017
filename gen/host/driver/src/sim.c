/* "sim:DIR": the core's own Verilog, compiled by Verilator into a shared library. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "sim/gatefold_sim.h"

#define LIBRARY "/driver/libgatefold_sim.so"

struct sim {
    void *library;
    gf_sim_device *core;
    gf_sim_device *(*open)(const char *, char *, size_t);
    void (*close)(gf_sim_device *);
    unsigned (*version)(void);
    int (*read)(gf_sim_device *, uint32_t, uint32_t *);
    int (*write)(gf_sim_device *, uint32_t, uint32_t);
    uint8_t *(*memory)(gf_sim_device *, uint64_t *, size_t *);
    void (*run)(gf_sim_device *, uint64_t);
    uint64_t (*cycles)(const gf_sim_device *);
    uint64_t (*frequency)(const gf_sim_device *);
};

static int find(gf_device *device, struct sim *sim)
{
    const struct {
        const char *name;
        void *place;
    } functions[] = {
        {"gf_sim_open", &sim->open},       {"gf_sim_close", &sim->close},
        {"gf_sim_version", &sim->version}, {"gf_sim_read", &sim->read},
        {"gf_sim_write", &sim->write},     {"gf_sim_memory", &sim->memory},
        {"gf_sim_run", &sim->run},         {"gf_sim_cycles", &sim->cycles},
        {"gf_sim_frequency", &sim->frequency},
    };
    for (size_t n = 0; n < sizeof functions / sizeof *functions; n++) {
        void *found = dlsym(sim->library, functions[n].name);
        if (!found)
            return gf_fail(device, GF_EOPEN, "the simulated device lacks %s: run "
                           "`make -C DIR/driver sim` again", functions[n].name);
        memcpy(functions[n].place, &found, sizeof found); /* to a pointer to a function */
    }
    if (sim->version() != GF_SIM_VERSION)
        return gf_fail(device, GF_EOPEN, "the simulated device is of version %u, this library takes "
                       "%u: run `make -C DIR/driver sim` again", sim->version(), GF_SIM_VERSION);
    return GF_OK;
}

static void close_sim(gf_device *device)
{
    struct sim *sim = device->state;
    if (sim->core)
        sim->close(sim->core);
    if (sim->library)
        dlclose(sim->library);
    free(sim);
}

static int open_library(gf_device *device, struct sim *sim, const char *folder)
{
    const size_t size = strlen(folder) + sizeof LIBRARY + 2;
    char *path = malloc(size);
    if (!path)
        return gf_fail(device, GF_ENOMEM, "no memory for a path");
    /* A name without a slash would be searched for among the system's libraries. */
    (void)snprintf(path, size, "%s%s", folder, LIBRARY);
    FILE *file = fopen(path, "rb");
    if (file) {
        (void)fclose(file);
        sim->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    free(path);
    if (!file)
        return gf_fail(device, GF_EOPEN, "%.120s%s is not there: run `make -C DIR/driver sim` in a "
                       "folder built with --host", folder, LIBRARY);
    if (!sim->library)
        return gf_fail(device, GF_EOPEN, "the simulated device cannot be loaded: %.200s", dlerror());
    return GF_OK;
}

static int open_sim(gf_device *device, const char *place)
{
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim)
        return gf_fail(device, GF_ENOMEM, "no memory for a device");
    char why[200] = "";
    int error = open_library(device, sim, place);
    device->state = sim;
    if (!error)
        error = find(device, sim);
    if (!error) {
        sim->core = sim->open(place, why, sizeof why);
        if (!sim->core)
            error = gf_fail(device, GF_EOPEN, "%s", why);
    }
    if (error) {
        close_sim(device);
        return error;
    }
    device->memory = sim->memory(sim->core, &device->address, &device->size);
    return GF_OK;
}

static int answer(gf_device *device, const char *what, uint32_t offset, int response)
{
    if (!response)
        return GF_OK;
    if (response < 0)
        return gf_fail(device, GF_ETIMEOUT, "%s of register 0x%03x got no answer", what, offset);
    return gf_fail(device, GF_EBUS, "%s of register 0x%03x got the error response %d", what, offset,
                   response);
}

static int read_sim(gf_device *device, uint32_t offset, uint32_t *value)
{
    struct sim *sim = device->state;
    return answer(device, "the read", offset, sim->read(sim->core, offset, value));
}

static int write_sim(gf_device *device, uint32_t offset, uint32_t value)
{
    struct sim *sim = device->state;
    return answer(device, "the write", offset, sim->write(sim->core, offset, value));
}

static int share(gf_device *device, size_t offset, size_t size)
{
    (void)device, (void)offset, (void)size; /* one memory: there is nothing to do */
    return GF_OK;
}

static int wait_sim(gf_device *device, uint64_t limit_us)
{
    struct sim *sim = device->state;
    if (!device->interrupts) /* which end the wait */
        return gf_enable_interrupts(device);
    const uint64_t each = sim->frequency(sim->core) / 1000000u;
    sim->run(sim->core, (limit_us ? limit_us : 1) * (each ? each : 1));
    return GF_OK;
}

static uint64_t now_sim(gf_device *device)
{
    struct sim *sim = device->state;
    const uint64_t cycles = sim->cycles(sim->core), second = sim->frequency(sim->core);
    return cycles / second * 1000000u + cycles % second * 1000000u / second;
}

const struct gf_backend gf_sim = {"sim",   open_sim, close_sim, read_sim, write_sim,
                                  share,   share,    wait_sim,  now_sim};
