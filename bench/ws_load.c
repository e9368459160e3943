/* Load for WebSocket servers: N connections, each with one message of S bytes on its way (echo), or one message a second
   among all of them (idle: a line when all are open). Ends with one line of JSON.
   ws_load port path connections seconds size echo|idle */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int dial(int port, const char *path) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    char text[4096];
    int size = snprintf(text, sizeof text,
                        "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, port);
    if (write(fd, text, size) != size) fail("write");
    int have = 0;
    do {
        int got = read(fd, text + have, sizeof text - 1 - have);
        if (got <= 0) { fprintf(stderr, "no handshake\n"); exit(1); }
        have += got;
        text[have] = 0;
    } while (!strstr(text, "\r\n\r\n"));
    if (strncmp(text, "HTTP/1.1 101", 12)) { fprintf(stderr, "%s\n", text); exit(1); }
    return fd;
}

int main(int argc, char **argv) {
    int port = atoi(argv[1]), count = atoi(argv[3]), size = atoi(argv[5]);
    double seconds = atof(argv[4]);
    int head = size < 126 ? 2 : 4, frame = head + 4 + size, back = head + size;
    unsigned char out[70000], in[70000], key[4] = {0x12, 0x34, 0x56, 0x78};
    out[0] = 0x82;
    if (size < 126) out[1] = 0x80 | size;
    else out[1] = 0x80 | 126, out[2] = size >> 8, out[3] = size & 255;
    memcpy(out + head, key, 4);
    for (int i = 0; i < size; i++) out[head + 4 + i] = (unsigned char)(i * 7) ^ key[i & 3];
    int idle = !strcmp(argv[6], "idle"), *fds = calloc(count, sizeof *fds);
    int *have = calloc(1 << 20, sizeof *have), poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        int fd = dial(port, argv[2]);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        fds[i] = fd;
        if (!idle && write(fd, out, frame) != frame) fail("write");
    }
    long messages = 0;
    double start = now(), end = start + seconds;
    if (idle) {
        sleep(1); /* for the server to settle */
        printf("open\n");
        fflush(stdout);
    }
    struct epoll_event events[256];
    while (now() < end) {
        int ready = epoll_wait(poll, events, 256, 1000);
        if (idle && !ready && write(fds[messages % count], out, frame) != frame) fail("write");
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd, got = read(fd, in, sizeof in);
            if (got <= 0) { fprintf(stderr, "the server closed\n"); return 1; }
            if (!have[fd] && (in[0] & 0x7f) != 2) { fprintf(stderr, "not the echo: %02x\n", in[0]); return 1; }
            have[fd] += got;
            if (have[fd] < back) continue;
            if (have[fd] > back) { fprintf(stderr, "more than the echo\n"); return 1; }
            have[fd] = 0;
            messages++;
            if (!idle && write(fd, out, frame) != frame) fail("write");
        }
    }
    printf("{\"messages\": %ld, \"seconds\": %.3f}\n", messages, now() - start);
    return 0;
}
