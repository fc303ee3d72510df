/* accept-helper: the one program of acceptd with root rights. It reads a login from the daemon, runs the chain that the
 * root-owned chains file names for it, and says what became of it. README.md is its protocol and its threat model.
 *   serve    a monitor holds the socket and restarts the server, which answers any number of connections
 *   run [3]  one request on descriptor 0, or 3; stays until its process ends and exits as that did
 *   check    reads the chains file and says what is wrong with it */
#define _GNU_SOURCE
#include "login.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOWEST = 16 }; /* the first number of our descriptors, above those that a chain inherits */
enum { MAX_READING = 1024, MAX_WATCHERS = 64, WATCHER_BUFFER = 1 << 19, BUCKETS = 4096, CHUNK = 128 };
enum { KILL_TIME = 5000, TICK = 250 }; /* milliseconds from TERM to KILL, and between looks at deadlines */
enum { MAX_TURNS = 256, TURN = 10 };   /* TURN: milliseconds after which a login lets the next one begin, ended or not */

/* What epoll points to begins with the function that is called when its descriptor is ready. */
typedef void ready(void *);

/* A process that has not been waited for: it reads a request, becomes checkpassword, then the backend. */
struct proc {
  ready *ready;
  pid_t pid;
  int stream, status;                          /* -1 once it is accepted */
  char session[MAX_SESSION + 1], verdict[200]; /* verdict: the answer, unless that is how the process ends */
  long deadline;                               /* of its login, then of its end; 0 for none */
  int turn;
  struct proc *next, *leaves;
};

/* A connection whose request has not come, or whose turn has not. */
struct caller {
  ready *ready;
  int fd;
  struct caller *next;
};

/* Logins begin in the order in which they came, four to a processor: a burst of thousands at once would leave a thousandth of it to each,
 * and to the daemon. One that takes longer than its turn waits for something else than a processor. */
static struct { struct proc *proc; long end; } turns[MAX_TURNS];
static int turn_count;

/* A standing connection. */
struct watcher {
  ready *ready;
  int fd;
  size_t have;
  char line[MAX_SESSION + 16];
};

static const char *chains_path = CHAINS, *socket_path;
char checknotroot[PATH_MAX + 16];
int privileged;
static int epoll = -1, signals = -1, listener = -1, last_status;
struct config *config;
static struct stat config_stat;
static struct proc **procs, *unused, *leaving; /* by number; leaving: the status pipe has ended without an acceptance */
static struct watcher watchers[MAX_WATCHERS];
static struct caller *callers, *queue, **queue_end = &queue;
long running;
static long queued;
struct attempts *attempts;

/* Never waits for whoever reads our stderr: a line is lost then. */
#define say(...) (void)(poll(&(struct pollfd){2, POLLOUT, 0}, 1, 0) == 1 && dprintf(2, "accept-helper: " __VA_ARGS__))

static _Noreturn void fail(int code, const char *what, const char *why)
{
  say("%s: %s\n", what, why);
  exit(code);
}

