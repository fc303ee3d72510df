/* recorder FILE: an SMTP server on stdin and stdout. The subject of a message is written to FILE, in one write after what is there,
 * before its 250. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static char line[70000], subject[1000];

static void say(const char *text) {
  printf("%s\r\n", text);
  fflush(stdout);
}

static bool next(void) { return fgets(line, sizeof line, stdin) != NULL; }

static bool is(const char *verb) { return strncasecmp(line, verb, strlen(verb)) == 0; }

static bool take_message(void) {
  subject[0] = 0;
  while (next()) {
    if (strcmp(line, ".\r\n") == 0) return true;
    if (subject[0] == 0 && is("Subject: ")) snprintf(subject, sizeof subject, "%.*s\n", (int)strcspn(line + 9, "\r\n"), line + 9);
  }
  return false;
}

int main(int argc, char **argv) {
  int file = open(argc > 1 ? argv[1] : "", O_WRONLY | O_APPEND);
  if (file < 0) return 111;
  say("220 recorder ESMTP");
  while (next()) {
    if (is("EHLO")) say("250-recorder\r\n250-PIPELINING\r\n250 8BITMIME");
    else if (is("MAIL FROM:")) say("250 2.1.0 sender");
    else if (is("RCPT TO:")) say("250 2.1.5 recipient");
    else if (is("NOOP") || is("RSET")) say("250 2.0.0 fine");
    else if (is("QUIT")) return say("221 2.0.0 bye"), 0;
    else if (!is("DATA")) {
      /* as sendmail does */
      printf("502 5.5.1 unimplemented: %.*s\r\n", (int)strcspn(line, "\r\n"), line);
      fflush(stdout);
    }
    else {
      say("354 go ahead");
      if (!take_message()) return 1;
      if (write(file, subject, strlen(subject)) < 0) say("451 4.3.0 not recorded");
      else say("250 2.0.0 recorded");
    }
  }
  return 0;
}
