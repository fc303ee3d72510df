#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loadgen.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

const char *const step_names[STEPS] = {
    "free",  "resting", "greeting", "ehlo",         "auth",     "auth user", "auth password", "mail",   "rcpt",   "data",
    "body",  "quit",    "goodbye",  "pop greeting", "pop user", "pop pass",  "pop stat",      "pop quit", "holding"};
const char *const error_names[ERRORS] = {"refused", "connect", "reply", "closed", "timeout"};

static bool measured(uint64_t at) {
  return at >= measure_from && at <= measure_to;
}

void count_error(enum error kind, enum step at, const char *text, uint64_t times) {
  tally.errors[kind] += times;
  char clean[SAMPLE_ROOM];
  snprintf(clean, sizeof clean, "%s", text);
  unsigned i = 0;
  while (i < tally.sample_count &&
         (tally.samples[i].kind != kind || tally.samples[i].at != at || strcmp(tally.samples[i].text, clean) != 0)) i++;
  if (i < SAMPLES) {
    struct sample *s = &tally.samples[i];
    if (i == tally.sample_count) tally.sample_count++, s->kind = kind, s->at = at, s->count = 0, strcpy(s->text, clean);
    s->count += times;
  }
}

static void failed(struct client *c, enum error kind, const char *text, uint64_t now) {
  count_error(kind, c->step, text, 1);
  client_ended(c, false, now);
}

static void watch(struct client *c, bool writable) {
  struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0u), .data.ptr = c};
  if (c->writable_wanted == writable) return;
  c->writable_wanted = writable;
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

/* Writes what is queued. False if the session has failed by it. */
static bool push(struct client *c, uint64_t now) {
  for (;;) {
    const char *from = c->out + c->out_at;
    size_t length = c->out_end - c->out_at;
    bool of_body = length == 0;
    if (of_body) {
      from = c->body, length = c->body_left;
      if (plan.slow > 0 && length > c->slow_allowed) length = c->slow_allowed;
    }
    if (length == 0) break;
    ssize_t n = wire_write(c, from, length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      watch(c, true);
      return true;
    }
    if (n < 0) {
      /* What the server said before it closed is worth more than EPIPE: the read side reports it. */
      if (errno == EPIPE || errno == ECONNRESET) return true;
      failed(c, ERROR_CLOSED, strerror(errno), now);
      return false;
    }
    c->deadline = now + plan.timeout;
    if (of_body) {
      c->body += n, c->body_left -= (size_t)n;
      if (plan.slow > 0) c->slow_allowed -= (size_t)n;
    } else if ((c->out_at += (size_t)n) == c->out_end) {
      c->out_at = c->out_end = 0;
    }
  }
  watch(c, false);
  return true;
}

static void queue(struct client *c, const char *text, size_t length) {
  if (c->out_end + length > sizeof c->out) abort();
  memcpy(c->out + c->out_end, text, length);
  c->out_end += length;
}

#define SAY(c, ...)                                                      \
  do {                                                                   \
    char say_text[600];                                                  \
    int say_length = snprintf(say_text, sizeof say_text, __VA_ARGS__);   \
    queue(c, say_text, (size_t)say_length);                              \
  } while (0)

static void credentials(const struct client *c, char *user, char *password, size_t room) {
  fill_in(user, room, plan.user_pattern, plan.first_user + c->user);
  if (c->wrong) snprintf(password, room, "wrong");
  else fill_in(password, room, plan.password_pattern, plan.first_user + c->user);
}

static void say_auth(struct client *c) {
  char user[100], password[100], plain[210], coded[300];
  if (c->login) {
    SAY(c, "AUTH LOGIN\r\n");
    c->step = AUTH_USER;
    return;
  }
  credentials(c, user, password, sizeof user);
  int length = snprintf(plain, sizeof plain, "%c%s%c%s", 0, user, 0, password);
  base64(plain, (size_t)length, coded);
  SAY(c, "AUTH PLAIN %s\r\n", coded);
  c->step = AUTH_SENT;
}

static void say_coded(struct client *c, bool password_turn) {
  char user[100], password[100], coded[200];
  credentials(c, user, password, sizeof user);
  const char *text = password_turn ? password : user;
  base64(text, strlen(text), coded);
  SAY(c, "%s\r\n", coded);
}

static void say_quit(struct client *c) {
  SAY(c, "QUIT\r\n");
  c->step = plan.pop3 ? POP_QUIT : QUIT;
}

