/* Calls of the driver, read from standard input, a line each; a line of output for each. Tests build
 * it with sanitizers. Files hold what the functions take.
 *   open WHERE | infer FRAMES MS IN OUT | raw FRAMES MS IN OUT | submit FRAMES IN | wait MS OUT
 *   load PATH | reset | sizes | counters | null | close
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gatefold.h"

static gf_device *device;
static void *submitted; /* where gf_wait() writes */
static size_t submitted_size;

static void *slurp(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(3);
    (void)fseek(file, 0, SEEK_END);
    const size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(size + 1); /* exactly: the sanitizer sees what lies behind */
    bytes = realloc(bytes, size ? size : 1);
    if (fread(bytes, 1, size, file) != size)
        exit(3);
    (void)fclose(file);
    return bytes;
}

static void store(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
        exit(3);
}

static void said(int code)
{
    const char *name = gf_error_name(code), *message = gf_message(device);
    const int agree = !code || !strncmp(message, name, strlen(name));
    (void)printf("%s%s\n", agree ? "" : "not what was returned: ", code ? message : name);
    (void)fflush(stdout);
}

static void infer(char words[5][512], int floats)
{
    const size_t frames = strtoul(words[1], NULL, 10);
    const unsigned ms = (unsigned)strtoul(words[2], NULL, 10);
    const size_t size = frames * (floats ? gf_output_elements(device) * sizeof(float)
                                         : gf_output_bytes(device));
    void *in = slurp(words[3]), *out = calloc(1, size ? size : 1);
    const int code = floats ? gf_infer(device, in, out, frames, ms)
                            : gf_infer_raw(device, in, out, frames, ms);
    if (!code)
        store(words[4], out, size);
    free(in);
    free(out);
    said(code);
}

static void submit(char words[5][512])
{
    const size_t frames = strtoul(words[1], NULL, 10);
    void *in = slurp(words[2]);
    void *out = calloc(1, frames * gf_output_bytes(device) + 1);
    const int code = gf_submit(device, in, out, frames);
    free(in); /* it has been copied */
    if (code) {
        free(out);
    } else {
        submitted = out;
        submitted_size = frames * gf_output_bytes(device);
    }
    said(code);
}

static void wait_for(char words[5][512])
{
    const int code = gf_wait(device, (unsigned)strtoul(words[1], NULL, 10));
    if (!code)
        store(words[2], submitted, submitted_size);
    if (code != GF_ETIMEOUT) {
        free(submitted);
        submitted = NULL;
    }
    said(code);
}

/* Arguments that are missing. */
static void nulls(void)
{
    float value = 0;
    const int codes[] = {
        gf_open(NULL, "sim:x"), gf_infer(NULL, &value, &value, 1, 1), gf_submit(NULL, &value, &value, 1),
        gf_wait(NULL, 1), gf_load_weights(NULL, "x"), gf_reset_state(NULL),
        gf_infer(device, NULL, &value, 1, 1), gf_infer_raw(device, &value, NULL, 1, 1),
        gf_infer(device, &value, &value, 0, 1), gf_read_counters(device, NULL)};
    for (size_t n = 0; n < sizeof codes / sizeof *codes; n++)
        (void)printf("%s ", gf_error_name(codes[n]));
    gf_close(NULL);
    said(GF_OK);
}

int main(void)
{
    char line[2600], words[5][512];
    while (fgets(line, sizeof line, stdin)) {
        memset(words, 0, sizeof words);
        (void)sscanf(line, "%511s %511s %511s %511s %511s", words[0], words[1], words[2], words[3],
                     words[4]);
        gf_counters counted;
        if (!strcmp(words[0], "open")) {
            said(gf_open(&device, words[1]));
        } else if (!strcmp(words[0], "infer") || !strcmp(words[0], "raw")) {
            infer(words, words[0][0] == 'i');
        } else if (!strcmp(words[0], "submit")) {
            submit(words);
        } else if (!strcmp(words[0], "wait")) {
            wait_for(words);
        } else if (!strcmp(words[0], "load")) {
            said(gf_load_weights(device, words[1]));
        } else if (!strcmp(words[0], "reset")) {
            said(gf_reset_state(device));
        } else if (!strcmp(words[0], "null")) {
            nulls();
        } else if (!strcmp(words[0], "sizes")) {
            (void)printf("%zu %zu %zu %zu %zu\n", gf_input_elements(device),
                         gf_output_elements(device), gf_input_bytes(device),
                         gf_output_bytes(device), gf_max_frames(device));
        } else if (!strcmp(words[0], "counters")) {
            const int code = gf_read_counters(device, &counted);
            (void)printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", gf_error_name(code),
                         counted.frames, counted.cycles, counted.stalls);
        } else if (!strcmp(words[0], "close")) {
            gf_close(device);
            device = NULL;
            free(submitted);
            submitted = NULL;
            said(GF_OK);
        }
    }
    return 0;
}
