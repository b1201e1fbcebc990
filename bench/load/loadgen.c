/*
 * A load generator for measuring gateways: one thread, epoll, 127.0.0.1 only, bounded in connections and time.
 *
 *   loadgen MODE key=value ...
 *
 * All modes   port=  path= (%d is the number of the connection)  conns=  conc= (opened at a time)
 *             maxs= (seconds, then it gives up)
 * echo        size=  burst= (messages written at once; the next burst follows the last answer)  warm= dur= (seconds)
 * http        GET over keep-alive connections, one request outstanding on each  warm= dur=
 * fanout      type=ws|sse  channel=  channels=1 (one channel per subscriber: its name and the subscriber's number)  size=
 *             pubport=  pubpath= (%C channel)  pubbody= (%C channel, %M message)  pubconns=  window= (publishes outstanding)
 *             gap= (milliseconds between publishes)  pubs= (at most)  dur=
 * conn        opens the connections, and that is what is measured  type=
 * hold        the same, then holds them until a line comes in
 * poll        holds one GET on each connection, then publishes once, rounds= times; pub... as above
 *
 * It prints READY and waits for a line; prints MEASURE; prints END; prints RESULT and a line of JSON. What is written to standard
 * error is for people.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PUBLISHERS_MAX 64
#define LATENCIES_MAX 40000000
#define REDIALS_MAX 1000000
#define MESSAGE_MAX 8192
#define PROBE 99999999 /* a message number above all that are counted */
#define SECOND 1000000000ull
#define MILLISECOND 1000000ull

enum kind { WS, SSE, HTTP, PUBLISHER };
/* LEAVING: a publisher whose connection the server is about to close. */
enum state { CONNECTING, HANDSHAKE, OPEN, GONE, LEAVING };

typedef struct {
  int fd, id;
  enum kind kind;
  enum state state;
  int status;      /* of the last HTTP response */
  int probes;      /* messages that came before counting began */
  int outstanding; /* messages, requests or publishes without an answer */
  uint64_t sent_at;
  char *in; /* the beginning of something that is not complete yet */
  uint32_t in_len, in_cap;
} Conn;

/* ---- what was asked for ---- */

static int arg_count;
static char **args;

static const char *text(const char *key, const char *otherwise) {
  size_t n = strlen(key);
  for (int i = 2; i < arg_count; i++)
    if (!strncmp(args[i], key, n) && args[i][n] == '=') return args[i] + n + 1;
  return otherwise;
}

static double number(const char *key, double otherwise) {
  const char *found = text(key, 0);
  return found ? atof(found) : otherwise;
}

static int port, conns, at_a_time, size, publish_port;
static double seconds, warm_seconds;
static const char *path;
static uint64_t give_up_at;

/* ---- what is known so far ---- */

static int epoll_fd, opened, refused, closed_early, bad_statuses, redials;
static uint64_t counted;
static int measuring, ending;
static Conn *all;

/* Set by each mode: what happens when a connection opens, a message or a response comes in. */
static void (*on_open)(Conn *);
static void (*on_message)(Conn *, const char *, size_t);
static void (*on_response)(Conn *);

/* ---- time ---- */

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

static double since(uint64_t start) { return (now() - start) / (double)SECOND; }

static double cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Latencies in tenths of a microsecond. */
static uint32_t *latencies;
static size_t latency_count, latency_cap;

static void note_latency(uint64_t ns) {
  if (latency_count == LATENCIES_MAX) return;
  if (latency_count == latency_cap) {
    latency_cap = latency_cap ? latency_cap * 2 : 1 << 20;
    latencies = realloc(latencies, latency_cap * sizeof *latencies);
  }
  latencies[latency_count++] = ns / 100 > UINT32_MAX ? UINT32_MAX : ns / 100;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double percentile_us(double share) {
  return latency_count ? latencies[(size_t)(share * (latency_count - 1))] / 10.0 : -1;
}

/* ---- talking to whoever started us ---- */

static double cpu_before, cpu_used;

static void say(const char *line) {
  puts(line);
  fflush(stdout);
}

static void ready(void) {
  char line[64];
  say("READY");
  if (!fgets(line, sizeof line, stdin)) exit(3);
}

static void begin(void) {
  cpu_before = cpu_seconds();
  say("MEASURE");
}

static void end(void) {
  cpu_used = cpu_seconds() - cpu_before;
  say("END");
}

/* `more` is a format for further JSON members. */
static void result(double took, const char *more, ...) {
  qsort(latencies, latency_count, sizeof *latencies, compare);
  printf("RESULT {\"secs\":%.6f,\"count\":%llu,\"per_s\":%.1f,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,"
         "\"nlat\":%zu,\"open\":%d,\"fails\":%d,\"closed_early\":%d,\"pub_errors\":%d,\"loadgen_cpu_s\":%.3f",
         took, (unsigned long long)counted, counted / took, percentile_us(.5), percentile_us(.9), percentile_us(.99),
         percentile_us(1), latency_count, opened, refused, closed_early, bad_statuses, cpu_used);
  if (*more) printf(",");
  va_list values;
  va_start(values, more);
  vprintf(more, values);
  va_end(values);
  printf("}\n");
  fflush(stdout);
}

/* ---- sockets ---- */

static int dial(int to) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(to), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (fd < 0) {
    perror("socket");
    exit(2);
  }
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, (void *)&address, sizeof address) && errno != EINPROGRESS) {
    perror("connect");
    exit(2);
  }
  return fd;
}

