/* A program as a user writes it, against gatefold.h alone: it classifies batches of every size, in
 * floats and in the core's numbers, and does all that is forbidden in between.
 *
 *   program DEVICE DATA FRAMES ULP [WEIGHTS]
 *
 * DATA holds FRAMES frames: inputs and answers in floats (x.f32, y.f32) and in the core's numbers
 * (x.raw, y.raw), of a stateful core one sequence; floats may differ by ULP units in the last place.
 * Prints what is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatefold.h"

static int wrong;

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            (void)printf("line %d: %s (%s)\n", __LINE__, #what, gf_message(device));                \
            wrong = 1;                                                                             \
        }                                                                                          \
    } while (0)
#define CODE(call, code) CHECK((said = (call)) == (code) && (!said || !strncmp(                    \
    gf_message(device), gf_error_name(said), strlen(gf_error_name(said)))))

static void *read_all(const char *folder, const char *name, size_t size)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    void *bytes = malloc(size); /* exactly: the sanitizer sees what lies behind */
    if (!file || !bytes || fread(bytes, 1, size, file) != size || fgetc(file) != EOF)
        exit(3);
    (void)fclose(file);
    return bytes;
}

static int same(const float *one, const float *other, size_t count, int ulp)
{
    for (size_t n = 0; n < count; n++) {
        int32_t bits[2];
        memcpy(&bits[0], &one[n], 4);
        memcpy(&bits[1], &other[n], 4);
        if (abs(bits[0] - bits[1]) > ulp && one[n] != other[n])
            return 0;
    }
    return 1;
}

int main(int count, char **words)
{
    if (count < 5)
        return 2;
    const char *folder = words[2], *weights = count > 5 ? words[5] : NULL;
    const size_t frames = strtoul(words[3], NULL, 10);
    const int ulp = atoi(words[4]);
    gf_device *device = (gf_device *)&wrong;
    int said;

    said = gf_open(&device, "sim:/nowhere");
    CHECK(said == GF_EOPEN && !device && !strncmp(gf_message(NULL), "GF_EOPEN: ", 10));
    CODE(gf_open(&device, words[1]), GF_OK);
    if (said)
        return 1;
    const size_t ins = gf_input_elements(device), outs = gf_output_elements(device);
    const size_t in_bytes = gf_input_bytes(device), out_bytes = gf_output_bytes(device);
    const float *x = read_all(folder, "x.f32", frames * ins * sizeof(float));
    const float *y = read_all(folder, "y.f32", frames * outs * sizeof(float));
    const char *raw_x = read_all(folder, "x.raw", frames * in_bytes);
    const char *raw_y = read_all(folder, "y.raw", frames * out_bytes);
    float *got = malloc(frames * outs * sizeof(float));
    char *raw = malloc(frames * out_bytes + 1);
    if (!got || !raw)
        return 3;

    /* Weights. */
    if (weights) {
        CODE(gf_infer(device, x, got, 1, 1000), GF_EUNLOADED);
        CODE(gf_load_weights(device, "/nowhere"), GF_EFILE);
        CODE(gf_load_weights(device, words[0]), GF_EWEIGHTS);
        CODE(gf_load_weights(device, NULL), GF_EINVAL);
        CODE(gf_infer(device, x, got, 1, 1000), GF_EUNLOADED);
        CODE(gf_load_weights(device, weights), GF_OK);
    } else {
        CODE(gf_load_weights(device, words[0]), GF_EUNSUPPORTED);
    }
    const int stateful = gf_reset_state(device) == GF_OK;

    /* Batches of every size; one that begins anew gives what the first one gave. */
    static const size_t sizes[] = {1, 2, 7, 32, 64, 128};
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes && sizes[n] <= frames; n++) {
        const size_t some = sizes[n];
        memset(got, 0xA5, frames * outs * sizeof(float));
        CHECK(!stateful || gf_reset_state(device) == GF_OK);
        CODE(gf_infer(device, x, got, some, 10000), GF_OK);
        CHECK(same(got, y, some * outs, ulp));
        memset(raw, 0xA5, frames * out_bytes + 1);
        CHECK(!stateful || gf_reset_state(device) == GF_OK);
        CODE(gf_infer_raw(device, raw_x, raw + 1, some, 10000), GF_OK); /* no alignment is asked */
        CHECK(!memcmp(raw + 1, raw_y, some * out_bytes));
        CHECK(some == frames || raw[1 + some * out_bytes] == (char)0xA5);
    }

    /* One after the other: the sequence goes on, whatever the calls. */
    CHECK(!stateful || gf_reset_state(device) == GF_OK);
    for (size_t n = 0; n < 5; n++)
        CODE(n % 2 ? gf_infer_raw(device, raw_x + n * in_bytes, raw + n * out_bytes, 1, 1000)
                   : gf_infer(device, x + n * ins, got + n * outs, 1, 1000), GF_OK);
    for (size_t n = 0; n < 5; n++)
        CHECK(n % 2 ? !memcmp(raw + n * out_bytes, raw_y + n * out_bytes, out_bytes)
                    : same(got + n * outs, y + n * outs, outs, ulp));

    /* In the background. */
    CHECK(!stateful || gf_reset_state(device) == GF_OK);
    CODE(gf_wait(device, 1000), GF_EINVAL);
    CODE(gf_submit(device, raw_x, raw, 7), GF_OK);
    CODE(gf_submit(device, raw_x, raw, 1), GF_EBUSY);
    CODE(gf_infer(device, x, got, 1, 1000), GF_EBUSY);
    CODE(gf_load_weights(device, weights ? weights : "x"), weights ? GF_EBUSY : GF_EUNSUPPORTED);
    CODE(gf_wait(device, 0), GF_ETIMEOUT);
    CODE(gf_wait(device, 1000), GF_OK);
    CHECK(!memcmp(raw, raw_y, 7 * out_bytes));
    CODE(gf_wait(device, 1000), GF_EINVAL);

    /* A call that gives up; then the device is used again. */
    CODE(gf_infer(device, x, got, frames, 0), GF_ETIMEOUT);
    for (said = GF_EBUSY; said == GF_EBUSY;)
        said = gf_infer(device, x, got, 7, 1000);
    CODE(said, GF_OK);
    CHECK(same(got, y, 7 * outs, ulp)); /* results were lost: a new sequence */

    /* Arguments that are wrong. */
    CODE(gf_infer(device, NULL, got, 1, 1), GF_EINVAL);
    CODE(gf_infer(device, x, NULL, 1, 1), GF_EINVAL);
    CODE(gf_infer(device, x, got, 0, 1), GF_EINVAL);
    CODE(gf_infer_raw(device, NULL, raw, 1, 1), GF_EINVAL);
    CODE(gf_submit(device, raw_x, raw, gf_max_frames(device) + 1), GF_ENOMEM);
    CODE(gf_submit(device, raw_x, raw, (size_t)-1), GF_ENOMEM);
    CHECK(gf_infer(NULL, x, got, 1, 1) == GF_EINVAL && gf_wait(NULL, 1) == GF_EINVAL);

    /* Closed with frames under way. */
    CODE(gf_submit(device, raw_x, raw, frames), GF_OK);
    gf_close(device);
    CODE(gf_open(&device, words[1]), GF_OK); /* a simulated device begins with a reset */
    gf_close(device);
    free((void *)(uintptr_t)x);
    free((void *)(uintptr_t)y);
    free((void *)(uintptr_t)raw_x);
    free((void *)(uintptr_t)raw_y);
    free(got);
    free(raw);
    device = NULL;
    return wrong;
}
