/* queue DIRECTORY: a queue program for the bench, with the interface and the work of qmail-queue(8) but for its fsync: the message and its
 * envelope become two files in DIRECTORY (on tmpfs), and a third name says that they are complete. Then it removes them, as if they had
 * been delivered at once. Exit 0: taken. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static void copy(int from, const char *name) {
  static char buffer[65536];
  int to = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (to < 0) _exit(66);
  for (;;) {
    ssize_t n = read(from, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) _exit(54);
    if (n == 0) break;
    for (ssize_t done = 0, now; done < n; done += now)
      if ((now = write(to, buffer + done, (size_t)(n - done))) <= 0) _exit(53);
  }
  if (close(to) < 0) _exit(53);
}

int main(int argc, char **argv) {
  char message[80], envelope[80], complete[80];
  struct timeval now;
  if (argc != 2 || chdir(argv[1]) < 0) {
    fprintf(stderr, "queue: usage: queue DIRECTORY\n");
    return 62;
  }
  gettimeofday(&now, NULL);
  snprintf(message, sizeof message, "mess.%d.%lld.%06ld", getpid(), (long long)now.tv_sec, (long)now.tv_usec);
  snprintf(envelope, sizeof envelope, "intd.%s", message + 5);
  snprintf(complete, sizeof complete, "todo.%s", message + 5);
  copy(0, message);
  copy(1, envelope);
  if (link(envelope, complete) < 0) _exit(66);
  if (unlink(complete) < 0 || unlink(envelope) < 0 || unlink(message) < 0) _exit(66);
  return 0;
}
