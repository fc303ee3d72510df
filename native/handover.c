/* From login to backend: runs as the user already, or refuses because it does not. */
#define _GNU_SOURCE
#include "helper.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void hand_over(int stream, int status, uid_t minimum, char **backend)
{
  uid_t real, effective, saved;
  gid_t rgid, egid, sgid;
  char line[64];
  if (getresuid(&real, &effective, &saved) != 0 || getresgid(&rgid, &egid, &sgid) != 0) _exit(TEMPORARY);
  if (real == 0 || effective == 0 || saved == 0 || real < minimum || (minimum > 0 && (rgid == 0 || egid == 0 || sgid == 0))) {
    dprintf(2, "checknotroot: WAS RUNNING AS ROOT, TERMINATING\n");
    dprintf(status, "root");
    _exit(REFUSED);
  }
  if (access(backend[0], X_OK) != 0) {
    dprintf(status, "missing %s: %s", backend[0], strerror(errno));
    _exit(TEMPORARY);
  }
  int length = snprintf(line, sizeof line, "ok %u %u %d\n", real, rgid, getpid());
  if (write(stream, line, length) != length || write(status, "A", 1) != 1) _exit(TEMPORARY);
  if (dup2(stream, 0) < 0 || dup2(stream, 1) < 0) _exit(TEMPORARY);
  closefrom(3);
  execv(backend[0], backend);
  dprintf(2, "checknotroot: unable to run %s: %s\n", backend[0], strerror(errno));
  _exit(TEMPORARY);
}

void hand_over_if_asked(int argc, char **argv)
{
  if (argc > 6 && strcmp(argv[1], "--acceptd") == 0 && strcmp(argv[5], "--") == 0)
    hand_over(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10), argv + 6);
}
