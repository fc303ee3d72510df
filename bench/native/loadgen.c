/* loadgen: many mail clients in one thread on epoll, for loopback targets only. */
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK = 50000000, REST = 20000000, EVENTS = 512 };

struct plan plan = {
    .user_pattern = "user%d", .password_pattern = "secret%d", .auth = AUTH_PLAIN, .clients = 1, .messages = 1, .recipients = 1, .users = 1,
    .size = 4096, .duration = UINT64_C(5000000000), .timeout = UINT64_C(30000000000)};
struct tally tally;
uint64_t measure_from, measure_to;
int poller;

static struct client *clients;
static unsigned *free_clients, free_count, resting_count;
static volatile sig_atomic_t told_to_stop;

static const char help[] =
    "loadgen: loads a mail server on this machine and prints one JSON object\n"
    "usage: loadgen --target 127.x.y.z:PORT [option ...]\n"
    "  --protocol smtp|pop3      what to speak (smtp)\n"
    "  --auth plain|login|mix|none   the SASL mechanism; mix takes turns (plain)\n"
    "  --clients N               sessions at once (1)\n"
    "  --messages N              messages a session, may be 0 (1)\n"
    "  --size OCTETS             of a message (4096)\n"
    "  --recipients N            of a message, at most 20 (1)\n"
    "  --pipeline                MAIL, RCPT and DATA in one write\n"
    "  --users N                 user numbers taken in turn (1)\n"
    "  --first-user N            the first number (0)\n"
    "  --user PATTERN            name, %d is the number (user%d)\n"
    "  --password PATTERN        likewise (secret%d)\n"
    "  --wrong SHARE             share of sessions with a wrong password, 0..1 (0)\n"
    "  --rate N                  open loop: N sessions a second begin, whatever the server does; times count from the\n"
    "                            intended beginning (default: closed loop, the next session begins when one ends)\n"
    "  --duration SECONDS        no session begins later (5)\n"
    "  --sessions N              no more than N sessions begin\n"
    "  --warmup SECONDS          not measured (0)\n"
    "  --ramp SECONDS            the first sessions begin spread over this time (0: all at once)\n"
    "  --pause SECONDS           a client rests this long between two sessions (0)\n"
    "  --timeout SECONDS         for each reply (30)\n"
    "  --hold greeting|login     go that far, then stay idle until the duration ends or TERM; says \"loadgen: holding N\"\n"
    "                            on stderr when every client is there\n"
    "  --slow OCTETS             a second of message data each client sends (as fast as taken)\n"
    "  --hangup                  close at the reply to QUIT, not when the server closes\n"
    "  --sources N               connect from 127.0.0.2 and the N-1 addresses behind it (kernel's choice)\n"
    "  --tls full|resumed        loadgen-tls: TLS from the first octet; a whole handshake each time, or resumed ones after a client's first\n"
    "  --percentiles             only read nanoseconds from stdin, one a line, and print their percentiles\n";

uint64_t clock_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void usage(const char *problem, const char *value) {
  fprintf(stderr, "loadgen: %s%s (see --help)\n", problem, value);
  exit(2);
}

static double number(const char *name, const char *text, double least, double most) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= least && value <= most)) {
    fprintf(stderr, "loadgen: --%s takes a number from %g to %g, not \"%s\"\n", name, least, most, text);
    exit(2);
  }
  return value;
}

static unsigned word(const char *name, const char *text, const char *const *words) {
  for (unsigned i = 0; words[i]; i++)
    if (strcmp(words[i], text) == 0) return i;
  fprintf(stderr, "loadgen: --%s does not know \"%s\"\n", name, text);
  exit(2);
}

static void take_target(const char *text) {
  char address[64];
  const char *colon = strrchr(text, ':');
  if (!colon || (size_t)(colon - text) >= sizeof address) usage("--target is 127.x.y.z:PORT, not ", text);
  snprintf(address, sizeof address, "%.*s", (int)(colon - text), text);
  plan.target.sin_family = AF_INET;
  plan.target.sin_port = htons((uint16_t)number("target", colon + 1, 1, 65535));
  if (inet_pton(AF_INET, address, &plan.target.sin_addr) != 1) usage("--target is 127.x.y.z:PORT, not ", text);
  if (ntohl(plan.target.sin_addr.s_addr) >> 24 != 127) usage("only loopback addresses may be loaded, not ", text);
  plan.target_text = text;
}

static int percentiles(void) {
  static struct histogram h;
  unsigned long long value;
  while (scanf("%llu", &value) == 1) histogram_add(&h, value);
  printf("{\"count\":%llu,\"p50\":%llu,\"p90\":%llu,\"p99\":%llu,\"p999\":%llu,\"max\":%llu}\n", (unsigned long long)h.count,
         (unsigned long long)histogram_at(&h, 0.5), (unsigned long long)histogram_at(&h, 0.9), (unsigned long long)histogram_at(&h, 0.99),
         (unsigned long long)histogram_at(&h, 0.999), (unsigned long long)h.max);
  return 0;
}

