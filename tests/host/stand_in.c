/* A device without hardware: the registers as docs/host.md describes them, and a core whose output
 * element k is its input element k modulo their number. GATEFOLD_FAULT says what goes wrong:
 *   magic, version, hash    it is another device
 *   silent                  descriptors never end;  slow: they take 5 ms a frame
 *   read, write, crc        what ERROR says of every descriptor
 *   refuse                  register accesses get an error response after the first 8
 */
#include <stdlib.h>
#include <string.h>

#include "gatefold_regs.h"
#include "sim/gatefold_sim.h"

enum { SIZE = 1 << 16, HZ = 100000000, FRAME = 1000 };
static const uint64_t AT = UINT64_C(0x880000000);

struct gf_sim_device {
    uint32_t registers[GF_MAP_BYTES / 4];
    uint8_t memory[SIZE];
    uint64_t cycles, ends;
    int busy, loaded;
    unsigned accesses;
};

static int is(const char *fault)
{
    const char *text = getenv("GATEFOLD_FAULT");
    return text && !strcmp(text, fault);
}

gf_sim_device *gf_sim_open(const char *folder, char *why, size_t size)
{
    (void)folder, (void)why, (void)size;
    gf_sim_device *device = calloc(1, sizeof *device);
    uint32_t *of = device->registers;
    of[GF_MAGIC / 4] = GF_CORE_MAGIC ^ (unsigned)is("magic");
    of[GF_VERSION / 4] = GF_CORE_VERSION + (is("version") ? 1u << 16 : 0);
    of[GF_HASH_LO / 4] = GF_CORE_HASH_LO ^ (unsigned)is("hash");
    of[GF_HASH_HI / 4] = GF_CORE_HASH_HI;
    return device;
}

void gf_sim_close(gf_sim_device *device)
{
    free(device);
}

unsigned gf_sim_version(void)
{
    return GF_SIM_VERSION;
}

static void element(uint8_t *out, const uint8_t *in, unsigned n)
{
    enum { BYTES = (GF_CORE_FORMAT & GF_FORMAT_CONTAINER) / 8 };
    memcpy(out + n * BYTES, in + n % GF_CORE_IN_ELEMENTS * BYTES, BYTES);
}

static uint32_t crc_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t n = 0; n < size * 8; n++)
        crc = crc >> 1 ^ ((crc ^ (uint32_t)bytes[n / 8] >> n % 8) & 1 ? 0xEDB88320u : 0);
    return ~crc;
}

static uint32_t compute(gf_sim_device *device)
{
    const uint32_t *of = device->registers, flags = of[GF_FLAGS / 4];
    const uint32_t frames = of[GF_FRAMES / 4];
    const int window = !!(flags & GF_FLAGS_WINDOW);
    const uint64_t in = of[GF_IN_ADDR_LO / 4] + ((uint64_t)of[GF_IN_ADDR_HI / 4] << 32) - AT;
    const uint64_t out = of[GF_OUT_ADDR_LO / 4] + ((uint64_t)of[GF_OUT_ADDR_HI / 4] << 32) - AT;
    if (!(flags & GF_FLAGS_CHECK_HASH) || of[GF_EXPECTED_HASH / 4] != GF_CORE_HASH_LO)
        return GF_ERROR_HASH;
    if (flags & GF_FLAGS_WEIGHTS) {
        if (of[GF_WEIGHTS_BYTES / 4] != GF_CORE_LOAD_BYTES)
            return GF_ERROR_LENGTH;
        if (is("crc") || crc_of(device->memory + in, GF_CORE_LOAD_BYTES) != of[GF_WEIGHTS_CRC / 4])
            return GF_ERROR_CHECKSUM;
        device->loaded = 1;
        return 0;
    }
    if (GF_CORE_CAPS & GF_CAPS_LOADABLE && !device->loaded)
        return GF_ERROR_NOT_LOADED;
    if (!frames || (window && frames != 1))
        return GF_ERROR_FRAMES;
    if (!window && (in + frames * (uint64_t)GF_CORE_IN_BYTES > SIZE
                    || out + frames * (uint64_t)GF_CORE_OUT_BYTES > SIZE))
        return GF_ERROR_READ;
    uint8_t *registers = (uint8_t *)device->registers;
    for (uint32_t n = 0; n < frames; n++)
        for (unsigned k = 0; k < GF_CORE_OUT_ELEMENTS; k++)
            element(window ? registers + GF_WINDOW_OUT : device->memory + out + n * GF_CORE_OUT_BYTES,
                    window ? registers + GF_WINDOW_IN : device->memory + in + n * GF_CORE_IN_BYTES, k);
    device->registers[GF_FRAMES_DONE_LO / 4] += frames;
    return (is("read") ? GF_ERROR_READ : 0) | (is("write") ? GF_ERROR_WRITE : 0);
}

static void advance(gf_sim_device *device, uint64_t cycles)
{
    device->cycles += cycles;
    if (!device->busy || device->cycles < device->ends)
        return;
    uint32_t *of = device->registers;
    device->busy = 0;
    of[GF_ERROR / 4] |= compute(device);
    of[GF_CTRL / 4] |= GF_CTRL_AP_DONE;
    of[GF_ISR / 4] |= of[GF_IER / 4] & GF_ISR_DONE;
}

int gf_sim_read(gf_sim_device *device, uint32_t offset, uint32_t *value)
{
    advance(device, 10);
    *value = device->registers[offset / 4];
    if (offset == GF_CTRL)
        *value |= device->busy ? 0 : GF_CTRL_AP_READY
                                         | (*value & GF_CTRL_AP_DONE ? 0 : GF_CTRL_AP_IDLE);
    return is("refuse") && ++device->accesses > 8 ? 2 : 0;
}

int gf_sim_write(gf_sim_device *device, uint32_t offset, uint32_t value)
{
    uint32_t *of = device->registers;
    advance(device, 10);
    if (offset == GF_CTRL) {
        if (value & GF_CTRL_AP_CONTINUE)
            of[GF_CTRL / 4] &= ~GF_CTRL_AP_DONE;
        if (value & GF_CTRL_AP_START) {
            of[GF_ERROR / 4] |= device->busy ? GF_ERROR_TWO_STARTS : 0;
            device->busy = 1;
            device->ends = is("silent") ? UINT64_MAX : device->cycles
                           + of[GF_FRAMES / 4] * (is("slow") ? HZ / 200 : (uint64_t)FRAME);
        }
    } else if (offset == GF_ERROR) {
        of[GF_ERROR / 4] &= ~value;
    } else if (offset == GF_ISR) {
        of[GF_ISR / 4] ^= value & GF_ISR_DONE;
    } else {
        of[offset / 4] = value;
    }
    return is("refuse") && ++device->accesses > 8 ? 2 : 0;
}

uint8_t *gf_sim_memory(gf_sim_device *device, uint64_t *address, size_t *size)
{
    *address = AT;
    *size = SIZE;
    return device->memory;
}

void gf_sim_run(gf_sim_device *device, uint64_t cycles)
{
    const uint64_t left = device->busy && device->ends > device->cycles
                              ? device->ends - device->cycles : 0;
    advance(device, left && left < cycles ? left : cycles);
}

uint64_t gf_sim_cycles(const gf_sim_device *device)
{
    return device->cycles;
}

uint64_t gf_sim_frequency(const gf_sim_device *device)
{
    (void)device;
    return HZ;
}
