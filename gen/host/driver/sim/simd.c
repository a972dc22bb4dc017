/* gatefold-simd DIR SOCKET: serve the simulated core of DIR, to one program after the other. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gatefold_sim.h"
#include "wire.h"

static int move(int socket, void *data, size_t size, int out)
{
    uint8_t *at = data;
    while (size) {
        const ssize_t moved = out ? send(socket, at, size, MSG_NOSIGNAL)
                                  : recv(socket, at, size, 0);
        if (moved <= 0)
            return 0;
        at += moved;
        size -= (size_t)moved;
    }
    return 1;
}

/* Answer one request; 0 where the program has gone, or asks for what there is not. */
static int serve(int client, gf_sim_device *device)
{
    struct gf_request request;
    struct gf_reply reply = {0};
    uint64_t address;
    size_t size;
    uint8_t *memory = gf_sim_memory(device, &address, &size);
    if (!move(client, &request, sizeof request, 0))
        return 0;
    const int moves = request.operation == GF_PUT || request.operation == GF_GET;
    if (moves && (request.size > size || request.place > size - request.size))
        return 0;
    switch (request.operation) {
    case GF_HELLO:
        reply = (struct gf_reply){.value = gf_sim_version(), .cycles = gf_sim_frequency(device),
                                  .address = address, .size = size};
        return move(client, &reply, sizeof reply, 1);
    case GF_REGISTER_READ:
        reply.status = gf_sim_read(device, (uint32_t)request.place, &reply.value);
        break;
    case GF_REGISTER_WRITE:
        reply.status = gf_sim_write(device, (uint32_t)request.place, request.value);
        break;
    case GF_PUT:
        if (!move(client, memory + request.place, (size_t)request.size, 0))
            return 0;
        break;
    case GF_GET:
        break;
    case GF_RUN:
        gf_sim_run(device, request.place);
        break;
    default:
        return 0;
    }
    reply.cycles = gf_sim_cycles(device);
    return move(client, &reply, sizeof reply, 1)
           && (request.operation != GF_GET
               || move(client, memory + request.place, (size_t)request.size, 1));
}

int main(int count, char **words)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char why[200] = "";
    if (count != 3 || strlen(words[2]) >= sizeof address.sun_path) {
        (void)fprintf(stderr, "usage: gatefold-simd DIR SOCKET\n");
        return 2;
    }
    memcpy(address.sun_path, words[2], strlen(words[2]) + 1);
    struct stat there;
    if (!lstat(words[2], &there) && S_ISSOCK(there.st_mode))
        (void)unlink(words[2]); /* of an earlier server */
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address)
        || listen(listener, 1)) {
        perror(words[2]);
        return 1;
    }
    (void)printf("serving %s\n", words[2]);
    (void)fflush(stdout);
    for (int client; (client = accept(listener, NULL, NULL)) >= 0; (void)close(client)) {
        gf_sim_device *device = gf_sim_open(words[1], why, sizeof why);
        if (!device) {
            (void)fprintf(stderr, "%s\n", why);
            return 1;
        }
        while (serve(client, device)) {
        }
        gf_sim_close(device);
    }
    return 0;
}
