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
    if (how == MAKE) mkdirat(at, word, 0755);
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

static int decimal(const char *word, long least, long most, long *value)
{
  errno = 0;
  *value = strtol(word, NULL, 10);
  return *word != '\0' && word[strspn(word, "0123456789")] == '\0' && errno == 0 && *value >= least && *value <= most;
}

/* A number, or a name of /etc/passwd or /etc/group, which both have it in their third field; *group gets the fourth. */
static int identity(const char *file, const char *name, uid_t *id, gid_t *group)
{
  char line[4096];
  long number, at, its;
  int found = decimal(name, 0, MAX_ID, &number), numeric = found;
  FILE *in = fopen(file, "re");
  *id = *group = number;
  for (int here = 0; !here && in != NULL && fgets(line, sizeof line, in) != NULL;) {
    char *next = line, *entry = strsep(&next, ":"), *third = (strsep(&next, ":"), strsep(&next, ":")), *fourth = strsep(&next, ":\n");
    if (third == NULL || !decimal(third, 0, MAX_ID, &at) || (numeric ? at != number : strcmp(entry, name) != 0)) continue;
    *id = at;
    *group = fourth != NULL && decimal(fourth, 0, MAX_ID, &its) ? its : NOBODY;
    here = found = 1;
  }
  if (in != NULL) fclose(in);
  return found;
}

int is_name(const char *word)
{
  size_t length = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  return length > 0 && length <= MAX_SESSION && word[length] == '\0';
}

int is_path(const char *word)
{
  size_t length = strlen(word);
  return *word == '/' && word[length - 1] != '/' && length <= 100;
}

static int variable_name(const char *word)
{
  size_t length = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
  return length > 0 && word[length] == '=' && (*word < '0' || *word > '9');
}

int same_variable(const char *a, const char *b) { return strncmp(a, b, strcspn(a, "=") + 1) == 0; }

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
static const char *chain_line(struct config *c, char **words, int count)
{
  struct chain *chain = c->chains + c->count - 1;
  const char *word = words[0];
  struct stat st;
  gid_t ignored;
  long number;
  if (strcmp(word, "kind") == 0 && count == 2 && (strcmp(words[1], "auth") == 0 || strcmp(words[1], "certificate") == 0))
    return chain->guest = 0, chain->certificate = *words[1] == 'c', NULL;
  if (strcmp(word, "kind") == 0 && count == 4 && (strcmp(words[1], "guest") == 0 || strcmp(words[1], "probe") == 0)) {
    chain->guest = 1, chain->certificate = 0;
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
  if (strcmp(word, "warm") == 0 && count == 2) /* the daemon's */
    return decimal(words[1], 0, 60, &number) ? NULL : "not a number of seconds from 0 to 60";
  if (strcmp(word, "credentials") == 0 && count == 2)
    return decimal(words[1], MAX_CREDENTIALS, MOST_CREDENTIALS, &chain->credentials) ? NULL : "not a number from 512 to 16384";
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
  const struct { const char *word; long *value, most; } numbers[] = {{"min-uid", &c->minimum, 0xfffffffeL},
    {"max-processes", &c->processes, 1000000}, {"attempts-per-second", &c->attempts, 1000000}, {"login-timeout", &c->timeout, 3600}};
  gid_t ignored, group;
  if (count > MAX_WORDS) return "too many words";
  if (strcmp(words[0], "chain") == 0 && count == 2) {
    int second = config_chain(c, words[1]) != NULL;
    if (c->count == MAX_CHAINS) return "too many chains";
    c->chains[c->count++] = (struct chain){.name = words[1], .line = line, .credentials = MAX_CREDENTIALS};
    return second ? "a second one of that name" : is_name(words[1]) ? NULL : "not a name of up to 64 letters, digits and ._-";
  }
  if (c->count > 0) return chain_line(c, words, count);
  if (count != 2) return "unknown word, or not this many after it";
  for (int i = 0; i < 4; i++)
    if (strcmp(words[0], numbers[i].word) == 0)
      return decimal(words[1], 1, numbers[i].most, numbers[i].value) ? NULL : "not a number, or not in reason";
  if (strcmp(words[0], "account") == 0) {
    if (!identity("/etc/passwd", words[1], &c->account, &group)) return "no such user";
    if (group == NOBODY) return "its group is not a number";
    if (c->group == NOBODY) c->group = group;
    return c->account == 0 ? "the account cannot be root" : NULL;
  }
  if (strcmp(words[0], "group") == 0) return identity("/etc/group", words[1], &c->group, &ignored) ? NULL : "no such group";
  if (strcmp(words[0], "socket") != 0) return "unknown word, or one that belongs below a chain line";
  c->socket = words[1];
  return is_path(words[1]) ? NULL : "not an absolute path of 100 bytes or less";
}

struct config *config_read(const char *path)
{
  struct stat st;
  const char *why = NULL;
  int fd = privileged ? open_trusted(path, 0, &why) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), number = 1, bad = 0;
  if (fd < 0 || fstat(fd, &st) != 0) return say("%s:1: %s\n", path, why != NULL ? why : strerror(errno)), NULL;
  /* One piece of memory: the words, which are fewer than bytes even with a NULL after those of a line, and the text they are in. */
  ssize_t size = !S_ISREG(st.st_mode) || st.st_size > 1 << 20 ? 0 : st.st_size, front = sizeof(struct config) + (size + 2) * sizeof(char *);
  char *memory = size > 0 ? calloc(1, front + size + 1) : NULL, *text = NULL, *line;
  if (memory == NULL || read(fd, text = memory + front, size) != size) bad = 1, say("%s:1: not a file of at most a megabyte\n", path);
  close(fd);
  if (!bad && strlen(text) != (size_t)size) bad = 1, say("%s:1: there is a NUL in it\n", path);
  if (bad) return free(memory), NULL;
  struct config *c = (struct config *)memory;
  char **slot = (char **)(c + 1);
  *c = (struct config){.account = NOBODY, .group = NOBODY, .socket = "/run/acceptd-helper/helper.sock",
                       .minimum = 1, .processes = 4000, .attempts = 1000, .timeout = 30};
  for (; (line = strsep(&text, "\n")) != NULL; number++) {
    char **words = slot, *word, shown[80];
    if (line[strspn(line, " \t\r")] == '#') continue;
    snprintf(shown, sizeof shown, "%s", line + strspn(line, " \t\r"));
    while ((word = strsep(&line, " \t\r")) != NULL)
      if (*word != '\0') *slot++ = word;
    if (slot == words) continue;
    *slot++ = NULL;
    if ((why = read_line(c, words, slot - words - 1, number)) != NULL) bad = 1, say("%s:%d: %s: %s\n", path, number, shown, why);
  }
  if (privileged && c->account == NOBODY) bad = 1, say("%s:%d: no account line: who may ask for a login?\n", path, number);
  if (c->count == 0) bad = 1, say("%s:1: there is no chain\n", path);
  for (struct chain *chain = c->chains; chain < c->chains + c->count; chain++) {
    why = chain->guest == !chain->checkpassword ? NULL : chain->guest ? "a guest has no password to check" : "no checkpassword";
    if (chain->backend == NULL) why = "no backend";
    if (why != NULL) bad = 1, say("%s:%d: chain %s: %s\n", path, chain->line, chain->name, why);
  }
  return bad ? free(c), NULL : c;
}

const struct chain *config_chain(const struct config *c, const char *name)
{
  for (int i = 0; i < c->count; i++)
    if (strcmp(c->chains[i].name, name) == 0) return &c->chains[i];
  return NULL;
}
