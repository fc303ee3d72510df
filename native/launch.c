/* Become an account and run a script of Node: launch.h. */
#define _GNU_SOURCE
#include "launch.h"
#include "say.h"
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Decimal digits and nothing else, below the largest id, which means "none" to the kernel. */
static int is_id(const char *text, unsigned long *id)
{
  char *rest;
  errno = 0;
  *id = strtoul(text, &rest, 10);
  return *text >= '0' && *text <= '9' && *rest == '\0' && errno == 0 && *id < 0xffffffffUL;
}

/* The files themselves, no name service: a static program cannot load one. */
enum found find_account(const char *name, struct ids *ids)
{
  unsigned long id;
  int numeric = is_id(name, &id), found = numeric;
  FILE *file = fopen("/etc/passwd", "re");
  *ids = (struct ids){id, id};
  for (struct passwd *entry; file != NULL && (entry = fgetpwent(file)) != NULL;) {
    if (numeric ? entry->pw_uid != id : strcmp(entry->pw_name, name) != 0) continue;
    *ids = (struct ids){entry->pw_uid, entry->pw_gid};
    found = 1;
    break;
  }
  if (file != NULL) fclose(file);
  return !found ? UNKNOWN : ids->uid == 0 || ids->gid == 0 ? IS_ROOT : FOUND;
}

int find_group(const char *name, gid_t *gid)
{
  unsigned long id;
  int found = is_id(name, &id);
  FILE *file = found ? NULL : fopen("/etc/group", "re");
  *gid = id;
  for (struct group *entry; !found && file != NULL && (entry = fgetgrent(file)) != NULL;)
    if (strcmp(entry->gr_name, name) == 0) found = 1, *gid = entry->gr_gid;
  if (file != NULL) fclose(file);
  return found;
}

void become(const struct ids *ids, const gid_t *groups, size_t count)
{
  uid_t u[3];
  gid_t g[3];
  if (setgroups(count, groups) == 0 && setresgid(ids->gid, ids->gid, ids->gid) == 0 && setresuid(ids->uid, ids->uid, ids->uid) == 0 &&
      getresuid(&u[0], &u[1], &u[2]) == 0 && getresgid(&g[0], &g[1], &g[2]) == 0 && u[0] == ids->uid && u[1] == ids->uid &&
      u[2] == ids->uid && g[0] == ids->gid && g[1] == ids->gid && g[2] == ids->gid && ids->uid != 0 && ids->gid != 0)
    return;
  say("%s: cannot become uid %u, gid %u: %s\n", program_invocation_short_name, ids->uid, ids->gid, strerror(errno));
  _exit(1);
}

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
