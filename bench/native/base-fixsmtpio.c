/* base-fixsmtpio PROGRAM...: the filter stage of the baseline. Runs its program on two pipes and puts each reply through
 * the rules of control/fixsmtpio, each request through their prepends; message data passes unread but for its end. */
#include <errno.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base-io.h"

enum { ROOM = 65536, PENDING = 256, VERB_ROOM = 32, TIMEOUT_SECONDS = 1200 };

struct rule {
  const char *env, *event, *prepend, *glob, *exitcode, *response;
};

static struct rule *rules;
static size_t rule_count;
static const char *me;

/* One direction's bytes that do not make a line yet. */
struct stream {
  char bytes[ROOM];
  size_t length;
};
static struct stream requests, replies;

/* Verbs sent on and not answered yet, oldest first. */
static char pending[PENDING][VERB_ROOM];
static size_t pending_first, pending_count;

static enum { COMMANDS, AWAITING_354, IN_DATA } mode = COMMANDS;
static unsigned end_matched;
/* The reply being put together, and finished ones: what came in one read goes out in one write. */
static char reply_text[ROOM], ready_text[ROOM];
static size_t reply_length, ready_length;
static pid_t child;

static bool read_rules(void) {
  char *text = slurp("control/fixsmtpio");
  size_t room = 0;
  while (text && *text) {
    char *line = strsep(&text, "\n");
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t')) line[--length] = 0;
    if (length == 0 || line[0] == '#') continue;
    const char *fields[6];
    for (int i = 0; i < 6; i++) {
      fields[i] = i < 5 ? strsep(&line, ":") : line;
      if (!fields[i]) return false;
    }
    if (rule_count == room) rules = realloc(rules, (room = room ? room * 2 : 32) * sizeof *rules);
    if (!rules) return false;
    rules[rule_count++] = (struct rule){fields[0], fields[1], fields[2], fields[3], fields[4], fields[5]};
  }
  return true;
}

static bool concerns(const struct rule *rule, const char *event) {
  return strcasecmp(rule->event, event) == 0 && (!*rule->env || getenv(rule->env));
}

static void expect(const char *event) {
  if (pending_count == PENDING) _exit(1);
  snprintf(pending[(pending_first + pending_count++) % PENDING], VERB_ROOM, "%s", event);
}

static const char *fixed_up(const char *event, const char *line, char *to) {
  if (strcasecmp(event, "greeting") == 0) snprintf(to, 1024, "220 %s ESMTP\r\n", me);
  else if (strcasecmp(event, "quit") == 0) snprintf(to, 1024, "221 %s\r\n", me);
  else if (strcasecmp(event, "help") == 0) snprintf(to, 1024, "214 %s home page: see your administrator\r\n", me);
  else if (strncmp(line, "250", 3) == 0 && reply_length == 0) snprintf(to, 1024, "%.4s%s\r\n", line, me);
  else return line;
  return to;
}

/* Every matching rule applies in order to the original line; the last response and exit code win. */
static void take_reply_line(const char *event, char *line, size_t length, int *exitcode) {
  char made[1100];
  const char *result = line;
  char after = line[length];
  line[length] = 0;
  for (size_t i = 0; i < rule_count; i++) {
    const struct rule *rule = &rules[i];
    if (!concerns(rule, event) || fnmatch(rule->glob, line, 0) != 0) continue;
    if (*rule->exitcode) *exitcode = atoi(rule->exitcode);
    if (strcmp(rule->response, "&fixsmtpio_noop") == 0) result = line;
    else if (strcmp(rule->response, "&fixsmtpio_fixup") == 0) result = fixed_up(event, line, made);
    else if (*rule->response) snprintf(made, sizeof made, "%s\r\n", rule->response), result = made;
    else result = "";
  }
  size_t width = strlen(result);
  if (reply_length + width >= sizeof reply_text) _exit(1);
  memcpy(reply_text + reply_length, result, width);
  reply_length += width;
  line[length] = after;
}

/* Puts the continuation marks right: every line but the last has a hyphen after its code. */
static void mark_continuations(void) {
  char *last = NULL;
  for (char *line = reply_text; line < reply_text + reply_length;) {
    if (last && last[3]) last[3] = '-';
    last = line;
    char *end = memchr(line, '\n', (size_t)(reply_text + reply_length - line));
    if (!end) break;
    line = end + 1;
  }
  if (last && reply_text + reply_length - last > 5) last[3] = ' ';
}

static void send_replies(void) {
  if (ready_length > 0 && !write_all(1, ready_text, ready_length)) _exit(0);
  ready_length = 0;
}

static void finish_reply(const char *event) {
  mark_continuations();
  if (mode == AWAITING_354 && strcasecmp(event, "data") == 0) {
    mode = strncmp(reply_text, "354", 3) == 0 ? IN_DATA : COMMANDS;
    end_matched = 2;
  }
  if (ready_length + reply_length > ROOM) send_replies();
  memcpy(ready_text + ready_length, reply_text, reply_length);
  ready_length += reply_length;
  reply_length = 0;
}

