/* The log (say.c): whatever is said, a line of it is one line of bounded length, and lines that were lost are counted.
 *   octets: kind of stamp; for each line: 1 it cannot be written, 128 its length follows; the line */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/base.h"
#include <poll.h>
#include <sys/socket.h>

static unsigned fails, seen_lost, written;
static ssize_t its_send(const char *line, size_t size)
{
  CHECK(size > 0 && size < 1200 && line[size - 1] == '\n');
  if (fails) return errno = EAGAIN, -1;
  written++;
  const char *lost = memmem(line, size, "accept-helper: ", 15);
  unsigned count;
  if (lost != NULL && sscanf(lost, "accept-helper: %u lines of the log could not be written\n", &count) == 1) seen_lost += count;
  return size;
}
#define send(fd, line, size, how) its_send(line, size)
#include "../../../native/say.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const stamps[] = {"", "%FT%TZ warn ", "<4>warn ", "%FT%TZ info "};
  fuzz_begin(data, size);
  log_stamp = stamps[fuzz_octet() % 4];
  ours = seen_lost = written = 0;
  unsigned said = 0;
  while (fuzz_left > 0) {
    unsigned what = fuzz_octet();
    size_t length = what & 128 ? fuzz_octet() * 16 : what >> 1;
    if (length > fuzz_left) length = fuzz_left;
    char *line = fuzz_copy(fuzz_in, length);
    fuzz_in += length;
    fuzz_left -= length;
    for (char *c = line; *c != '\0'; c++)
      if (*c < 32 || *c == ':') *c = 'a'; /* who says it looks at that; and it must not look like a count of lost lines */
    fails = what & 1;
    said++;
    say("%s: it is said\n", line);
  }
  fails = 0;
  say("%s", "");
  CHECK(ours == 0 && said <= written + seen_lost);
  return 0;
}
