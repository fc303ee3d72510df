/* A watcher's orders (watch.c): kill SESSION and forget, the same for every way in which a socket delivers them; nothing else ends a session.
 *   octets: sizes of the reads, up to 255; lines */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/helper.h"
#include <sys/prctl.h>

static const uint8_t *sizes;
static size_t size_count, next;
static struct note notes[4096];
static int note_count;

static ssize_t its_recv(int fd, void *to, size_t size, __attribute__((unused)) int how)
{
  CHECK(fd == STREAM && size > 0);
  size_t most = next < size_count ? (size_t)sizes[next++] + 1 : size;
  if (size > most) size = most;
  if (size > fuzz_left) size = fuzz_left;
  memcpy(to, fuzz_in, size);
  return fuzz_in += size, fuzz_left -= size, size;
}
static ssize_t its_send(int fd, const void *bytes, size_t size)
{
  if (fd == STREAM) return size;
  CHECK(fd == CLERK && size == sizeof *notes && note_count < 4096);
  memcpy(&notes[note_count++], bytes, size);
  return size;
}
#define recv its_recv
#define send(fd, bytes, size, how) its_send(fd, bytes, size)
#define sendmsg(fd, message, how) ((void)(message), (ssize_t)sizeof(struct note))
#define read(fd, to, size) (memcpy(to, "watching\n", 9), 9)
#define poll(on, count, time) ((on)[0].revents = POLLIN, 1)
#define pipe2(ends, how) ((ends)[0] = 50, (ends)[1] = 51, 0)
#define close(fd) ((void)(fd))
#define alarm(seconds) ((void)0)
#define prctl(...) 0
#define _exit fuzz_exit
#include "../../../native/watch.c"

FUZZ_SAY
static struct config its;
struct config *config = &its;
int privileged;
void cache_close(void) {}
int decided(void) { return 1; }
int become(__attribute__((unused)) const struct account *account) { return 1; }
void refuse(__attribute__((unused)) const char *answer, int code) { fuzz_exit(code); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_begin(data, size);
  sizes = fuzz_in;
  while (size_count = fuzz_in - sizes, fuzz_left > 0 && fuzz_octet() != 255) {}
  next = note_count = 0;
  const char *at = fuzz_copy(fuzz_in, fuzz_left), *stop = at + fuzz_left;
  if (setjmp(fuzz_ended) == 0) watch();
  int heard = 0;
  for (const char *lf; heard < note_count; at = lf + 1) {
    CHECK((lf = memchr(at, '\n', stop - at)) != NULL);
    char *line = fuzz_copy(at, lf - at);
    if (strcmp(line, "forget") == 0) CHECK(notes[heard++].kind == FORGETS);
    else if (strncmp(line, "kill ", 5) != 0) CHECK(0);
    else if (strlen(line + 5) <= MAX_SESSION) CHECK(notes[heard].kind == KILLS && strcmp(notes[heard].session, line + 5) == 0), heard++;
  }
  for (; at < stop; at = memchr(at, '\n', stop - at), at = at == NULL ? stop : at + 1) {
    const char *lf = memchr(at, '\n', stop - at);
    char *line = fuzz_copy(at, (lf == NULL ? stop : lf) - at);
    /* It was not obeyed: it is incomplete, too long, or not an order. Then nothing after it is. */
    if (lf == NULL || lf - at >= 8 + MAX_SESSION || (strncmp(line, "kill ", 5) != 0 && strcmp(line, "forget") != 0)) break;
    CHECK(strncmp(line, "kill ", 5) == 0 && strlen(line + 5) > MAX_SESSION);
  }
  return 0;
}
