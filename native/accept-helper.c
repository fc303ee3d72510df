/* accept-helper: the one program of acceptd with root rights. It takes logins from the daemon, runs the chain that the root-owned
 * chains file names for each, and says what became of it. README.md is its protocol and its threat model.
 *   serve    a monitor holds the socket and restarts the server, which accepts connections and starts a process for each
 *   run [3]  one request on descriptor 0, or 3; stays until its process ends and exits as that did
 *   check    reads the chains file and says what is wrong with it */
#define _GNU_SOURCE
#include "helper.h"
#include <grp.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif
enum { LOWEST = 16 }; /* the first number of our descriptors, above those that a chain inherits */
enum { MAX_READING = 1024, MAX_PROCESSES = 1000000 + MAX_READING, MAX_WATCHERS = 64, TURNS = 4 /* a processor */ };
/* Milliseconds: from TERM to KILL; between looks at deadlines; after which a login lets the next begin; more than a login has by itself. */
enum { KILL_TIME = 5000, TICK = 250, TURN = 10, GRACE = 500 };

/* A process of a connection, until it is waited for. */
struct proc {
  long deadline;                 /* of its login, then of its end; 0 for none */
  int down;                      /* the pipe to it, until its login is decided; -1 then */
  pid_t pid;                     /* of the backend */
  char session[MAX_SESSION + 1]; /* of one that was accepted */
};

static const char *chains_path = CHAINS, *socket_path;
char checknotroot[PATH_MAX + 16];
int privileged, listener = -1;
long running;
struct config *config;
struct shared *shared;
static struct stat config_stat;
static int up[2], last_status;
static struct { pid_t pid; int fd; } watchers[MAX_WATCHERS];
/* Of no login: what a fork has shared, the next write to it copies. The pids by themselves, since each end looks at all of them. */
static struct table { pid_t pids[MAX_PROCESSES]; struct proc procs[MAX_PROCESSES]; } *table;
/* Logins begin in the order in which they came, four to a processor: a burst of thousands would leave a thousandth of it to each,
 * and to the daemon. Those that have not ended with their turn wait for something else than a processor. */
static long turn_end, turns;

static _Noreturn void fail(int code, const char *what, const char *why)
{
  say("accept-helper: %.200s: %s\n", what, why);
  exit(code);
}

long now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The chains are read again when their file has changed: nobody can set a change time, and another file has another number. */
static void read_chains(void)
{
  struct stat st = {0};
  stat(chains_path, &st);
  if (config != NULL && st.st_ino == config_stat.st_ino && memcmp(&st.st_ctim, &config_stat.st_ctim, sizeof st.st_ctim) == 0) return;
  config_stat = st;
  struct config *fresh = config_read(chains_path);
  if (fresh == NULL && config != NULL) say("accept-helper: %s: keeping the chains that were read before\n", chains_path);
  if (fresh == NULL) return;
  free(config);
  config = fresh;
}

/* ---- the server: pipes, signals and processes; it reads, closes and waits for nothing that the account has sent */

