/* The floor: the least that a server on one epoll can do for a request, and what is measured against it.
 *
 *     epoll_hello PORT
 *
 * It keeps connections alive, finds the end of each head ("\r\n\r\n"), also in parts and pipelined, picks one of two
 * answers by the request line, and answers all that one recv brought in one send. No limits, no timeouts, no errors in
 * words: whatever it does not know, it closes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    IN_MAX = 8192,      /* the longest head */
    SHORTEST_HEAD = 18, /* "GET / HTTP/1.1\r\n\r\n" */
    ANSWER_MAX = 256,
    EVENTS_MAX = 256,
};

struct connection {
    int fd;
    size_t in_length;
    char *unsent; /* what the last send left over, or NULL */
    size_t unsent_length;
    char in[IN_MAX];
};

struct answer {
    const char *request, *media_type, *body; /* the start of the request line it answers */
    char bytes[ANSWER_MAX];                  /* the whole response, rendered once a second */
    size_t length;
};

static struct answer answers[] = {
    {.request = "GET / HTTP/1.1\r\n", .media_type = "text/plain", .body = "Hello, World!"},
    {.request = "GET /items/42 HTTP/1.1\r\n",
     .media_type = "application/json",
     .body = "{\"id\":42,\"name\":\"Item 42\",\"tags\":[\"new\",\"sale\",\"garden\"],\"price\":19.99}"},
};
enum { ANSWERS = sizeof answers / sizeof *answers };

/* Room for the answers to all the heads that fit into one buffer. */
static char out[IN_MAX / SHORTEST_HEAD * ANSWER_MAX];
static int poller;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void render_answers(time_t now) {
    char date[64];
    struct tm utc;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &utc));
    for (int i = 0; i < ANSWERS; i++) {
        struct answer *answer = &answers[i];
        answer->length = (size_t)snprintf(answer->bytes, ANSWER_MAX,
                                          "HTTP/1.1 200 OK\r\nDate: %s\r\nServer: epoll\r\nContent-Type: %s\r\n"
                                          "Content-Length: %zu\r\n\r\n%s",
                                          date, answer->media_type, strlen(answer->body), answer->body);
    }
}

static const struct answer *answer_to(const char *head, size_t length) {
    for (int i = 0; i < ANSWERS; i++) {
        size_t line = strlen(answers[i].request);
        if (length >= line && memcmp(head, answers[i].request, line) == 0)
            return &answers[i];
    }
    return NULL;
}

static void watch(struct connection *connection, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(poller, operation, connection->fd, &event) != 0)
        die("epoll_ctl");
}

static void drop(struct connection *connection) {
    close(connection->fd);
    free(connection->unsent);
    free(connection);
}

/* Each of these returns 0, or -1 when the connection has ended and must be dropped. */

static int send_answers(struct connection *connection, size_t length) {
    ssize_t sent = send(connection->fd, out, length, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return -1;
    if (sent < 0)
        sent = 0;
    if ((size_t)sent == length)
        return 0;
    connection->unsent_length = length - (size_t)sent;
    connection->unsent = malloc(connection->unsent_length);
    if (connection->unsent == NULL)
        return -1;
    memcpy(connection->unsent, out + sent, connection->unsent_length);
    watch(connection, EPOLL_CTL_MOD, EPOLLOUT); /* and reads nothing more until it is gone */
    return 0;
}

static int on_readable(struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->in + connection->in_length, IN_MAX - connection->in_length, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN ? 0 : -1;
    connection->in_length += (size_t)got;

    char *at = connection->in, *end = connection->in + connection->in_length, *blank_line;
    size_t out_length = 0;
    while ((blank_line = memmem(at, (size_t)(end - at), "\r\n\r\n", 4)) != NULL) {
        const struct answer *answer = answer_to(at, (size_t)(blank_line + 2 - at));
        if (answer == NULL)
            return -1;
        memcpy(out + out_length, answer->bytes, answer->length);
        out_length += answer->length;
        at = blank_line + 4;
    }
    connection->in_length = (size_t)(end - at);
    if (connection->in_length == IN_MAX)
        return -1;
    if (at != connection->in)
        memmove(connection->in, at, connection->in_length);
    return out_length > 0 ? send_answers(connection, out_length) : 0;
}

static int on_writable(struct connection *connection) {
    ssize_t sent = send(connection->fd, connection->unsent, connection->unsent_length, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    connection->unsent_length -= (size_t)sent;
    if (connection->unsent_length > 0) {
        memmove(connection->unsent, connection->unsent + sent, connection->unsent_length);
        return 0;
    }
    free(connection->unsent);
    connection->unsent = NULL;
    watch(connection, EPOLL_CTL_MOD, EPOLLIN);
    return 0;
}

static void accept_all(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        if (fd < 0)
            return;
        struct connection *connection = malloc(sizeof *connection);
        if (connection == NULL)
            die("malloc");
        connection->fd = fd;
        connection->in_length = connection->unsent_length = 0;
        connection->unsent = NULL;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static int listen_on(int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0)
        die("bind");
    if (listen(listener, 1024) != 0)
        die("listen");
    return listener;
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: epoll_hello PORT\n");
        return 2;
    }
    int listener = listen_on(atoi(arguments[1]));
    poller = epoll_create1(EPOLL_CLOEXEC);
    /* The listener is the one whose pointer is NULL. */
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS_MAX];
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) != 0)
        die("epoll");

    time_t rendered = 0;
    for (;;) {
        int ready = epoll_wait(poller, events, EVENTS_MAX, -1);
        time_t now = time(NULL);
        if (now != rendered)
            render_answers(rendered = now);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL)
                accept_all(listener);
            else if ((connection->unsent != NULL ? on_writable : on_readable)(connection) != 0)
                drop(connection);
        }
    }
}
