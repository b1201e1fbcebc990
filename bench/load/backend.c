/*
 * A very cheap HTTP/1.1 backend for measuring gateways: one thread, epoll, keep-alive, pipelining. About 5 us of CPU per request.
 *
 *   backend PORT          listens on 127.0.0.1 only and prints "LISTENING PORT"
 *
 * POST with Content-Type: application/websocket-events
 *   /echo                 accepts OPEN and returns TEXT, BINARY and CLOSE events as they came, PING as PONG
 *   /sub?ch=NAME          accepts OPEN with the grip extension and subscribes to the channel; with &detach=1 also detaches
 * GET
 *   /stream?ch=NAME       Grip-Hold: stream
 *   /poll?ch=NAME         Grip-Hold: response
 *   /_stats  /_reset      counters as JSON; /_reset sets them to zero
 *   anything else         twelve bytes of text
 * Upgrade: websocket      a bare WebSocket echo, the floor below every gateway (the accept key is not computed)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHANNEL_MAX 128
#define BODY_MAX (1 << 20)
#define READ_ROOM 16384

typedef struct {
  int fd;
  int websocket;
  char *in;
  size_t in_len, in_cap;
  char *out;
  size_t out_len, out_cap;
} Conn;

static struct {
  unsigned long requests, ws_requests, opens, messages, closes, disconnects, accepted, bytes_in;
} count;

static int epoll_fd, open_connections;

/* ---- output ---- */

static void out_add(Conn *c, const char *bytes, size_t n) {
  if (c->out_len + n > c->out_cap) {
    c->out_cap = (c->out_len + n) * 2 + 1024;
    c->out = realloc(c->out, c->out_cap);
  }
  memcpy(c->out + c->out_len, bytes, n);
  c->out_len += n;
}

static void watch(Conn *c, int operation, unsigned events) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  epoll_ctl(epoll_fd, operation, c->fd, &e);
}

/* Writes what the socket takes. Returns -1 if it is broken, 1 if something is left, 0 if all went out. */
static int out_flush(Conn *c) {
  size_t done = 0;
  while (done < c->out_len) {
    ssize_t written = write(c->fd, c->out + done, c->out_len - done);
    if (written < 0 && errno != EAGAIN) return -1;
    if (written < 0) break;
    done += written;
  }
  c->out_len -= done;
  if (c->out_len == 0) return 0;
  memmove(c->out, c->out + done, c->out_len);
  watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  return 1;
}

static void reply(Conn *c, const char *headers, const char *body, size_t body_len) {
  char head[512];
  int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\n%sContent-Length: %zu\r\n\r\n", headers, body_len);
  out_add(c, head, n);
  if (body_len) out_add(c, body, body_len);
}

/* ---- what the paths answer ---- */

static void channel_of(const char *path, char channel[CHANNEL_MAX]) {
  strcpy(channel, "room");
  const char *from = strstr(path, "ch=");
  if (!from) return;
  from += 3;
  size_t n = strcspn(from, "& ");
  if (n >= CHANNEL_MAX) n = CHANNEL_MAX - 1;
  memcpy(channel, from, n);
  channel[n] = 0;
}

static int add_text_event(char *out, const char *text) { return sprintf(out, "TEXT %zx\r\n%s\r\n", strlen(text), text); }

static int starts(const char *bytes, size_t n, const char *word) {
  return n >= strlen(word) && !memcmp(bytes, word, strlen(word));
}

/* The answer to OPEN. Returns its length. */
static size_t answer_open(char *out, const char *path) {
  size_t n = sprintf(out, "OPEN\r\n");
  if (strncmp(path, "/sub", 4) != 0) return n;
  char channel[CHANNEL_MAX], control[CHANNEL_MAX + 64];
  channel_of(path, channel);
  snprintf(control, sizeof control, "c:{\"type\":\"subscribe\",\"channel\":\"%s\"}", channel);
  n += add_text_event(out + n, control);
  if (strstr(path, "detach=1")) n += add_text_event(out + n, "c:{\"type\":\"detach\"}");
  return n;
}