static void next_message(struct client *c, uint64_t now) {
  if (c->messages_left == 0) {
    say_quit(c);
    return;
  }
  c->messages_left--;
  c->recipients_left = plan.recipients;
  c->message_at = now;
  c->step = MAIL;
  SAY(c, "MAIL FROM:<bench@bench.invalid>\r\n");
  if (!plan.pipeline) return;
  for (unsigned i = 0; i < plan.recipients; i++) SAY(c, "RCPT TO:<to%u@bench.invalid>\r\n", i);
  SAY(c, "DATA\r\n");
}

static void logged_in(struct client *c, uint64_t now) {
  if (measured(c->login_at)) histogram_add(&tally.login, now - c->login_at);
  if (measured(now)) tally.logins++;
  tally.all_logins++;
}

static void refused_login(uint64_t now) {
  if (measured(now)) tally.refused_logins++;
  tally.all_refused_logins++;
}

static void begin_holding(struct client *c) {
  c->step = HOLDING;
  if (++tally.held > tally.most_held) tally.most_held = tally.held;
}

static void session_done(struct client *c, uint64_t now) {
  if (measured(c->intended)) histogram_add(&tally.session, now - c->intended);
  if (measured(now)) tally.sessions++;
  tally.all_sessions++;
  c->step = GOODBYE;
}

/* One line of a reply. False if the session has ended, well or not. */
static bool take_line(struct client *c, const char *line, uint64_t now) {
  bool last = plan.pop3 || (strlen(line) >= 3 && line[3] != '-');
  if (!last && line[0] == '2') return true;
  char kind = plan.pop3 ? (line[0] == '+' ? '2' : line[0] == '-' ? '5' : '?') : line[0];
  bool good = kind == '2';

  switch (c->step) {
    case GREETING:
    case POP_GREETING:
      if (!good) break;
      if (measured(c->intended)) histogram_add(&tally.banner, now - c->intended);
      if (plan.hold == HOLD_GREETING) begin_holding(c);
      else if (plan.pop3) {
        char user[100], password[100];
        credentials(c, user, password, sizeof user);
        c->login_at = now;
        SAY(c, "USER %s\r\n", user);
        c->step = POP_USER;
      } else {
        SAY(c, "EHLO client.bench.invalid\r\n");
        c->step = EHLO;
      }
      return true;
    case EHLO:
      if (!good) break;
      c->login_at = now;
      if (plan.auth == AUTH_NONE) next_message(c, now);
      else say_auth(c);
      return true;
    case AUTH_USER:
      if (kind != '3') break;
      say_coded(c, false);
      c->step = AUTH_PASS;
      return true;
    case AUTH_PASS:
      if (kind != '3') break;
      say_coded(c, true);
      c->step = AUTH_SENT;
      return true;
    case AUTH_SENT:
      if (c->wrong && strncmp(line, "535", 3) == 0) {
        refused_login(now);
        say_quit(c);
        return true;
      }
      if (c->wrong || strncmp(line, "235", 3) != 0) break;
      logged_in(c, now);
      if (plan.hold == HOLD_LOGIN) begin_holding(c);
      else next_message(c, now);
      return true;
    case MAIL:
      if (!good) break;
      if (!plan.pipeline) SAY(c, "RCPT TO:<to%u@bench.invalid>\r\n", plan.recipients - c->recipients_left);
      c->step = RCPT;
      return true;
    case RCPT:
      if (!good) break;
      if (--c->recipients_left > 0) {
        if (!plan.pipeline) SAY(c, "RCPT TO:<to%u@bench.invalid>\r\n", plan.recipients - c->recipients_left);
        return true;
      }
      if (!plan.pipeline) SAY(c, "DATA\r\n");
      c->step = DATA;
      return true;
    case DATA:
      if (kind != '3') break;
      c->body = body, c->body_left = body_length;
      c->slow_allowed = 0;
      c->step = BODY;
      return true;
    case BODY:
      if (!good || c->body_left > 0) break;
      if (measured(c->message_at)) histogram_add(&tally.message, now - c->message_at);
      if (measured(now)) tally.messages++, tally.octets += body_length - 3;
      tally.all_messages++;
      next_message(c, now);
      return true;
    case QUIT:
    case POP_QUIT:
      if (!good) break;
      session_done(c, now);
      if (!plan.hangup) return true;
      client_ended(c, true, now);
      return false;
    case POP_USER: {
      if (!good) break;
      char user[100], password[100];
      credentials(c, user, password, sizeof user);
      SAY(c, "PASS %s\r\n", password);
      c->step = POP_PASS;
      return true;
    }
    case POP_PASS:
      if (c->wrong && !good) {
        refused_login(now);
        say_quit(c);
        return true;
      }
      if (c->wrong || !good) break;
      logged_in(c, now);
      if (plan.hold == HOLD_LOGIN) begin_holding(c);
      else {
        SAY(c, "STAT\r\n");
        c->step = POP_STAT;
      }
      return true;
    case POP_STAT:
      if (!good) break;
      say_quit(c);
      return true;
    case FREE: case RESTING: case GOODBYE: case HOLDING: case STEPS:
      break;
  }
  failed(c, ERROR_REPLY, line, now);
  return false;
}