static void take_replies(void) {
  size_t at = 0;
  char *end;
  while ((end = memchr(replies.bytes + at, '\n', replies.length - at))) {
    char *line = replies.bytes + at;
    size_t length = (size_t)(end + 1 - line);
    const char *event = pending_count > 0 ? pending[pending_first] : "";
    int exitcode = -1;
    take_reply_line(event, line, length, &exitcode);
    at += length;
    if (exitcode >= 0) {
      finish_reply(event);
      send_replies();
      _exit(exitcode);
    }
    if (length > 3 && line[3] == '-') continue;
    finish_reply(event);
    if (pending_count > 0) pending_first = (pending_first + 1) % PENDING, pending_count--;
  }
  send_replies();
  memmove(replies.bytes, replies.bytes + at, replies.length - at);
  replies.length -= at;
}

/* How much of `bytes` is message data; ends after CR LF . CR LF, which may come in any pieces. */
static size_t message_part(const char *bytes, size_t length) {
  static const char end[] = "\r\n.\r\n";
  size_t at = 0;
  while (at < length) {
    if (end_matched == 0) {
      const char *next = memchr(bytes + at, '\r', length - at);
      if (!next) return length;
      at = (size_t)(next - bytes);
    }
    char c = bytes[at++];
    end_matched = c == end[end_matched] ? end_matched + 1 : c == '\r';
    if (end_matched == 5) {
      mode = COMMANDS;
      expect("in_data");
      return at;
    }
  }
  return length;
}

static void take_requests(int to) {
  static char out[2 * ROOM];
  size_t at = 0, made = 0;
  while (at < requests.length && mode != AWAITING_354) {
    char *line = requests.bytes + at;
    if (mode == IN_DATA) {
      size_t part = message_part(line, requests.length - at);
      if (made > 0 && !write_all(to, out, made)) return;
      made = 0;
      if (!write_all(to, line, part)) return;
      at += part;
      continue;
    }
    char *end = memchr(line, '\n', requests.length - at);
    if (!end) break;
    size_t length = (size_t)(end + 1 - line), width = strcspn(line, " \r\n");
    char verb[VERB_ROOM];
    snprintf(verb, sizeof verb, "%.*s", (int)(width < VERB_ROOM ? width : VERB_ROOM - 1), line);
    for (size_t i = rule_count; i-- > 0;) {
      if (!*rules[i].prepend || !concerns(&rules[i], verb)) continue;
      size_t extra = strlen(rules[i].prepend);
      if (made + extra > ROOM) _exit(1);
      memcpy(out + made, rules[i].prepend, extra);
      made += extra;
    }
    memcpy(out + made, line, length);
    made += length;
    at += length;
    expect(verb);
    if (strcasecmp(verb, "data") == 0) mode = AWAITING_354;
  }
  if (made > 0 && !write_all(to, out, made)) return;
  memmove(requests.bytes, requests.bytes + at, requests.length - at);
  requests.length -= at;
}

static int ending(const char *event) {
  int code = 0;
  for (size_t i = 0; i < rule_count; i++)
    if (concerns(&rules[i], event) && *rules[i].exitcode) code = atoi(rules[i].exitcode);
  return code;
}

static int child_code(void) {
  int status;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 111;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "base-fixsmtpio: usage: base-fixsmtpio prog [ arg ... ]\n");
    return 1;
  }
  enter_home();
  me = control_line("control/me", "localhost");
  if (!read_rules()) {
    fprintf(stderr, "base-fixsmtpio: unable to parse control/fixsmtpio\n");
    return 18;
  }
  int to[2], from[2];
  if (pipe(to) < 0 || pipe(from) < 0 || (child = fork()) < 0) return 111;
  if (child == 0) {
    dup2(to[0], 0), dup2(from[1], 1);
    close(to[0]), close(to[1]), close(from[0]), close(from[1]);
    execvp(argv[1], argv + 1);
    _exit(111);
  }
  close(to[0]), close(from[1]);
  expect("greeting");
  for (bool client_gone = false;;) {
    /* A request buffer that is full, or held until the reply to DATA, is not read further. */
    bool room = requests.length < ROOM && !client_gone;
    struct pollfd ready[2] = {{.fd = from[0], .events = POLLIN}, {.fd = room ? 0 : -1, .events = POLLIN}};
    int n = poll(ready, 2, TIMEOUT_SECONDS * 1000);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return ending("timeout");
    if (ready[0].revents) {
      ssize_t got = read(from[0], replies.bytes + replies.length, ROOM - replies.length);
      if (got <= 0) {
        int code = child_code();
        return client_gone ? ending("clienteof") : code;
      }
      replies.length += (size_t)got;
      take_replies();
      if (mode != AWAITING_354 && requests.length > 0) take_requests(to[1]);
    }
    if (ready[1].revents) {
      ssize_t got = read(0, requests.bytes + requests.length, ROOM - requests.length);
      if (got <= 0) {
        client_gone = true;
      } else {
        requests.length += (size_t)got;
        take_requests(to[1]);
      }
    }
    /* Requests held until the reply to DATA still go, and replies on their way are relayed: the backend ends when it has read all. */
    if (client_gone && to[1] >= 0 && mode != AWAITING_354) {
      close(to[1]);
      to[1] = -1;
    }
  }
}
