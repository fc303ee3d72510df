#define _GNU_SOURCE
#include "queueing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char envelope[8192], waiting[8192];
static size_t envelope_length, waiting_length;
static int message = -1, to_envelope = -1;
static pid_t child = -1;
static bool broken;

static void add(char kind, const char *command) {
  const char *from = strchr(command, '<'), *to = from ? strchr(from, '>') : NULL;
  size_t length = to ? (size_t)(to - from - 1) : 0;
  if (envelope_length + length + 3 > sizeof envelope) return;
  envelope[envelope_length++] = kind;
  if (length > 0) memcpy(envelope + envelope_length, from + 1, length);
  envelope_length += length;
  envelope[envelope_length++] = 0;
}

void queueing_sender(const char *mail) {
  envelope_length = 0;
  add('F', mail);
}

void queueing_recipient(const char *rcpt) {
  add('T', rcpt);
}

static void run(char **program, int zero, int one) {
  signal(SIGPIPE, SIG_DFL);
  if (dup2(zero, 0) < 0 || dup2(one, 1) < 0) _exit(111);
  execv(program[0], program);
  _exit(111);
}

void queueing_open(char **program) {
  int first[2], second[2];
  signal(SIGPIPE, SIG_IGN);
  waiting_length = 0;
  broken = pipe2(first, O_CLOEXEC) < 0;
  if (broken) return;
  if (pipe2(second, O_CLOEXEC) < 0) {
    broken = true;
    close(first[0]);
    close(first[1]);
    return;
  }
  child = vfork();
  if (child == 0) run(program, first[0], second[0]);
  broken = child < 0;
  close(first[0]);
  close(second[0]);
  message = first[1];
  to_envelope = second[1];
}

static void put(int fd, const char *octets, size_t length) {
  while (length > 0 && !broken) {
    ssize_t n = write(fd, octets, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) broken = true;
    else octets += n, length -= (size_t)n;
  }
}

void queueing_write(const char *octets, size_t length) {
  if (waiting_length + length > sizeof waiting) {
    put(message, waiting, waiting_length);
    waiting_length = 0;
  }
  if (length > sizeof waiting) {
    put(message, octets, length);
    return;
  }
  memcpy(waiting + waiting_length, octets, length);
  waiting_length += length;
}

bool queueing_close(void) {
  int status = -1;
  put(message, waiting, waiting_length);
  if (message >= 0) close(message);
  envelope[envelope_length++] = 0;
  put(to_envelope, envelope, envelope_length);
  if (to_envelope >= 0) close(to_envelope);
  message = to_envelope = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0)
    if (errno != EINTR) break;
  child = -1;
  return !broken && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
