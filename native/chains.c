/* The chains file: what may run, as whom, and who may ask for it. README.md describes its words. */
#define _GNU_SOURCE
#include "helper.h"

int open_trusted(const char *path, int how, const char **why)
{
  char rest[2 * PATH_MAX], link[PATH_MAX], *next = rest, *word;
  struct stat st;
  int links = 0;
  if (*path != '/' || strlen(path) >= PATH_MAX) return *why = "not an absolute path", errno = EINVAL, -1;
  strcpy(rest, path);
  for (int at = open("/", O_RDONLY | O_CLOEXEC), to;; at = to) {
    *why = NULL;
    if (fstat(at, &st) != 0 || st.st_uid != 0) *why = "it or a folder above it does not belong to root";
    else if ((st.st_mode & 022) != 0) *why = "it or a folder above it can be written by others than root";
    if (*why != NULL) return close(at), errno = EPERM, -1;
    do word = strsep(&next, "/");
    while (word != NULL && *word == '\0');
    if (word == NULL) return at;
    if (how == MAKE && mkdirat(at, word, 0700) == 0 && /* the last is the group's */
        ((next == NULL && fchownat(at, word, 0, config->group, 0) != 0) || fchmodat(at, word, next == NULL ? 0750 : 0755, 0) != 0))
      return close(at), *why = strerror(errno), -1;
    int error = (to = openat(at, word, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)) < 0 ? errno : 0;
    ssize_t length = error == ELOOP && how == LINKS && ++links < 16 ? readlinkat(at, word, link, sizeof link - 1) : -1;
    size_t left = next == NULL ? 0 : strlen(next);
    if (error != 0 && (length <= 0 || length + left + 2 > sizeof rest)) return close(at), *why = strerror(error), errno = error, -1;
    if (error != 0) { /* the link's text goes before the rest */
      memmove(rest + length + 1, next == NULL ? "" : next, left + 1);
      memcpy(rest, link, length);
      rest[length] = '/';
      next = rest;
      to = *rest == '/' ? open("/", O_RDONLY | O_CLOEXEC) : dup(at);
    }
    close(at);
  }
}

int is_name(const char *word)
{
  size_t length = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  return length > 0 && length <= MAX_SESSION && word[length] == '\0';
}

int is_path(const char *word)
{
  return *word == '/' && word[strlen(word) - 1] != '/' && strlen(word) <= 100;
}

static int variable_name(const char *word)
{
  size_t length = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
  return length > 0 && word[length] == '=' && (*word < '0' || *word > '9');
}

static int same_variable(const char *a, const char *b) { return strncmp(a, b, strcspn(a, "=") + 1) == 0; }

int variable_allowed(const char *variable)
{
  static const char *const allowed[] = {"PROTO=", "TCPLOCALIP=", "TCPLOCALPORT=", "TCPLOCALHOST=", "TCPREMOTEIP=", "TCPREMOTEPORT=",
                                        "TCPREMOTEHOST=", "TCPREMOTEINFO=", "TCP6", "FIXSMTPIOTLS=", "REUP=", "SSL_", "TLS", "ACCEPTD_"};
  for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
    if (strncmp(variable, allowed[i], strlen(allowed[i])) == 0) return variable_name(variable);
  return 0;
}

/* What root runs, or takes for the truth, only root can have written; one that is not there yet is missed at a login. */
static const char *unsafe(const char *path)
{
  const char *why = NULL;
  int fd = privileged ? open_trusted(path, LINKS, &why) : -1;
  if (fd >= 0) close(fd);
  return fd < 0 && errno != ENOENT ? why : NULL;
}

/* A line below a chain line: NULL, or what is wrong with it. */
static const char *chain_line(struct chain *chain, char **words, int count)
{
  const char *word = words[0];
  struct stat st;
  gid_t ignored;
  if (strcmp(word, "kind") == 0 && count == 2 && (strcmp(words[1], "auth") == 0 || strcmp(words[1], "certificate") == 0))
    return chain->kind = words[1], NULL;
  if (strcmp(word, "kind") == 0 && count == 4 && (strcmp(words[1], "guest") == 0 || strcmp(words[1], "probe") == 0)) {
    chain->kind = "guest";
    if (!identity("/etc/passwd", words[2], &chain->uid, &ignored)) return "no such user";
    if (!identity("/etc/group", words[3], &chain->gid, &ignored)) return "no such group";
    return chain->uid == 0 || chain->gid == 0 ? "a guest cannot be root" : NULL;
  }
  if (strcmp(word, "set") == 0 && count == 2) {
    for (int i = 0; i < chain->sets; i++)
      if (same_variable(chain->set[i], words[1])) return "a second one of that name";
    if (!variable_name(words[1]) || chain->sets == MAX_WORDS) return "not NAME=VALUE, or too many of them";
    return chain->set[chain->sets++] = words[1], NULL;
  }
  if (strcmp(word, "mechanisms") == 0 && count > 1) return NULL; /* the daemon's */
  char ***argv = strcmp(word, "checkpassword") == 0 ? &chain->checkpassword : strcmp(word, "backend") == 0 ? &chain->backend : NULL;
  if (argv == NULL || count < 2) return "unknown word, or not this many after it";
  if (*argv != NULL) return "a second one in this chain";
  *argv = words + 1;
  if (argv == &chain->checkpassword && strcmp(words[1], "builtin") == 0)
    return count > 3 || (count == 3 && *words[2] != '/') ? "builtin takes one absolute path at most" : count == 3 ? unsafe(words[2]) : NULL;
  if (*words[1] != '/') return "the program's path must be absolute";
  if (argv == &chain->checkpassword) return unsafe(words[1]);
  return privileged && stat(words[1], &st) == 0 && (st.st_mode & 022) != 0 ? "can be written by others than its owner" : NULL;
}

