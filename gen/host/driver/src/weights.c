/* Loading weights: the file DIR/weights/load.gfw, and its transfer. */
#include <stdio.h>
#include <string.h>

#include "device.h"

enum {
    HEADER = 24, /* "GFWEIGHT", the build hash (8 bytes), length and CRC-32 of what follows (4 each) */
    LOAD_MS = 10000
};

static uint32_t little(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16
           | (uint32_t)bytes[3] << 24;
}

/* CRC-32 as zlib computes it. */
static uint32_t crc32(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t n = 0; n < size; n++) {
        crc ^= bytes[n];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

/* Read and check a file; its image goes to the beginning of the memory. */
static int read_file(gf_device *device, FILE *file, uint32_t *crc)
{
    uint8_t header[HEADER];
    if (fread(header, 1, HEADER, file) != HEADER || memcmp(header, "GFWEIGHT", 8) != 0)
        return gf_fail(device, GF_EWEIGHTS, "this is no file of weights: give DIR/weights/load.gfw");
    if (little(header + 8) != GF_CORE_HASH_LO || little(header + 12) != GF_CORE_HASH_HI)
        return gf_fail(device, GF_EWEIGHTS, "the weights are those of build %08x%08x, the core is "
                       "%08x%08x", little(header + 12), little(header + 8), GF_CORE_HASH_HI,
                       GF_CORE_HASH_LO);
    const uint32_t size = little(header + 16);
    if (size != GF_CORE_LOAD_BYTES)
        return gf_fail(device, GF_EWEIGHTS, "the file holds %u bytes of weights, the core takes %u",
                       size, GF_CORE_LOAD_BYTES);
    if (size > device->size)
        return gf_fail(device, GF_ENOMEM, "the weights take %u bytes, the DMA buffer has %zu: make "
                       "it larger", size, device->size);
    if (fread(device->memory, 1, size, file) != size || fgetc(file) != EOF)
        return gf_fail(device, GF_EWEIGHTS, "the file is shorter or longer than its header says");
    *crc = little(header + 20);
    return crc32(device->memory, size) == *crc
               ? GF_OK
               : gf_fail(device, GF_EWEIGHTS, "the file is damaged: its checksum is wrong");
}

int gf_load_weights(gf_device *device, const char *path)
{
    if (!device)
        return GF_EINVAL;
    if (!path)
        return gf_fail(device, GF_EINVAL, "no file is named");
    if (!(GF_CORE_CAPS & GF_CAPS_LOADABLE))
        return gf_fail(device, GF_EUNSUPPORTED, "the weights of this core are fixed: build one with "
                       "--loadable");
    int error = gf_be_free(device);
    if (error)
        return error;
    FILE *file = fopen(path, "rb");
    if (!file)
        return gf_fail(device, GF_EFILE, "%.200s cannot be read", path);
    uint32_t crc = 0;
    error = read_file(device, file, &crc);
    (void)fclose(file);
    if (!error)
        error = gf_set(device, GF_WEIGHTS_BYTES, GF_CORE_LOAD_BYTES);
    if (!error)
        error = gf_set(device, GF_WEIGHTS_CRC, crc);
    if (!error)
        error = device->backend->to_core(device, 0, GF_CORE_LOAD_BYTES);
    if (!error)
        error = gf_start(device, 1, GF_FLAGS_WEIGHTS);
    if (!error)
        error = gf_finish(device, gf_deadline(device, LOAD_MS));
    return error;
}
