/* Running the script beside a program: launch.h. */
#define _GNU_SOURCE
#include "launch.h"

void beside(char *path, size_t size, const char *name)
{
  char self[PATH_MAX] = "";
  if (realpath("/proc/self/exe", self) == NULL) perror("/proc/self/exe");
  else strrchr(self, '/')[1] = '\0';
  snprintf(path, size, "%s%s", self, name);
}

void run_script(const char *name, char **argv)
{
  char path[PATH_MAX + 16];
  beside(path, sizeof path, name);
  argv[0] = path;
  execv(path, argv);
  say("%s: uid %u cannot run %s: %s\n", program_invocation_short_name, geteuid(), path, strerror(errno));
}
