/* accept-helper: the one program of acceptd with root rights. It reads a login from the daemon, runs the chain that the
 * root-owned chains file names for it, and says what became of it. README.md is its protocol and its threat model.
 *   serve    a monitor holds the socket and restarts the server, which answers any number of connections
 *   run [3]  one request on descriptor 0, or 3; stays until its process ends and exits as that did
 *   check    reads the chains file and says what is wrong with it */
#define _GNU_SOURCE
#include "helper.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STREAM = 10, STATUS = 11, LOWEST = 16 }; /* what a chain inherits, and the first number of ours: they never collide */
enum { MAX_READING = 1024, READ_SECONDS = 10, GRACE = 1000, KILL_GRACE = 5000, TICK = 250, BUCKETS = 4096 };
enum kind { LISTENER, SIGNALS, REQUEST, WATCH, LOGIN };

/* A connection whose request is being read, or a standing one, whose buffer then holds what it has not taken yet. */
struct conn {
  enum kind kind;
  int fd, dead;
  long since;
  size_t have, typed;
  struct conn *next, **link;
  char line[80], bytes[4 + MAX_REQUEST];
};

/* A process of ours that has not been waited for; stream and status are -1 once it is accepted. */
struct proc {
  enum kind kind;
  pid_t pid;
  int stream, status, accepted, ending;
  char verdict, text[200], session[65]; /* verdict: 0, R root, M missing, T timeout */
  long deadline, killat;
  struct proc *next;
};

static const char *chains_path = CHAINS, *socket_path;
static char checknotroot[512];
static int privileged, epoll = -1, single, reading, pending, last_status;
static uid_t account;
static struct config *config;
static struct stat config_stat;
static struct conn *conns;
static struct proc *procs[BUCKETS];
static long running, attempts, second;
static struct rlimit descriptors;
static volatile int exec_errno;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
  va_list args;
  char text[600];
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  dprintf(2, "accept-helper: %s\n", text);
}

static _Noreturn void fail(int code, const char *what, const char *why)
{
  say("%s: %s", what, why);
  exit(code);
}

static long now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- a process for a login */

