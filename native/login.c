/* The process of one connection. It alone reads what the account sends, and waits for it: octets, and descriptors that come with
 * them, which the kernel closes here. It becomes the backend, or checkpassword, whose answer a process beside it waits for. */
#define _GNU_SOURCE
#include "helper.h"
#include <sched.h>
#include <sys/resource.h>

static char request[MAX_REQUEST], *session;

int decided(void)
{
  return write(UP, &(struct order){0}, sizeof(struct order)) > 0;
}

/* The peer may not take it: a chain may have filled the stream. */
void refuse(const char *answer, int code)
{
  char line[320];
  alarm(0);
  send(STREAM, line, snprintf(line, sizeof line, "%s\n", answer), MSG_NOSIGNAL | MSG_DONTWAIT);
  decided();
  _exit(code);
}

/* The session is the process's group, and the clerk knows of it before the backend can end. */
static void accepted(pid_t backend)
{
  struct note note = {.kind = ACCEPTED, .from = getpid(), .pid = backend};
  strcpy(note.session, session);
  send(CLERK, &note, sizeof note, MSG_NOSIGNAL);
  alarm(0);
  if (!decided()) _exit(TEMPORARY);
}

/* The chain is in our process group. */
static void time_is_up(__attribute__((unused)) int number)
{
  send(STREAM, "timeout\n", 8, MSG_NOSIGNAL | MSG_DONTWAIT);
  decided();
  kill(0, SIGKILL);
}

/* Its own session so that it can be ended whole, and none of the server's descriptors. */
static void prepare(int stream, int up, int down, int clerk)
{
  struct rlimit files;
  setsid();
  signal(SIGALRM, time_is_up);
  alarm(config->timeout);
  sigprocmask(SIG_SETMASK, &(sigset_t){0}, NULL);
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > 1024) files.rlim_cur = 1024, setrlimit(RLIMIT_NOFILE, &files);
  if (dup2(stream, STREAM) < 0 || dup3(up, UP, O_CLOEXEC) < 0 || dup3(down, DOWN, O_CLOEXEC) < 0 || dup3(clerk, CLERK, O_CLOEXEC) < 0)
    _exit(TEMPORARY);
  close_from(CLERK + 1);
}

