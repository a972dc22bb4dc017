/* Linked with --wrap=mmap: a UIO device with an interrupt, of a plain file and a socket. A file that
 * has been mapped becomes the socket FILE.irq, if there is one: what the driver writes to it enables
 * the interrupt, and a word that comes is one. */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void *__real_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset);

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset)
{
    void *place = __real_mmap(at, size, protection, flags, file, offset);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char link[32], path[90] = "";
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) < 0)
        return place;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s.irq", path);
    const int irq = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (!connect(irq, (const struct sockaddr *)&address, sizeof address))
        (void)dup2(irq, file);
    (void)close(irq);
    return place;
}
