/* accept-helper: the one program of acceptd with root rights. It takes logins from the daemon, runs the chain that the root-owned
 * chains file names for each, and says what became of it. README.md is its protocol and its threat model.
 *   serve    a monitor holds the socket and restarts the server, which accepts connections and starts a process for each
 *   run [3]  one request on descriptor 0, or 3; stays until its process ends and exits as that did
 *   check    reads the chains file and says what is wrong with it */
#define _GNU_SOURCE
#include "helper.h"
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/un.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif
enum { LOWEST = 16 }; /* the first number of our descriptors, above those of a login */
enum { MAX_READING = 1024, TURNS = 4 /* a processor */, NOTES = 4 << 20 /* octets that wait for the clerk */ };
/* Milliseconds: between looks for children that ended together; after which a login lets the next begin. */
enum { TICK = 250, TURN = 10 };

static const char *chains_path = CHAINS, *socket_path;
char checknotroot[PATH_MAX + 16];
int privileged, serving;
long running;
struct config *config;
struct shared *shared;
static struct stat config_stat;
static int up[2], notes[2];
static pid_t clerk;
/* Logins begin in the order in which they came, four to a processor: a burst of thousands would leave a thousandth of it to each,
 * and to the daemon. Those that have not ended with their turn wait for something else than a processor. */
static long turn_end, turns;

static _Noreturn void fail(int code, const char *what, const char *why)
{
  say("accept-helper: %.200s: %s\n", what, why);
  exit(code);
}

/* The chains are read again when their file has changed: nobody can set a change time, and another file has another number. */
static void read_chains(void)
{
  struct stat st = {0};
  stat(chains_path, &st);
  if (config != NULL && st.st_ino == config_stat.st_ino && memcmp(&st.st_ctim, &config_stat.st_ctim, sizeof st.st_ctim) == 0) return;
  config_stat = st;
  struct config *fresh = config_read(chains_path);
  if (fresh != NULL) config_free(config), config = fresh, cache_forget();
  else if (config != NULL) say("accept-helper: %s: keeping the chains that were read before\n", chains_path);
}

/* ---- the server: pipes, signals and processes; it reads, closes and waits for nothing that the account has sent */

/* Starts the process of a connection; 0 if none can be started. The process gets an octet once it is the only one that holds the
 * stream: the last process to close a socket waits for what was sent to it. */
static pid_t begin(int stream)
{
  int down[2];
  read_chains();
  if (pipe2(down, O_CLOEXEC) != 0) return 0;
  pid_t pid = fork();
  if (pid == 0) login(stream, up[1], down[0], notes[1]);
  close(down[0]);
  if (pid > 0) close(stream), running++, turns++;
  if (pid > 0 && write(down[1], "", 1) < 0 && errno != EPIPE) fail(TEMPORARY, "pipe", strerror(errno));
  close(down[1]);
  return pid > 0 ? pid : 0;
}

/* The clerk hears of each child that has ended, and the monitor starts a server with another clerk if that does not listen any more.
 * Waiting for any child looks at all of them until one has ended; but the signals of several together are one: the others are found by
 * the next tick. */
static void children_ended(int signals, int all)
{
  struct signalfd_siginfo info;
  struct note note = {.kind = ENDED};
  for (pid_t which = 1; which > 0 || note.from > 0;) {
    which = read(signals, &info, sizeof info) == sizeof info ? (pid_t)info.ssi_pid : -1;
    note.from = which > 0 || all ? waitpid(which, &note.status, WNOHANG) : 0;
    if (note.from > 0) running--;
    if (note.from == clerk || (note.from > 0 && send(notes[1], &note, sizeof note, MSG_DONTWAIT | MSG_NOSIGNAL) < 0))
      fail(TEMPORARY, "clerk", "it does not listen");
  }
}

static void start_clerk(void)
{
  pid_t server = getpid();
  const struct account account = {.uid = config->account, .gid = config->group};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, notes) != 0) fail(TEMPORARY, "clerk", strerror(errno));
  setsockopt(notes[1], SOL_SOCKET, SO_SNDBUFFORCE, &(int){NOTES}, sizeof(int));
  if ((clerk = fork()) < 0) fail(TEMPORARY, "clerk", strerror(errno));
  if (clerk > 0) return (void)close(notes[0]);
  if ((privileged && !become(&account)) || prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) _exit(TEMPORARY);
  if (getppid() != server) _exit(TEMPORARY);
  keep_register(notes[0], up[1]);
}

