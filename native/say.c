/* The log: descriptor 2, one open file for the helper, the daemon and all backends. Writing to it must not wait for its reader,
 * and making it non-blocking would be felt by all of them. */
#define _GNU_SOURCE
#include "helper.h"
#include <stdarg.h>

static unsigned ours;
unsigned *lost_lines = &ours;

/* A pipe is filled by splice from one of our own, which need not wait: another writer could take the space that poll has seen. */
static int put(const char *line, size_t length)
{
  struct pollfd log = {2, POLLOUT, 0};
  struct stat st;
  int own[2];
  ssize_t written = send(2, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (written >= 0 || errno != ENOTSOCK) return written == (ssize_t)length;
  if (poll(&log, 1, 0) != 1 || log.revents != POLLOUT || fstat(2, &st) != 0) return 0;
  if (!S_ISFIFO(st.st_mode)) return write(2, line, length) == (ssize_t)length;
  if (pipe2(own, O_CLOEXEC) != 0) return 0;
  if (write(own[1], line, length) == (ssize_t)length) written = splice(own[0], NULL, 2, NULL, length, SPLICE_F_NONBLOCK);
  close(own[0]);
  close(own[1]);
  return written == (ssize_t)length;
}

static void say_with(int lines, const char *text)
{
  char all[1200];
  unsigned lost = __atomic_exchange_n(lost_lines, 0, __ATOMIC_RELAXED);
  int length = lost == 0 ? 0 : snprintf(all, sizeof all, "accept-helper: %u lines of the log could not be written\n", lost);
  length += snprintf(all + length, sizeof all - length, "%s", text);
  if (length > 0 && !put(all, length)) __atomic_add_fetch(lost_lines, lost + lines, __ATOMIC_RELAXED);
}

void say_lost(void) { say_with(0, ""); }

void say(const char *format, ...)
{
  char line[1024];
  va_list values;
  va_start(values, format);
  if (vsnprintf(line, sizeof line, format, values) >= (int)sizeof line) line[sizeof line - 2] = '\n';
  va_end(values);
  say_with(1, line);
}