/* WebSocket-over-HTTP: walks through the events of the body and answers each. */
static void answer_events(Conn *c, const char *path, const char *body, size_t len) {
  static char out[BODY_MAX + 1024];
  size_t out_len = 0, at = 0;
  int opened = 0;
  count.ws_requests++;
  while (at < len && out_len < BODY_MAX) {
    const char *event = body + at;
    const char *line_end = memmem(event, len - at, "\r\n", 2);
    if (!line_end) break;
    const char *space = memchr(event, ' ', line_end - event);
    size_t next = line_end - body + 2;
    if (space) next += strtoul(space + 1, 0, 16) + 2;
    if (next > len) next = len;
    size_t n = next - at;
    int echoed = 0;
    if (starts(event, n, "OPEN")) {
      count.opens++;
      opened = 1;
      out_len += answer_open(out + out_len, path);
    } else if (starts(event, n, "DISCONNECT")) {
      count.disconnects++;
    } else if (starts(event, n, "TEXT") || starts(event, n, "BINARY")) {
      count.messages++;
      echoed = 1;
    } else if (starts(event, n, "CLOSE")) {
      count.closes++;
      echoed = 1;
    } else if (starts(event, n, "PING")) {
      memcpy(out + out_len, "PONG\r\n", 6);
      out_len += 6;
    }
    if (echoed && out_len + n < BODY_MAX) {
      memcpy(out + out_len, event, n);
      out_len += n;
    }
    at = next;
  }
  int grip = opened && !strncmp(path, "/sub", 4);
  reply(c,
        grip ? "Content-Type: application/websocket-events\r\nSec-WebSocket-Extensions: grip; message-prefix=\"\"\r\n"
             : "Content-Type: application/websocket-events\r\n",
        out, out_len);
}

/* The request that asks does not count itself. */
static void answer_stats(Conn *c, int reset) {
  char json[400];
  count.requests--;
  int n = snprintf(json, sizeof json,
                   "{\"requests\":%lu,\"ws_requests\":%lu,\"open\":%lu,\"messages\":%lu,\"close\":%lu,"
                   "\"disconnect\":%lu,\"accepted\":%lu,\"conns\":%d,\"bytes_in\":%lu}",
                   count.requests, count.ws_requests, count.opens, count.messages, count.closes, count.disconnects,
                   count.accepted, open_connections, count.bytes_in);
  if (reset) memset(&count, 0, sizeof count);
  reply(c, "Content-Type: application/json\r\n", json, n);
}

/* `link`: seconds of a next link to the same path; 0: none. */
static void answer_hold(Conn *c, const char *path, int stream, int link) {
  char channel[CHANNEL_MAX], next[CHANNEL_MAX + 128] = "", headers[2 * CHANNEL_MAX + 384];
  channel_of(path, channel);
  if (link) snprintf(next, sizeof next, "Grip-Link: </linked?ch=%s>; rel=next; timeout=%d\r\n", channel, link);
  snprintf(headers, sizeof headers, "Content-Type: %s\r\nGrip-Hold: %s\r\nGrip-Channel: %s\r\n%s",
           stream ? "text/event-stream" : "text/plain", stream ? "stream" : "response", channel, next);
  const char *body = stream ? ": open\n\n" : "timeout\n";
  reply(c, headers, body, strlen(body));
}

static void accept_websocket(Conn *c) {
  const char *head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: x\r\n\r\n";
  c->websocket = 1;
  out_add(c, head, strlen(head));
}

/* ---- requests ---- */

typedef struct {
  size_t content_length;
  int events, chunked, upgrade;
} Head;

static Head read_head(const char *line, const char *end) {
  Head head = {0};
  while (line < end) {
    const char *line_end = memmem(line, end - line + 2, "\r\n", 2);
    if (!line_end) line_end = end;
    size_t n = line_end - line;
    if (!strncasecmp(line, "content-length:", 15)) head.content_length = strtoul(line + 15, 0, 10);
    else if (!strncasecmp(line, "content-type:", 13)) head.events = memmem(line, n, "websocket-events", 16) != 0;
    else if (!strncasecmp(line, "transfer-encoding:", 18)) head.chunked = 1;
    else if (!strncasecmp(line, "upgrade:", 8)) head.upgrade = memmem(line, n, "websocket", 9) != 0;
    line = line_end + 2;
  }
  return head;
}

/* Joins the chunks in `body`. Returns the bytes they took in `from`, 0 if they are not complete yet. */
static size_t read_chunks(const char *from, size_t len, char *body, size_t *body_len) {
  size_t at = 0;
  *body_len = 0;
  for (;;) {
    const char *line_end = memmem(from + at, len - at, "\r\n", 2);
    if (!line_end) return 0;
    size_t size = strtoul(from + at, 0, 16), data = line_end - from + 2;
    if (size > BODY_MAX - *body_len || data + size + 2 > len) return 0;
    memcpy(body + *body_len, from + data, size);
    *body_len += size;
    at = data + size + 2;
    if (size == 0) return at;
  }
}

static void answer(Conn *c, const Head *head, const char *path, const char *body, size_t body_len) {
  if (head->events) answer_events(c, path, body, body_len);
  else if (head->upgrade) accept_websocket(c);
  else if (!strncmp(path, "/_stats", 7)) answer_stats(c, 0);
  else if (!strncmp(path, "/_reset", 7)) answer_stats(c, 1);
  else if (!strncmp(path, "/stream", 7)) answer_hold(c, path, 1, 0);
  else if (!strncmp(path, "/linked", 7)) answer_hold(c, path, 1, 10);
  else if (!strncmp(path, "/poll", 5)) answer_hold(c, path, 0, 0);
  else reply(c, "Content-Type: text/plain\r\n", "hello world\n", 12);
}

