/* The log: descriptor 2, one open file for the helper, the daemon and all backends. Writing to it must not wait for its reader,
 * and making it non-blocking would be felt by all of them. */
#define _GNU_SOURCE
#include "base.h"
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>

static unsigned ours;
unsigned *lost_lines = &ours;
const char *log_stamp = "";

/* To a socket; or to a pipe, by splice from one of our own, which need not wait: another writer could take the space that poll has seen;
 * or to whatever else there is. */
static int put(const char *line, size_t length)
{
  struct pollfd log = {2, POLLOUT, 0};
  int own[2];
  ssize_t written = send(2, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (written >= 0 || errno != ENOTSOCK) return written == (ssize_t)length;
  if (poll(&log, 1, 0) != 1 || log.revents != POLLOUT || pipe2(own, O_CLOEXEC) != 0) return 0;
  if (write(own[1], line, length) == (ssize_t)length) written = splice(own[0], NULL, 2, NULL, length, SPLICE_F_NONBLOCK);
  if (written < 0 && errno == EINVAL) written = write(2, line, length);
  close(own[0]);
  close(own[1]);
  return written == (ssize_t)length;
}

void say(const char *format, ...)
{
  char all[1200], stamp[32];
  time_t date = time(NULL);
  int head = strftime(stamp, sizeof stamp, log_stamp, gmtime(&date));
  unsigned lost = __atomic_exchange_n(lost_lines, 0, __ATOMIC_RELAXED);
  int room = sizeof all, length = 0;
  if (lost > 0) length = snprintf(all, room, "%.*saccept-helper: %u lines of the log could not be written\n", head, stamp, lost);
  va_list values;
  va_start(values, format);
  memcpy(all + length, stamp, head);
  int more = vsnprintf(all + length + head, room - length - head, format, values);
  if (more > 0) more += head;
  va_end(values);
  if ((length += more) >= room) all[room - 2] = '\n', length = room - 1;
  if (length > 0 && !put(all, length)) __atomic_add_fetch(lost_lines, lost + (more > 0), __ATOMIC_RELAXED);
}
