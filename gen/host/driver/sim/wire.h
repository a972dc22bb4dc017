/* How a program in another address space, or of another architecture, uses a simulated device: each
 * request is a struct gf_request, for GF_PUT followed by `size` bytes; each reply is a struct
 * gf_reply, for GF_GET followed by `size` bytes. Both sides are little-endian. */
#ifndef GATEFOLD_WIRE_H
#define GATEFOLD_WIRE_H

#include <stdint.h>

enum gf_operation { GF_HELLO = 1, GF_REGISTER_READ, GF_REGISTER_WRITE, GF_PUT, GF_GET, GF_RUN };

struct gf_request {
    uint32_t operation;
    uint32_t value; /* to write to a register */
    uint64_t place; /* offset of a register or in the memory; cycles to run */
    uint64_t size;  /* of what is put or got */
};

struct gf_reply {
    int32_t status; /* of gf_sim_read() and gf_sim_write() */
    uint32_t value; /* of a register; of a greeting, GF_SIM_VERSION */
    uint64_t cycles; /* since the device's reset; of a greeting, in a second */
    uint64_t address, size; /* of a greeting: the memory's */
};

#endif