static const char *read_line(struct config *c, char **words, int count, int line)
{
  struct chain *last = c->chains + (c->count > 0 ? c->count - 1 : 0);
  long warm; /* the daemon's */
  const struct { const char *word; int chains; long *value, least, most; } numbers[] = {
    {"min-uid", 0, &c->minimum, 1, MAX_ID}, {"max-processes", 0, &c->processes, 1, 1000000},
    {"attempts-per-second", 0, &c->attempts, 1, 1000000}, {"login-timeout", 0, &c->timeout, 1, 3600}, {"warm", 1, &warm, 0, 60},
    {"verified", 1, &last->verified, 0, 3600}, {"credentials", 1, &last->credentials, MAX_CREDENTIALS, MOST_CREDENTIALS}};
  gid_t ignored, group;
  if (count > MAX_WORDS) return "too many words";
  if (strcmp(words[0], "chain") == 0 && count == 2) {
    int second = config_chain(c, words[1]) != NULL;
    if (c->count == MAX_CHAINS) return "too many chains";
    c->chains[c->count++] = (struct chain){.name = words[1], .kind = "auth", .line = line, .credentials = MAX_CREDENTIALS};
    return second ? "a second one of that name" : is_name(words[1]) ? NULL : "not a name of up to 64 letters, digits and ._-";
  }
  for (int i = 0; count == 2 && i < 7; i++)
    if (strcmp(words[0], numbers[i].word) == 0 && numbers[i].chains == (c->count > 0))
      return decimal(words[1], numbers[i].least, numbers[i].most, numbers[i].value) ? NULL : "not a number, or not in reason";
  if (c->count > 0) return chain_line(last, words, count);
  if (count != 2) return "unknown word, or not this many after it";
  if (strcmp(words[0], "account") == 0) {
    if (!identity("/etc/passwd", words[1], &c->account, &group)) return "no such user";
    if (group == NO_ID) return "its group is not a number";
    if (c->group == NO_ID) c->group = group;
    return c->account == 0 ? "the account cannot be root" : NULL;
  }
  if (strcmp(words[0], "group") == 0) return identity("/etc/group", words[1], &c->group, &ignored) ? NULL : "no such group";
  if (strcmp(words[0], "socket") != 0) return "unknown word, or one that belongs below a chain line";
  c->socket = words[1];
  return is_path(words[1]) ? NULL : "not an absolute path of 100 bytes or less";
}

void config_free(struct config *c)
{
  if (c != NULL) free(c->text);
  free(c);
}

struct config *config_read(const char *path)
{
  const char *why = NULL;
  size_t size = 0;
  int number = 1, bad = 0, fd = privileged ? open_trusted(path, 0, &why) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && why == NULL) why = strerror(errno);
  char *text = slurp(fd, 0, &size), *line, *next = text;
  if (text == NULL) why = why != NULL ? why : "it cannot be read as a file";
  else if (size == 0 || size > 1 << 20) why = "not a file of at most a megabyte";
  else if (strlen(text) != size) why = "there is a NUL in it";
  if (why != NULL) return say("%s:1: %s\n", path, why), free(text), NULL;
  struct config *c = calloc(1, sizeof *c + (size + 2) * sizeof(char *)); /* fewer words than bytes, even with a NULL after each line's */
  char **slot = c->words;
  *c = (struct config){.text = text, .account = NO_ID, .group = NO_ID, .socket = "/run/acceptd-helper/helper.sock",
                       .minimum = 1, .processes = 4000, .attempts = 1000, .timeout = 30};
  for (; (line = strsep(&next, "\n")) != NULL; number++) {
    char **words = slot, *word, shown[80];
    snprintf(shown, sizeof shown, "%s", line += strspn(line, " \t\r"));
    if (*line == '#' || *line == '\0') continue;
    while ((word = strsep(&line, " \t\r")) != NULL)
      if (*word != '\0') *slot++ = word;
    *slot++ = NULL;
    if ((why = read_line(c, words, slot - words - 1, number)) != NULL) bad = 1, say("%s:%d: %s: %s\n", path, number, shown, why);
  }
  if (privileged && c->account == NO_ID) bad = 1, say("%s:%d: no account line: who may ask for a login?\n", path, number);
  if (c->count == 0) bad = 1, say("%s:1: there is no chain\n", path);
  for (struct chain *chain = c->chains; chain < c->chains + c->count; chain++) {
    int guest = strcmp(chain->kind, "guest") == 0;
    why = guest == !chain->checkpassword ? NULL : guest ? "a guest has no password to check" : "no checkpassword";
    if (why == NULL && chain->verified > 0 && (guest || *chain->checkpassword[0] == '/')) why = "verified is for checkpassword builtin";
    if (chain->backend == NULL) why = "no backend";
    if (why != NULL) bad = 1, say("%s:%d: chain %s: %s\n", path, chain->line, chain->name, why);
  }
  return bad ? config_free(c), NULL : c;
}

const struct chain *config_chain(const struct config *c, const char *name)
{
  for (int i = 0; i < c->count; i++)
    if (strcmp(c->chains[i].name, name) == 0) return &c->chains[i];
  return NULL;
}