static void start(Conn *c, enum kind kind, int id, int to) {
  struct epoll_event e = {.events = EPOLLOUT, .data.ptr = c};
  c->kind = kind;
  c->id = id;
  c->state = CONNECTING;
  c->fd = dial(to);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

/* Writes are small: a full socket is waited for. A broken one shows at the next read. */
static void send_all(Conn *c, const char *bytes, size_t n) {
  while (n) {
    ssize_t written = write(c->fd, bytes, n);
    if (written >= 0) {
      bytes += written;
      n -= written;
    } else if (errno == EAGAIN) {
      struct pollfd p = {c->fd, POLLOUT, 0};
      poll(&p, 1, 100);
    } else {
      return;
    }
  }
}

static void send_head(Conn *c) {
  char target[512], head[1024];
  snprintf(target, sizeof target, path, c->id);
  const char *fields = c->kind == SSE    ? "Accept: text/event-stream\r\n"
                       : c->kind == HTTP ? "Accept: */*\r\n"
                                         : "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: bench.local\r\n%s\r\n", target, fields);
  c->sent_at = now();
  send_all(c, head, n);
}

/* Publishers come back: some gateways close after each publish. */
static void redial(Conn *c) {
  if (redials++ >= REDIALS_MAX) exit(6);
  c->in_len = 0;
  c->outstanding = 0;
  start(c, PUBLISHER, c->id, publish_port);
}

static void lose(Conn *c) {
  if (c->fd < 0) return;
  close(c->fd);
  c->fd = -1;
  c->in_len = 0;
  if (c->kind == PUBLISHER) {
    redial(c);
    return;
  }
  if (c->state == OPEN) closed_early++;
  else refused++;
  c->state = GONE;
}

/* ---- what comes in: each take_... returns the bytes it took, 0 if more must come ---- */

static size_t take_chunks(const char *in, size_t len) {
  size_t at = 0;
  for (;;) {
    const char *line_end = memmem(in + at, len - at, "\r\n", 2);
    if (!line_end) return 0;
    size_t chunk = strtoul(in + at, 0, 16), data = line_end - in + 2;
    if (data + chunk + 2 > len) return 0;
    at = data + chunk + 2;
    if (chunk == 0) return at;
  }
}

static size_t take_response(Conn *c, const char *in, size_t len) {
  const char *head_end = memmem(in, len, "\r\n\r\n", 4);
  if (!head_end) return 0;
  size_t head = head_end - in + 4, body = 0;
  int chunked = 0, leaving = 0;
  for (const char *line = in; line < head_end; line = (char *)memmem(line, head_end - line + 2, "\r\n", 2) + 2) {
    if (!strncasecmp(line, "content-length:", 15)) body = atoi(line + 15);
    else if (!strncasecmp(line, "transfer-encoding:", 18)) chunked = 1;
    else if (!strncasecmp(line, "connection: close", 17)) leaving = 1;
  }
  if (chunked && !(body = take_chunks(in + head, len - head))) return 0;
  if (len < head + body) return 0;
  c->status = atoi(in + 9);
  if (leaving && c->kind == PUBLISHER) c->state = LEAVING;
  on_response(c);
  return head + body;
}