/* In the child, before it becomes anybody: its own group so that it can be ended whole, and none of our habits. */
static void prepare(int credentials, int stream, int status)
{
  sigset_t none;
  struct rlimit files = {descriptors.rlim_max < 1024 ? descriptors.rlim_max : 1024, descriptors.rlim_max};
  setsid();
  signal(SIGPIPE, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setrlimit(RLIMIT_NOFILE, &files);
  if (credentials >= 0) dup2(credentials, 3);
  if (dup2(stream, STREAM) < 0 || dup2(status, STATUS) < 0) _exit(TEMPORARY);
}

/* vfork: nothing is copied, and the server goes on when the exec is done. Root in, root out: nobody else can signal the child. */
static pid_t start_checkpassword(char **argv, char **env, int credentials, int stream, int status)
{
  exec_errno = 0;
  pid_t pid = vfork();
  if (pid != 0) return pid;
  prepare(credentials, stream, status);
  execve(argv[0], argv, env);
  exec_errno = errno;
  _exit(TEMPORARY);
}

/* A guest, or a login by the built-in checkpassword: one exec less or two, and a real fork since the child does work of its own. */
static pid_t start_ourselves(const struct chain *chain, char **env, int variables, char *user, char *password, int stream, int status)
{
  static char name[MAX_CREDENTIALS + 8], home[300], shell[300];
  pid_t pid = fork();
  if (pid != 0) return pid;
  prepare(-1, stream, status);
  if (close_range(LOWEST, ~0U, 0) != 0)
    for (int fd = LOWEST; fd < 65536; fd++) close(fd);
  struct account who = {.uid = chain->uid, .gid = chain->gid, .groups = {chain->gid}, .ngroups = 1, .home = "/"};
  if (!chain->guest) {
    int answer = verify(chain->passwords, user, password, &who);
    snprintf(name, sizeof name, "USER=%s", user);
    snprintf(home, sizeof home, "HOME=%s", who.home);
    snprintf(shell, sizeof shell, "SHELL=%s", who.shell);
    env[variables++] = name;
    env[variables++] = home;
    env[variables++] = shell;
    env[variables] = NULL;
    explicit_bzero(password, strlen(password));
    if (answer != 0) _exit(answer);
  }
  if (!privileged) who.uid = chain->guest ? getuid() : who.uid;
  if (become(&who) != 0) _exit(TEMPORARY);
  environ = env;
  hand_over(STREAM, STATUS, !privileged ? 0 : chain->guest ? 1 : config->minimum, chain->backend);
}

static int pending_login(const struct proc *p) { return p->stream >= 0 || p->killat > 0; }

/* ---- answers */

/* Closing alone does not take a descriptor out of epoll while a child still holds a copy of it. */
static void drop(int fd)
{
  if (fd < 0) return;
  epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
  close(fd);
}

__attribute__((format(printf, 2, 3))) static void answer(int fd, const char *format, ...)
{
  va_list args;
  char line[300];
  va_start(args, format);
  int length = vsnprintf(line, sizeof line - 1, format, args);
  va_end(args);
  if (length > (int)sizeof line - 2) length = sizeof line - 2;
  for (int i = 0; i < length; i++)
    if ((unsigned char)line[i] < 32 || line[i] == 127) line[i] = '?';
  line[length++] = '\n';
  if (send(fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE) say("an answer was not taken: %s", strerror(errno));
}

static void conn_end(struct conn *c)
{
  if (c->kind == REQUEST) reading--, pending--;
  drop(c->fd);
  if ((*c->link = c->next) != NULL) c->next->link = c->link;
  explicit_bzero(c->bytes, c->have);
  free(c);
}

/* A watcher that does not keep up with 64 KB of news is let go; the server waits for nobody. */
static void watch_flush(struct conn *c)
{
  ssize_t sent = c->have == 0 ? 0 : send(c->fd, c->bytes, c->have, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) c->dead = 1;
  if (sent > 0) memmove(c->bytes, c->bytes + sent, c->have -= sent);
  struct epoll_event event = {.events = EPOLLIN | (c->have > 0 ? EPOLLOUT : 0), .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &event);
}

static void tell_watchers(const char *line, size_t length)
{
  for (struct conn *c = conns; c != NULL; c = c->next) {
    if (c->kind != WATCH || c->dead) continue;
    if (c->have + length > sizeof c->bytes) {
      c->dead = 1;
      continue;
    }
    memcpy(c->bytes + c->have, line, length);
    c->have += length;
  }
}

static void proc_ended(struct proc *p, int status)
{
  char line[128];
  const char *how = WIFSIGNALED(status) ? "signal" : "exit";
  int code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  last_status = WIFSIGNALED(status) ? 128 + code : code;
  if (p->accepted) tell_watchers(line, snprintf(line, sizeof line, "end %s %d %s %d\n", p->session, p->pid, how, code));
  else if (p->verdict == 'T') answer(p->stream, "timeout");
  else if (p->verdict == 'R') answer(p->stream, "root");
  else if (p->verdict == 'M') answer(p->stream, "missing %s", p->text);
  else answer(p->stream, "%s %d", how, code);
  if (p->stream >= 0) close(p->stream);
  drop(p->status);
}

/* The byte of handover.c: A it has become the user and the backend follows, R it is root, M and why the backend cannot be run. */
static void login_status(struct proc *p)
{
  char bytes[200];
  ssize_t got = p->status < 0 ? -1 : read(p->status, bytes, sizeof bytes - 1);
  if (got < 0) return;
  if (got > 0 && bytes[0] == 'A') {
    p->accepted = 1;
    close(p->stream);
    p->stream = -1;
    if (p->killat == 0) pending--;
  } else if (got > 0 && p->verdict == 0) {
    bytes[got] = '\0';
    p->verdict = bytes[0];
    memcpy(p->text, bytes + 1, got);
  }
  drop(p->status);
  p->status = -1;
}

static void reap(void)
{
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    struct proc **link = &procs[pid % BUCKETS], *p;
    while ((p = *link) != NULL && p->pid != pid) link = &p->next;
    if (p == NULL) continue;
    login_status(p);
    if (pending_login(p)) pending--;
    proc_ended(p, status);
    running--;
    *link = p->next;
    free(p);
  }
}

/* Only children that have not been waited for are in the table, so that no number can belong to anybody else. */
static void end_proc(struct proc *p, long grace)
{
  if (p->ending) return;
  if (!pending_login(p)) pending++;
  kill(-p->pid, SIGTERM);
  p->killat = now() + grace;
  p->ending = 1;
}

/* ---- requests */

/* The next string of the request, NULL when it has no end. */
static char *string(char **at, const char *end)
{
  char *start = *at, *nul = start < end ? memchr(start, 0, end - start) : NULL;
  if (nul == NULL) return NULL;
  *at = nul + 1;
  return start;
}

static void config_refresh(void)
{
  struct stat st;
  if (stat(chains_path, &st) != 0) return;
  if (st.st_ino == config_stat.st_ino && st.st_size == config_stat.st_size && st.st_dev == config_stat.st_dev &&
      st.st_mtim.tv_sec == config_stat.st_mtim.tv_sec && st.st_mtim.tv_nsec == config_stat.st_mtim.tv_nsec &&
      st.st_ctim.tv_sec == config_stat.st_ctim.tv_sec && st.st_ctim.tv_nsec == config_stat.st_ctim.tv_nsec)
    return;
  config_stat = st;
  struct config *fresh = config_read(chains_path, privileged);
  if (fresh == NULL) return say("%s: keeping the chains that were read before", chains_path);
  config_free(config);
  config = fresh;
}

static const char *session_start(struct conn *c, int guest, char *at, const char *end)
{
  static char users[2][MAX_CREDENTIALS + 16], minimum[16];
  char *env[MAX_VARIABLES + 8], *argv[2 * MAX_WORDS + 8], *field[3] = {"", "", ""}, *session, *name, *variable;
  int variables = 0, words = 0, status[2], credentials[2] = {-1, -1};
  if ((session = string(&at, end)) == NULL || strlen(session) > 64 || *session == '\0' ||
      strspn(session, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") != strlen(session))
    return "bad session name";
  config_refresh();
  const struct chain *chain = (name = string(&at, end)) == NULL ? NULL : config_chain(config, name);
  if (chain == NULL) return "bad no such chain";
  if (chain->guest != guest) return guest ? "bad the chain needs a password" : "bad the chain is for guests";
  env[variables++] = "PATH=/usr/local/bin:/usr/bin:/bin";
  for (int i = 0; i < chain->sets; i++) env[variables++] = chain->set[i];
  while ((variable = string(&at, end)) != NULL && *variable != '\0') {
    int allowed = variable_allowed(variable), known = 0;
    if (allowed < 0) return "bad control characters in the environment";
    if (!allowed) continue;
    for (int i = 0; i < variables; i++) known |= strncmp(env[i], variable, strcspn(variable, "=") + 1) == 0;
    if (known) continue;
    if (variables == MAX_VARIABLES) return "bad too many variables";
    env[variables++] = variable;
  }
  if (variable == NULL) return "bad request without an end";
  size_t length = end - at;
  if (guest ? length > 0 : length > MAX_CREDENTIALS) return guest ? "bad password of a guest" : "bad credentials over 512 bytes";
  if (!guest) {
    if (!split_credentials(at, length, field)) return "bad credentials";
    for (const char *u = field[0]; *u != '\0'; u++)
      if ((unsigned char)*u < 32 || *u == 127) return "bad control characters in the user name";
    snprintf(users[0], sizeof users[0], "AUTHUP_USER=%s", field[0]);
    snprintf(users[1], sizeof users[1], "AUTHUSER=%s", field[0]);
    env[variables++] = users[0];
    env[variables++] = users[1];
  }
  env[variables] = NULL;
  long second_now = now() / 1000;
  if (second_now != second) second = second_now, attempts = 0;
  if (running >= config->processes || ++attempts > config->attempts) return "busy";

  struct proc *p = calloc(1, sizeof *p);
  if (p == NULL || pipe2(status, O_CLOEXEC | O_NONBLOCK) != 0) return free(p), "busy";
  fcntl(status[1], F_SETFL, 0);
  pid_t pid = -1;
  if (chain->checkpassword == NULL) {
    pid = start_ourselves(chain, env, variables, field[0], field[1], c->fd, status[1]);
    exec_errno = 0;
  } else if (pipe2(credentials, O_CLOEXEC) == 0) {
    snprintf(minimum, sizeof minimum, "%u", privileged ? config->minimum : 0);
    char *ours[] = {checknotroot, "--acceptd", "10", "11", minimum, "--", NULL};
    for (char **w = chain->checkpassword; *w != NULL; w++) argv[words++] = *w;
    for (char **w = ours; *w != NULL; w++) argv[words++] = *w;
    for (char **w = chain->backend; *w != NULL; w++) argv[words++] = *w;
    argv[words] = NULL;
    int written = write(credentials[1], at, length) == (ssize_t)length;
    close(credentials[1]);
    if (written) pid = start_checkpassword(argv, env, credentials[0], c->fd, status[1]);
    close(credentials[0]);
  }
  explicit_bzero(users, sizeof users);
  close(status[1]);
  if (pid < 0) return close(status[0]), free(p), "busy";
  *p = (struct proc){.kind = LOGIN, .pid = pid, .stream = c->fd, .status = status[0], .deadline = now() + config->timeout * 1000};
  strcpy(p->session, session);
  if (exec_errno != 0) {
    p->verdict = 'M';
    snprintf(p->text, sizeof p->text, "%s: %s", chain->checkpassword[0], strerror(exec_errno));
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = p};
  epoll_ctl(epoll, EPOLL_CTL_ADD, p->status, &event);
  p->next = procs[pid % BUCKETS];
  procs[pid % BUCKETS] = p;
  running++;
  pending++;
  c->fd = -1; /* the login's now */
  return NULL;
}

static void watch_start(struct conn *c)
{
  c->kind = WATCH;
  c->have = 0;
  reading--;
  pending--;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void watch_read(struct conn *c)
{
  ssize_t got = recv(c->fd, c->line + c->typed, sizeof c->line - 1 - c->typed, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) c->dead = 1;
  if (got <= 0) return;
  c->typed += got;
  for (char *lf; (lf = memchr(c->line, '\n', c->typed)) != NULL;) {
    *lf = '\0';
    if (strncmp(c->line, "kill ", 5) != 0) c->dead = 1;
    for (int i = 0; i < BUCKETS && !c->dead; i++)
      for (struct proc *p = procs[i]; p != NULL; p = p->next)
        if (strcmp(p->session, c->line + 5) == 0) end_proc(p, KILL_GRACE);
    c->typed -= lf + 1 - c->line;
    memmove(c->line, lf + 1, c->typed);
  }
  if (c->typed == sizeof c->line - 1) c->dead = 1;
}

/* Reads what is there of a request, and acts when it is whole. first: the connection is not in epoll yet. */
static void request_read(struct conn *c, int first)
{
  size_t length = 0;
  ssize_t got = recv(c->fd, c->bytes + c->have, sizeof c->bytes - c->have, MSG_DONTWAIT);
  const char *refusal = NULL;
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return conn_end(c);
  if (got > 0) c->have += got;
  if (c->have >= 4) {
    const unsigned char *b = (const unsigned char *)c->bytes;
    length = (size_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
    if (length == 0 || length > MAX_REQUEST) refusal = "bad length";
    else if (c->have > 4 + length) refusal = "bad bytes behind the request";
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  if (refusal == NULL && (c->have < 4 || c->have < 4 + length)) {
    if (first) epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
    return;
  }
  if (!first) epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
  if (refusal == NULL) {
    char *at = c->bytes + 4, *end = at + length, *what = string(&at, end);
    if (what != NULL && strcmp(what, "watch") == 0 && at == end && !single) return watch_start(c);
    if (what != NULL && strcmp(what, "auth") == 0) refusal = session_start(c, 0, at, end);
    else if (what != NULL && strcmp(what, "guest") == 0) refusal = session_start(c, 1, at, end);
    else refusal = "bad request";
  }
  if (refusal != NULL) answer(c->fd, "%s", refusal);
  conn_end(c);
}

static struct conn *conn_new(int fd)
{
  struct conn *c = malloc(sizeof *c);
  if (c == NULL) return close(fd), NULL;
  memset(c, 0, offsetof(struct conn, bytes));
  c->kind = REQUEST;
  c->fd = fd;
  c->since = now();
  if ((c->next = conns) != NULL) conns->link = &c->next;
  c->link = &conns;
  conns = c;
  reading++;
  pending++;
  return c;
}

static void accept_all(int listener)
{
  for (int i = 0; i < 64; i++) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != account) {
      say("refused a connection of uid %u", peer.uid);
      close(fd);
    } else if (reading >= MAX_READING) {
      answer(fd, "busy");
      close(fd);
    } else {
      struct conn *c = conn_new(fd);
      if (c != NULL) request_read(c, 1);
    }
  }
}

static void tick(void)
{
  long t = now();
  for (struct conn *c = conns, *next; c != NULL; c = next) {
    next = c->next;
    if (c->kind != REQUEST || t < c->since + READ_SECONDS * 1000) continue;
    answer(c->fd, "timeout");
    conn_end(c);
  }
  for (int i = 0; i < BUCKETS; i++)
    for (struct proc *p = procs[i]; p != NULL; p = p->next) {
      if (p->stream >= 0 && t >= p->deadline && !p->ending) {
        if (p->verdict == 0) p->verdict = 'T';
        end_proc(p, GRACE);
      } else if (p->killat > 0 && t >= p->killat) {
        kill(-p->pid, SIGKILL);
        p->killat = 0;
        if (!pending_login(p)) pending--;
      }
    }
}

static int server(int listener, int connection)
{
  sigset_t child;
  struct epoll_event events[64], event = {.events = EPOLLIN};
  enum kind listening = LISTENER, signalled = SIGNALS;
  long ticked = 0;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child, NULL);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (epoll < 0 || signals < 0) fail(TEMPORARY, "epoll", strerror(errno));
  event.data.ptr = &signalled;
  epoll_ctl(epoll, EPOLL_CTL_ADD, signals, &event);
  event.data.ptr = &listening;
  if (listener >= 0) epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  if (connection >= 0) {
    struct conn *c = conn_new(connection);
    if (c != NULL) request_read(c, 1);
  }
  while (!single || conns != NULL || running > 0) {
    struct signalfd_siginfo info;
    int count = epoll_wait(epoll, events, 64, pending > 0 ? TICK : -1), ended = 0;
    if (count < 0 && errno != EINTR) fail(TEMPORARY, "epoll", strerror(errno));
    for (int i = 0; i < count; i++) switch (*(enum kind *)events[i].data.ptr) {
      case LISTENER: accept_all(listener); break;
      case SIGNALS: ended = 1; break;
      case REQUEST: request_read(events[i].data.ptr, 0); break;
      case LOGIN: login_status(events[i].data.ptr); break;
      case WATCH:
        if (events[i].events & ~EPOLLOUT) watch_read(events[i].data.ptr);
        break;
      }
    /* Whatever frees what an event of this turn may still point to comes after all of them. */
    while (ended && read(signals, &info, sizeof info) > 0) {}
    if (ended) reap();
    if (now() - ticked >= TICK) ticked = now(), tick();
    for (struct conn *c = conns, *next; c != NULL; c = next) {
      next = c->next;
      if (c->kind == WATCH && (c->dead || c->have > 0)) watch_flush(c);
      if (c->kind == WATCH && c->dead) conn_end(c);
    }
  }
  return last_status;
}

/* ---- start */

/* A lock beside the socket: a second helper waits for the first to go, and never takes its socket from under it. */
static int lock(const char *suffix, int operation)
{
  char path[128];
  snprintf(path, sizeof path, "%s.%s", socket_path, suffix);
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) fail(TEMPORARY, path, strerror(errno));
  for (int i = 0; flock(fd, operation) != 0; i++) {
    if (i == 60 || errno != EWOULDBLOCK) fail(75, socket_path, "another helper serves here");
    usleep(50000);
  }
  return fd;
}

static void socket_folder(void)
{
  char folder[128];
  const char *why = NULL;
  snprintf(folder, sizeof folder, "%s", socket_path);
  *strrchr(folder, '/') = '\0';
  if (!privileged) {
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) fail(TEMPORARY, folder, strerror(errno));
    return;
  }
  int fd = open_trusted(folder, 1, &why);
  if (fd < 0) fail(78, folder, why);
  if (fchown(fd, 0, config->group) != 0 || fchmod(fd, 0750) != 0) fail(TEMPORARY, folder, strerror(errno));
  close(fd);
}

static int listen_at(void)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, socket_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (unlink(socket_path) != 0 && errno != ENOENT) fail(TEMPORARY, socket_path, strerror(errno));
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      (privileged && (chown(socket_path, 0, config->group) != 0 || chmod(socket_path, 0660) != 0)) || listen(fd, 4096) != 0)
    fail(TEMPORARY, socket_path, strerror(errno));
  return fd;
}