/* Until descriptor 0 ends. */
static _Noreturn void server(int listener)
{
  sigset_t child;
  setsid();
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child, NULL);
  long processors = sysconf(_SC_NPROCESSORS_ONLN), most = TURNS * (processors < 1 ? 1 : processors), ticked = 0;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC), parent = fcntl(0, F_DUPFD_CLOEXEC, LOWEST), connection = -1;
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (parent < 0 || signals < 0 || pipe2(up, O_CLOEXEC) != 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0)
    fail(TEMPORARY, "start", strerror(errno));
  fcntl(up[0], F_SETFL, O_NONBLOCK);
  start_clerk();
  for (struct pollfd on[] = {{up[0], POLLIN, 0}, {signals, POLLIN, 0}, {parent, POLLRDHUP, 0}, {-1, POLLIN, 0}};;) {
    if (now() >= turn_end) turn_end = now() + TURN, turns = 0;
    int begins = turns < most && running < config->processes + MAX_READING;
    if (connection >= 0 && begins && begin(connection)) connection = -1;
    on[3].fd = connection < 0 && begins ? listener : -1;
    int ready = poll(on, 4, connection >= 0 || turns > 0 ? TURN : running > 0 || *lost_lines > 0 ? TICK : -1);
    if (ready < 0 && errno != EINTR) fail(TEMPORARY, "poll", strerror(errno));
    for (struct order order; read(up[0], &order, sizeof order) == sizeof order;) {
      if (order.pid == 0 && turns > 0) turns--;
      if (order.pid == -1) cache_forget();
      /* Only a child that has not been waited for, so that its number cannot be anybody else's, and by its group. */
      if (order.pid > 0 && waitid(P_PID, order.pid, &(siginfo_t){0}, WEXITED | WNOHANG | WNOWAIT) == 0) kill(-order.pid, order.signal);
    }
    children_ended(signals, now() >= ticked + TICK);
    if (ready > 0 && on[2].revents != 0) _exit(0);
    if (ready > 0 && on[3].revents != 0 && (connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0 && errno != EAGAIN)
      usleep(10000); /* no descriptors: it stays ready */
    if (now() >= ticked + TICK) ticked = now();
    if (*lost_lines > 0) say("%s", "");
  }
}

/* ---- start */

/* The folder of the socket: one that we make, or one that is as we would have made it, since others use it too, and in it the file that
 * one helper at a time locks and that counts for all of them. With how 0 it only looks. */
static int open_folder(int how)
{
  char path[128], what[200];
  const char *why = NULL;
  struct stat st = {0};
  snprintf(path, sizeof path, "%s", socket_path);
  *strrchr(path, '/') = '\0';
  if (privileged) {
    int fd = open_trusted(*path == '\0' ? "/" : path, how, &why);
    if (fd < 0 && errno == ENOENT && how != MAKE) return 0;
    snprintf(what, sizeof what, "it is not a folder of root and group %u with mode 0750: name one that is not there, or make it so",
             config->group);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_gid != config->group || (st.st_mode & 07777) != 0750)
      fail(78, *path == '\0' ? "/" : path, why != NULL ? why : what);
    close(fd);
    if (how != MAKE) return 0;
  } else {
    mkdir(path, 0700);
  }
  snprintf(path, sizeof path, "%s.lock", socket_path);
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof *shared) != 0 ||
      (shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED)
    fail(TEMPORARY, path, strerror(errno));
  lost_lines = &shared->lost;
  /* A lock lasts while anybody has its file open or mapped, and the login of a running session has that one mapped. */
  return close(fd), open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
}

static int listen_at(void)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path, socket_path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &(int){0}, sizeof(int)); /* of all connections: nobody has descriptors to send us */
  if (unlink(socket_path) != 0 && errno != ENOENT) fail(TEMPORARY, socket_path, strerror(errno));
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
      (privileged && (chown(socket_path, 0, config->group) != 0 || chmod(socket_path, 0660) != 0)) || listen(fd, 65535) != 0)
    fail(TEMPORARY, socket_path, strerror(errno));
  return fd;
}