static size_t take_frame(Conn *c, char *in, size_t len) {
  unsigned char *frame = (unsigned char *)in;
  if (len < 2) return 0;
  size_t payload = frame[1] & 127, head = payload == 126 ? 4 : payload == 127 ? 10 : 2;
  if (len < head) return 0;
  if (head > 2) payload = 0;
  for (size_t i = 2; i < head; i++) payload = payload << 8 | frame[i];
  if (len < head + payload) return 0;
  int opcode = frame[0] & 15;
  if (opcode <= 2) on_message(c, in + head, payload);
  if (opcode == 8) {
    if (closed_early < 2) fprintf(stderr, "close frame %d\n", payload > 1 ? frame[head] << 8 | frame[head + 1] : 0);
    lose(c);
  }
  return head + payload;
}

/* One "data: " line with all that stands before it; then whole lines that are something else. */
static size_t take_sse_line(Conn *c, char *in, size_t len) {
  char *data = memmem(in, len, "data: ", 6);
  char *line_end = data ? memchr(data, '\n', len - (data - in)) : 0;
  if (line_end) {
    on_message(c, data + 6, line_end - data - 6);
    return line_end - in + 1;
  }
  char *last = memrchr(in, '\n', len);
  return last ? last - in + 1 : 0;
}

/* The answer to the handshake of a WebSocket or an event stream. */
static size_t take_handshake(Conn *c, char *in, size_t len) {
  char *head_end = memmem(in, len, "\r\n\r\n", 4);
  if (!head_end) return 0;
  if (atoi(in + 9) != (c->kind == WS ? 101 : 200)) {
    if (refused < 2) fprintf(stderr, "refused: %.*s\n", (int)(len > 200 ? 200 : len), in);
    lose(c);
    return len;
  }
  c->state = OPEN;
  opened++;
  if (on_open) on_open(c);
  return head_end - in + 4;
}

static size_t take(Conn *c, char *in, size_t len) {
  if (c->kind == HTTP || c->kind == PUBLISHER) return take_response(c, in, len);
  if (c->state == HANDSHAKE) return take_handshake(c, in, len);
  return c->kind == WS ? take_frame(c, in, len) : take_sse_line(c, in, len);
}

static void keep(Conn *c, const char *rest, size_t len) {
  if (len > c->in_cap) {
    char *larger = malloc(len + 512);
    memcpy(larger, rest, len);
    free(c->in);
    c->in = larger;
    c->in_cap = len + 512;
  } else if (len) {
    memmove(c->in, rest, len);
  }
  c->in_len = len;
}

/* Most reads hold whole messages and are read where they are; only what is left over is copied. */
static void receive(Conn *c, char *bytes, size_t len) {
  if (c->in_len) {
    if (c->in_len + len > c->in_cap) {
      c->in_cap = c->in_len + len + 512;
      c->in = realloc(c->in, c->in_cap);
    }
    memcpy(c->in + c->in_len, bytes, len);
    len += c->in_len;
    bytes = c->in;
  }
  size_t used = 0, taken;
  while (used < len && (taken = take(c, bytes + used, len - used))) {
    used += taken;
    if (c->fd < 0) return;
  }
  keep(c, bytes + used, len - used);
}

/* ---- the loop ---- */

static void connected(Conn *c) {
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  int error = 0;
  socklen_t n = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n);
  if (error) {
    if (refused < 2) fprintf(stderr, "connect: %s\n", strerror(error));
    refused++;
    close(c->fd);
    c->fd = -1;
    c->state = GONE;
    return;
  }
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
  if (c->kind == WS || c->kind == SSE) {
    c->state = HANDSHAKE;
    send_head(c);
    return;
  }
  c->state = OPEN;
  if (c->kind == PUBLISHER) return;
  opened++;
  if (on_open) on_open(c);
}

static void readable(Conn *c) {
  static char bytes[1 << 18];
  ssize_t n = read(c->fd, bytes, sizeof bytes);
  if (n > 0) {
    receive(c, bytes, n);
    return;
  }
  if (n < 0 && errno == EAGAIN) return;
  if (c->kind != PUBLISHER && c->state == OPEN && closed_early < 2 && !ending)
    fprintf(stderr, "closed by the other side: %s, after %llu messages\n", n ? strerror(errno) : "EOF",
            (unsigned long long)counted);
  lose(c);
}

static void loop(int wait_ms) {
  struct epoll_event events[512];
  int n = epoll_wait(epoll_fd, events, 512, wait_ms);
  for (int i = 0; i < n; i++) {
    Conn *c = events[i].data.ptr;
    if (c->fd < 0) continue;
    if (c->state == CONNECTING) connected(c);
    else readable(c);
  }
  if (now() <= give_up_at) return;
  fprintf(stderr, "gave up: out of time\n");
  printf("RESULT {\"error\":\"deadline\",\"open\":%d,\"fails\":%d,\"count\":%llu}\n", opened, refused,
         (unsigned long long)counted);
  fflush(stdout);
  exit(4);
}

