/* acceptd-notify (acceptd-notify.c): what the runtime says, one line a message, and the name of the service manager's socket.
 *   octets: NOTIFY_SOCKET up to an octet 255; lines */
#define _GNU_SOURCE
#include "fuzz.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char *name, *lines;
static int messages;
static char *its_getenv(const char *wanted) { return CHECK(strcmp(wanted, "NOTIFY_SOCKET") == 0), (char *)name; }

static ssize_t its_getline(char **line, size_t *size, __attribute__((unused)) FILE *from)
{
  const uint8_t *lf = fuzz_left == 0 ? NULL : memchr(fuzz_in, '\n', fuzz_left);
  *size = lf == NULL ? fuzz_left : (size_t)(lf + 1 - fuzz_in);
  if (*size == 0) return -1;
  *line = fuzz_copy(fuzz_in, *size);
  fuzz_in += *size;
  fuzz_left -= *size;
  return *size;
}

static ssize_t its_sendto(const char *text, size_t size, const struct sockaddr_un *to, socklen_t its)
{
  size_t length = strlen(name);
  CHECK(its == offsetof(struct sockaddr_un, sun_path) + length && length <= sizeof to->sun_path);
  CHECK(memcmp(to->sun_path + 1, name + 1, length - 1) == 0 && *to->sun_path == (*name == '@' ? '\0' : '/'));
  for (size_t i = 0; i < size; i++) CHECK(text[i] == lines[i] || (lines[i] == '\t' && text[i] == '\n'));
  lines += size;
  CHECK(*lines == '\n' || fuzz_left == 0);
  lines += *lines == '\n';
  return messages++ % 3 == 2 ? (errno = ECONNREFUSED, -1) : (ssize_t)size;
}
#define getenv its_getenv
#define getline its_getline
#define sendto(fd, text, size, how, to, its) its_sendto(text, size, (const struct sockaddr_un *)(to), its)
#define socket(...) 3
#define dprintf(fd, ...) 0
#define main its_main
#include "../../../native/acceptd-notify.c"
#undef main

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_begin(data, size);
  name = fuzz_part(NULL);
  lines = fuzz_copy(fuzz_in, fuzz_left);
  messages = 0;
  int code = its_main(), good = (*name == '/' || *name == '@') && strlen(name) > 1 && strlen(name) < 108;
  CHECK(code == (good ? 0 : 100));
  if (good) CHECK(fuzz_left == 0 && *lines == '\0');
  return 0;
}
