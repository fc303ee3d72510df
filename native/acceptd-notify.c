/* acceptd-notify: Node has no datagram sockets, and sd_notify(3) is a datagram. Each line of standard input becomes one message to
 * $NOTIFY_SOCKET, a tab in it a new line of the message. It stays until its input ends: a service manager asks the kernel who has sent a
 * message, and believes only a process that is still there. */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = path == NULL ? 0 : strlen(path), size = 0;
  char *line = NULL;
  if (length < 2 || length >= sizeof address.sun_path || (*path != '/' && *path != '@')) {
    dprintf(2, "acceptd-notify: $NOTIFY_SOCKET is no socket's name\n");
    return 100;
  }
  memcpy(address.sun_path, path, length);
  if (*path == '@') *address.sun_path = '\0'; /* the abstract namespace */
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (ssize_t got; (got = getline(&line, &size, stdin)) > 0;) {
    if (line[got - 1] == '\n') got--;
    for (char *tab = line; (tab = memchr(tab, '\t', line + got - tab)) != NULL;) *tab = '\n';
    while (sendto(fd, line, got, MSG_NOSIGNAL, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + length) < 0) {
      if (errno == EINTR) continue;
      dprintf(2, "acceptd-notify: %s: %s\n", path, strerror(errno));
      break;
    }
  }
  return 0;
}