static void loop_for(double duration, int wait_ms) {
  uint64_t from = now();
  while (since(from) < duration) loop(wait_ms);
}

static void open_all(enum kind kind) {
  int started = 0;
  while (opened + refused < conns) {
    for (; started < conns && started - opened - refused < at_a_time; started++) start(&all[started], kind, started, port);
    loop(50);
  }
}

/* Warms up, then measures for the time asked for. Returns the seconds it took. */
static double measure(void) {
  loop_for(warm_seconds, 10);
  begin();
  measuring = 1;
  uint64_t from = now();
  loop_for(seconds, 10);
  double took = since(from);
  measuring = 0;
  end();
  ending = 1;
  return took;
}

/* ---- echo ---- */

static char *burst_bytes;
static size_t burst_len;
static int burst;

static size_t put_frame(char *out, const char *payload, size_t n) {
  size_t at = 0;
  out[at++] = (char)0x81;
  if (n < 126) {
    out[at++] = 0x80 | n;
  } else {
    out[at++] = (char)(0x80 | 126);
    out[at++] = n >> 8;
    out[at++] = n;
  }
  memset(out + at, 0, 4); /* a mask of zeros leaves the payload as it is */
  memcpy(out + at + 4, payload, n);
  return at + 4 + n;
}

static void send_burst(Conn *c) {
  c->sent_at = now();
  c->outstanding = burst;
  send_all(c, burst_bytes, burst_len);
}

static void echoed(Conn *c, const char *message, size_t n) {
  (void)message, (void)n;
  if (measuring) {
    counted++;
    note_latency(now() - c->sent_at);
  }
  if (--c->outstanding == 0 && !ending) send_burst(c);
}

static void run_echo(enum kind kind) {
  char *payload = malloc(size);
  memset(payload, 'e', size);
  burst = number("burst", 1);
  burst_bytes = malloc(burst * (size + 16));
  for (int i = 0; i < burst; i++) burst_len += put_frame(burst_bytes + burst_len, payload, size);
  on_message = echoed;
  open_all(kind);
  ready();
  for (int i = 0; i < conns; i++)
    if (all[i].state == OPEN) send_burst(&all[i]);
  result(measure(), "");
}

/* ---- http ---- */

static char http_request[1024];

static void send_request(Conn *c) {
  c->sent_at = now();
  send_all(c, http_request, strlen(http_request));
}

static void answered(Conn *c) {
  if (measuring) {
    counted++;
    note_latency(now() - c->sent_at);
    if (c->status >= 300) bad_statuses++;
  }
  if (!ending) send_request(c);
}

static void run_http(void) {
  snprintf(http_request, sizeof http_request,
           "GET %s HTTP/1.1\r\nHost: bench.local\r\nAccept: */*\r\nUser-Agent: bench/1\r\n\r\n", path);
  on_open = send_request;
  on_response = answered;
  ready();
  open_all(HTTP);
  result(measure(), "");
}

/* ---- conn and hold ---- */

static void run_conn(enum kind kind) {
  ready();
  begin();
  uint64_t from = now();
  open_all(kind);
  counted = opened;
  double took = since(from);
  end();
  result(took, "");
}

static void run_hold(enum kind kind) {
  uint64_t from = now();
  open_all(kind);
  counted = opened;
  double took = since(from);
  ready();
  for (int i = 0; i < 20; i++) loop(5);
  result(took, "");
}

/* ---- publishing ---- */

static Conn publishers[PUBLISHERS_MAX];
static int publisher_count;
static const char *publish_path, *publish_body, *channel;

static void published(Conn *c) {
  c->outstanding = 0;
  if (c->status < 300) return;
  if (bad_statuses++ < 2) fprintf(stderr, "publish: status %d\n", c->status);
}

static int idle(Conn *c) { return c->state == OPEN && !c->outstanding; }

static void wait_idle(Conn *c) {
  while (!idle(c)) loop(5);
}

static void fill_in(char *out, size_t cap, const char *template, const char *name, const char *message) {
  size_t at = 0;
  for (; *template && at + 1 < cap; template++) {
    const char *value = template[0] != '%' ? 0 : template[1] == 'C' ? name : template[1] == 'M' ? message : 0;
    if (!value) {
      out[at++] = *template;
      continue;
    }
    at += snprintf(out + at, cap - at, "%s", value);
    if (at >= cap) at = cap - 1;
    template++;
  }
  out[at] = 0;
}

