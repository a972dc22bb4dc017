/* Floats to integers and back, exactly as docs/numbers.md defines it: all in double precision. */
#include <string.h>

#include "device.h"
#include "gatefold_core.h"

enum {
    CONTAINER = (GF_CORE_FORMAT & GF_FORMAT_CONTAINER) / 8, /* bytes of an element */
    SMALL = -1100                                           /* exp() of less is 0 */
};

/* 2^n, exact for the exponents of formats. */
static double power_of_two(int n)
{
    double value = 1.0;
    for (; n > 0; n--)
        value *= 2.0;
    for (; n < 0; n++)
        value *= 0.5;
    return value;
}

#if !(GF_CORE_CAPS & GF_CAPS_FLOAT32)
static void put(uint8_t **at, int64_t value)
{
    for (unsigned n = 0; n < CONTAINER; n++)
        *(*at)++ = (uint8_t)((uint64_t)value >> 8 * n);
}

static int64_t get(const uint8_t **at)
{
    uint64_t value = 0;
    for (unsigned n = 0; n < CONTAINER; n++)
        value |= (uint64_t) * (*at)++ << 8 * n;
    const uint64_t sign = UINT64_C(1) << (8 * CONTAINER - 1);
    return (int64_t)(value ^ sign) - (int64_t)sign;
}

/* floor(value * scale + 1/2), saturated to `width` bits. */
static int64_t quantize(double value, double scale, unsigned width)
{
    const int64_t highest = (INT64_C(1) << (width - 1)) - 1;
    const double scaled = value * scale + 0.5;
    if (scaled >= (double)highest + 1.0)
        return highest;
    if (scaled < (double)(-highest - 1))
        return -highest - 1;
    const int64_t below = (int64_t)scaled; /* towards zero */
    return below - ((double)below > scaled);
}

/* An integer of a .tflite file, -128 to 127, as LiteRT's QUANTIZE gives it: in float, times the
 * reciprocal of the scale, to nearest with halves to even. */
static int64_t quantize_affine(float value, float scale, int zero)
{
    const float scaled = value * (1.0f / scale);
    if (scaled >= (float)(127 - zero))
        return 127;
    if (scaled <= (float)(-128 - zero))
        return -128;
    const int64_t cut = (int64_t)scaled; /* towards zero */
    const int64_t below = cut - ((float)cut > scaled);
    const float rest = scaled - (float)below;
    return below + (rest > 0.5f || (rest == 0.5f && below % 2 != 0)) + zero;
}
#endif

int gf_pack(gf_device *device, const float *in, uint8_t *frames, size_t count)
{
#if GF_CORE_CAPS & GF_CAPS_FLOAT32
    (void)device;
    for (; count; count--, in += GF_CORE_IN_ELEMENTS, frames += GF_CORE_IN_BYTES)
        memcpy(frames, in, GF_CORE_IN_ELEMENTS * sizeof *in);
#else
    for (size_t frame = 0; frame < count; frame++) {
        uint8_t *at = frames + frame * GF_CORE_IN_BYTES;
        size_t element = 0;
        for (size_t n = 0; n < sizeof gf_inputs / sizeof *gf_inputs; n++) {
            const double scale = power_of_two(gf_inputs[n].frac);
            for (size_t k = 0; k < gf_inputs[n].count; k++, element++, in++) {
                if (*in != *in)
                    return gf_fail(device, GF_EINVAL, "element %zu of input frame %zu is NaN: give "
                                   "numbers", element, frame);
                put(&at, gf_inputs[n].scale > 0
                             ? quantize_affine(*in, gf_inputs[n].scale, gf_inputs[n].zero)
                             : quantize(*in, scale, gf_inputs[n].width));
            }
        }
    }
#endif
    return GF_OK;
}

/* exp(x) for x <= 0 to about one unit in the last place: 2^n exp(r), |r| <= ln 2 / 2. */
static double exponential(double x)
{
    if (!(x > SMALL))
        return 0.0;
    const double turns = x * 1.4426950408889634;
    const int n = (int)(turns - 0.5);
    /* ln 2 in two parts, of which n times the first is exact. */
    const double r = (x - n * 0.6931471803691238) - n * 1.9082149292705877e-10;
    double sum = 1.0;
    for (int k = 14; k > 0; k--)
        sum = 1.0 + r * sum / k;
    return sum * power_of_two(n);
}

/* The softmax that is left to the host, over `count` values in groups of `classes`. */
static void softmax(double *values, size_t count, size_t classes)
{
    for (double *end = values + count; values < end; values += classes) {
        double highest = values[0], total = 0.0;
        for (size_t n = 1; n < classes; n++)
            highest = values[n] > highest ? values[n] : highest;
        for (size_t n = 0; n < classes; n++)
            total += values[n] = exponential(values[n] - highest);
        for (size_t n = 0; n < classes; n++)
            values[n] /= total;
    }
}

#if !(GF_CORE_CAPS & GF_CAPS_FLOAT32)
static void scaled(const uint8_t *frame, double *values)
{
    for (size_t n = 0; n < sizeof gf_outputs / sizeof *gf_outputs; n++) {
        const double scale = gf_outputs[n].scale > 0 ? (double)gf_outputs[n].scale
                                                     : power_of_two(-gf_outputs[n].frac);
        for (size_t k = 0; k < gf_outputs[n].count; k++)
            *values++ = ((double)get(&frame) - gf_outputs[n].zero) * scale;
    }
}
#endif

void gf_unpack(gf_device *device, const uint8_t *frames, float *out, size_t count)
{
    double *values = device->values;
    for (; count; count--, frames += GF_CORE_OUT_BYTES, out += GF_CORE_OUT_ELEMENTS) {
#if GF_CORE_CAPS & GF_CAPS_FLOAT32
        memcpy(out, frames, GF_CORE_OUT_ELEMENTS * sizeof *out);
        for (size_t n = 0; n < GF_CORE_OUT_ELEMENTS; n++)
            values[n] = out[n];
#else
        scaled(frames, values);
#endif
        for (const struct gf_softmax *one = gf_softmaxes; one->count; one++)
            softmax(values + one->first, one->count, one->classes);
        for (size_t n = 0; n < GF_CORE_OUT_ELEMENTS; n++)
            out[n] = (float)values[n];
    }
}
