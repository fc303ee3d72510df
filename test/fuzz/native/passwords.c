/* Whose password it is (verify.c, cache.c, base.c): /etc/shadow with /etc/passwd and /etc/group, or a file of its own. A model finds the
 * entry in its own way: whoever gets in has a usable one, and its password.
 *   octet: 1 a file of its own, 2 a certificate, 4 twice with `verified`; user, password (y: right, n: crypt fails), shadow or the file, passwd,
 *   group; octets 255 between them */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/helper.h"
#include <sys/mman.h>
#include <sys/random.h>

static int crypts;
/* Known passwords begin with y. The cache asks for the hash of a text under a salt. */
static char *its_crypt(const char *password, const char *setting)
{
  static char hash[128];
  size_t length = strlen(setting);
  crypts++;
  if (strncmp(setting, "$5$rounds=1000$", 15) == 0 && length == 32 && setting[31] == '$') {
    unsigned long sum = 5381;
    for (; *password != '\0'; password++) sum = sum * 33 + (unsigned char)*password;
    snprintf(hash, sizeof hash, "%s%016lx", setting, sum);
    return hash;
  }
  return *password == 'n' ? NULL : *password == 'y' ? fuzz_strdup(setting) : (char *)"*0";
}
static int its_stat(__attribute__((unused)) const char *path, struct stat *st) { return memset(st, 0, sizeof *st), 0; }
#define open fuzz_open
#define fstat fuzz_fstat
#define stat(path, st) its_stat(path, st)
#define read fuzz_read_file
#define close fuzz_close
#define calloc fuzz_calloc
#define free fuzz_free
#undef crypt
#define crypt its_crypt
#define mlock(at, size) 0
#define getrandom(to, size, how) (memset(to, 7, size), (ssize_t)(size))
#include "../../../native/base.c"
#include "../../../native/cache.c"
#include "../../../native/verify.c"

FUZZ_SAY

/* Which line of the text is the first of this user; -1: none. */
static int line_of(const char *text, const char *user)
{
  char *name;
  for (int line = 0; (name = fuzz_field(text, line, 0, ':')) != NULL; line++)
    if (strcmp(name, user) == 0) return line;
  return -1;
}

static void check_login(const char *user, const char *password, int certificate, int own, const struct account *account)
{
  const char *text = fuzz_files[0].bytes, *names = own ? text : fuzz_files[1].bytes;
  int line = line_of(text, user), place = line_of(names, user);
  CHECK(*user != '\0' && line >= 0 && place >= 0);
  char *hash = fuzz_field(text, line, 1, ':');
  CHECK(*hash != '!');
  if (!certificate) CHECK(*hash != '\0' && *hash != '*' && *password == 'y');
  CHECK(fuzz_number(fuzz_field(names, place, 2, ':'), MAX_ID) == (long)account->uid);
  CHECK(fuzz_number(fuzz_field(names, place, 3, ':'), MAX_ID) == (long)account->gid);
  char *home = fuzz_field(names, place, 5, ':'), *shell = fuzz_field(names, place, 6, ':');
  CHECK(strcmp(account->home, *home == '\0' ? "/" : home) == 0 && strcmp(account->shell, *shell == '\0' ? "/bin/sh" : shell) == 0);
  CHECK(account->ngroups >= 1 && account->ngroups <= 64 && account->groups[0] == account->gid);
  for (int i = 1; i < account->ngroups; i++) {
    int found = 0;
    char *members;
    for (int group = 0; (members = fuzz_field(fuzz_files[2].bytes, group, 3, ':')) != NULL; group++)
      if (fuzz_number(fuzz_field(fuzz_files[2].bytes, group, 2, ':'), MAX_ID) == (long)account->groups[i])
        for (char *member; (member = strsep(&members, ",")) != NULL;) found |= strcmp(member, user) == 0;
    CHECK(found);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_begin(data, size);
  unsigned flags = fuzz_octet();
  int own = flags & 1, certificate = (flags & 2) != 0;
  char *user = fuzz_part(NULL), *password = fuzz_part(NULL);
  fuzz_file(own ? "/f" : "/etc/shadow");
  fuzz_file("/etc/passwd");
  fuzz_file("/etc/group");
  cache_close();
  if (flags & 4) cache_open();
  struct account account;
  crypts = 0;
  int code = verify(own ? "/f" : NULL, user, certificate ? NULL : password, flags & 4 ? 60 : 0, &account);
  CHECK(code == 0 || code == REFUSED || code == TEMPORARY);
  CHECK(certificate || crypts > 0); /* an unknown name costs what a known one does */
  CHECK((code == TEMPORARY) == (fuzz_says > 0));
  if (code == 0) check_login(user, password, certificate, own, &account);
  if (flags & 4) {
    struct account again;
    CHECK(verify(own ? "/f" : NULL, user, certificate ? NULL : password, 60, &again) == code);
    char *other = fuzz_calloc(1, strlen(password) + 2);
    sprintf(other, "z%s", password);
    if (!certificate) CHECK(verify(own ? "/f" : NULL, user, other, 60, &again) != 0);
  }
  CHECK(fuzz_opened == 0);
  return 0;
}