/* The message carries its number between two signs: #00000042# and then x up to the size. */
static void publish(Conn *c, const char *to, uint32_t message_number) {
  static char message[MESSAGE_MAX], body[2 * MESSAGE_MAX], target[512], request[3 * MESSAGE_MAX];
  int length = size < 10 ? 10 : size < MESSAGE_MAX ? size : MESSAGE_MAX - 1;
  int n = sprintf(message, "#%08u#", message_number);
  memset(message + n, 'x', length - n);
  message[length] = 0;
  fill_in(body, sizeof body, publish_body, to, message);
  fill_in(target, sizeof target, publish_path, to, "");
  n = snprintf(request, sizeof request,
               "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", target,
               strlen(body), body);
  c->outstanding = 1;
  send_all(c, request, n);
}

static void open_publishers(int n) {
  publisher_count = n < PUBLISHERS_MAX ? n : PUBLISHERS_MAX;
  for (int i = 0; i < publisher_count; i++) start(&publishers[i], PUBLISHER, i, publish_port);
  for (int i = 0; i < publisher_count; i++)
    while (publishers[i].state != OPEN) loop(10);
}

/* ---- fanout ---- */

static int publish_max, window, own_channels;
static int receivers;      /* who must get a message until it counts as delivered to all */
static int sent, complete; /* publishes, and those that reached everybody */
static uint64_t stray;     /* messages that are none of ours */
static uint32_t *got;      /* per publish: how many have it */
static uint64_t *sent_at;  /* per publish */

static void delivered(Conn *c, const char *message, size_t n) {
  const char *sign = memchr(message, '#', n);
  if (!sign || sign + 9 > message + n) {
    stray++;
    return;
  }
  uint32_t at = 0;
  for (int i = 1; i < 9; i++) at = at * 10 + (sign[i] - '0');
  if (at >= (uint32_t)publish_max) {
    c->probes++;
    return;
  }
  counted++;
  if (++got[at] < (uint32_t)receivers) return;
  complete++;
  note_latency(now() - sent_at[at]);
}

static void channel_name(char *out, size_t cap, int subscriber) {
  if (own_channels) snprintf(out, cap, "%s%d", channel, subscriber);
  else snprintf(out, cap, "%s", channel);
}

static void probe(Conn *publisher, int subscriber) {
  char name[128];
  channel_name(name, sizeof name, subscriber);
  wait_idle(publisher);
  publish(publisher, name, PROBE);
}

static int silent(const Conn *c) { return c->state == OPEN && !c->probes; }

/* Publishes until every subscriber has had something: a subscription may come into effect after its socket is open. */
static void probe_all(void) {
  for (int attempt = 0; attempt < 60; attempt++) {
    int missing = 0, again = attempt % 4 == 0;
    for (int i = 0; i < conns; i++) {
      if (!silent(&all[i])) continue;
      missing++;
      if (own_channels && again) probe(&publishers[i % publisher_count], i);
    }
    if (!missing) return;
    if (!own_channels && again) probe(&publishers[0], 0);
    loop_for(.25, 20);
  }
}

static int count_live(void) {
  int live = 0;
  for (int i = 0; i < conns; i++) live += all[i].state == OPEN && all[i].probes;
  return live;
}

static void publish_next(Conn *publisher) {
  char name[128];
  while (own_channels && all[sent % conns].state != OPEN) sent++;
  channel_name(name, sizeof name, sent % conns);
  sent_at[sent] = now();
  publish(publisher, name, sent++);
}

/* Keeps `window` publishes outstanding, taking the publishers in turn. */
static void publish_until(uint64_t until) {
  uint64_t gap = number("gap", 0) * MILLISECOND, next_at = 0;
  for (int turn = 0; sent < publish_max && now() < until; turn++) {
    int busy = 0;
    for (int i = 0; i < publisher_count && sent < publish_max; i++) {
      Conn *publisher = &publishers[(turn + i) % publisher_count];
      if (!idle(publisher) || sent - complete >= window || (gap && now() < next_at)) continue;
      if (gap) next_at = now() + gap;
      publish_next(publisher);
      busy = 1;
    }
    loop(busy ? 0 : 20);
  }
}

