/* discard [smtp|pop3] [-c] [-n] [-q PROGRAM ARGUMENT...]: a backend on stdin and stdout that accepts every message and keeps none. With -c
 * it says on stderr at the end what it took; with -n it does not greet; with -q it runs PROGRAM for each message, as ofmipd(8) runs
 * qmail-queue(8). Replies wait for the moment when the next read would block, as RFC 2920 allows. */
#include "queueing.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { LINE_MAX_OCTETS = 4096 };

static char input[65536], output[8192];
static size_t input_at, input_end, output_end;
static unsigned long long messages, recipients, bytes;
static bool counting, silent;
static char **queue_program;

static void finish(int code) {
  if (counting) {
    char text[120];
    int n = snprintf(text, sizeof text, "discard: messages %llu recipients %llu bytes %llu\n", messages, recipients, bytes);
    if (write(2, text, (size_t)n) < 0) code = 1;
  }
  _exit(code);
}

static void flush_output(void) {
  size_t at = 0;
  while (at < output_end) {
    ssize_t n = write(1, output + at, output_end - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) finish(1);
    at += (size_t)n;
  }
  output_end = 0;
}

static void say(const char *text) {
  size_t length = strlen(text);
  if (output_end + length > sizeof output) flush_output();
  memcpy(output + output_end, text, length);
  output_end += length;
}

static void fill(void) {
  flush_output();
  for (;;) {
    ssize_t n = read(0, input, sizeof input);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) finish(n < 0 ? 1 : 0);
    input_at = 0;
    input_end = (size_t)n;
    return;
  }
}

/* One command without its line ending; of a line that is too long only the beginning. */
static void read_line(char *line) {
  size_t length = 0;
  for (;;) {
    if (input_at == input_end) fill();
    char c = input[input_at++];
    if (c == '\n') break;
    if (length < LINE_MAX_OCTETS - 1) line[length++] = c;
  }
  if (length > 0 && line[length - 1] == '\r') length--;
  line[length] = 0;
}

/* What had been held back as a part of the end, as a queue program gets it: LF for CR LF, and no dot that begins a line. */
static void release(unsigned from, unsigned state) {
  if (state == 1) queueing_write("\r", 1);
  if (state >= 2 && from == 0) queueing_write("\n", 1);
  if (state == 4) queueing_write("\r", 1);
}

/* Reads a message up to CR LF . CR LF, which may arrive in any pieces. `state` counts how much of it has been matched. */
static void read_message(void) {
  static const char end[] = "\r\n.\r\n";
  unsigned state = 2, from = 2; /* a message begins at the beginning of a line */
  for (;;) {
    if (input_at == input_end) fill();
    if (state == 0) {
      char *next = memchr(input + input_at, '\r', input_end - input_at);
      size_t skipped = next ? (size_t)(next - input) - input_at : input_end - input_at;
      if (queue_program) queueing_write(input + input_at, skipped);
      bytes += skipped;
      input_at += skipped;
      if (!next) continue;
    }
    char c = input[input_at++];
    bytes++;
    if (c == end[state]) {
      state++;
    } else {
      if (queue_program) release(from, state);
      state = c == '\r' ? 1 : 0;
      from = 0;
      if (queue_program && state == 0) queueing_write(&c, 1);
    }
    if (state == 5) break;
  }
  if (queue_program) release(from, 2);
  bytes -= 3;
  messages++;
}

/* The reply after a message. */
static const char *take_message(void) {
  if (queue_program) queueing_open(queue_program);
  read_message();
  if (queue_program && !queueing_close()) return "451 4.3.0 not queued\r\n";
  return queue_program ? "250 2.0.0 queued\r\n" : "250 2.0.0 discarded\r\n";
}

static bool is(const char *line, const char *verb) {
  size_t length = strlen(verb);
  return strncasecmp(line, verb, length) == 0 && (line[length] == 0 || line[length] == ' ');
}

static void smtp(void) {
  char line[LINE_MAX_OCTETS];
  bool sender = false;
  unsigned accepted = 0;
  if (!silent) say("220 discard.invalid ESMTP\r\n");
  for (;;) {
    read_line(line);
    if (is(line, "EHLO")) {
      sender = false, accepted = 0;
      say("250-discard.invalid\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 0\r\n");
    } else if (is(line, "HELO")) {
      sender = false, accepted = 0;
      say("250 discard.invalid\r\n");
    } else if (strncasecmp(line, "MAIL FROM:", 10) == 0) {
      if (sender) say("503 5.5.1 one MAIL at a time\r\n");
      else sender = true, queueing_sender(line), say("250 2.1.0 ok\r\n");
    } else if (strncasecmp(line, "RCPT TO:", 8) == 0) {
      if (!sender) say("503 5.5.1 MAIL first\r\n");
      else accepted++, queueing_recipient(line), say("250 2.1.5 ok\r\n");
    } else if (is(line, "DATA")) {
      if (accepted == 0) {
        say("503 5.5.1 RCPT first\r\n");
        continue;
      }
      say("354 go ahead\r\n");
      const char *text = take_message();
      recipients += accepted;
      sender = false, accepted = 0;
      say(text);
    } else if (is(line, "RSET")) {
      sender = false, accepted = 0;
      say("250 2.0.0 ok\r\n");
    } else if (is(line, "NOOP")) {
      say("250 2.0.0 ok\r\n");
    } else if (is(line, "QUIT")) {
      say("221 2.0.0 discard.invalid\r\n");
      flush_output();
      finish(0);
    } else {
      say("502 5.5.1 unimplemented\r\n");
    }
  }
}

static void pop3(void) {
  char line[LINE_MAX_OCTETS];
  say("+OK \r\n");
  for (;;) {
    read_line(line);
    if (is(line, "STAT")) say("+OK 0 0\r\n");
    else if (is(line, "LIST") || is(line, "UIDL")) say("+OK \r\n.\r\n");
    else if (is(line, "NOOP") || is(line, "RSET")) say("+OK \r\n");
    else if (is(line, "QUIT")) {
      say("+OK \r\n");
      flush_output();
      finish(0);
    } else say("-ERR unimplemented\r\n");
  }
}

int main(int argc, char **argv) {
  bool mail = true;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "-q") == 0 && i + 1 < argc) {
      queue_program = argv + i + 1;
      break;
    }
    if (strcmp(argv[i], "-c") == 0) counting = true;
    else if (strcmp(argv[i], "-n") == 0) silent = true;
    else if (strcmp(argv[i], "pop3") == 0) mail = false;
    else if (strcmp(argv[i], "smtp") != 0) {
      fprintf(stderr, "discard: usage: discard [smtp|pop3] [-c] [-n] [-q PROGRAM ARGUMENT...]\n");
      return 1;
    }
  }
  if (mail) smtp();
  pop3();
}
