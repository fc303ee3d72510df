/* The process of one connection. It alone reads what the account sends, and waits for it: octets, and descriptors that come with
 * them, which the kernel closes here. It becomes the backend, or checkpassword, whose answer a process beside it waits for. */
#define _GNU_SOURCE
#include "helper.h"
#include <sched.h>
#include <sys/resource.h>

enum { STREAM = 10, STATUS = 11, UP = 12, DOWN = 13 }; /* a chain inherits the first two */

static char request[MAX_REQUEST], *env[MAX_WORDS + MAX_VARIABLES + 8];
static int variables;
static size_t request_length;
static sigset_t no_signals;
static struct report report;

static void tell_server(enum report_kind kind)
{
  report.kind = kind;
  if (write(UP, &report, sizeof report) != sizeof report) _exit(TEMPORARY);
}

/* Whoever does not take it: a chain may have filled the stream. */
static _Noreturn void refuse(const char *answer, int code)
{
  char line[320];
  alarm(0);
  send(STREAM, line, snprintf(line, sizeof line, "%s\n", answer), MSG_NOSIGNAL | MSG_DONTWAIT);
  tell_server(REFUSAL);
  _exit(code);
}

/* The chain is in our process group. */
static void time_is_up(__attribute__((unused)) int number)
{
  send(STREAM, "timeout\n", 8, MSG_NOSIGNAL | MSG_DONTWAIT);
  tell_server(REFUSAL);
  kill(0, SIGKILL);
}

/* Its own session so that it can be ended whole, and none of the server's descriptors. */
static void prepare(int stream, int up, int down)
{
  struct rlimit files;
  setsid();
  signal(SIGALRM, time_is_up);
  alarm(config->timeout);
  sigprocmask(SIG_SETMASK, &no_signals, NULL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 1024) files.rlim_cur = 1024, setrlimit(RLIMIT_NOFILE, &files);
  if (dup2(stream, STREAM) < 0 || dup3(up, UP, O_CLOEXEC) < 0 || dup3(down, DOWN, O_CLOEXEC) < 0) _exit(TEMPORARY);
  close_from(DOWN + 1);
}

static void default_signals(void)
{
  for (const int *s = (int[]){SIGALRM, SIGPIPE, SIGXFSZ, 0}; *s != 0; s++) signal(*s, SIG_DFL);
}

/* From here on the processor is other people's, too. */
static void step_back(void)
{
  sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}); /* waking it must not push a lane off its processor */
  if (getpriority(PRIO_PROCESS, 0) < 0) setpriority(PRIO_PROCESS, 0, 0); /* acceptd's own is not for everybody's programs */
}

