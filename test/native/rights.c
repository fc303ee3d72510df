/* rights SOCKET WHEN HEX: connects to SOCKET and sends the request HEX and, with SCM_RIGHTS, a TCP socket that is slow to close: it
 * lingers for an hour over data that nobody reads. WHEN says with which octet: first, last, or after for one of its own, or accepted for one
 * that waits until there is an answer. Prints sent, or why not, and stays until it is killed. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int slow_to_close(void)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  static char much[1 << 16];
  int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
  bind(listener, (struct sockaddr *)&address, size);
  listen(listener, 1);
  getsockname(listener, (struct sockaddr *)&address, &size);
  connect(fd, (struct sockaddr *)&address, size);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 3600}, sizeof(struct linger));
  fcntl(fd, F_SETFL, O_NONBLOCK);
  while (write(fd, much, sizeof much) > 0) {}
  fcntl(fd, F_SETFL, 0);
  return fd;
}

static int send_with(int to, const char *bytes, size_t length, int fd)
{
  union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = {0};
  struct iovec data = {(char *)bytes, length};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  return sendmsg(to, &message, MSG_NOSIGNAL) == (ssize_t)length;
}

int main(int argc, char **argv)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  static char request[65536];
  size_t length = 0;
  int to = socket(AF_UNIX, SOCK_STREAM, 0), fd = slow_to_close(), octet, sent = 0;
  if (argc < 4) return 2;
  signal(SIGPIPE, SIG_IGN);
  for (const char *hex = argv[3]; sscanf(hex, "%2x", &octet) == 1; hex += 2) request[length++] = octet;
  strcpy(address.sun_path, argv[1]);
  if (connect(to, (struct sockaddr *)&address, sizeof address) != 0) return perror("connect"), 1;
  if (strcmp(argv[2], "first") == 0) sent = send_with(to, request, 1, fd) && write(to, request + 1, length - 1) > 0;
  else if (strcmp(argv[2], "last") == 0) sent = write(to, request, length - 1) > 0 && send_with(to, request + length - 1, 1, fd);
  else if (strcmp(argv[2], "after") == 0) sent = write(to, request, length) > 0 && send_with(to, "x", 1, fd);
  else sent = write(to, request, length) > 0 && read(to, request, 1) == 1 && send_with(to, "x", 1, fd);
  if (sent) printf("sent\n");
  else perror("not sent");
  fflush(stdout);
  close(to);
  close(fd);
  pause();
}