static int serve(void)
{
  struct stat st;
  sigset_t signals;
  socket_folder();
  int locked = lock("lock", LOCK_EX | LOCK_NB), listener = listen_at(), parent = -1;
  if (fstat(0, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) parent = fcntl(0, F_DUPFD_CLOEXEC, LOWEST);
  sigemptyset(&signals);
  for (const int *s = (int[]){SIGCHLD, SIGTERM, SIGINT, SIGHUP, 0}; *s != 0; s++) sigaddset(&signals, *s);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  int signalled = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  say("serving %s %s", socket_path, privileged ? "privileged" : "unprivileged");
  pid_t server_pid = -1, monitor = getpid();
  for (long started = 0, wait = 0; ;) {
    if (server_pid < 0 && now() >= started + wait) {
      started = now();
      server_pid = fork();
      if (server_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != monitor) _exit(0);
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, 0);
        dup2(null, 1);
        close(null);
        close(locked);
        if (parent >= 0) close(parent);
        close(signalled);
        _exit(server(listener, -1));
      }
    }
    struct pollfd polled[2] = {{.fd = signalled, .events = POLLIN}, {.fd = parent, .events = POLLIN}};
    poll(polled, 2, server_pid < 0 ? 50 : -1);
    struct signalfd_siginfo info;
    int ending = 0, status;
    char ignored[64];
    while (read(signalled, &info, sizeof info) > 0) ending |= info.ssi_signo != SIGCHLD;
    ssize_t told = polled[1].revents != 0 ? read(parent, ignored, sizeof ignored) : 1;
    if (told == 0 || (told < 0 && errno != EAGAIN && errno != EINTR)) ending = 1;
    if (server_pid > 0 && waitpid(server_pid, &status, WNOHANG) == server_pid) {
      server_pid = -1;
      wait = now() - started > 10000 ? 0 : wait == 0 ? 100 : wait < 5000 ? wait * 2 : wait;
      say("the server ended with %s %d; starting another", WIFSIGNALED(status) ? "signal" : "exit",
          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    if (!ending) continue;
    unlink(socket_path); /* running backends are left alone: they have their streams */
    if (server_pid > 0) kill(server_pid, SIGKILL);
    return 0;
  }
}

/* No more starts a second by run than by serve: each holds the lock for its share of a second. */
static int run(void)
{
  int connection = fcntl(0, F_DUPFD_CLOEXEC, LOWEST), null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (privileged) {
    socket_folder();
    int turn = lock("run", LOCK_EX);
    usleep(1000000 / config->attempts);
    close(turn);
  }
  dup2(null, 0);
  dup2(null, 1);
  close(null);
  single = 1;
  return server(-1, connection);
}

/* Nothing of the caller is kept but descriptors 0 to 2 and the arguments: signals, mask, limits, timers and environment are ours. */
static void clean_start(void)
{
  sigset_t none;
  for (int fd; (fd = open("/dev/null", O_RDWR)) >= 0;)
    if (fd > 2) {
      close(fd);
      break;
    }
  if (close_range(3, ~0U, 0) != 0)
    for (int fd = 3; fd < 65536; fd++) close(fd);
  for (int fd = 0; fd < LOWEST - 1;)
    if ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) exit(TEMPORARY);
  for (int s = 1; s < NSIG; s++) signal(s, s == SIGPIPE ? SIG_IGN : SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  alarm(0);
  umask(077);
  if (chdir("/") != 0) exit(TEMPORARY);
}

static void become_root(void)
{
  static const int unlimited[] = {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_AS, -1};
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  if (getuid() != 0 && getuid() != config->account) fail(77, "refused", "only the account of the chains file may start this");
  if (setresgid(0, 0, 0) != 0 || setgroups(0, NULL) != 0 || setresuid(0, 0, 0) != 0) fail(TEMPORARY, "root", strerror(errno));
  for (const int *l = unlimited; *l >= 0; l++) setrlimit(*l, &limit);
  prctl(PR_SET_DUMPABLE, 0);
}

int main(int argc, char **argv)
{
  static char *empty[] = {NULL};
  const char *mode = argc > 1 ? argv[1] : "", *why = NULL;
  int checking = strcmp(mode, "check") == 0;
  if (strcmp(mode, "run") == 0 && argc > 2 && strcmp(argv[2], "3") == 0 && dup2(3, 0) == 0) argc--, argv++;
  clean_start();
  environ = empty;
  privileged = geteuid() == 0;
  for (int option; (option = getopt(argc - 1, argv + 1, "c:s:")) != -1;) {
    if (option == '?' || (privileged && getuid() != 0)) fail(100, "options", "-c and -s path, and not with borrowed rights");
    if (option == 'c') chains_path = optarg;
    if (option == 's') socket_path = optarg;
  }
  if (!checking && strcmp(mode, "serve") != 0 && strcmp(mode, "run") != 0)
    fail(100, "usage", "accept-helper serve|run|check");
  if (stat(chains_path, &config_stat) != 0) memset(&config_stat, 0, sizeof config_stat);
  config = config_read(chains_path, privileged);
  if (config == NULL) return 78;
  if (privileged) become_root();
  account = privileged ? config->account : getuid();
  if (socket_path == NULL) socket_path = strdup(config->socket);
  ssize_t length = readlink("/proc/self/exe", checknotroot, sizeof checknotroot - 16);
  char *slash = length < 0 ? NULL : memrchr(checknotroot, '/', length);
  if (slash == NULL) fail(TEMPORARY, "/proc/self/exe", strerror(errno));
  strcpy(slash + 1, "checknotroot");
  int found = privileged ? open_trusted(checknotroot, 0, &why) : open(checknotroot, O_RDONLY);
  if (found < 0) fail(78, checknotroot, why != NULL ? why : strerror(errno));
  close(found);
  if (checking) return printf("ok %s\n", privileged ? "privileged" : "unprivileged") < 0;
  if (!privileged) say("without privileges: every chain runs as uid %u", getuid());
  setsid();
  getrlimit(RLIMIT_NOFILE, &descriptors);
  struct rlimit most = {descriptors.rlim_max, descriptors.rlim_max};
  setrlimit(RLIMIT_NOFILE, &most);
  return strcmp(mode, "run") == 0 ? run() : serve();
}
