/* base-authup smtp|pop3 CHECKPASSWORD PROGRAM...: the login stage of the baseline. Speaks to the client until it logs in,
 * forks checkpassword(8) with the credentials on descriptor 3, waits for it, and leaves a retry to base-reup. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base-io.h"

enum { EXIT_REFUSED = 1, EXIT_USELESS = 12, TIMEOUT_SECONDS = 1200, LINE_ROOM = 16384 };

static char **chain;
static const char *me;
static char input[1024];
static size_t input_at, input_end;

static void say(const char *text) {
  if (!write_text(1, text)) _exit(EXIT_USELESS);
}

static void read_line(char *line) {
  size_t length = 0;
  for (;;) {
    if (input_at == input_end) {
      ssize_t n = timeoutread(0, input, sizeof input, TIMEOUT_SECONDS);
      if (n <= 0) _exit(EXIT_USELESS);
      input_at = 0;
      input_end = (size_t)n;
    }
    char c = input[input_at++];
    if (c == '\n') break;
    if (length < LINE_ROOM - 1) line[length++] = c;
  }
  if (length > 0 && line[length - 1] == '\r') length--;
  line[length] = 0;
}

/* The octets that a base64 text encodes, NUL-terminated; -1 if it is none. */
static ssize_t unbase64(const char *text, char *to, size_t room) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned long bits = 0;
  unsigned have = 0;
  size_t length = 0;
  for (; *text && *text != '='; text++) {
    const char *digit = strchr(digits, *text);
    if (!digit) return -1;
    bits = (bits << 6) | (unsigned long)(digit - digits);
    have += 6;
    if (have < 8) continue;
    have -= 8;
    if (length + 1 >= room) return -1;
    to[length++] = (char)(bits >> have & 0xff);
  }
  to[length] = 0;
  return (ssize_t)length;
}

/* Runs the chain with the credentials on descriptor 3; its exit code, after the session if it accepted. */
static int check(const char *user, const char *password, const char *timestamp) {
  char credentials[512];
  int length = snprintf(credentials, sizeof credentials, "%s%c%s%c%s", user, 0, password, 0, timestamp) + 1;
  int both[2], status;
  if (length > (int)sizeof credentials) return 2;
  if (pipe(both) < 0) return 111;
  char line[600];
  int n = snprintf(line, sizeof line, "authup: login attempt by %s\n", user);
  if (n > 0 && write(2, line, (size_t)n) < 0) return 111;
  pid_t child = fork();
  if (child < 0) return 111;
  if (child == 0) {
    close(both[1]);
    if (both[0] != 3 && (dup2(both[0], 3) < 0 || close(both[0]) < 0)) _exit(111);
    setenv("AUTHUP_USER", user, 1);
    unsetenv("REUP");
    execvp(chain[0], chain);
    _exit(111);
  }
  close(both[0]);
  if (!write_all(both[1], credentials, (size_t)length)) return 111;
  close(both[1]);
  explicit_bzero(credentials, sizeof credentials);
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 111;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 111;
}

/* authup's rule under reup: 1 after a refused password, 12 when retrying is useless, 0 otherwise. */
static void verdict(int code, const char *refused, const char *failed) {
  if (code == 1) {
    say(refused);
    _exit(EXIT_REFUSED);
  }
  if (code == 2 || code == 111) {
    say(failed);
    _exit(EXIT_USELESS);
  }
  _exit(0);
}

static void smtp_auth(const char *rest) {
  char line[LINE_ROOM], decoded[LINE_ROOM], second[LINE_ROOM];
  const char *user = decoded, *password = second;
  if (strncasecmp(rest, "PLAIN", 5) == 0) {
    const char *initial = rest + 5 + strspn(rest + 5, " ");
    if (!*initial) {
      say("334 \r\n");
      read_line(line);
      initial = line;
    }
    ssize_t length = unbase64(initial, decoded, sizeof decoded);
    /* authorization NUL user NUL password */
    const char *first = length < 0 ? NULL : memchr(decoded, 0, (size_t)length);
    const char *next = first ? memchr(first + 1, 0, (size_t)(decoded + length - first - 1)) : NULL;
    if (!next) {
      say("501 malformed auth input (#5.5.4)\r\n");
      return;
    }
    user = first + 1, password = next + 1;
  } else if (strncasecmp(rest, "LOGIN", 5) == 0) {
    const char *initial = rest + 5 + strspn(rest + 5, " ");
    if (!*initial) {
      say("334 VXNlcm5hbWU6\r\n");
      read_line(line);
      initial = line;
    }
    bool good = unbase64(initial, decoded, sizeof decoded) >= 0;
    if (good) {
      say("334 UGFzc3dvcmQ6\r\n");
      read_line(line);
      good = unbase64(line, second, sizeof second) >= 0;
    }
    if (!good) {
      say("501 malformed auth input (#5.5.4)\r\n");
      return;
    }
  } else {
    say("504 auth type unimplemented (#5.5.1)\r\n");
    return;
  }
  verdict(check(user, password, ""), "535 authorization failed (#5.7.0)\r\n", "454 oops, unable to check (#4.3.0)\r\n");
}