static void check_caller(void)
{
  struct ucred peer = {0};
  socklen_t size = sizeof peer;
  uid_t account = privileged ? config->account : getuid();
  if (listener < 0 || (getsockopt(STREAM, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == account)) return;
  say("accept-helper: refused a connection of uid %u\n", peer.uid);
  tell_server(REFUSAL);
  _exit(MISUSED);
}

static void read_request(void)
{
  unsigned char head[4];
  if (recv(STREAM, head, sizeof head, MSG_WAITALL) != sizeof head) refuse("bad request without an end", MISUSED);
  request_length = (size_t)head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
  if (request_length == 0 || request_length > MAX_REQUEST) refuse("bad length", MISUSED);
  if (recv(STREAM, request, request_length, MSG_WAITALL) != (ssize_t)request_length) refuse("bad request without an end", MISUSED);
  if (recv(STREAM, head, 1, MSG_DONTWAIT) > 0) refuse("bad bytes after the request", MISUSED);
}

/* The next string of the request. */
static char *string(char **at, const char *end)
{
  char *start = *at, *nul = start < end ? memchr(start, 0, end - start) : NULL;
  if (nul == NULL) refuse("bad request without an end", MISUSED);
  for (char *c = start; c < nul; c++)
    if ((unsigned char)*c < 32 || *c == 127) refuse("bad control characters", MISUSED);
  *at = nul + 1;
  return start;
}

/* A name has one value: the chain's before the daemon's, ours before the chain's. */
static void put(char *variable, int replace)
{
  int i = 0;
  while (i < variables && !same_variable(env[i], variable)) i++;
  if (i == sizeof env / sizeof *env - 1) refuse("bad too many variables", MISUSED);
  if (i < variables && !replace) return;
  if (i == variables) variables++;
  env[i] = variable;
}

static void set(const char *name, const char *value)
{
  char *variable;
  if (asprintf(&variable, "%s=%s", name, value) < 0) _exit(TEMPORARY);
  put(variable, 1);
}

/* The clock is read after the count that it is compared with: a second that is not its own is over, or of before a restart. */
static int too_many_attempts(void)
{
  unsigned long was = __atomic_load_n(&shared->attempts, __ATOMIC_RELAXED), is, second;
  do {
    second = now() / 1000;
    is = was >> 32 == second ? was + 1 : second << 32 | 1;
  } while (!__atomic_compare_exchange_n(&shared->attempts, &was, is, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return (is & 0xffffffff) > (unsigned long)config->attempts;
}

/* Passes the news of the server on, and takes orders to end a session. */
static _Noreturn void watch(void)
{
  char news[4096];
  size_t have = 0;
  struct pollfd on[] = {{STREAM, POLLIN, 0}, {DOWN, POLLIN, 0}};
  alarm(0);
  tell_server(WATCH);
  ssize_t got = read(DOWN, news, sizeof news);
  if (got <= 0) refuse("busy", MISUSED); /* there are too many */
  for (char line[8 + MAX_SESSION] = ""; got > 0 && send(STREAM, news, got, MSG_NOSIGNAL) == got;) {
    while (poll(on, 2, -1) >= 0 && on[0].revents != 0) {
      if ((got = recv(STREAM, line + have, sizeof line - have, MSG_DONTWAIT)) <= 0) _exit(0);
      have += got;
      for (char *lf; (lf = memchr(line, '\n', have)) != NULL; have -= lf + 1 - line, memmove(line, lf + 1, have)) {
        *lf = '\0';
        if (strncmp(line, "kill ", 5) != 0) _exit(0);
        memcpy(report.session, line + 5, sizeof report.session - 1);
        tell_server(KILL);
      }
      if (have == sizeof line) _exit(0);
    }
    got = read(DOWN, news, sizeof news);
  }
  _exit(0);
}

/* Waits for the chain's acceptance, or its end, and ends as it does: to the server this is the backend. */
static _Noreturn void wait_for(pid_t pid, int status)
{
  char verdict[256] = "", end[32];
  struct pollfd on[] = {{status, POLLIN, 0}, {syscall(SYS_pidfd_open, pid, 0), POLLIN, 0}};
  int how;
  poll(on, 2, -1);
  fcntl(status, F_SETFL, O_NONBLOCK); /* what the chain has left running may hold it open */
  if (read(status, verdict, sizeof verdict - 1) > 0 && strcmp(verdict, "A") == 0) {
    alarm(0);
    report.pid = pid;
    tell_server(ACCEPTED);
    close_from(3);
  }
  waitpid(pid, &how, 0);
  int code = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
  snprintf(end, sizeof end, WIFSIGNALED(how) ? "signal %d" : "exit %d", code & 127);
  if (strcmp(verdict, "A") != 0) refuse(*verdict != '\0' ? verdict : end, code);
  if (!WIFSIGNALED(how)) _exit(code);
  signal(WTERMSIG(how), SIG_DFL);
  kill(getpid(), WTERMSIG(how));
  _exit(code);
}

/* Root in, root out: checkpassword, checknotroot and the backend follow each other in a child of this process, in its group. */
static _Noreturn void run_checkpassword(const struct chain *chain, const char *bytes, size_t length)
{
  char *argv[2 * MAX_WORDS + 8], **to = argv, minimum[16];
  int credentials[2], status[2];
  snprintf(minimum, sizeof minimum, "%ld", privileged ? config->minimum : 0);
  char **parts[] = {chain->checkpassword, (char *[]){checknotroot, "--acceptd", "10", "11", minimum, "--", NULL}, chain->backend};
  for (int i = 0; i < 3; i++)
    for (char **word = parts[i]; *word != NULL; word++) *to++ = *word;
  *to = NULL;
  if (pipe2(credentials, O_CLOEXEC) != 0 || write(credentials[1], bytes, length) != (ssize_t)length || pipe2(status, O_CLOEXEC) != 0)
    refuse("busy", TEMPORARY);
  pid_t pid = fork();
  if (pid == 0) {
    default_signals();
    if (dup2(credentials[0], 3) < 0 || dup2(status[1], STATUS) < 0) _exit(TEMPORARY);
    execve(argv[0], argv, env);
    dprintf(STATUS, "missing %s: %s", argv[0], strerror(errno));
    _exit(TEMPORARY);
  }
  if (pid < 0) refuse("busy", TEMPORARY);
  for (int s = 1; s < NSIG; s++) /* what the group is sent is for the chain */
    if (s != SIGALRM && s != SIGCHLD) signal(s, SIG_IGN);
  explicit_bzero(request, request_length);
  close(credentials[0]);
  close(credentials[1]);
  close(status[1]);
  wait_for(pid, status[0]);
}

/* A guest, or a login by the built-in checkpassword: only the backend is another program. */
static _Noreturn void run_ourselves(const struct chain *chain, const char *user, const char *password)
{
  struct account who = {.uid = privileged ? chain->uid : getuid(), .gid = chain->gid, .groups = {chain->gid}, .ngroups = 1, .home = "/"};
  int code = chain->guest ? 0 : verify(chain->checkpassword[1], user, chain->certificate ? NULL : password, &who);
  if (code == 0 && !chain->guest) set("USER", user), set("HOME", who.home), set("SHELL", who.shell);
  if (code == 0) code = become(&who);
  if (code != 0) refuse(code == REFUSED ? "exit 1" : "exit 111", code);
  const char *why = unfit(!privileged ? 0 : chain->guest ? 1 : config->minimum, chain->backend);
  if (why != NULL) refuse(why, *why == 'r' ? REFUSED : TEMPORARY);
  alarm(0);
  if (!say_accepted(STREAM)) _exit(TEMPORARY);
  tell_server(ACCEPTED);
  environ = env;
  default_signals();
  run_backend(STREAM, chain->backend);
}

void login(int stream, int up, int down)
{
  char *field[3], *at = request, *variable;
  prepare(stream, up, down);
  report.from = report.pid = getpid();
  if (read(DOWN, field, 1) != 1) _exit(TEMPORARY);
  check_caller();
  read_request();
  const char *end = request + request_length, *what = string(&at, end);
  int guest = strcmp(what, "guest") == 0, certificate = strcmp(what, "certificate") == 0;
  if (strcmp(what, "watch") == 0 && at == end) watch();
  step_back();
  if (!guest && !certificate && strcmp(what, "auth") != 0) refuse("bad request", MISUSED);
  const char *name = string(&at, end);
  if (!is_name(name)) refuse("bad session name", MISUSED);
  strcpy(report.session, name);
  const struct chain *chain = config_chain(config, string(&at, end));
  if (chain == NULL) refuse("bad no such chain", MISUSED);
  if (chain->guest != guest || chain->certificate != certificate) refuse("bad the chain is of another kind", MISUSED);
  put("PATH=/usr/local/bin:/usr/bin:/bin", 1);
  for (int i = 0; i < chain->sets; i++) put(chain->set[i], 1);
  while (*(variable = string(&at, end)) != '\0')
    if (variable_allowed(variable)) put(variable, 0);
  size_t length = end - at;
  if (guest && length > 0) refuse("bad password of a guest", MISUSED);
  if (length > (size_t)chain->credentials) refuse("bad credentials over what the chain takes", MISUSED);
  if (!guest && !split_credentials(at, length, field)) refuse("bad credentials", MISUSED);
  if (running >= config->processes || too_many_attempts()) refuse("busy", MISUSED);
  if (guest) run_ourselves(chain, NULL, NULL);
  char *user = at;
  set("AUTHUP_USER", string(&user, end));
  set("AUTHUSER", field[0]);
  if (*chain->checkpassword[0] != '/') run_ourselves(chain, field[0], field[1]);
  run_checkpassword(chain, at, length);
}
