/* What the programs that may be root share. say.c is the log; the rest is in base.c: descriptors, and who is who. */
#ifndef BASE_H
#define BASE_H
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_ID 0xfffffffeL /* a larger number is another id to the kernel */
#define NO_ID ((uid_t)-1)  /* no uid, or no gid, is named */

struct account {
  uid_t uid;
  gid_t gid, groups[64];
  int ngroups;
  const char *home, *shell;
};

/* A line for descriptor 2. Never waits, never fails: what cannot be written is counted in *lost_lines, and the next line, which may be an
 * empty one, says so. */
extern unsigned *lost_lines;
extern const char *log_stamp; /* what each line begins with, for strftime(3) */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Milliseconds of the monotonic clock. */
long now(void);
/* Closes every descriptor from `lowest` on. */
void close_from(int lowest);
/* Digits and nothing else, in this range. */
int decimal(const char *word, long least, long most, long *value);
/* The whole of a regular file as a string, with its size, and fd closed; NULL if that is not possible, or if more than root and we can
 * write it and `ours` asks for that. */
char *slurp(int fd, int ours, size_t *size);
/* Cuts the line at *next into at most nine fields; 0 at the end. */
int fields(char **next, char *field[9]);
/* The entry of such a text whose first field is the name or, where that is NULL, whose third is the number; 0 if there is none. */
int entry(char *text, const char *name, long number, char *field[9]);
/* A number, or a name of /etc/passwd or /etc/group; *group is the group of such a user: the number itself where no entry has it. 0 if
 * there is none. No name service: a static program cannot load one, and one that it cannot see cannot be turned against it. */
int identity(const char *file, const char *name, uid_t *id, gid_t *group);
/* Group list, gid and uid, for good; 0 if that is not possible. */
int become(const struct account *account);
/* Whether any of this process's ids is root's, or its uid is below the minimum; with minimum 0, the group does not matter. */
int is_root(uid_t minimum);
#endif