static void smtp(bool greets) {
  char line[LINE_ROOM], reply[8192];
  char *greeting = control_line("control/smtpgreeting", me), *capabilities = slurp("control/smtpcapabilities");
  free(control_line("control/timeoutsmtpd", "1200"));
  if (greets) {
    snprintf(reply, sizeof reply, "220 %s ESMTP\r\n", greeting);
    say(reply);
  }
  for (;;) {
    read_line(line);
    if (strncasecmp(line, "EHLO", 4) == 0) {
      size_t length = (size_t)snprintf(reply, sizeof reply, "250-%s\r\n", me);
      for (char *each = capabilities; each && *each && length < sizeof reply - 600;) {
        size_t width = strcspn(each, "\n");
        if (width > 0 && width < 500) length += (size_t)sprintf(reply + length, "250-%.*s\r\n", (int)width, each);
        each += width + (each[width] == '\n');
      }
      snprintf(reply + length, sizeof reply - length, "250 AUTH LOGIN PLAIN\r\n");
      say(reply);
    } else if (strncasecmp(line, "HELO", 4) == 0) {
      snprintf(reply, sizeof reply, "250 %s\r\n", me);
      say(reply);
    } else if (strncasecmp(line, "AUTH ", 5) == 0) {
      smtp_auth(line + 5 + strspn(line + 5, " "));
    } else if (strncasecmp(line, "NOOP", 4) == 0 || strncasecmp(line, "RSET", 4) == 0) {
      say("250 ok\r\n");
    } else if (strncasecmp(line, "QUIT", 4) == 0) {
      snprintf(reply, sizeof reply, "221 %s\r\n", me);
      say(reply);
      _exit(0);
    } else if (strncasecmp(line, "MAIL", 4) == 0 || strncasecmp(line, "RCPT", 4) == 0 || strncasecmp(line, "DATA", 4) == 0) {
      say("530 authentication required (#5.7.0)\r\n");
    } else {
      say("502 unimplemented (#5.5.1)\r\n");
    }
  }
}

static void pop3(bool greets) {
  char line[LINE_ROOM], user[LINE_ROOM] = "", stamp[300], reply[400];
  snprintf(stamp, sizeof stamp, "<%d.%lld@%.200s>", getpid(), (long long)time(NULL), me);
  if (greets) {
    snprintf(reply, sizeof reply, "+OK %s\r\n", stamp);
    say(reply);
  }
  for (;;) {
    read_line(line);
    if (strncasecmp(line, "USER ", 5) == 0) {
      strcpy(user, line + 5);
      say("+OK \r\n");
    } else if (strncasecmp(line, "PASS ", 5) == 0) {
      if (!*user) say("-ERR USER first\r\n");
      else verdict(check(user, line + 5, stamp), "-ERR authorization failed\r\n", "-ERR unable to check\r\n");
    } else if (strncasecmp(line, "QUIT", 4) == 0) {
      say("+OK \r\n");
      _exit(0);
    } else {
      say("-ERR authorization first\r\n");
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 3 || (strcmp(argv[1], "smtp") != 0 && strcmp(argv[1], "pop3") != 0)) {
    fprintf(stderr, "base-authup: usage: base-authup <smtp|pop3> prog\n");
    return 1;
  }
  chain = argv + 2;
  enter_home();
  me = control_line("control/me", "localhost");
  const char *attempt = getenv("REUP");
  bool greets = !attempt || atoi(attempt) <= 1;
  if (argv[1][0] == 's') smtp(greets);
  pop3(greets);
}
