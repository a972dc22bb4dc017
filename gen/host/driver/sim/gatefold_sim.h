/* The simulated device: what libgatefold_sim.so offers to the driver. Time is that of the
 * simulation, in cycles of the core's clock, and passes only inside these functions. */
#ifndef GATEFOLD_SIM_H
#define GATEFOLD_SIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GF_SIM_VERSION 1u

typedef struct gf_sim_device gf_sim_device;

/* A device after its reset, or NULL with the reason in `why`. `folder` is that of the core: its
 * memory images are read from there. */
gf_sim_device *gf_sim_open(const char *folder, char *why, size_t why_size);
void gf_sim_close(gf_sim_device *device);
unsigned gf_sim_version(void);

/* One AXI4-Lite access; 0, the error response (2 or 3), or -1 where none came. */
int gf_sim_read(gf_sim_device *device, uint32_t offset, uint32_t *value);
int gf_sim_write(gf_sim_device *device, uint32_t offset, uint32_t value);

/* The memory behind the master, `*size` bytes from `*address` on. */
uint8_t *gf_sim_memory(gf_sim_device *device, uint64_t *address, size_t *size);

/* Let at most `cycles` cycles pass; returns early when the interrupt is high. */
void gf_sim_run(gf_sim_device *device, uint64_t cycles);

/* Cycles since the reset, and in a second. */
uint64_t gf_sim_cycles(const gf_sim_device *device);
uint64_t gf_sim_frequency(const gf_sim_device *device);

#ifdef __cplusplus
}
#endif

#endif
