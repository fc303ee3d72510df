/* The chains file: what may run, as whom, and who may ask for it. A row per word of its grammar; README.md describes them. */
#define _GNU_SOURCE
#include "helper.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int open_trusted(const char *path, int mkdirs, const char **why)
{
  char copy[512], *next = copy, *word, *after;
  struct stat st;
  if (*path != '/' || strlen(path) >= sizeof copy) return *why = "not an absolute path", -1;
  strcpy(copy, path);
  int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  do {
    if (at < 0 || fstat(at, &st) != 0) return *why = strerror(errno), -1;
    if (st.st_uid != 0) return close(at), *why = "it or a folder above it does not belong to root", -1;
    if ((st.st_mode & 022) != 0) return close(at), *why = "it or a folder above it can be written by others than root", -1;
    while ((word = strsep(&next, "/")) != NULL && *word == '\0') {}
    if (word == NULL) return at;
    for (after = next; after != NULL && *after == '/'; after++) {}
    int last = after == NULL || *after == '\0', flags = O_NOFOLLOW | O_CLOEXEC;
    if (mkdirs && mkdirat(at, word, 0700) == 0 && !last && fchmodat(at, word, 0755, 0) != 0) return close(at), *why = strerror(errno), -1;
    flags |= last && !mkdirs ? O_RDONLY | O_NONBLOCK : last ? O_RDONLY | O_DIRECTORY : O_PATH | O_DIRECTORY;
    int to = openat(at, word, flags);
    int failed = errno;
    close(at);
    errno = failed;
    at = to;
  } while (1);
}

/* The file that is being read. */
struct reading {
  const char *path;
  int line, errors, privileged;
  struct config *config;
  struct chain *chain;
};

__attribute__((format(printf, 2, 3))) static void problem(struct reading *r, const char *format, ...)
{
  va_list args;
  char text[300];
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  dprintf(2, "%s:%d: %s\n", r->path, r->line, text);
  r->errors++;
}

static long decimal(struct reading *r, const char *word, long least, long most)
{
  char *rest;
  errno = 0;
  long value = strtol(word, &rest, 10);
  if (*word >= '0' && *word <= '9' && *rest == '\0' && errno == 0 && value >= least && value <= most) return value;
  problem(r, "%s: not a number from %ld to %ld", word, least, most);
  return least;
}

/* A number, or a name of /etc/passwd or /etc/group, which both have it in their third field; *group gets the fourth. */
static long identity(struct reading *r, const char *file, const char *name, gid_t *group)
{
  char line[4096], *found = NULL, *id = NULL;
  int numeric = *name >= '0' && *name <= '9';
  long value = numeric ? decimal(r, name, 0, 0xfffffffeL) : 0;
  FILE *in = fopen(file, "re");
  if (group != NULL) *group = value;
  while (in != NULL && fgets(line, sizeof line, in) != NULL) {
    char *next = line;
    found = strsep(&next, ":");
    strsep(&next, ":");
    id = strsep(&next, ":");
    if (id == NULL || (numeric ? atol(id) != value : strcmp(found, name) != 0)) continue;
    value = atol(id);
    if (group != NULL) *group = atol(next == NULL ? "" : next);
    break;
  }
  if ((in == NULL || feof(in)) && !numeric) problem(r, "%s: not in %s", name, file);
  if (in != NULL) fclose(in);
  return value;
}

static void program(struct reading *r, char **words, char ***argv)
{
  struct stat st;
  if (*argv != NULL) problem(r, "a second one in this chain");
  *argv = words;
  if (words[0][0] != '/') {
    problem(r, "%s: the program's path must be absolute", words[0]);
  } else if (r->privileged && stat(words[0], &st) == 0 && (st.st_mode & 022) != 0) {
    problem(r, "%s: can be written by others than its owner", words[0]);
  }
}

static int variable_name(const char *word)
{
  size_t length = strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
  return length > 0 && word[length] == '=' && (*word < '0' || *word > '9');
}

int variable_allowed(const char *variable)
{
  static const char *const whole[] = {"PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST", "TCPREMOTEIP", "TCPREMOTEPORT",
                                      "TCPREMOTEHOST", "TCPREMOTEINFO", "FIXSMTPIOTLS", "REUP", NULL};
  static const char *const prefix[] = {"TCP6", "SSL_", "TLS", "ACCEPTD_", NULL};
  size_t length = strcspn(variable, "=");
  int allowed = 0;
  for (const unsigned char *c = (const unsigned char *)variable; *c != '\0'; c++)
    if (*c < 32 || *c == 127) return -1;
  for (int i = 0; whole[i] != NULL; i++) allowed |= strlen(whole[i]) == length && strncmp(variable, whole[i], length) == 0;
  for (int i = 0; prefix[i] != NULL; i++) allowed |= strncmp(variable, prefix[i], strlen(prefix[i])) == 0;
  return allowed && variable_name(variable);
}

