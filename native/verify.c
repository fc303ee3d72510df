/* Whose password is it? crypt(3) against /etc/shadow, or against a file of user:hash:uid:gid:gecos:home:shell.
 * No name service: a static program cannot load one, and one that it cannot see cannot be turned against it. */
#define _GNU_SOURCE
#include "helper.h"
#if __has_include(<crypt.h>)
#include <crypt.h>
#endif
#ifdef NO_CRYPT /* Debian has taken it out of musl */
#define crypt(password, hash) (password != hash ? say("checkpassword: built without crypt(3)\n") : (void)0, NULL)
#define REFUSED TEMPORARY
#endif
#include <grp.h>
#include <time.h>

/* The whole of a file that only root or we can write, as a string; NULL with a line in the log. */
static char *slurp(const char *path)
{
  struct stat st;
  char *text = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_uid == 0 || st.st_uid == geteuid()) && (st.st_mode & 022) == 0)
    text = calloc(1, st.st_size + 1);
  if (text == NULL || read(fd, text, st.st_size) != st.st_size) {
    say("checkpassword: %s: it cannot be read, or others could have written it\n", path);
    free(text);
    text = NULL;
  }
  if (fd >= 0) close(fd);
  return text;
}

/* Cuts the line at *next into at most nine fields; 0 at the end. Lines that are cut are not put together again. */
static int fields(char **next, char *field[9])
{
  char *line = strsep(next, "\n");
  if (line == NULL) return 0;
  for (int i = 0; i < 9; i++) {
    char *word = strsep(&line, ":");
    field[i] = word == NULL ? "" : word;
  }
  return 1;
}

/* An estimate of the microseconds that crypt(3) takes, to find the dearest hash of a file. */
static double cost(const char *hash)
{
  static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  if (*hash == '\0' || *hash == '!' || *hash == '*') return 0;
  if (strncmp(hash, "$2", 2) == 0 && strlen(hash) > 6) return 58.0 * (double)(1ULL << (atoi(hash + 4) & 31));
  if (strncmp(hash, "$y$j", 4) == 0 || strncmp(hash, "$gy$j", 5) == 0) {
    char n = hash[1] == 'g' ? hash[5] : hash[4];
    const char *at = n == '\0' ? NULL : strchr(digits, n);
    return at == NULL ? 1 : 7.0 * (double)(2ULL << ((at - digits) & 31));
  }
  if (strncmp(hash, "$7$", 3) == 0 && hash[3] != '\0' && strchr(digits, hash[3]) != NULL)
    return 12.0 * (double)(1ULL << ((strchr(digits, hash[3]) - digits) & 31));
  if (strncmp(hash, "$5$", 3) == 0 || strncmp(hash, "$6$", 3) == 0) return strncmp(hash + 3, "rounds=", 7) != 0 ? 2500 : 0.5 * (double)strtoul(hash + 10, NULL, 10);
  return strncmp(hash, "$1$", 3) == 0 ? 300 : 1;
}

/* 1 if the password belongs to the hash; takes the time of the hash in any case. */
static int matches(const char *hash, const char *password)
{
  const char *got = crypt(password, hash);
  size_t length = strlen(hash);
  if (got == NULL || *got == '*' || strlen(got) != length) return 0;
  unsigned char differ = 0;
  for (size_t i = 0; i < length; i++) differ |= (unsigned char)(hash[i] ^ got[i]);
  return differ == 0;
}

static long number(const char *text) { return *text == '\0' ? -1 : atol(text); }

/* shadow(5): an account past its day, or a password that has to be changed first, cannot log in here. */
static int expired(char *field[9])
{
  long today = time(NULL) / 86400, changed = number(field[2]), longest = number(field[4]), expires = number(field[7]);
  return (expires > 0 && today >= expires) || changed == 0 || (changed > 0 && longest >= 0 && today > changed + longest);
}

static int is_id(const char *text, unsigned long *id)
{
  char *rest;
  errno = 0;
  *id = strtoul(text, &rest, 10);
  return *text >= '0' && *text <= '9' && *rest == '\0' && errno == 0 && *id <= MAX_ID;
}

