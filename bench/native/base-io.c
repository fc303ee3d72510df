#include "base-io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool write_all(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, bytes, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes += n;
    length -= (size_t)n;
  }
  return true;
}

bool write_text(int fd, const char *text) {
  return write_all(fd, text, strlen(text));
}

ssize_t timeoutread(int fd, char *to, size_t room, int seconds) {
  struct pollfd waiting = {.fd = fd, .events = POLLIN};
  for (;;) {
    int ready = poll(&waiting, 1, seconds * 1000);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return -1;
    if (ready == 0) {
      errno = ETIMEDOUT;
      return -1;
    }
    ssize_t n = read(fd, to, room);
    if (n < 0 && errno == EINTR) continue;
    return n;
  }
}

char *slurp(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  size_t room = 4096, length = 0;
  char *text = malloc(room);
  while (text) {
    ssize_t n = read(fd, text + length, room - length - 1);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    length += (size_t)n;
    if (length == room - 1) text = realloc(text, room *= 2);
  }
  close(fd);
  if (text) text[length] = 0;
  return text;
}

char *control_line(const char *path, const char *otherwise) {
  char *text = slurp(path);
  if (!text) return strdup(otherwise);
  text[strcspn(text, "\n")] = 0;
  return text;
}

void enter_home(void) {
  const char *home = getenv("BASEHOME");
  if (home && chdir(home) < 0) _exit(111);
}
