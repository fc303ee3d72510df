/* loadgen.c parses options and runs the clock, client.c speaks for one client, wire.c (in loadgen-tls: tls.c) carries what it says,
 * report.c writes the JSON. */
#ifndef LOADGEN_H
#define LOADGEN_H
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "histogram.h"

enum auth { AUTH_NONE, AUTH_PLAIN, AUTH_LOGIN, AUTH_MIX };
enum hold { HOLD_NOT, HOLD_GREETING, HOLD_LOGIN };

struct plan {
  struct sockaddr_in target;
  const char *target_text, *user_pattern, *password_pattern;
  bool pop3, pipeline, hangup, resume;
  enum auth auth;
  enum hold hold;
  unsigned clients, messages, recipients, users, first_user, sources, rounds;
  size_t size;
  uint64_t sessions;                      /* 0: no bound */
  double wrong, rate, slow;               /* share 0..1; sessions a second, 0: closed loop; octets a second, 0: as fast as taken */
  uint64_t duration, warmup, ramp, timeout, pause; /* nanoseconds */
};

/* What a client waits for; the names are in client.c. */
enum step {
  FREE, RESTING, GREETING, EHLO, AUTH_SENT, AUTH_USER, AUTH_PASS, MAIL, RCPT, DATA, BODY, QUIT, GOODBYE,
  POP_GREETING, POP_USER, POP_PASS, POP_STAT, POP_QUIT, HOLDING, STEPS
};
extern const char *const step_names[STEPS];

struct client {
  int fd;
  void *secured, *ticket; /* of tls.c */
  enum step step;
  bool wrong, login, writable_wanted;
  uint32_t user, messages_left, recipients_left;
  uint64_t intended, login_at, message_at, deadline; /* deadline: of the reply; while RESTING: when to start again */
  const char *body;
  size_t body_left, slow_allowed, out_at, out_end, in_end;
  char out[1024], in[1024];
};

enum error { ERROR_REFUSED, ERROR_CONNECT, ERROR_REPLY, ERROR_CLOSED, ERROR_TIMEOUT, ERRORS };
extern const char *const error_names[ERRORS];

enum { SAMPLES = 8, SAMPLE_ROOM = 120 };
struct sample {
  enum error kind;
  enum step at;
  uint64_t count;
  char text[SAMPLE_ROOM];
};

struct tally {
  uint64_t sessions, logins, refused_logins, messages, octets; /* inside the measured time */
  uint64_t all_sessions, all_logins, all_refused_logins, all_messages, started, late;
  uint64_t handshakes, resumed; /* of the measured time and of the rest */
  uint64_t errors[ERRORS];
  uint64_t longest_silence; /* nanoseconds in which nobody heard anything though somebody waited */
  struct sample samples[SAMPLES];
  unsigned sample_count, held, most_held;
  struct histogram banner, login, session, message;
};

extern struct plan plan;
extern struct tally tally;
extern uint64_t measure_from, measure_to; /* monotonic nanoseconds */
extern int poller;

uint64_t clock_now(void);

/* A descriptor that is being connected; in TLS the client speaks first, so wire_start says whether it has to become writable. */
extern const bool wire_is_tls;
bool wire_start(struct client *c);
/* As read and send: -1 with EAGAIN for later, 0 at the end. */
ssize_t wire_read(struct client *c, char *to, size_t room);
ssize_t wire_write(struct client *c, const char *from, size_t length);
/* Something has been read of the descriptor that no event will tell of. */
bool wire_pending(const struct client *c);
void wire_end(struct client *c);

/* Opens a connection for a session that was meant to begin at `intended`. */
void client_start(struct client *c, unsigned index, uint64_t intended, uint64_t now);
void client_ready(struct client *c, uint32_t events, uint64_t now);
/* Deadlines and the rate of slow clients; called every few milliseconds. */
void client_tick(struct client *c, uint64_t now);
/* What follows DATA, with its end. */
extern char *body;
extern size_t body_length;
void make_body(void);
void base64(const char *from, size_t length, char *to);
int fill_in(char *to, size_t room, const char *pattern, uint32_t number);
void count_error(enum error kind, enum step at, const char *text, uint64_t times);
/* A client that has come to its end, well or not, calls this of loadgen.c. */
void client_ended(struct client *c, bool well, uint64_t now);

void report(double seconds);
#endif