static void chain_word(struct reading *r, char **words, int count)
{
  struct chain *chain = r->chain;
  if (chain == NULL) {
    problem(r, "%s: unknown word, or one that belongs below a chain line", words[0]);
  } else if (strcmp(words[0], "kind") == 0 && count == 2 && strcmp(words[1], "auth") == 0) {
    chain->guest = 0;
  } else if (strcmp(words[0], "kind") == 0 && count == 4 && strcmp(words[1], "guest") == 0) {
    chain->guest = 1;
    chain->uid = identity(r, "/etc/passwd", words[2], NULL);
    chain->gid = identity(r, "/etc/group", words[3], NULL);
    if (chain->uid == 0 || chain->gid == 0) problem(r, "a guest cannot be root");
  } else if (strcmp(words[0], "checkpassword") == 0 && count > 1) {
    if (chain->builtin || chain->checkpassword != NULL) problem(r, "a second checkpassword in this chain");
    if (strcmp(words[1], "builtin") == 0) {
      chain->builtin = 1;
      chain->passwords = words[2];
      if (count > 3 || (count == 3 && *words[2] != '/')) problem(r, "builtin takes one absolute path at most");
    } else {
      chain->checkpassword = NULL;
      program(r, words + 1, &chain->checkpassword);
    }
  } else if (strcmp(words[0], "set") == 0 && count == 2) {
    if (!variable_name(words[1])) problem(r, "%s: not NAME=VALUE", words[1]);
    else if (chain->sets == MAX_WORDS) problem(r, "more than %d variables", MAX_WORDS);
    else chain->set[chain->sets++] = words[1];
  } else if (strcmp(words[0], "backend") == 0 && count > 1) {
    program(r, words + 1, &chain->backend);
  } else if (strcmp(words[0], "warm") == 0 && count == 2) {
    decimal(r, words[1], 0, 86400); /* the daemon's */
  } else {
    problem(r, "%s: unknown word, or not this many behind it", words[0]);
  }
}

static void chain_complete(struct reading *r)
{
  struct chain *chain = r->chain;
  if (chain == NULL) return;
  int line = r->line, password = chain->builtin || chain->checkpassword != NULL;
  r->line = chain->line;
  if (chain->backend == NULL) problem(r, "chain %s: no backend", chain->name);
  if (chain->guest && password) problem(r, "chain %s: a guest has no password to check", chain->name);
  if (!chain->guest && !password) problem(r, "chain %s: no checkpassword", chain->name);
  r->line = line;
}

static void global_word(struct reading *r, char **words, int count)
{
  struct config *c = r->config;
  if (strcmp(words[0], "chain") == 0 && count == 2) {
    chain_complete(r);
    if (config_chain(c, words[1]) != NULL) problem(r, "chain %s: a second one of that name", words[1]);
    if (c->count == MAX_CHAINS) return problem(r, "more than %d chains", MAX_CHAINS);
    r->chain = &c->chains[c->count++];
    *r->chain = (struct chain){.name = words[1], .line = r->line};
  } else if (r->chain != NULL || count != 2) {
    chain_word(r, words, count);
  } else if (strcmp(words[0], "account") == 0) {
    gid_t group;
    c->account = identity(r, "/etc/passwd", words[1], &group);
    if (!(c->named & 2)) c->group = group;
    c->named |= 1;
  } else if (strcmp(words[0], "group") == 0) {
    c->group = identity(r, "/etc/group", words[1], NULL);
    c->named |= 2;
  } else if (strcmp(words[0], "socket") == 0) {
    c->socket = words[1];
    if (*words[1] != '/' || strlen(words[1]) > 100) problem(r, "socket: not an absolute path of 100 bytes or less");
  } else if (strcmp(words[0], "min-uid") == 0) {
    c->minimum = decimal(r, words[1], 1, 0xfffffffeL);
  } else if (strcmp(words[0], "max-processes") == 0) {
    c->processes = decimal(r, words[1], 1, 1000000);
  } else if (strcmp(words[0], "attempts-per-second") == 0) {
    c->attempts = decimal(r, words[1], 1, 1000000);
  } else if (strcmp(words[0], "login-timeout") == 0) {
    c->timeout = decimal(r, words[1], 1, 3600);
  } else {
    chain_word(r, words, count);
  }
}

struct config *config_read(const char *path, int privileged)
{
  struct stat st;
  struct config *c = calloc(1, sizeof *c);
  struct reading r = {.path = path, .privileged = privileged, .config = c};
  const char *why = NULL;
  if (c == NULL) return NULL;
  int fd = privileged ? open_trusted(path, 0, &why) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > 1 << 20) {
    dprintf(2, "%s:1: %s\n", path, why != NULL ? why : fd < 0 ? strerror(errno) : "not a file of at most a megabyte");
    if (fd >= 0) close(fd);
    return config_free(c), NULL;
  }
  c->text = calloc(1, st.st_size + 1);
  c->words = calloc(st.st_size + 2, sizeof *c->words); /* a line of n words has n separators or more */
  if (c->text == NULL || c->words == NULL || read(fd, c->text, st.st_size) != st.st_size) {
    dprintf(2, "%s:1: cannot be read\n", path);
    close(fd);
    return config_free(c), NULL;
  }
  close(fd);
  c->socket = "/run/acceptd-helper/helper.sock";
  c->minimum = 1;
  c->processes = 4000;
  c->attempts = 1000;
  c->timeout = 30;
  char *next = c->text, *line, **slot = c->words;
  while ((line = strsep(&next, "\n")) != NULL) {
    char **words = slot, *word;
    int count = 0;
    r.line++;
    if (line[strspn(line, " \t\r")] == '#') continue;
    while ((word = strsep(&line, " \t\r")) != NULL)
      if (*word != '\0') *slot++ = word, count++;
    if (count == 0) continue;
    *slot++ = NULL;
    if (count > MAX_WORDS) problem(&r, "more than %d words", MAX_WORDS);
    else global_word(&r, words, count);
  }
  chain_complete(&r);
  if (privileged && !(c->named & 1)) problem(&r, "no account line: who may ask for a login?");
  if (privileged && (c->named & 1) && c->account == 0) problem(&r, "the account cannot be root");
  if (r.errors > 0) return config_free(c), NULL;
  return c;
}

const struct chain *config_chain(const struct config *config, const char *name)
{
  for (int i = 0; i < config->count; i++)
    if (strcmp(config->chains[i].name, name) == 0) return &config->chains[i];
  return NULL;
}

void config_free(struct config *config)
{
  if (config == NULL) return;
  free(config->text);
  free(config->words);
  free(config);
}