/* The server dies with its monitor; running backends are left alone, since they have their streams. */
static int serve(void)
{
  int locked = open_folder(MAKE), status = -1;
  for (int i = 0; flock(locked, LOCK_EX | LOCK_NB) != 0; i++) {
    if (i == 60 || errno != EWOULDBLOCK) fail(75, socket_path, "another helper serves here");
    usleep(50000);
  }
  int listener = listen_at();
  pid_t monitor = getpid();
  cache_open();
  const char *warn = log_stamp;
  log_stamp = *warn == '<' ? "<6>info " : "%FT%TZ info ";
  say("accept-helper: serving %s %s\n", socket_path, privileged ? "privileged" : "unprivileged");
  log_stamp = warn;
  do {
    pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != monitor) _exit(0);
      server(listener);
    }
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0) break;
    say("accept-helper: the server ended with wait status %d; starting another\n", status);
  } while (usleep(200000) == 0);
  unlink(socket_path);
  return 0;
}

/* It has no clerk, and its caller may have given us other children. */
static int run(void)
{
  int status = 0, connection = fcntl(0, F_DUPFD_CLOEXEC, LOWEST), null = open("/dev/null", O_RDWR | O_CLOEXEC);
  open_folder(MAKE);
  fcntl(connection, F_SETFL, 0); /* as a backend expects it */
  up[1] = notes[1] = null;
  if (dup2(null, 0) < 0 || dup2(null, 1) < 0) fail(TEMPORARY, "run", strerror(errno));
  pid_t pid = begin(connection);
  if (pid == 0 || waitpid(pid, &status, 0) != pid) fail(TEMPORARY, "run", strerror(errno));
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Nothing of the caller is kept but descriptors 0 to 2 and the arguments: signals, mask, timers, environment and those limits are
 * ours that it could have turned against a login. */
static void clean_start(void)
{
  static const struct { int what; struct rlimit limit; } limits[] = {
    {RLIMIT_CPU, {-1, -1}}, {RLIMIT_FSIZE, {-1, -1}}, {RLIMIT_DATA, {-1, -1}}, {RLIMIT_AS, {-1, -1}},
    {RLIMIT_CORE, {0, 0}}, {RLIMIT_STACK, {8 << 20, -1}}, {RLIMIT_NOFILE, {1 << 20, 1 << 20}}};
  static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", *chains[] = {path, NULL};
  struct rlimit is;
  int fd;
  environ = chains;
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    if (setrlimit(limits[i].what, &limits[i].limit) != 0 && getrlimit(limits[i].what, &is) == 0)
      is.rlim_cur = is.rlim_max, setrlimit(limits[i].what, &is); /* some containers let not even root raise one */
  while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= 2) {}
  close_from(3);
  while (fd >= 0 && (fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && fd < LOWEST - 1) {}
  if (fd < 0 || chdir("/") != 0) exit(TEMPORARY);
  for (int s = 1; s < NSIG; s++) signal(s, s == SIGPIPE || s == SIGXFSZ ? SIG_IGN : SIG_DFL);
  sigprocmask(SIG_SETMASK, &(sigset_t){0}, NULL);
  for (int timer = ITIMER_REAL; timer <= ITIMER_PROF; timer++) setitimer(timer, &(struct itimerval){0}, NULL);
  umask(077);
}

int main(int argc, char **argv)
{
  const char *mode = argc > 1 ? argv[1] : "", *why = NULL;
  int checking = strcmp(mode, "check") == 0;
  serving = strcmp(mode, "serve") == 0;
  if (!checking) log_stamp = getenv("JOURNAL_STREAM") != NULL ? "<4>warn " : "%FT%TZ warn ";
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
  if (privileged && (!become(&(struct account){0}) || prctl(PR_SET_DUMPABLE, 0) != 0))
    fail(TEMPORARY, "root", strerror(errno));
  if (socket_path == NULL) socket_path = strdup(config->socket);
  if (realpath("/proc/self/exe", checknotroot) == NULL) fail(TEMPORARY, "/proc/self/exe", strerror(errno));
  strcpy(strrchr(checknotroot, '/') + 1, "checknotroot");
  int found = privileged ? open_trusted(checknotroot, 0, &why) : open(checknotroot, O_RDONLY);
  if (found < 0) fail(78, checknotroot, why != NULL ? why : strerror(errno));
  close(found);
  if (checking && privileged) open_folder(0);
  if (checking) return printf("ok %s\n", privileged ? "privileged" : "unprivileged") < 0;
  if (!privileged) say("accept-helper: without privileges: every chain runs as uid %u\n", getuid());
  return serving ? serve() : run();
}