static void take_options(int argc, char **argv) {
  static const char *const protocols[] = {"smtp", "pop3", NULL}, *const mechanisms[] = {"none", "plain", "login", "mix", NULL},
                    *const holds[] = {"", "greeting", "login", NULL}, *const shakes[] = {"full", "resumed", NULL};
  static const struct option options[] = {
      {"target", 1, 0, 't'},   {"protocol", 1, 0, 'p'}, {"auth", 1, 0, 'a'},   {"clients", 1, 0, 'c'},    {"messages", 1, 0, 'm'},
      {"size", 1, 0, 's'},     {"recipients", 1, 0, 'r'}, {"pipeline", 0, 0, 'P'}, {"users", 1, 0, 'u'},    {"first-user", 1, 0, 'f'},
      {"user", 1, 0, 'U'},     {"password", 1, 0, 'W'}, {"wrong", 1, 0, 'w'},  {"rate", 1, 0, 'R'},       {"duration", 1, 0, 'd'},
      {"sessions", 1, 0, 'n'}, {"warmup", 1, 0, 'x'},   {"ramp", 1, 0, 'y'},   {"pause", 1, 0, 'z'},      {"timeout", 1, 0, 'T'},
      {"hold", 1, 0, 'H'},     {"slow", 1, 0, 'S'},     {"hangup", 0, 0, 'g'}, {"sources", 1, 0, 'A'},    {"percentiles", 0, 0, '%'},
      {"tls", 1, 0, 'L'},      {"help", 0, 0, 'h'},     {0, 0, 0, 0}};
  int letter, which;
  bool bounded = false, timed = false, tls = false;
  while ((letter = getopt_long(argc, argv, "h", options, &which)) != -1) {
    const char *name = letter == 'h' || letter == '?' ? "" : options[which].name;
    switch (letter) {
      case 't': take_target(optarg); break;
      case 'p': plan.pop3 = word(name, optarg, protocols) == 1; break;
      case 'a': plan.auth = (enum auth)word(name, optarg, mechanisms); break;
      case 'c': plan.clients = (unsigned)number(name, optarg, 1, 60000); break;
      case 'm': plan.messages = (unsigned)number(name, optarg, 0, 1e9); break;
      case 's': plan.size = (size_t)number(name, optarg, 4, 1e9); break;
      case 'r': plan.recipients = (unsigned)number(name, optarg, 1, 20); break;
      case 'P': plan.pipeline = true; break;
      case 'u': plan.users = (unsigned)number(name, optarg, 1, 1e9); break;
      case 'f': plan.first_user = (unsigned)number(name, optarg, 0, 1e9); break;
      case 'U': plan.user_pattern = optarg; break;
      case 'W': plan.password_pattern = optarg; break;
      case 'w': plan.wrong = number(name, optarg, 0, 1); break;
      case 'R': plan.rate = number(name, optarg, 0.001, 1e6); break;
      case 'd': plan.duration = (uint64_t)(number(name, optarg, 0, 1e6) * 1e9), timed = true; break;
      case 'n': plan.sessions = (uint64_t)number(name, optarg, 1, 1e12), bounded = true; break;
      case 'x': plan.warmup = (uint64_t)(number(name, optarg, 0, 1e6) * 1e9); break;
      case 'y': plan.ramp = (uint64_t)(number(name, optarg, 0, 1e6) * 1e9); break;
      case 'z': plan.pause = (uint64_t)(number(name, optarg, 0, 1e6) * 1e9); break;
      case 'T': plan.timeout = (uint64_t)(number(name, optarg, 0.01, 1e6) * 1e9); break;
      case 'H': plan.hold = (enum hold)word(name, optarg, holds); break;
      case 'S': plan.slow = number(name, optarg, 1, 1e9); break;
      case 'g': plan.hangup = true; break;
      case 'A': plan.sources = (unsigned)number(name, optarg, 1, 250); break;
      case 'L': plan.resume = word(name, optarg, shakes) == 1; tls = true; break;
      case '%': exit(percentiles());
      case 'h': fputs(help, stdout); exit(0);
      default: exit(2);
    }
  }
  if (optind < argc) usage("what is ", argv[optind]);
  if (tls != wire_is_tls) usage("--tls is for loadgen-tls, which has to have it", "");
  if (!plan.target_text) usage("--target is missing", "");
  if (strlen(plan.user_pattern) > 60 || strlen(plan.password_pattern) > 60) usage("a pattern has at most 60 octets", "");
  if (plan.pipeline && plan.recipients > 8) usage("at most 8 recipients with --pipeline", "");
  if (bounded && !timed) plan.duration = UINT64_C(3600000000000);
  if (plan.hold != HOLD_NOT) plan.sessions = plan.clients;
}

void client_ended(struct client *c, bool well, uint64_t now) {
  if (c->step == HOLDING) tally.held--;
  wire_end(c);
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
  /* A server that refuses is not asked again in a tight loop. */
  uint64_t rest = well ? plan.pause : plan.pause > REST ? plan.pause : REST;
  if (rest > 0) {
    c->step = RESTING;
    c->deadline = now + rest;
    resting_count++;
    return;
  }
  c->step = FREE;
  free_clients[free_count++] = (unsigned)(c - clients);
}

