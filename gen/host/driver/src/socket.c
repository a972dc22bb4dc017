/* "socket:PATH": a simulated device that `gatefold-simd` serves on a Unix socket. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "device.h"
#include "sim/gatefold_sim.h"
#include "sim/wire.h"

enum {
    SILENCE_S = 60,    /* without an answer from the server */
    SLICE = 1000000,   /* cycles of one request to run, far less than that in any simulator */
    MOST = 1 << 28     /* bytes of memory that a server may state */
};

struct link {
    int socket;
    uint64_t frequency, cycles;
};

static int lost(gf_device *device)
{
    return gf_fail(device, errno == EAGAIN ? GF_ETIMEOUT : GF_EDEVICE,
                   "the server of the simulated core does not answer: %.60s",
                   errno ? strerror(errno) : "it has ended");
}

static int send_all(gf_device *device, const void *data, size_t size)
{
    const struct link *link = device->state;
    const uint8_t *at = data;
    while (size) {
        const ssize_t sent = send(link->socket, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return lost(device);
        at += sent;
        size -= (size_t)sent;
    }
    return GF_OK;
}

static int receive_all(gf_device *device, void *data, size_t size)
{
    const struct link *link = device->state;
    uint8_t *at = data;
    while (size) {
        errno = 0;
        const ssize_t got = recv(link->socket, at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return lost(device);
        at += got;
        size -= (size_t)got;
    }
    return GF_OK;
}

/* One request and its reply; `put` and `got` are what follows them, where not NULL. */
static int ask(gf_device *device, struct gf_request request, struct gf_reply *reply,
               const void *put, void *got)
{
    struct link *link = device->state;
    int error = send_all(device, &request, sizeof request);
    if (!error && put)
        error = send_all(device, put, (size_t)request.size);
    if (!error)
        error = receive_all(device, reply, sizeof *reply);
    if (!error && got)
        error = receive_all(device, got, (size_t)request.size);
    if (!error && request.operation != GF_HELLO)
        link->cycles = reply->cycles;
    return error;
}

static void close_socket(gf_device *device)
{
    struct link *link = device->state;
    if (link->socket >= 0)
        (void)close(link->socket);
    free(device->memory);
    free(link);
}

static int dial(gf_device *device, struct link *link, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return gf_fail(device, GF_EINVAL, "the path of the socket is longer than %zu bytes",
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    const struct timeval limit = {.tv_sec = SILENCE_S};
    link->socket = socket(AF_UNIX, SOCK_STREAM, 0);
    if (link->socket < 0 || setsockopt(link->socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit)
        || setsockopt(link->socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit)
        || connect(link->socket, (const struct sockaddr *)&address, sizeof address))
        return gf_fail(device, GF_EOPEN, "no server at %.100s: %.60s", path, strerror(errno));
    return GF_OK;
}

static int greet(gf_device *device, struct link *link)
{
    struct gf_reply reply;
    const int error = ask(device, (struct gf_request){.operation = GF_HELLO}, &reply, NULL, NULL);
    if (error)
        return error;
    if (reply.value != GF_SIM_VERSION || !reply.cycles || reply.size > MOST)
        return gf_fail(device, GF_EDEVICE, "the server is of version %u, this library takes %u",
                       reply.value, GF_SIM_VERSION);
    link->frequency = reply.cycles;
    device->address = reply.address;
    device->size = (size_t)reply.size;
    device->memory = calloc(1, device->size);
    return device->memory ? GF_OK : gf_fail(device, GF_ENOMEM, "no memory for the buffer");
}

static int open_socket(gf_device *device, const char *place)
{
    struct link *link = malloc(sizeof *link);
    if (!link)
        return gf_fail(device, GF_ENOMEM, "no memory for a device");
    *link = (struct link){.socket = -1};
    device->state = link;
    int error = dial(device, link, place);
    if (!error)
        error = greet(device, link);
    if (error)
        close_socket(device);
    return error;
}

static int answer(gf_device *device, const struct gf_reply *reply, uint32_t offset)
{
    if (!reply->status)
        return GF_OK;
    return gf_fail(device, reply->status < 0 ? GF_ETIMEOUT : GF_EBUS,
                   "the access to register 0x%03x got %s", offset,
                   reply->status < 0 ? "no answer" : "an error response");
}

static int read_socket(gf_device *device, uint32_t offset, uint32_t *value)
{
    struct gf_reply reply;
    const int error = ask(device, (struct gf_request){.operation = GF_REGISTER_READ,
                          .place = offset}, &reply, NULL, NULL);
    *value = error ? 0 : reply.value;
    return error ? error : answer(device, &reply, offset);
}

static int write_socket(gf_device *device, uint32_t offset, uint32_t value)
{
    struct gf_reply reply;
    const int error = ask(device, (struct gf_request){.operation = GF_REGISTER_WRITE,
                          .place = offset, .value = value}, &reply, NULL, NULL);
    return error ? error : answer(device, &reply, offset);
}

static int put(gf_device *device, size_t offset, size_t size)
{
    struct gf_reply reply;
    return ask(device, (struct gf_request){.operation = GF_PUT, .place = offset, .size = size},
               &reply, device->memory + offset, NULL);
}

static int get(gf_device *device, size_t offset, size_t size)
{
    struct gf_reply reply;
    return ask(device, (struct gf_request){.operation = GF_GET, .place = offset, .size = size},
               &reply, NULL, device->memory + offset);
}

static int wait_socket(gf_device *device, uint64_t limit_us)
{
    const struct link *link = device->state;
    if (!device->interrupts) /* which end the wait */
        return gf_enable_interrupts(device);
    struct gf_reply reply;
    const uint64_t limit = (limit_us ? limit_us : 1) * (link->frequency / 1000000u + 1);
    return ask(device, (struct gf_request){.operation = GF_RUN,
               .place = limit < SLICE ? limit : SLICE}, &reply, NULL, NULL);
}

static uint64_t now_socket(gf_device *device)
{
    const struct link *link = device->state;
    return link->cycles / link->frequency * 1000000u
           + link->cycles % link->frequency * 1000000u / link->frequency;
}

const struct gf_backend gf_socket = {"socket", open_socket, close_socket, read_socket, write_socket,
                                     put,      get,         wait_socket,  now_socket};