void client_start(struct client *c, unsigned index, uint64_t intended, uint64_t now) {
  static uint64_t turn, wrong_so_far;
  *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .ticket = c->ticket};
  c->step = plan.pop3 ? POP_GREETING : GREETING;
  c->intended = intended;
  c->deadline = now + plan.timeout;
  c->messages_left = plan.messages;
  c->user = (uint32_t)(turn % plan.users);
  c->login = plan.auth == AUTH_LOGIN || (plan.auth == AUTH_MIX && turn % 2 == 1);
  turn++;
  /* Exactly the asked share, spread evenly. */
  if ((double)(wrong_so_far + 1) <= plan.wrong * (double)turn + 1e-9) c->wrong = true, wrong_so_far++;
  tally.started++;
  if (now > intended + 1000000) tally.late++;
  if (c->fd < 0) {
    failed(c, ERROR_CONNECT, strerror(errno), now);
    return;
  }
  int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (plan.sources > 0) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + index % plan.sources)};
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) < 0) {
      failed(c, ERROR_CONNECT, strerror(errno), now);
      return;
    }
  }
  if (connect(c->fd, (struct sockaddr *)&plan.target, sizeof plan.target) < 0 && errno != EINPROGRESS) {
    failed(c, errno == ECONNREFUSED ? ERROR_REFUSED : ERROR_CONNECT, strerror(errno), now);
    return;
  }
  c->writable_wanted = wire_start(c);
  struct epoll_event event = {.events = EPOLLIN | (c->writable_wanted ? EPOLLOUT : 0u), .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

/* One read of it. False if the session has ended, well or not. */
static bool hear(struct client *c, uint64_t now) {
  ssize_t n = wire_read(c, c->in + c->in_end, sizeof c->in - 1 - c->in_end);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (n <= 0) {
    if (c->step == GOODBYE) client_ended(c, true, now);
    else if (n == 0) failed(c, ERROR_CLOSED, "end of file", now);
    else failed(c, errno == ECONNREFUSED ? ERROR_REFUSED : errno == ECONNRESET ? ERROR_CLOSED : ERROR_CONNECT, strerror(errno), now);
    return false;
  }
  c->deadline = now + plan.timeout;
  c->in_end += (size_t)n;
  c->in[c->in_end] = 0;
  char *line = c->in, *end;
  while ((end = memchr(line, '\n', (size_t)(c->in + c->in_end - line)))) {
    *end = 0;
    if (end > line && end[-1] == '\r') end[-1] = 0;
    if (!take_line(c, line, now)) return false;
    line = end + 1;
  }
  c->in_end = (size_t)(c->in + c->in_end - line);
  memmove(c->in, line, c->in_end);
  if (c->in_end < sizeof c->in - 1) return true;
  failed(c, ERROR_REPLY, "a line of more than 1000 octets", now);
  return false;
}

void client_ready(struct client *c, uint32_t events, uint64_t now) {
  /* In TLS the handshake is part of the first read, and waits for a writable socket too. */
  if (wire_is_tls || (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
    do {
      if (!hear(c, now)) return;
    } while (wire_pending(c));
  push(c, now);
}

void client_tick(struct client *c, uint64_t now) {
  if (c->step == HOLDING || c->step == FREE || c->step == RESTING) return;
  if (plan.slow > 0 && c->step == BODY && c->body_left > 0) {
    /* Twenty ticks a second; at least an octet each. */
    size_t more = (size_t)(plan.slow / 20);
    c->slow_allowed += more > 0 ? more : 1;
    push(c, now);
    return;
  }
  if (now >= c->deadline) failed(c, ERROR_TIMEOUT, "", now);
}
