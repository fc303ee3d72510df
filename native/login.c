/* The process of a login. Through the status pipe it tells its parent a session's name, which has a length of its own, before it
 * runs anybody's program, and the answer; without an answer there, its end is the answer. Where it has nothing to
 * do but to become checkpassword, it is in our memory until then, with us standing still (vfork): a copy costs a third of all that
 * the helper does. */
#define _GNU_SOURCE
#include "login.h"
#include "verify.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static char request[MAX_REQUEST], *env[MAX_WORDS + MAX_VARIABLES + 8], texts[5][MAX_CREDENTIALS + 16];
static int variables, sets;
static size_t request_length;
static const struct chain *borrows; /* the only one that may run in our memory */

static _Noreturn void refuse(const char *verdict)
{
  dprintf(STATUS, "%s", verdict);
  _exit(MISUSED);
}

static void set(const char *name, const char *value)
{
  if (snprintf(texts[sets], sizeof *texts, "%s=%s", name, value) >= (int)sizeof *texts) _exit(TEMPORARY);
  env[variables++] = texts[sets++];
}

/* The next string of the request. */
static char *string(char **at, const char *end)
{
  char *start = *at, *nul = start < end ? memchr(start, 0, end - start) : NULL;
  if (nul == NULL) refuse("bad request without an end");
  for (char *c = start; c < nul; c++)
    if ((unsigned char)*c < 32 || *c == 127) refuse("bad control characters");
  *at = nul + 1;
  return start;
}

static int too_many_attempts(void)
{
  long second = now() / 1000;
  if (__atomic_exchange_n(&attempts->second, second, __ATOMIC_RELAXED) != second) attempts->count = 0;
  return __atomic_add_fetch(&attempts->count, 1, __ATOMIC_RELAXED) > config->attempts;
}

/* From here on the processor is other people's, too. Not before: the server may be standing still for us. */
static void step_back(void)
{
  sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}); /* waking it must not push a lane off its processor */
  if (getpriority(PRIO_PROCESS, 0) < 0) setpriority(PRIO_PROCESS, 0, 0); /* acceptd's own is not for everybody's programs */
}

/* Root in, root out: checkpassword, checknotroot and the backend follow each other in this process. */
static _Noreturn void run_checkpassword(const struct chain *chain, const char *bytes, size_t length)
{
  char *argv[2 * MAX_WORDS + 8], **to = argv, minimum[16];
  int credentials[2];
  snprintf(minimum, sizeof minimum, "%ld", privileged ? config->minimum : 0);
  char *ours[] = {checknotroot, "--acceptd", "10", "11", minimum, "--", NULL};
  for (char **word = chain->checkpassword; *word != NULL; word++) *to++ = *word;
  for (char **word = ours; *word != NULL; word++) *to++ = *word;
  for (char **word = chain->backend; *word != NULL; word++) *to++ = *word;
  *to = NULL;
  if (pipe2(credentials, O_CLOEXEC) != 0 || write(credentials[1], bytes, length) != (ssize_t)length || dup2(credentials[0], 3) < 0)
    _exit(TEMPORARY);
  step_back();
  execve(argv[0], argv, env);
  dprintf(STATUS, "missing %s: %s", argv[0], strerror(errno));
  _exit(TEMPORARY);
}

/* A guest, or a login by the built-in checkpassword: only the backend is another program. */
static _Noreturn void run_ourselves(const struct chain *chain, const char *user, const char *password)
{
  step_back();
  struct account who = {.uid = privileged ? chain->uid : getuid(), .gid = chain->gid, .groups = {chain->gid}, .ngroups = 1, .home = "/"};
  if (!chain->guest) {
    int answer = verify(chain->checkpassword[1], user, password, &who);
    if (answer != 0) _exit(answer);
    set("USER", user);
    set("HOME", who.home);
    set("SHELL", who.shell);
  }
  if (become(&who) != 0) _exit(TEMPORARY);
  environ = env;
  hand_over(STREAM, STATUS, !privileged ? 0 : chain->guest ? 1 : config->minimum, chain->backend);
}

/* Its own session so that it can be ended whole, none of our habits, and none of our descriptors. */
static void prepare(int stream, int status)
{
  sigset_t none;
  struct rlimit files;
  setsid();
  signal(SIGPIPE, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 1024) files.rlim_cur = 1024, setrlimit(RLIMIT_NOFILE, &files);
  if (dup2(stream, STREAM) < 0 || dup2(status, STATUS) < 0) _exit(TEMPORARY);
  closefrom(STATUS + 1);
}

