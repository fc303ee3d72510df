/* From login to backend: runs as the user already, or refuses because it does not. */
#define _GNU_SOURCE
#include "helper.h"

const char *unfit(uid_t minimum, char **backend)
{
  static char missing[300];
  uid_t real, effective, saved;
  gid_t rgid, egid, sgid;
  if (getresuid(&real, &effective, &saved) != 0 || getresgid(&rgid, &egid, &sgid) != 0 || real == 0 || effective == 0 || saved == 0 ||
      real < minimum || (minimum > 0 && (rgid == 0 || egid == 0 || sgid == 0))) {
    say("checknotroot: WAS RUNNING AS ROOT, TERMINATING\n");
    return "root";
  }
  if (backend == NULL || access(backend[0], X_OK) == 0) return NULL;
  snprintf(missing, sizeof missing, "missing %s: %s", backend[0], strerror(errno));
  return missing;
}

int say_accepted(int stream)
{
  char line[64];
  int length = snprintf(line, sizeof line, "ok %u %u %d\n", getuid(), getgid(), getpid());
  return write(stream, line, length) == length;
}

void run_backend(int stream, char **backend)
{
  if (dup2(stream, 0) < 0 || dup2(stream, 1) < 0) _exit(TEMPORARY);
  close_from(3);
  execv(backend[0], backend);
  say("checknotroot: unable to run %s: %s\n", backend[0], strerror(errno));
  _exit(TEMPORARY);
}