static void stop(int signal_number) {
  (void)signal_number;
  told_to_stop = 1;
}

static void prepare(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur < plan.clients + 16) usage("more clients than the descriptor limit allows", "");
  signal(SIGPIPE, SIG_IGN);
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  poller = epoll_create1(EPOLL_CLOEXEC);
  clients = calloc(plan.clients, sizeof *clients);
  free_clients = calloc(plan.clients, sizeof *free_clients);
  if (poller < 0 || !clients || !free_clients) usage("no memory", "");
  for (unsigned i = 0; i < plan.clients; i++) {
    clients[i].fd = -1;
    free_clients[free_count++] = plan.clients - 1 - i;
  }
  make_body();
}

/* When the next session is due; UINT64_MAX: never. */
static uint64_t next_due(uint64_t begun, uint64_t now) {
  if (plan.sessions > 0 && tally.started >= plan.sessions) return UINT64_MAX;
  if (plan.rate > 0) return begun + (uint64_t)((double)tally.started * 1e9 / plan.rate);
  if (plan.ramp > 0 && tally.started < plan.clients) return begun + plan.ramp / plan.clients * tally.started;
  return now;
}

/* Starts what is due. The moment of the next start, as far as one is known. */
static uint64_t start_due(uint64_t begun, uint64_t last_start, uint64_t now) {
  for (;;) {
    uint64_t due = next_due(begun, now);
    if (due > last_start || (plan.rate <= 0 && now > last_start)) return UINT64_MAX;
    if (now > last_start + plan.timeout) {
      /* Open loop, and the server is so late that sessions that were due have found no client free until now. */
      uint64_t all = (uint64_t)((double)(last_start - begun) * plan.rate / 1e9) + 1;
      if (all > tally.started) count_error(ERROR_TIMEOUT, FREE, "never begun", all - tally.started);
      plan.sessions = tally.started;
      return UINT64_MAX;
    }
    if (due > now) return due;
    if (free_count == 0) return now + TICK;
    unsigned index = free_clients[--free_count];
    client_start(&clients[index], index, due, now);
  }
}

static void arm(int timer, uint64_t at) {
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u)}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void tick_all(uint64_t now) {
  for (unsigned i = 0; i < plan.clients; i++) {
    struct client *c = &clients[i];
    if (c->step == RESTING && now >= c->deadline) {
      c->step = FREE;
      resting_count--;
      free_clients[free_count++] = i;
    } else {
      client_tick(c, now);
    }
  }
}

int main(int argc, char **argv) {
  take_options(argc, argv);
  prepare();
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct epoll_event of_timer = {.events = EPOLLIN}, events[EVENTS];
  epoll_ctl(poller, EPOLL_CTL_ADD, timer, &of_timer);

  uint64_t begun = clock_now(), now = begun, last_start = begun + plan.duration, next_tick = begun + TICK;
  bool told_holding = false;
  uint64_t last_heard = begun;
  measure_from = begun + plan.warmup;
  /* Bounded by a count alone, everything is measured. */
  measure_to = plan.sessions > 0 && plan.duration >= UINT64_C(3600000000000) ? UINT64_MAX : last_start;
  for (;;) {
    if (told_to_stop && last_start > now) last_start = now, measure_to = now;
    uint64_t next_start = start_due(begun, last_start, now);
    if (now >= next_tick) tick_all(now), next_tick = now + TICK;
    unsigned busy = plan.clients - free_count - resting_count;
    if (busy == tally.held) last_heard = now;
    if (plan.hold != HOLD_NOT) {
      if (!told_holding && tally.started >= plan.clients && busy == tally.held) {
        fprintf(stderr, "loadgen: holding %u\n", tally.held);
        told_holding = true;
      }
      if ((now >= last_start && busy == tally.held) || (told_holding && tally.held == 0)) break;
    } else if (next_start == UINT64_MAX && busy == 0) {
      break;
    }
    arm(timer, next_start < next_tick ? next_start : next_tick);
    int n = epoll_wait(poller, events, EVENTS, -1);
    now = clock_now();
    for (int i = 0; i < n; i++) {
      struct client *c = events[i].data.ptr;
      if (!c) {
        uint64_t expired;
        if (read(timer, &expired, sizeof expired) < 0 && errno != EAGAIN) return 1;
      } else if (c->fd >= 0) {
        /* The clock is read per event: at 1000 clients a batch is long enough to matter. */
        now = clock_now();
        if (now - last_heard > tally.longest_silence) tally.longest_silence = now - last_heard;
        last_heard = now;
        client_ready(c, events[i].events, now);
      }
    }
  }
  uint64_t end = now < measure_to ? now : measure_to;
  report(end > measure_from ? (double)(end - measure_from) / 1e9 : 0);
  return fflush(stdout) == 0 ? 0 : 1;
}