/* The groups of /etc/group; none where that cannot be read. */
static void find_groups(const char *user, struct account *account)
{
  char *text = slurp("/etc/group"), *next = text, *field[9];
  unsigned long gid;
  account->groups[0] = account->gid;
  account->ngroups = 1;
  while (text != NULL && fields(&next, field))
    for (char *members = field[3], *member; (member = strsep(&members, ",")) != NULL;)
      if (strcmp(member, user) == 0 && account->ngroups < 64 && is_id(field[2], &gid) && gid != account->gid)
        account->groups[account->ngroups++] = gid;
  free(text);
}

static int found(struct account *account, const char *user, char *id[2], const char *home, const char *shell)
{
  unsigned long ids[2];
  int usable = strlen(home) < sizeof account->home && strlen(shell) < sizeof account->shell;
  for (int i = 0; i < 2; i++) usable = usable && is_id(id[i], &ids[i]);
  if (!usable) return say("checkpassword: the entry of %s cannot be used\n", user), TEMPORARY;
  account->uid = ids[0];
  account->gid = ids[1];
  strcpy(account->home, *home == '\0' ? "/" : home);
  strcpy(account->shell, *shell == '\0' ? "/bin/sh" : shell);
  find_groups(user, account);
  return 0;
}

int verify(const char *file, const char *user, const char *password, struct account *account)
{
  char *field[9], *mine[9] = {NULL}, *text = slurp(file == NULL ? "/etc/shadow" : file), *users = NULL, *next = text;
  if (text == NULL) return TEMPORARY;
  /* Hashed when nobody of that name can log in, so that the time does not tell. */
  const char *dearest = "", *hash = NULL;
  double most = 0, its;
  while (fields(&next, field)) {
    if ((its = cost(field[1])) > most) most = its, dearest = field[1];
    if (mine[0] == NULL && *user != '\0' && strcmp(field[0], user) == 0) memcpy(mine, field, sizeof mine);
  }
  if (mine[0] != NULL && cost(mine[1]) > 0 && (file != NULL || !expired(mine))) hash = mine[1];
  int answer = REFUSED;
  /* A certificate needs no password; but `!` closes the account, and `*` only its password. */
  int right = password == NULL ? mine[0] != NULL && *mine[1] != '!' && (file != NULL || !expired(mine)) : matches(hash != NULL ? hash : *dearest != '\0' ? dearest : "$6$acceptd.acceptd.$", password) && hash != NULL;
  if (right && file != NULL) answer = found(account, user, mine + 2, mine[5], mine[6]);
  next = users = right && file == NULL ? slurp("/etc/passwd") : NULL;
  for (int here = 0; !here && next != NULL && fields(&next, field);)
    if ((here = strcmp(field[0], user) == 0)) answer = found(account, user, field + 2, field[5], field[6]);
  free(text);
  free(users);
  return answer;
}

int become(const struct account *account)
{
  if (geteuid() != 0 && (getuid() != account->uid || getuid() != geteuid()))
    return say("checkpassword: without root rights nobody but uid %u can log in\n", getuid()), TEMPORARY;
  if (geteuid() == 0 && (setgroups(account->ngroups, account->groups) != 0 ||
                         setresgid(account->gid, account->gid, account->gid) != 0 ||
                         setresuid(account->uid, account->uid, account->uid) != 0))
    return say("checkpassword: cannot become uid %u: %s\n", account->uid, strerror(errno)), TEMPORARY;
  if (chdir(account->home) != 0) return say("checkpassword: %s: %s\n", account->home, strerror(errno)), TEMPORARY;
  return 0;
}

int split_credentials(char *bytes, size_t length, char *field[3])
{
  size_t at = 0;
  for (int i = 0; i < 3; i++) {
    char *end = at < length ? memchr(bytes + at, 0, length - at) : NULL;
    if (end == NULL) return 0;
    field[i] = bytes + at;
    at = end - bytes + 1;
  }
  return at == length;
}
