/* Whose password is it? crypt(3) against /etc/shadow, or against a file of user:hash:uid:gid:gecos:home:shell. */
#define _GNU_SOURCE
#include "helper.h"
#ifdef NO_CRYPT
#define REFUSED TEMPORARY
#endif
#include <time.h>

/* The text of a file that only root or we can write; NULL with a line in the log. */
static char *text_of(const char *path)
{
  size_t size;
  char *text = slurp(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), 1, &size);
  if (text == NULL) say("checkpassword: %s: it cannot be read, or others could have written it\n", path);
  return text;
}

/* An estimate of the microseconds that crypt(3) takes, to find the dearest hash of a file; 0 for one that lets nobody in. */
static double cost(const char *hash)
{
  static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  int at = strncmp(hash, "$y$j", 4) == 0 ? 4 : strncmp(hash, "$gy$j", 5) == 0 ? 5 : strncmp(hash, "$7$", 3) == 0 ? 3 : 0;
  const char *power = at == 0 || hash[at] == '\0' ? NULL : strchr(digits, hash[at]);
  if (*hash == '\0' || *hash == '!' || *hash == '*') return 0;
  if (power != NULL) return (at == 3 ? 12.0 : 14.0) * (double)(1ULL << ((power - digits) & 31));
  if (strncmp(hash, "$2", 2) == 0 && strlen(hash) > 6) return 58.0 * (double)(1ULL << (atoi(hash + 4) & 31));
  if (strncmp(hash, "$5$", 3) == 0 || strncmp(hash, "$6$", 3) == 0)
    return strncmp(hash + 3, "rounds=", 7) != 0 ? 2500 : 0.5 * (double)strtoul(hash + 10, NULL, 10);
  return strncmp(hash, "$1$", 3) == 0 ? 300 : 1;
}

/* shadow(5): an account past its day, or a password that has to be changed first, cannot log in here. */
static int expired(char *field[9])
{
  long today = time(NULL) / 86400, changed = *field[2] == '\0' ? -1 : atol(field[2]), expires = atol(field[7]);
  long longest = *field[4] == '\0' ? -1 : atol(field[4]);
  return (expires > 0 && today >= expires) || changed == 0 || (changed > 0 && longest >= 0 && today - changed > longest);
}

/* The groups of /etc/group; none where that cannot be read. */
static void find_groups(const char *user, struct account *account)
{
  char *text = text_of("/etc/group"), *next = text, *field[9];
  long gid;
  account->groups[0] = account->gid;
  account->ngroups = 1;
  while (next != NULL && fields(&next, field))
    for (char *members = field[3], *member; (member = strsep(&members, ",")) != NULL;)
      if (strcmp(member, user) == 0 && account->ngroups < 64 && decimal(field[2], 0, MAX_ID, &gid) && gid != account->gid)
        account->groups[account->ngroups++] = gid;
  free(text);
}

int verify(const char *file, const char *user, const char *password, long seconds, struct account *account)
{
  const char *path = file == NULL ? "/etc/shadow" : file;
  if (seconds > 0) cache_begin(path);
  char verified[MAX_HASH] = "", *field[9], *mine[9] = {NULL}, *text = text_of(path), *next = text, *users = NULL;
  const char *dearest = "", *hash = NULL; /* hashed when nobody of that name can log in, so that the time does not tell */
  double most = 0, its;
  long uid, gid;
  if (text == NULL) return TEMPORARY;
  while (fields(&next, field)) {
    if ((its = cost(field[1])) > most) most = its, dearest = field[1];
    if (mine[0] == NULL && *user != '\0' && strcmp(field[0], user) == 0) memcpy(mine, field, sizeof mine);
  }
  if (mine[0] != NULL && cost(mine[1]) > 0 && (file != NULL || !expired(mine))) hash = mine[1];
  /* A certificate needs no password; but `!` closes the account, and `*` only its password. */
  if (password == NULL && (mine[0] == NULL || *mine[1] == '!' || (file == NULL && expired(mine)))) return REFUSED;
  const char *wanted = hash != NULL ? hash : *dearest != '\0' ? dearest : "$6$acceptd.acceptd.$";
  /* An unknown name costs this, too. */
  int known = password != NULL && seconds > 0 && cache_hash(verified, user, password, wanted) && cache_has(verified, seconds);
  if (password != NULL && (hash == NULL || !known)) {
    const char *got = crypt(password, wanted);
    if (hash == NULL || got == NULL || strcmp(got, hash) != 0) return REFUSED;
    cache_add(verified);
  }
  if (file == NULL && ((users = text_of("/etc/passwd")) == NULL || !entry(users, user, 0, mine))) return REFUSED;
  if (!decimal(mine[2], 0, MAX_ID, &uid) || !decimal(mine[3], 0, MAX_ID, &gid))
    return say("checkpassword: the entry of %s cannot be used\n", user), TEMPORARY;
  *account = (struct account){.uid = uid, .gid = gid, .home = mine[5], .shell = mine[6]};
  if (*account->home == '\0') account->home = "/";
  if (*account->shell == '\0') account->shell = "/bin/sh";
  find_groups(user, account);
  return 0;
}

int enter(const struct account *account)
{
  const char *how = geteuid() == 0 ? "" : " without root rights";
  if (!become(account)) return say("checkpassword: cannot become uid %u%s: %s\n", account->uid, how, strerror(errno)), TEMPORARY;
  if (chdir(account->home) != 0) return say("checkpassword: %s: %s\n", account->home, strerror(errno)), TEMPORARY;
  return 0;
}

int split_credentials(char *bytes, size_t length, char *field[3])
{
  char *end = bytes + length;
  for (int i = 0; i < 3; i++) {
    field[i] = bytes;
    if ((bytes = memchr(bytes, 0, end - bytes)) == NULL) return 0;
    bytes++;
  }
  return bytes == end;
}