/* Answers one request, if it is complete. Returns the bytes it took. */
static size_t take_request(Conn *c, char *in, size_t len) {
  static char joined[BODY_MAX];
  char *head_end = memmem(in, len, "\r\n\r\n", 4);
  if (!head_end) return 0;
  size_t head_len = head_end - in + 4;
  Head head = read_head((char *)memmem(in, head_len, "\r\n", 2) + 2, head_end);
  const char *body = in + head_len;
  size_t body_len = head.content_length, taken = head_len + body_len;
  if (head.chunked) {
    size_t chunks = read_chunks(body, len - head_len, joined, &body_len);
    if (!chunks) return 0;
    body = joined;
    taken = head_len + chunks;
  }
  if (len < taken) return 0;
  count.requests++;
  count.bytes_in += taken;

  char *path = memchr(in, ' ', head_len);
  if (!path) return taken;
  path++;
  path[strcspn(path, " \r")] = 0;
  if (!strncmp(path, "http://", 7)) {
    char *slash = strchr(path + 7, '/');
    if (slash) path = slash;
  }
  answer(c, &head, path, body, body_len);
  return taken;
}

/* Sends one WebSocket frame back, unmasked. Returns the bytes it took. */
static size_t take_frame(Conn *c, char *in, size_t len) {
  unsigned char *frame = (unsigned char *)in;
  if (len < 6) return 0;
  size_t payload = frame[1] & 127, head = 2;
  if (payload == 126) {
    if (len < 8) return 0;
    payload = frame[2] << 8 | frame[3];
    head = 4;
  }
  size_t taken = head + 4 + payload;
  if (len < taken) return 0;
  unsigned char *mask = frame + head, *data = mask + 4;
  for (size_t i = 0; i < payload; i++) data[i] ^= mask[i & 3];
  unsigned char out_head[4] = {frame[0], payload < 126 ? payload : 126, payload >> 8, payload};
  out_add(c, (char *)out_head, payload < 126 ? 2 : 4);
  out_add(c, (char *)data, payload);
  count.messages++;
  return taken;
}

/* ---- connections ---- */

/* Returns 0 when the connection is over. */
static int read_more(Conn *c) {
  if (c->in_cap - c->in_len < READ_ROOM) {
    c->in_cap = c->in_cap ? c->in_cap * 2 : 2 * READ_ROOM;
    c->in = realloc(c->in, c->in_cap);
  }
  ssize_t n = read(c->fd, c->in + c->in_len, c->in_cap - c->in_len);
  if (n == 0 || (n < 0 && errno != EAGAIN)) return 0;
  if (n < 0) return 1;
  c->in_len += n;
  size_t used = 0;
  while (used < c->in_len) {
    char *from = c->in + used;
    size_t len = c->in_len - used, taken = c->websocket ? take_frame(c, from, len) : take_request(c, from, len);
    if (!taken) break;
    used += taken;
  }
  memmove(c->in, c->in + used, c->in_len - used);
  c->in_len -= used;
  return c->out_len == 0 || out_flush(c) >= 0;
}

static int serve(Conn *c, unsigned events) {
  if (events & EPOLLOUT) {
    int left = out_flush(c);
    if (left < 0) return 0;
    if (left == 0) watch(c, EPOLL_CTL_MOD, EPOLLIN);
  }
  return events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? read_more(c) : 1;
}

static void drop(Conn *c) {
  close(c->fd);
  open_connections--;
  free(c->in);
  free(c->out);
  free(c);
}

static void accept_all(int listener) {
  int fd, one = 1;
  while ((fd = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) {
    count.accepted++;
    open_connections++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    Conn *c = calloc(1, sizeof *c);
    c->fd = fd;
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(fd, (void *)&address, sizeof address) || listen(fd, 4096)) {
    perror("listen");
    exit(1);
  }
  return fd;
}

int main(int argc, char **argv) {
  int port = argc > 1 ? atoi(argv[1]) : 9000, listener = listen_on(port);
  struct epoll_event ready[512], e = {.events = EPOLLIN, .data.ptr = 0};
  epoll_fd = epoll_create1(0);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
  printf("LISTENING %d\n", port);
  fflush(stdout);
  for (;;) {
    int n = epoll_wait(epoll_fd, ready, 512, -1);
    for (int i = 0; i < n; i++) {
      Conn *c = ready[i].data.ptr;
      if (!c) accept_all(listener);
      else if (!serve(c, ready[i].events)) drop(c);
    }
  }
}