static size_t length_of(const unsigned char *head) { return (size_t)head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3]; }

const struct chain *chain_asked_for(int stream)
{
  char head[4 + sizeof "guest" + 2 * (MAX_SESSION + 1) + 3] = {0}; /* three strings end in it whatever comes */
  int octets = 0;
  if (recv(stream, head, sizeof head - 3, MSG_PEEK | MSG_DONTWAIT) <= 4 || ioctl(stream, FIONREAD, &octets) != 0) return NULL;
  const char *session = head + 4 + strlen(head + 4) + 1, *name = session + strlen(session) + 1;
  const struct chain *chain = octets - 4UL < length_of((unsigned char *)head) ? NULL : config_chain(config, name);
  explicit_bzero(head, sizeof head);
  return chain;
}

static void read_request(void)
{
  unsigned char head[4];
  int how = borrows != NULL ? MSG_DONTWAIT : MSG_WAITALL; /* whatever the daemon has done to it since: the server stands still */
  if (recv(STREAM, head, sizeof head, how) != sizeof head) refuse("bad request without an end");
  size_t length = length_of(head);
  if (length == 0 || length > MAX_REQUEST) refuse("bad length");
  request_length = length;
  if (recv(STREAM, request, length, how) != (ssize_t)length) refuse("bad request without an end");
  if (recv(STREAM, head, 1, MSG_DONTWAIT) > 0) refuse("bad bytes behind the request");
}

/* What the daemon says is taken by this process, which serves it alone; the server has looked at its length and its chain. */
static _Noreturn void login(int stream, int status)
{
  char *field[3], *at = request, *variable, session[MAX_SESSION + 1] = "*"; /* that name is a watcher's */
  variables = sets = 0;
  memset(env, 0, sizeof env); /* of the login before, which was in the same memory */
  prepare(stream, status);
  read_request();
  const char *end = request + request_length, *what = string(&at, end);
  int guest = strcmp(what, "guest") == 0;
  if (strcmp(what, "watch") == 0 && at == end && write(STATUS, session, sizeof session) > 0) refuse("busy"); /* if there are too many */
  if (!guest && strcmp(what, "auth") != 0) refuse("bad request");
  const char *name = string(&at, end);
  size_t letters = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
  if (letters == 0 || letters > MAX_SESSION || name[letters] != '\0') refuse("bad session name");
  strcpy(session, name);
  const struct chain *chain = config_chain(config, string(&at, end));
  if (chain == NULL) refuse("bad no such chain");
  if (borrows != NULL && borrows != chain) refuse("bad chain");
  if (chain->guest != guest) refuse(guest ? "bad the chain needs a password" : "bad the chain is for guests");
  env[variables++] = "PATH=/usr/local/bin:/usr/bin:/bin";
  for (int i = 0; i < chain->sets; i++) env[variables++] = chain->set[i];
  while (*(variable = string(&at, end)) != '\0') {
    int unwanted = !variable_allowed(variable);
    for (int i = 0; i < variables; i++) unwanted |= strncmp(env[i], variable, strcspn(variable, "=") + 1) == 0;
    if (unwanted) continue;
    if (variables == MAX_WORDS + MAX_VARIABLES) refuse("bad too many variables");
    env[variables++] = variable;
  }
  size_t length = end - at;
  if (guest && length > 0) refuse("bad password of a guest");
  if (length > MAX_CREDENTIALS) refuse("bad credentials over 512 bytes");
  if (!guest && !split_credentials(at, length, field)) refuse("bad credentials");
  if (running >= config->processes || too_many_attempts()) refuse("busy");
  if (write(STATUS, session, sizeof session) != sizeof session) _exit(TEMPORARY);
  if (guest) run_ourselves(chain, NULL, NULL);
  char *user = at;
  set("AUTHUP_USER", string(&user, end));
  set("AUTHUSER", field[0]);
  if (!runs_checkpassword(chain)) run_ourselves(chain, field[0], field[1]);
  run_checkpassword(chain, at, length);
}

pid_t start_login(int stream, int status)
{
  borrows = chain_asked_for(stream);
  if (borrows != NULL && !runs_checkpassword(borrows)) borrows = NULL;
  pid_t pid = borrows != NULL ? vfork() : fork();
  if (pid == 0) login(stream, status);
  if (borrows != NULL) explicit_bzero(request, request_length); /* else it was never here: writing would only copy its page */
  return pid;
}
