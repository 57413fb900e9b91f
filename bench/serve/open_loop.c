/* SPDX-License-Identifier: Apache-2.0 */
/* Requests at a set rate, whatever the server does: an open loop, where wrk waits for each reply.
 *
 *     open_loop PORT PATH ROWS CONNECTIONS PATIENCE_MS RATE:SECONDS…
 *
 * ROWS is a file of bodies, a line each. Each phase sends RATE requests a second, evenly, by
 * whichever of the kept-alive connections is free. A request is counted from the moment it was due:
 * "ok" when its reply, 200, is there within PATIENCE_MS of it; "late" when it comes later; "unsent"
 * when no connection was free, as a client with a bounded pool would fail; "refused" for 429 and
 * 503; "failed" for anything else. One JSON line for every 100 ms: when it began, the rate, and
 * these counts with the median and the 99th percentile of the latency of those that were answered.
 */
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REPLY_BYTES = 64 * 1024, REQUESTS_MAX = 65536, EVENTS = 256, WINDOW_REQUESTS = 100000 };
static const double window_s = 0.1;

struct connection {
    int fd;
    double due_s; /* of the request under way */
    size_t n_read;
    struct connection *next_free;
    char reply[REPLY_BYTES];
};

struct window {
    double begun_s, rate;
    long ok, late, unsent, refused, failed;
    long n_latencies;
    float latencies_ms[WINDOW_REQUESTS];
};

static struct {
    const char *path;
    int epoll_fd, port;
    double patience_s, begun_s;
    char *requests[REQUESTS_MAX];
    size_t request_bytes[REQUESTS_MAX];
    int n_requests, next_request;
    struct connection *free;
    struct window window;
} all;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Replies and counts. */

static int by_size(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void end_window(double now_s, double rate)
{
    struct window *w = &all.window;
    qsort(w->latencies_ms, (size_t)w->n_latencies, sizeof *w->latencies_ms, by_size);
    const long n = w->n_latencies;
    printf("{\"at\": %.2f, \"rate\": %.0f, \"ok\": %ld, \"late\": %ld, \"unsent\": %ld, "
           "\"refused\": %ld, \"failed\": %ld, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n",
           w->begun_s - all.begun_s, w->rate, w->ok, w->late, w->unsent, w->refused, w->failed,
           n > 0 ? (double)w->latencies_ms[n / 2] : 0,
           n > 0 ? (double)w->latencies_ms[n * 99 / 100] : 0);
    *w = (struct window){.begun_s = now_s, .rate = rate};
}

static void count_reply(int status, double latency_s)
{
    struct window *w = &all.window;
    if (w->n_latencies < WINDOW_REQUESTS) {
        w->latencies_ms[w->n_latencies++] = (float)(latency_s * 1000);
    }
    if (status == 429 || status == 503) {
        w->refused++;
    } else if (status != 200) {
        w->failed++;
    } else if (latency_s <= all.patience_s) {
        w->ok++;
    } else {
        w->late++;
    }
}

/* Connections. */

static void open_connection(struct connection *c)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)all.port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int yes = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        die("connect");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (epoll_ctl(all.epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
    c->next_free = all.free;
    all.free = c;
}

/* The status of a whole reply; 0: there is more to come. */
static int whole_reply(struct connection *c)
{
    c->reply[c->n_read] = '\0';
    const char *end = strstr(c->reply, "\r\n\r\n");
    const char *length = strcasestr(c->reply, "\r\ncontent-length:");
    if (!end) return 0;
    const size_t bytes = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (c->n_read < (size_t)(end + 4 - c->reply) + bytes) return 0;
    return atoi(c->reply + 9);
}

static void read_reply(struct connection *c, double now_s)
{
    const ssize_t n = recv(c->fd, c->reply + c->n_read, REPLY_BYTES - 1 - c->n_read, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    const bool gone = n <= 0 || c->n_read + (size_t)n >= REPLY_BYTES - 1;
    if (!gone) c->n_read += (size_t)n;
    const int status = gone ? -1 : whole_reply(c);
    if (status == 0) return;
    count_reply(status, now_s - c->due_s);
    c->n_read = 0;
    if (gone || strcasestr(c->reply, "\r\nconnection: close")) {
        close(c->fd);
        open_connection(c);
        return;
    }
    c->next_free = all.free;
    all.free = c;
}

static void send_request(double due_s)
{
    struct connection *c = all.free;
    const int r = all.next_request++ % all.n_requests;
    all.free = c->next_free;
    c->due_s = due_s;
    if (send(c->fd, all.requests[r], all.request_bytes[r], MSG_NOSIGNAL) < 0) {
        all.window.failed++;
        close(c->fd);
        open_connection(c);
    }
}

/* Phases. */

static void run_phase(double rate, double seconds)
{
    const double begun_s = qn_clock_s();
    struct epoll_event events[EVENTS];
    double n_due = 0;
    all.window.rate = rate;
    for (double now_s = begun_s; now_s < begun_s + seconds; now_s = qn_clock_s()) {
        if (now_s >= all.window.begun_s + window_s) end_window(now_s, rate);
        for (double due_s = begun_s + n_due / rate; due_s <= now_s;
             due_s = begun_s + ++n_due / rate) {
            if (all.free) {
                send_request(due_s);
            } else {
                all.window.unsent++;
            }
        }
        const int n = epoll_wait(all.epoll_fd, events, EVENTS, 0);
        now_s = qn_clock_s();
        for (int i = 0; i < n; i++) {
            read_reply(events[i].data.ptr, now_s);
        }
    }
}

static void read_requests(const char *rows)
{
    FILE *file = fopen(rows, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;
    if (!file) die(rows);
    while (all.n_requests < REQUESTS_MAX && (bytes = getline(&line, &room, file)) > 0) {
        char *request = malloc((size_t)bytes + 256);
        if (!request) die("malloc");
        const int n = sprintf(request,
                              "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                              "application/json\r\nContent-Length: %zd\r\n\r\n%s",
                              all.path, bytes, line);
        all.requests[all.n_requests] = request;
        all.request_bytes[all.n_requests++] = (size_t)n;
    }
    free(line);
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "usage: open_loop PORT PATH ROWS CONNECTIONS PATIENCE_MS RATE:SECONDS…\n");
        return 2;
    }
    all.port = atoi(argv[1]);
    all.path = argv[2];
    all.patience_s = atof(argv[5]) / 1000;
    all.epoll_fd = epoll_create1(0);
    read_requests(argv[3]);
    const int n_connections = atoi(argv[4]);
    struct connection *connections = calloc((size_t)n_connections, sizeof *connections);
    if (!connections || all.n_requests == 0) die("nothing to send");
    for (int i = 0; i < n_connections; i++) {
        open_connection(&connections[i]);
    }
    all.begun_s = all.window.begun_s = qn_clock_s();
    for (int i = 6; i < argc; i++) {
        const char *colon = strchr(argv[i], ':');
        run_phase(atof(argv[i]), colon ? atof(colon + 1) : 1);
    }
    end_window(0, 0);
    return 0;
}
