/* What acceptd reads as root when it starts (acceptd.c, base.c): the account and group of control/chains, control/statusgroup and
 * control/state, against /etc/passwd and /etc/group. It takes the ids that a model computes, never root's.
 *   octet: 1 it is root; control/chains, control/statusgroup, control/state, passwd, group, with octets 255 between */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/acceptd.h"
#include "../../../native/launch.h"

static char made[PATH_MAX], state[8192];
static int its_mkdir(const char *path, mode_t mode)
{
  CHECK(mode == 0700 || mode == 0755);
  if (mode == 0700) strcpy(made, path);
  return 0;
}
static int its_setenv(const char *name, const char *value, __attribute__((unused)) int replace)
{
  CHECK(strcmp(name, "ACCEPTD_STATE") == 0 && strlen(value) < sizeof state);
  strcpy(state, value);
  return 0;
}
static int its_open(const char *path, int how)
{
  int fd = fuzz_open(path);
  if (fd >= 0) return fd;
  return how & O_DIRECTORY ? (fuzz_opened++, FUZZ_FOLDER) : -1;
}
#define open its_open
#define fstat fuzz_fstat
#define read fuzz_read_file
#define close fuzz_close
#define calloc fuzz_calloc
#define free fuzz_free
#define mkdir its_mkdir
#define fchown(...) 0
#define setenv its_setenv
#define exit fuzz_exit
#define main its_main
#include "../../../native/base.c"
#include "../../../native/acceptd.c"
#undef main

FUZZ_SAY
void serve(char **argv) { (void)argv, fuzz_exit(0); }

static const char BLANKS[] = " \t\r";

/* The last value of this word above all chains, or, where word is NULL, the first word; NULL: there is none. */
static const char *model(const char *text, const char *word)
{
  const char *found = NULL;
  char *line;
  for (int number = 0; (line = fuzz_field(text, number, 0, '\n')) != NULL; number++) {
    char *first = line + strspn(line, BLANKS), *stop = first + strcspn(first, BLANKS), *second = stop + strspn(stop, BLANKS);
    second[strcspn(second, BLANKS)] = '\0';
    *stop = '\0';
    if (word == NULL) return *first == '\0' ? NULL : first;
    if (strcmp(first, "chain") == 0) return found;
    if (strcmp(first, word) == 0 && *second != '\0') found = second;
  }
  return found;
}

/* The id that a name or number has; -1: none. */
static long id_of(const char *text, const char *name, long *group)
{
  long number = fuzz_number(name, MAX_ID), found = number;
  *group = number;
  char *first;
  for (int line = 0; (first = fuzz_field(text, line, 0, ':')) != NULL; line++) {
    long its = fuzz_number(fuzz_field(text, line, 2, ':'), MAX_ID);
    if (number >= 0 ? its != number : strcmp(first, name) != 0) continue;
    if (number < 0 && its < 0) return -1;
    if (number < 0) found = its;
    if (its >= 0) *group = fuzz_number(fuzz_field(text, line, 3, ':'), MAX_ID);
    return found;
  }
  return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const names[] = {"/etc/acceptd/chains", "/etc/acceptd/statusgroup", "/etc/acceptd/state", "/etc/passwd", "/etc/group"};
  fuzz_begin(data, size);
  root = fuzz_octet() & 1;
  for (int i = 0; i < 5; i++) fuzz_file(names[i]);
  if (fuzz_files[2].size > PATH_MAX / 2) return -1;
  memset(&account, 0, sizeof account);
  *problem = *made = *state = '\0';
  run_group = NO_ID;
  control = "/etc/acceptd", run = "/run/acceptd";
  read_account();
  if (setjmp(fuzz_ended) == 0) make_directories();
  CHECK(fuzz_opened == 0);
  const char *name = model(fuzz_files[0].bytes, "account"), *where = model(fuzz_files[2].bytes, NULL);
  CHECK(strcmp(state, where == NULL ? "/var/lib/acceptd" : where) == 0);
  if (*problem == '\0') CHECK(strcmp(made, state) == 0);
  if (!root) return CHECK(account.uid == 0 && *problem == '\0'), 0;
  CHECK(account.uid != 0 && account.gid != 0 && account.uid != NO_ID && account.gid != NO_ID);
  long group, uid = id_of(fuzz_files[3].bytes, name == NULL ? "acceptd" : name, &group);
  if (uid <= 0 || group <= 0) CHECK(*problem != '\0' && account.uid == UNPRIVILEGED && account.ngroups == 1 && account.groups[0] == UNPRIVILEGED);
  else CHECK(*problem == '\0' && (long)account.uid == uid && (long)account.gid == group);
  return 0;
}