/* Waits at most three seconds for what is still on its way. Returns when the last message came, if something is missing then. */
static uint64_t wait_for_rest(void) {
  uint64_t from = now(), last = 0, seen = counted;
  while (sent > complete && since(from) < 3) {
    loop(10);
    if (counted != seen) last = now();
    seen = counted;
  }
  if (sent <= complete) return 0;
  return last ? last : from;
}

static void run_fanout(enum kind kind) {
  publish_max = number("pubs", 1000);
  window = number("window", 1);
  own_channels = number("channels", 0);
  got = calloc(publish_max + 1, sizeof *got);
  sent_at = calloc(publish_max + 1, sizeof *sent_at);
  on_message = delivered;
  open_all(kind);
  open_publishers(number("pubconns", 1));
  probe_all();
  int live = count_live();
  loop_for(.5, 20);
  receivers = own_channels ? 1 : live;
  ready();

  begin();
  counted = 0;
  uint64_t from = now();
  publish_until(from + (uint64_t)(seconds * SECOND));
  uint64_t last = wait_for_rest();
  double took = last ? (last - from) / (double)SECOND : since(from);
  end();
  result(took,
         "\"pub_redials\":%d,\"published\":%d,\"completed\":%d,\"subs\":%d,\"live\":%d,\"pubs_per_s\":%.1f,\"stray\":%llu",
         redials, sent, complete, conns, live, complete / took, (unsigned long long)stray);
}

/* ---- poll ---- */

static int released, bad_polls;
static uint64_t released_at, poll_published_at;

static void poll_answered(Conn *c) {
  if (c->kind == PUBLISHER) {
    published(c);
    return;
  }
  released++;
  if (c->status >= 300 && bad_polls++ < 1) fprintf(stderr, "poll: status %d\n", c->status);
  released_at = now();
  if (poll_published_at) note_latency(released_at - poll_published_at);
}

static void hold_requests(void) {
  for (int i = 0; i < conns; i++) {
    if (all[i].fd < 0) continue;
    send_head(&all[i]);
    if (i % 20 == 19) loop_for(.012, 3); /* about 1,600 requests per second */
  }
}

static void run_poll(void) {
  int rounds = number("rounds", 3), early = 0;
  double took = 0;
  publish_max = 1 << 30;
  on_response = poll_answered;
  open_all(HTTP);
  open_publishers(1);
  for (int round = 0; round < rounds; round++) {
    hold_requests();
    ready(); /* answered when all requests were seen at the backend */
    for (int i = 0; i < 30; i++) loop(10);
    early += released;
    released = 0;
    begin();
    wait_idle(&publishers[0]);
    poll_published_at = now();
    publish(&publishers[0], channel, 7);
    while (released < conns && since(poll_published_at) < 15) loop(10);
    took += (released_at - poll_published_at) / (double)SECOND;
    poll_published_at = 0;
    counted += released;
    released = 0;
    end();
  }
  result(took, "\"rounds\":%d,\"early\":%d,\"bad\":%d", rounds, early, bad_polls);
}

int main(int argc, char **argv) {
  const char *mode = argc > 1 ? argv[1] : "";
  enum kind kind;
  arg_count = argc;
  args = argv;
  signal(SIGPIPE, SIG_IGN);
  port = number("port", 7999);
  path = text("path", "/echo");
  conns = number("conns", 1);
  at_a_time = number("conc", 64);
  size = number("size", 20);
  seconds = number("dur", 3);
  warm_seconds = number("warm", 1);
  publish_port = number("pubport", 5561);
  publish_path = text("pubpath", "/publish/");
  publish_body = text("pubbody", "");
  channel = text("channel", "room");
  kind = !strcmp(text("type", "ws"), "sse") ? SSE : WS;
  give_up_at = now() + (uint64_t)(number("maxs", 60) * SECOND);
  epoll_fd = epoll_create1(0);
  all = calloc(conns, sizeof *all);
  on_message = delivered;
  on_response = published;

  if (!strcmp(mode, "echo")) run_echo(kind);
  else if (!strcmp(mode, "http")) run_http();
  else if (!strcmp(mode, "fanout")) run_fanout(kind);
  else if (!strcmp(mode, "conn")) run_conn(kind);
  else if (!strcmp(mode, "hold")) run_hold(kind);
  else if (!strcmp(mode, "poll")) run_poll();
  else {
    fprintf(stderr, "usage: loadgen echo|http|fanout|conn|hold|poll key=value ...\n");
    return 1;
  }
  return 0;
}