static void let_go(int *fd)
{
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* A watcher that leaves a pipe full of news unread: its process waits for its reader, and would do so forever. */
static void dismiss(int w)
{
  kill(watchers[w].pid, SIGKILL);
  let_go(&watchers[w].fd);
}

static void tell_watchers(const struct proc *p, int signal, int code)
{
  char line[160];
  int length = snprintf(line, sizeof line, "end %s %d %s %d\n", p->session, p->pid, signal ? "signal" : "exit", code);
  for (int w = 0; w < MAX_WATCHERS; w++)
    if (watchers[w].fd >= 0 && write(watchers[w].fd, line, length) != length) dismiss(w);
}

static void watcher_new(pid_t pid, struct proc *p)
{
  int w = 0;
  while (w < MAX_WATCHERS && watchers[w].fd >= 0) w++;
  if (w == MAX_WATCHERS) return let_go(&p->down);
  fcntl(p->down, F_SETFL, O_NONBLOCK);
  watchers[w].pid = pid;
  watchers[w].fd = p->down;
  p->down = -1;
  if (write(watchers[w].fd, "watching\n", 9) < 0) let_go(&watchers[w].fd);
}

static void kill_session(const char *session)
{
  for (long i = 0; i < running; i++) {
    if (strcmp(table->procs[i].session, session) != 0) continue;
    kill(-table->pids[i], SIGTERM); /* it has not been waited for, so that its number cannot be anybody else's */
    if (table->procs[i].deadline == 0) table->procs[i].deadline = now() + KILL_TIME;
  }
}

static long index_of(pid_t pid)
{
  long i = running - 1;
  while (i >= 0 && table->pids[i] != pid) i--;
  return i;
}

static void hear_all(void)
{
  for (struct report report; read(up[0], &report, sizeof report) == sizeof report;) {
    long i = index_of(report.from);
    struct proc *p = &table->procs[i];
    if (report.kind == KILL) kill_session(report.session);
    if (report.kind == KILL || i < 0) continue;
    if (turns > 0) turns--;
    if (report.kind != REFUSAL) p->deadline = 0;
    if (report.kind == WATCH) watcher_new(report.from, p);
    else let_go(&p->down);
    if (report.kind == ACCEPTED) p->pid = report.pid, memcpy(p->session, report.session, sizeof p->session);
  }
}

static void proc_ended(pid_t pid, int status)
{
  hear_all(); /* what it said before */
  long i = index_of(pid);
  if (i < 0) return;
  int signal = WIFSIGNALED(status), code = signal ? WTERMSIG(status) : WEXITSTATUS(status);
  last_status = signal ? 128 + code : code;
  if (*table->procs[i].session != '\0') tell_watchers(&table->procs[i], signal, code);
  for (int w = 0; w < MAX_WATCHERS; w++)
    if (watchers[w].pid == pid) let_go(&watchers[w].fd);
  let_go(&table->procs[i].down);
  table->pids[i] = table->pids[--running];
  table->procs[i] = table->procs[running];
}

/* Waiting for any child looks at all of them until one has ended. The signals of several together are one: the others are found by
 * the next tick. */
static void child_ended(int signals)
{
  struct signalfd_siginfo info;
  int status;
  if (read(signals, &info, sizeof info) == sizeof info && waitpid(info.ssi_pid, &status, WNOHANG) > 0) proc_ended(info.ssi_pid, status);
}

static void tick(void)
{
  long time = now();
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) proc_ended(pid, status);
  for (long i = 0; i < running; i++)
    if (table->procs[i].deadline != 0 && table->procs[i].deadline <= time) kill(-table->pids[i], SIGKILL), table->procs[i].deadline = 0;
  if (*lost_lines > 0) say_lost();
}

/* Starts the process of a connection; 0 if none can be started. The process gets an octet once it is the only one that holds the
 * stream: the last process to close a socket waits for what was sent to it. */
static int begin(int stream)
{
  int down[2];
  read_chains();
  if (pipe2(down, O_CLOEXEC) != 0) return 0;
  pid_t pid = fork();
  if (pid == 0) login(stream, up[1], down[0]);
  close(down[0]);
  if (pid < 0) return close(down[1]), 0;
  close(stream);
  turns++;
  table->pids[running] = pid;
  table->procs[running++] = (struct proc){.deadline = now() + config->timeout * 1000 + GRACE, .down = down[1]};
  return write(down[1], "", 1) == 1 || errno == EPIPE;
}

/* With a listener until descriptor 0 ends, else for one connection until all that came of it has ended. */
static int server(int connection)
{
  sigset_t child;
  setsid();
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child, NULL);
  long processors = sysconf(_SC_NPROCESSORS_ONLN), most = TURNS * (processors < 1 ? 1 : processors), ticked = 0;
  memset(watchers, -1, sizeof watchers);
  table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC), parent = fcntl(0, F_DUPFD_CLOEXEC, LOWEST), signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (table == MAP_FAILED || madvise(table, sizeof *table, MADV_DONTFORK) != 0 || parent < 0 || signals < 0 || pipe2(up, O_CLOEXEC) != 0 ||
      dup2(null, 0) < 0 || dup2(null, 1) < 0)
    fail(TEMPORARY, "start", strerror(errno));
  fcntl(up[0], F_SETFL, O_NONBLOCK);
  struct pollfd on[] = {{up[0], POLLIN, 0}, {signals, POLLIN, 0}, {listener < 0 ? -1 : parent, POLLRDHUP, 0}, {-1, POLLIN, 0}};
  for (int serving = listener >= 0; serving || running > 0 || connection >= 0;) {
    if (now() >= turn_end) turn_end = now() + TURN, turns = 0;
    int begins = turns < most && running < config->processes + MAX_READING;
    if (connection >= 0 && begins && begin(connection)) connection = -1;
    on[3].fd = connection < 0 && begins ? listener : -1;
    int ready = poll(on, 4, connection >= 0 || turns > 0 ? TURN : running > 0 || *lost_lines > 0 ? TICK : -1);
    if (ready < 0 && errno != EINTR) fail(TEMPORARY, "poll", strerror(errno));
    if (ready > 0 && on[0].revents != 0) hear_all();
    if (ready > 0 && on[1].revents != 0) child_ended(signals);
    if (ready > 0 && on[2].revents != 0) _exit(0);
    if (ready > 0 && on[3].revents != 0 && (connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0 && errno != EAGAIN)
      usleep(10000); /* no descriptors: it stays ready */
    if (now() >= ticked + TICK) tick(), ticked = now();
  }
  return last_status;
}

