/* From login to backend: runs as the user already, or refuses because it does not. */
#define _GNU_SOURCE
#include "helper.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

void hand_over(int stream, int status, uid_t minimum, char **backend)
{
  uid_t real, effective, saved;
  gid_t rgid, egid, sgid;
  if (getresuid(&real, &effective, &saved) != 0 || getresgid(&rgid, &egid, &sgid) != 0) _exit(TEMPORARY);
  if (real == 0 || effective == 0 || saved == 0 || real < minimum || (minimum > 0 && (rgid == 0 || egid == 0 || sgid == 0))) {
    dprintf(2, "checknotroot: WAS RUNNING AS ROOT, TERMINATING\n");
    if (write(status, "R", 1) != 1) _exit(TEMPORARY);
    _exit(REFUSED);
  }
  if (access(backend[0], X_OK) != 0) {
    dprintf(status, "M%s: %s", backend[0], strerror(errno));
    _exit(TEMPORARY);
  }
  /* Numbers kept out of the backend: closed by exec, so that the status pipe's end also says that the backend runs. */
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
    for (int fd = 3; fd < 1024; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  char line[64];
  int length = snprintf(line, sizeof line, "ok %u %u %d\n", real, rgid, getpid());
  if (write(stream, line, length) != length || write(status, "A", 1) != 1) _exit(TEMPORARY);
  if (dup2(stream, 0) < 0 || dup2(stream, 1) < 0) _exit(TEMPORARY);
  execv(backend[0], backend);
  dprintf(2, "checknotroot: unable to run %s: %s\n", backend[0], strerror(errno));
  _exit(TEMPORARY);
}