static void check_caller(void)
{
  struct ucred peer = {0};
  socklen_t size = sizeof peer;
  uid_t account = privileged ? config->account : getuid();
  if (!serving || (getsockopt(STREAM, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == account)) return;
  say("accept-helper: refused a connection of uid %u\n", peer.uid);
  decided();
  _exit(MISUSED);
}

/* Answers its end. */
static const char *read_request(void)
{
  unsigned char head[4];
  if (recv(STREAM, head, sizeof head, MSG_WAITALL) != sizeof head) refuse("bad request without an end", MISUSED);
  size_t length = (size_t)head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
  if (length == 0 || length > MAX_REQUEST) refuse("bad length", MISUSED);
  if (recv(STREAM, request, length, MSG_WAITALL) != (ssize_t)length) refuse("bad request without an end", MISUSED);
  if (recv(STREAM, head, 1, MSG_DONTWAIT) > 0) refuse("bad bytes after the request", MISUSED);
  return request + length;
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
static void set(char *variable, int replace)
{
  char *sign = strchr(variable, '=');
  *sign = '\0';
  if (setenv(variable, sign + 1, replace) != 0) refuse("busy", TEMPORARY);
  *sign = '=';
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

/* Waits for the chain's acceptance, or its end, and ends as it does: to the server this is the backend. */
static _Noreturn void wait_for(pid_t pid, int status)
{
  char verdict[256] = "", end[32];
  struct pollfd on[] = {{status, POLLIN, 0}, {syscall(SYS_pidfd_open, pid, 0), POLLIN, 0}};
  int how;
  poll(on, 2, -1);
  fcntl(status, F_SETFL, O_NONBLOCK); /* what the chain has left running may hold it open */
  if (read(status, verdict, sizeof verdict - 1) > 0 && strcmp(verdict, "A") == 0) accepted(pid), close_from(3);
  waitpid(pid, &how, 0);
  int code = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
  snprintf(end, sizeof end, WIFSIGNALED(how) ? "signal %d" : "exit %d", code & 127);
  if (strcmp(verdict, "A") != 0) refuse(*verdict != '\0' ? verdict : end, code);
  if (WIFSIGNALED(how)) signal(WTERMSIG(how), SIG_DFL), kill(getpid(), WTERMSIG(how));
  _exit(code);
}

/* Root in, root out: checkpassword, checknotroot and the backend follow each other in a child of this process, in its group. */
static _Noreturn void run_checkpassword(const struct chain *chain, char *bytes, size_t length)
{
  char *argv[2 * MAX_WORDS + 8], **to = argv, minimum[16];
  int credentials[2], status[2];
  snprintf(minimum, sizeof minimum, "%ld", privileged ? config->minimum : 0);
  char **parts[] = {chain->checkpassword, (char *[]){checknotroot, "--acceptd", minimum, NULL}, chain->backend};
  for (int i = 0; i < 3; i++)
    for (char **word = parts[i]; *word != NULL; word++) *to++ = *word;
  *to = NULL;
  if (pipe2(credentials, O_CLOEXEC) != 0 || write(credentials[1], bytes, length) != (ssize_t)length || pipe2(status, O_CLOEXEC) != 0)
    refuse("busy", TEMPORARY);
  pid_t pid = vfork(); /* in the memory of this login, which is the child's as well, and of nobody else */
  if (pid == 0) {
    signal(SIGPIPE, SIG_DFL), signal(SIGXFSZ, SIG_DFL);
    if (dup2(credentials[0], 3) < 0 || dup2(status[1], STATUS) < 0) _exit(TEMPORARY);
    execv(argv[0], argv);
    dprintf(STATUS, "missing %s: %s", argv[0], strerror(errno));
    _exit(TEMPORARY);
  }
  if (pid < 0) refuse("busy", TEMPORARY);
  for (int s = 1; s < NSIG; s++) /* what the group is sent is for the chain */
    if (s != SIGALRM && s != SIGCHLD) signal(s, SIG_IGN);
  explicit_bzero(bytes, length);
  close(credentials[1]);
  wait_for(pid, status[0]);
}

/* A guest, or a login by the built-in checkpassword: only the backend is another program. */
static _Noreturn void run_ourselves(const struct chain *chain, const char *user, const char *password)
{
  struct account who = {.uid = privileged ? chain->uid : getuid(), .gid = chain->gid, .groups = {chain->gid}, .ngroups = 1, .home = "/"};
  int guest = user == NULL, code = guest ? 0 : verify(chain->checkpassword[1], user, password, chain->verified, &who);
  cache_close();
  if (code == 0 && !guest && (setenv("USER", user, 1) != 0 || setenv("HOME", who.home, 1) != 0 || setenv("SHELL", who.shell, 1) != 0))
    code = TEMPORARY;
  if (code == 0) code = enter(&who);
  if (code != 0) refuse(code == REFUSED ? "exit 1" : "exit 111", code);
  const char *why = unfit(!privileged ? 0 : guest ? 1 : config->minimum, chain->backend);
  if (why != NULL) refuse(why, *why == 'r' ? REFUSED : TEMPORARY);
  accepted(getpid());
  signal(SIGPIPE, SIG_DFL), signal(SIGXFSZ, SIG_DFL);
  run_backend(STREAM, chain->backend);
}

void login(int stream, int up, int down, int clerk)
{
  char *field[3], *at = request, *variable;
  prepare(stream, up, down, clerk);
  if (read(DOWN, field, 1) != 1) _exit(TEMPORARY);
  check_caller();
  const char *end = read_request(), *what = string(&at, end);
  if (strcmp(what, "watch") == 0 && at == end) watch();
  sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}); /* waking it must not push a lane off its processor */
  if (getpriority(PRIO_PROCESS, 0) < 0) setpriority(PRIO_PROCESS, 0, 0); /* acceptd's own is not for everybody's programs */
  if (!is_name(session = string(&at, end))) refuse("bad session name", MISUSED);
  const struct chain *chain = config_chain(config, string(&at, end));
  if (chain == NULL) refuse("bad no such chain", MISUSED);
  if (strcmp(chain->kind, what) != 0) refuse("bad the chain is of another kind", MISUSED);
  for (int i = 0; i < chain->sets; i++) set(chain->set[i], 1);
  while (*(variable = string(&at, end)) != '\0')
    if (variable_allowed(variable)) set(variable, 0);
  size_t length = end - at;
  int guest = *what == 'g';
  if (guest && length > 0) refuse("bad password of a guest", MISUSED);
  if (length > (size_t)chain->credentials) refuse("bad credentials over what the chain takes", MISUSED);
  if (!guest && !split_credentials(at, length, field)) refuse("bad credentials", MISUSED);
  if (running >= config->processes || too_many_attempts()) refuse("busy", MISUSED);
  if (guest) run_ourselves(chain, NULL, NULL);
  if (setenv("AUTHUP_USER", string(&at, end), 1) != 0 || setenv("AUTHUSER", field[0], 1) != 0) refuse("busy", TEMPORARY);
  if (*chain->checkpassword[0] != '/') run_ourselves(chain, field[0], *what == 'c' ? NULL : field[1]);
  run_checkpassword(chain, field[0], length);
}