/* ---- start */

/* The folder of the socket: one that we make, or one that is as we would have made it, since others use it too, and in it the file that
 * one helper at a time locks and that counts for all of them. */
static int open_folder(void)
{
  char path[128], folder[128], what[200];
  const char *why = NULL;
  struct stat st = {0};
  snprintf(folder, sizeof folder, "%s", socket_path);
  char *slash = strrchr(folder, '/');
  *slash = '\0';
  if (privileged) {
    char *name = strrchr(folder, '/');
    umask(022);
    if (name != NULL && name != folder) *name = '\0', close(open_trusted(folder, MAKE, &why)), *name = '/';
    umask(027);
    if (why == NULL && setegid(config->group) == 0) mkdir(folder, 0750);
    if (setegid(0) != 0) fail(TEMPORARY, folder, strerror(errno));
    umask(077);
    int fd = why == NULL ? open_trusted(*folder == '\0' ? "/" : folder, 0, &why) : -1;
    if (fd < 0 || fstat(fd, &st) != 0) fail(78, folder, why);
    close(fd);
    snprintf(what, sizeof what, "it is not a folder of root and group %u with mode 0750: name one that is not there, which is then made, or make it so", config->group);
    if (!S_ISDIR(st.st_mode) || st.st_gid != config->group || (st.st_mode & 07777) != 0750) fail(78, *folder == '\0' ? "/" : folder, what);
  } else {
    mkdir(folder, 0700);
  }
  snprintf(path, sizeof path, "%s.lock", socket_path);
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof *shared) != 0 ||
      (shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
    fail(TEMPORARY, path, strerror(errno));
  lost_lines = &shared->lost;
  return fd;
}

static int listen_at(void)
{
  static const int no = 0;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, socket_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof no); /* of all connections: nobody has descriptors to send us */
  if (unlink(socket_path) != 0 && errno != ENOENT) fail(TEMPORARY, socket_path, strerror(errno));
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      (privileged && (chown(socket_path, 0, config->group) != 0 || chmod(socket_path, 0660) != 0)) || listen(fd, 65535) != 0)
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
  say("accept-helper: serving %s %s\n", socket_path, privileged ? "privileged" : "unprivileged");
  do {
    pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != monitor) _exit(0);
      server(-1);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) break;
    say("accept-helper: the server ended with wait status %d; starting another\n", status);
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
  close_from(3);
  while (fd >= 0 && (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && fd < LOWEST - 1) {}
  if (fd < 0 || chdir("/") != 0) exit(TEMPORARY);
  for (int s = 1; s < NSIG; s++) signal(s, s == SIGPIPE || s == SIGXFSZ ? SIG_IGN : SIG_DFL);
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
  opterr = 0;
  for (int option; (option = getopt(argc - 1, argv + 1, "c:s:")) != -1;) {
    if (option == '?' || (privileged && getuid() != 0)) fail(100, "options", "-c and -s path, and not with borrowed rights");
    if (*optarg != '/' || (option == 's' && !is_path(optarg))) fail(100, optarg, "not an absolute path, of 100 bytes at most for a socket");
    *(option == 'c' ? &chains_path : &socket_path) = optarg;
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
  if (!privileged) say("accept-helper: without privileges: every chain runs as uid %u\n", getuid());
  if (serving) return serve();
  open_folder();
  int connection = fcntl(0, F_DUPFD_CLOEXEC, LOWEST);
  fcntl(connection, F_SETFL, 0); /* as a backend expects it */
  return server(connection);
}
