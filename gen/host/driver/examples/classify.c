/* classify DEVICE [SAMPLES [EXPECTED]]: one frame after the other, and what each is.
 *
 *   make -C core/driver all sim examples
 *   cd core/driver/examples && ./classify sim:../..
 *
 * The class of a frame is the largest of its outputs; of one output, whether it is above 1/2; of as
 * many outputs as inputs (an autoencoder), how far they are apart. EXPECTED holds what golden
 * computed. A loadable core without weights gets those of its folder. */
#include <stdio.h>
#include <stdlib.h>

#include "gatefold.h"

static float *read_floats(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    (void)fseek(file, 0, SEEK_END);
    *count = (size_t)ftell(file) / sizeof(float);
    rewind(file);
    float *values = malloc(*count * sizeof(float) + 1);
    if (values && fread(values, sizeof(float), *count, file) != *count) {
        free(values);
        values = NULL;
    }
    (void)fclose(file);
    return values;
}

static int infer(gf_device *device, const float *in, float *out, size_t frames)
{
    int error = gf_infer(device, in, out, frames, 60000);
    if (error == GF_EUNLOADED)
        error = gf_load_weights(device, "../../weights/load.gfw");
    else
        return error;
    return error ? error : gf_infer(device, in, out, frames, 60000);
}

static void tell(size_t frame, const float *in, size_t ins, const float *out, size_t outs)
{
    size_t best = 0;
    double apart = 0;
    for (size_t n = 1; n < outs; n++)
        best = out[n] > out[best] ? n : best;
    for (size_t n = 0; n < outs && ins == outs; n++)
        apart += (double)(out[n] - in[n]) * (double)(out[n] - in[n]) / (double)outs;
    if (ins == outs)
        (void)printf("frame %zu: mean square error %.6g\n", frame, apart);
    else if (outs == 1)
        (void)printf("frame %zu: %.6g, class %d\n", frame, (double)out[0], out[0] > 0.5f);
    else
        (void)printf("frame %zu: class %zu (%.6g)\n", frame, best, (double)out[best]);
}

int main(int count, char **words)
{
    if (count < 2) {
        (void)fprintf(stderr, "usage: classify DEVICE [SAMPLES [EXPECTED]]\n");
        return 2;
    }
    const char *samples = count > 2 ? words[2] : "samples.f32";
    const char *golden = count > 3 ? words[3] : "expected.f32";
    gf_device *device;
    if (gf_open(&device, words[1])) {
        (void)fprintf(stderr, "%s\n", gf_message(NULL));
        return 1;
    }
    const size_t ins = gf_input_elements(device), outs = gf_output_elements(device);
    size_t values = 0, known = 0, wrong = 0;
    float *in = read_floats(samples, &values), *expected = read_floats(golden, &known);
    const size_t frames = values / ins;
    float *out = calloc(frames * outs + 1, sizeof(float));
    int error = 1;
    if (!in || !out || !frames)
        (void)fprintf(stderr, "%s holds no frame of %zu floats\n", samples, ins);
    else if (infer(device, in, out, frames))
        (void)fprintf(stderr, "%s\n", gf_message(device));
    else
        error = 0;
    for (size_t n = 0; !error && n < frames; n++)
        tell(n, in + n * ins, ins, out + n * outs, outs);
    for (size_t n = 0; !error && expected && n < frames * outs && n < known; n++)
        wrong += out[n] != expected[n];
    if (!error && expected)
        (void)printf("%zu of %zu outputs differ from golden\n", wrong, frames * outs);
    free(in);
    free(out);
    free(expected);
    gf_close(device);
    return error || wrong;
}