long now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void epoll_add(int fd, unsigned events, void *object)
{
  struct epoll_event event = {.events = events, .data.ptr = object};
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Closing alone does not take a descriptor out of epoll while a child still holds a copy of it. */
static void drop(int fd)
{
  epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
  close(fd);
}

/* ---- answers */

/* The stream of a chain that has filled it takes no answer. */
static void answer(int fd, const char *text)
{
  char line[256];
  int length = snprintf(line, sizeof line, "%s\n", text);
  if (send(fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE) say("an answer was not taken: %s\n", strerror(errno));
}

static void watcher_end(struct watcher *w)
{
  drop(w->fd);
  memset(w, 0, sizeof *w);
}

static void watcher_ready(void *object)
{
  struct watcher *w = object;
  ssize_t got = recv(w->fd, w->line + w->have, sizeof w->line - w->have, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return watcher_end(w);
  w->have += got;
  for (char *lf; (lf = memchr(w->line, '\n', w->have)) != NULL;) {
    *lf = '\0';
    if (strncmp(w->line, "kill ", 5) != 0) return watcher_end(w);
    for (int i = 0; i < BUCKETS; i++)
      for (struct proc *p = procs[i]; p != NULL; p = p->next) {
        if (strcmp(p->session, w->line + 5) != 0) continue;
        kill(-p->pid, SIGTERM); /* it has not been waited for, so that its number cannot be anybody else's */
        if (p->deadline == 0) p->deadline = now() + KILL_TIME;
      }
    w->have -= lf + 1 - w->line;
    memmove(w->line, lf + 1, w->have);
  }
  if (w->have == sizeof w->line) watcher_end(w);
}

static int watcher_new(int fd)
{
  static const int size = WATCHER_BUFFER; /* the kernel doubles it */
  struct watcher *w = watchers;
  while (w < watchers + MAX_WATCHERS && w->ready != NULL) w++;
  if (w == watchers + MAX_WATCHERS) return 0;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  *w = (struct watcher){.ready = watcher_ready, .fd = fd};
  epoll_add(fd, EPOLLIN, w);
  return 1;
}

/* A watcher that leaves a megabyte of news unread is let go; the server waits for nobody. */
static void tell_watchers(const char *line, size_t length)
{
  for (struct watcher *w = watchers; w < watchers + MAX_WATCHERS; w++)
    if (w->ready != NULL && send(w->fd, line, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length) watcher_end(w);
}

/* ---- processes */

/* Zeroed memory that no login gets: what a fork has shared, the next write to it copies. */
static void *unshared(size_t size)
{
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  madvise(memory, size, MADV_DONTFORK);
  return memory;
}

static void give_back(struct proc *p)
{
  if (p == NULL) return;
  memset(p, 0, sizeof *p);
  p->next = unused;
  unused = p;
}

static struct proc *take_proc(void)
{
  struct proc *many = unused == NULL ? unshared(CHUNK * sizeof *many) : NULL;
  for (int i = 0; many != NULL && i < CHUNK; i++) give_back(&many[i]);
  struct proc *p = unused;
  if (p != NULL) unused = p->next;
  return p;
}

/* Reads a status pipe: the name, then an A of handover.c, it has become the user and the backend follows; or the answer. */
static void status_ready(void *object)
{
  struct proc *p = object;
  int unnamed = *p->session == '\0';
  ssize_t got = read(p->status, p->verdict, unnamed ? sizeof p->session : sizeof p->verdict - 1);
  if (unnamed && got == sizeof p->session) {
    strcpy(p->session, p->verdict);
    *p->verdict = '\0';
    if (*p->session == '*' && watcher_new(p->stream)) p->stream = -1;
    return;
  }
  drop(p->status);
  p->status = -1;
  if (turns[p->turn].proc == p) turns[p->turn].end = 0;
  if (got > 0) p->verdict[got] = '\0';
  if (strcmp(p->verdict, "A") != 0) {
    p->leaves = leaving;
    leaving = p;
    return;
  }
  close(p->stream);
  p->stream = -1;
  p->deadline = 0;
}

static void answer_end(struct proc *p, int status)
{
  char line[128], how[32];
  int signal = WIFSIGNALED(status), code = signal ? WTERMSIG(status) : WEXITSTATUS(status);
  last_status = signal ? 128 + code : code;
  snprintf(how, sizeof how, "%s %d", signal ? "signal" : "exit", code);
  while (p->status >= 0) status_ready(p);
  if (p->stream >= 0) answer(p->stream, *p->verdict != '\0' ? p->verdict : how), close(p->stream);
  else if (*p->session != '*') tell_watchers(line, snprintf(line, sizeof line, "end %s %d %s\n", p->session, p->pid, how));
}

static struct proc *proc_of(pid_t pid)
{
  struct proc *p = procs[pid % BUCKETS];
  while (p != NULL && p->pid != pid) p = p->next;
  return p;
}

static void proc_end(struct proc *p, int status)
{
  struct proc **link = &procs[p->pid % BUCKETS];
  answer_end(p, status);
  while (*link != p) link = &(*link)->next;
  *link = p->next;
  for (link = &leaving; *link != NULL && *link != p;) link = &(*link)->leaves;
  if (*link == p) *link = p->leaves;
  give_back(p);
  running--;
}

static void reap(struct proc *p)
{
  int status;
  if (waitpid(p->pid, &status, WNOHANG) == p->pid) proc_end(p, status);
}

/* Waiting for any child looks at all of them until one has ended. The signals of several at once are one: those that leave without an
 * acceptance, whose client waits, are looked at after every event, all at every tick. */
static void child_ended(__attribute__((unused)) void *object)
{
  struct signalfd_siginfo info;
  struct proc *p = read(signals, &info, sizeof info) < 0 ? NULL : proc_of(info.ssi_pid);
  if (p != NULL) reap(p);
}

/* The chains are read again when their file has changed: nobody can set a change time, and another file has another number. */
static void read_chains(void)
{
  struct stat st = {0};
  stat(chains_path, &st);
  if (config != NULL && st.st_ino == config_stat.st_ino && memcmp(&st.st_ctim, &config_stat.st_ctim, sizeof st.st_ctim) == 0) return;
  config_stat = st;
  struct config *fresh = config_read(chains_path, privileged);
  if (fresh == NULL && config != NULL) say("%s: keeping the chains that were read before\n", chains_path);
  if (fresh == NULL) return;
  free(config);
  config = fresh;
}

static void refuse_caller(int stream)
{
  answer(stream, "busy");
  close(stream);
}

/* The process that serves a connection. */
static void proc_new(int stream, int turn)
{
  struct proc *p = take_proc();
  pid_t pid = -1;
  int status[2];
  long time = now();
  read_chains();
  if (p != NULL && running < config->processes + MAX_READING && pipe2(status, O_CLOEXEC) == 0) {
    pid = start_login(stream, status[1]);
    close(status[1]);
    if (pid < 0) close(status[0]);
  }
  if (pid < 0) {
    give_back(p);
    return refuse_caller(stream);
  }
  fcntl(status[0], F_SETFL, O_NONBLOCK);
  *p = (struct proc){.ready = status_ready, .pid = pid, .stream = stream, .status = status[0],
                     .deadline = time + config->timeout * 1000, .turn = turn, .next = procs[pid % BUCKETS]};
  turns[turn].proc = p;
  turns[turn].end = time + TURN;
  procs[pid % BUCKETS] = p;
  running++;
  epoll_add(p->status, EPOLLIN, p);
}

static void begin_logins(void)
{
  while (queue != NULL) {
    struct caller *c = queue;
    int fd = c->fd, turn = 0;
    long time = now();
    while (turn < turn_count && turns[turn].end > time) turn++;
    if (turn == turn_count) return;
    queue = c->next;
    if (queue == NULL) queue_end = &queue;
    queued--;
    free(c);
    if (poll(&(struct pollfd){fd, 0, 0}, 1, 0) == 0) proc_new(fd, turn);
    else close(fd); /* the daemon has given up */
  }
}

static void enqueue(struct caller *c)
{
  if (queued >= config->processes) {
    refuse_caller(c->fd);
    free(c);
    return;
  }
  c->next = NULL;
  *queue_end = c;
  queue_end = &c->next;
  queued++;
}

static void caller_ready(void *object)
{
  struct caller *c = object, **link = &callers;
  while (*link != c) link = &(*link)->next;
  *link = c->next;
  epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
  enqueue(c);
}

/* The daemon writes its request a moment after it has connected; who takes longer is waited for by a process. */
static void caller_new(int fd)
{
  struct caller *c = malloc(sizeof *c);
  if (c == NULL) return refuse_caller(fd);
  *c = (struct caller){.ready = caller_ready, .fd = fd, .next = callers};
  if (chain_asked_for(fd) != NULL) return enqueue(c);
  callers = c;
  epoll_add(fd, EPOLLIN, c);
}

static void listener_ready(__attribute__((unused)) void *object)
{
  struct ucred peer = {0};
  socklen_t size = sizeof peer;
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED) usleep(10000); /* no descriptors: it is ready again at once */
  if (fd < 0) return;
  uid_t account = privileged ? config->account : getuid();
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == account) return caller_new(fd);
  say("refused a connection of uid %u\n", peer.uid);
  close(fd);
}

static _Noreturn void parent_ended(__attribute__((unused)) void *object) { _exit(0); }

static void tick(void)
{
  struct proc *p;
  long time = now();
  pid_t pid;
  int status;
  while (callers != NULL) caller_ready(callers);
  for (int i = 0; i < BUCKETS; i++)
    for (p = procs[i]; p != NULL; p = p->next) {
      if (p->deadline == 0 || p->deadline > time) continue;
      kill(-p->pid, SIGKILL);
      strcpy(p->verdict, "timeout");
      p->deadline = 0;
    }
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    if ((p = proc_of(pid)) != NULL) proc_end(p, status);
}

/* With a listener until descriptor 0 ends, else for one connection until all that came of it has ended. One event a turn, so
 * that none can be of something that an earlier one has freed. */
static int server(int connection)
{
  static ready *on_listener = listener_ready, *on_child = child_ended, *on_parent = parent_ended;
  sigset_t child;
  setsid();
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child, NULL);
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  turn_count = processors < 1 ? 4 : processors > MAX_TURNS / 4 ? MAX_TURNS : 4 * processors;
  epoll = epoll_create1(EPOLL_CLOEXEC);
  signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  int parent = fcntl(0, F_DUPFD_CLOEXEC, LOWEST), null = open("/dev/null", O_RDWR | O_CLOEXEC);
  procs = unshared(BUCKETS * sizeof *procs);
  if (procs == NULL || epoll < 0 || signals < 0 || parent < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0) fail(TEMPORARY, "start", strerror(errno));
  epoll_add(signals, EPOLLIN, &on_child);
  if (connection < 0) epoll_add(listener, EPOLLIN, &on_listener);
  if (connection < 0) epoll_add(parent, EPOLLRDHUP, &on_parent); /* refuses files, which have no end to wait for */
  if (connection >= 0) proc_new(connection, 0);
  for (long ticked = 0; connection < 0 || running > 0;) {
    struct epoll_event event;
    int count = epoll_wait(epoll, &event, 1, leaving != NULL || queue != NULL ? 5 : running > 0 || callers != NULL ? TICK : -1);
    if (count < 0 && errno != EINTR) fail(TEMPORARY, "epoll", strerror(errno));
    if (count > 0) (*(ready **)event.data.ptr)(event.data.ptr);
    for (struct proc *p = leaving, *next; p != NULL; p = next) next = p->leaves, reap(p);
    begin_logins();
    if (now() >= ticked + TICK) tick(), ticked = now();
  }
  return last_status;
}

/* ---- start */

/* The folder of the socket, and in it the file that one helper at a time locks and that counts for all of them. */
static int open_folder(void)
{
  char path[128];
  const char *why = NULL;
  snprintf(path, sizeof path, "%s", socket_path);
  *strrchr(path, '/') = '\0';
  if (privileged) {
    umask(022);
    int folder = open_trusted(path, 1, &why);
    umask(077);
    if (folder < 0) fail(78, path, why);
    if (fchown(folder, 0, config->group) != 0 || fchmod(folder, 0750) != 0) fail(TEMPORARY, path, strerror(errno));
    close(folder);
  } else {
    mkdir(path, 0700);
  }
  snprintf(path, sizeof path, "%s.lock", socket_path);
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof *attempts) != 0 ||
      (attempts = mmap(NULL, sizeof *attempts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
    fail(TEMPORARY, path, strerror(errno));
  return fd;
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

/* The server dies with its monitor; running backends are left alone, since they have their streams. */
static int serve(void)
{
  int locked = open_folder(), status = -1;
  for (int i = 0; flock(locked, LOCK_EX | LOCK_NB) != 0; i++) {
    if (i == 60 || errno != EWOULDBLOCK) fail(75, socket_path, "another helper serves here");
    usleep(50000);
  }
  listener = listen_at();
  pid_t monitor = getpid();
  say("serving %s %s\n", socket_path, privileged ? "privileged" : "unprivileged");
  do {
    pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != monitor) _exit(0);
      server(-1);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) break;
    say("the server ended with wait status %d; starting another\n", status);
  } while (usleep(200000) == 0);
  unlink(socket_path);
  return 0;
}

/* Nothing of the caller is kept but descriptors 0 to 2 and the arguments: signals, mask, timers, environment and those limits are
 * ours that it could have turned against a login. */
static void clean_start(void)
{
  static const struct { int what; struct rlimit limit; } limits[] = {
    {RLIMIT_CPU, {-1, -1}}, {RLIMIT_FSIZE, {-1, -1}}, {RLIMIT_DATA, {-1, -1}}, {RLIMIT_AS, {-1, -1}},
    {RLIMIT_CORE, {0, 0}}, {RLIMIT_STACK, {8 << 20, -1}}, {RLIMIT_NOFILE, {1 << 20, 1 << 20}}};
  static char *empty[] = {NULL};
  struct rlimit is;
  sigset_t none;
  int fd;
  environ = empty;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    if (setrlimit(limits[i].what, &limits[i].limit) != 0 && getrlimit(limits[i].what, &is) == 0)
      is.rlim_cur = is.rlim_max, setrlimit(limits[i].what, &is); /* some containers let not even root raise one */
  while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= 2) {}
  closefrom(3);
  while (fd >= 0 && (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && fd < LOWEST - 1) {}
  if (fd < 0 || chdir("/") != 0) exit(TEMPORARY);
  for (int s = 1; s < NSIG; s++) signal(s, s == SIGPIPE ? SIG_IGN : SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  for (int timer = ITIMER_REAL; timer <= ITIMER_PROF; timer++) setitimer(timer, &(struct itimerval){0}, NULL);
  umask(077);
}

int main(int argc, char **argv)
{
  const char *mode = argc > 1 ? argv[1] : "", *why = NULL;
  int serving = strcmp(mode, "serve") == 0, checking = strcmp(mode, "check") == 0;
  if (strcmp(mode, "run") == 0 && argc > 2 && strcmp(argv[2], "3") == 0 && dup2(3, 0) == 0) argc--, argv++;
  clean_start();
  privileged = geteuid() == 0;
  if (!checking && !serving && strcmp(mode, "run") != 0) fail(100, "usage", "accept-helper serve|run|check");
  for (int option; (option = getopt(argc - 1, argv + 1, "c:s:")) != -1;) {
    if (option == '?' || (privileged && getuid() != 0)) fail(100, "options", "-c and -s path, and not with borrowed rights");
    if (option == 'c') chains_path = optarg;
    if (option == 's') socket_path = optarg;
  }
  read_chains();
  if (config == NULL) return 78;
  if (privileged && getuid() != 0 && getuid() != config->account) fail(77, "refused", "only the account of the chains file may start this");
  if (privileged && (setresgid(0, 0, 0) != 0 || setgroups(0, NULL) != 0 || setresuid(0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0))
    fail(TEMPORARY, "root", strerror(errno));
  if (socket_path == NULL) socket_path = strdup(config->socket);
  if (realpath("/proc/self/exe", checknotroot) == NULL) fail(TEMPORARY, "/proc/self/exe", strerror(errno));
  strcpy(strrchr(checknotroot, '/') + 1, "checknotroot");
  int found = privileged ? open_trusted(checknotroot, 0, &why) : open(checknotroot, O_RDONLY);
  if (found < 0) fail(78, checknotroot, why != NULL ? why : strerror(errno));
  close(found);
  if (checking) return printf("ok %s\n", privileged ? "privileged" : "unprivileged") < 0;
  if (!privileged) say("without privileges: every chain runs as uid %u\n", getuid());
  if (serving) return serve();
  open_folder();
  int connection = fcntl(0, F_DUPFD_CLOEXEC, LOWEST);
  fcntl(connection, F_SETFL, 0); /* as a backend expects it */
  return server(connection);
}
