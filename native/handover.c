/* From login to backend: runs as the user already, or refuses because it does not. */
#define _GNU_SOURCE
#include "helper.h"

const char *unfit(uid_t minimum, char **backend)
{
  static char missing[300];
  if (is_root(minimum)) return say("checknotroot: WAS RUNNING AS ROOT, TERMINATING\n"), "root";
  if (backend == NULL || access(backend[0], X_OK) == 0) return NULL;
  snprintf(missing, sizeof missing, "missing %s: %s", backend[0], strerror(errno));
  return missing;
}

void run_backend(int stream, char **backend)
{
  char line[64];
  int length = snprintf(line, sizeof line, "ok %u %u %d\n", getuid(), getgid(), getpid());
  if (write(stream, line, length) != length || dup2(stream, 0) < 0 || dup2(stream, 1) < 0) _exit(TEMPORARY);
  close_from(3);
  execv(backend[0], backend);
  say("checknotroot: unable to run %s: %s\n", backend[0], strerror(errno));
  _exit(TEMPORARY);
}
