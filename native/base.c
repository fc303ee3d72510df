/* Descriptors, ids, and the files that say who is who. */
#define _GNU_SOURCE
#include "base.h"
#include <grp.h>
#include <time.h>

#ifndef SYS_close_range
#define SYS_close_range 436 /* Linux 5.9 */
#endif

long now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void close_from(int lowest)
{
  if (syscall(SYS_close_range, lowest, ~0U, 0) == 0) return;
  for (int fd = sysconf(_SC_OPEN_MAX); fd >= lowest; fd--) close(fd);
}

int decimal(const char *word, long least, long most, long *value)
{
  errno = 0;
  *value = strtol(word, NULL, 10);
  return *word != '\0' && word[strspn(word, "0123456789")] == '\0' && errno == 0 && *value >= least && *value <= most;
}

char *slurp(int fd, int ours, size_t *size)
{
  struct stat st;
  char *text = NULL;
  if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
      (!ours || ((st.st_uid == 0 || st.st_uid == geteuid()) && (st.st_mode & 022) == 0)))
    text = calloc(1, (*size = st.st_size) + 1);
  if (text != NULL && read(fd, text, *size) != (ssize_t)*size) free(text), text = NULL;
  if (fd >= 0) close(fd);
  return text;
}

int fields(char **next, char *field[9])
{
  char *line = strsep(next, "\n");
  if (line == NULL) return 0;
  for (int i = 0; i < 9; i++)
    if ((field[i] = strsep(&line, ":")) == NULL) field[i] = "";
  return 1;
}

int entry(char *text, const char *name, long number, char *field[9])
{
  long its;
  while (fields(&text, field))
    if (name != NULL ? strcmp(field[0], name) == 0 : decimal(field[2], number, number, &its)) return 1;
  return 0;
}

int identity(const char *file, const char *name, uid_t *id, gid_t *group)
{
  char *field[9];
  size_t size;
  long number, its;
  int numeric = decimal(name, 0, MAX_ID, &number);
  char *text = slurp(open(file, O_RDONLY | O_CLOEXEC), 0, &size);
  int found = text != NULL && entry(text, numeric ? NULL : name, number, field) && decimal(field[2], 0, MAX_ID, &number);
  *id = *group = number;
  if (found) *group = decimal(field[3], 0, MAX_ID, &its) ? its : NO_ID;
  free(text);
  return found || numeric;
}

int become(const struct account *a)
{
  if (geteuid() != 0) return errno = EPERM, getuid() == a->uid && geteuid() == a->uid;
  return setgroups(a->ngroups, a->groups) == 0 && setresgid(a->gid, a->gid, a->gid) == 0 && setresuid(a->uid, a->uid, a->uid) == 0;
}

int is_root(uid_t minimum)
{
  uid_t u[3];
  gid_t g[3];
  return getresuid(&u[0], &u[1], &u[2]) != 0 || getresgid(&g[0], &g[1], &g[2]) != 0 || u[0] == 0 || u[1] == 0 || u[2] == 0 ||
         u[0] < minimum || (minimum > 0 && (g[0] == 0 || g[1] == 0 || g[2] == 0));
}
