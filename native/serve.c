/* acceptd as its account. acceptd.js runs in children: first to say what to bind, or what is wrong, then to serve.
 *   plan      it answers --check, --help and errors by itself, else writes FAMILY ADDRESS PORT NAME lines
 *   bind      the addresses, in that order, as descriptors 3, 4, ..., or take what a service manager has bound: sd_listen_fds(3)
 *   serve     we stay, with nothing but its pid and a pipe, pass signals on, and end as it does */
#define _GNU_SOURCE
#include "acceptd.h"
#include "launch.h"
#include <arpa/inet.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MAX_PLAN = 32768, MAX_LISTENERS = 256, FIRST = 3, CANNOT_BIND = 71 };
enum { NOTHING = 0, BINDING = 1 << 10 /* CAP_NET_BIND_SERVICE */ };

/* What is left of root's rights, or of those that a unit gives to an ordinary user; 0 if there are none to keep. */
static int keep_only(uint32_t capabilities)
{
  /* capset(2), version 3. linux/capability.h is not among musl's headers. */
  struct { uint32_t version; int pid; } header = {0x20080522, 0};
  const struct { uint32_t effective, permitted, inheritable; } sets[2] = {{capabilities, capabilities, 0}};
  return syscall(SYS_capset, &header, sets) == 0;
}

/* What acceptd.js is to do, in its environment. */
static void order(const char *what, const char *more)
{
  char text[MAX_PLAN + 64];
  snprintf(text, sizeof text, "%s %s%s%s", root ? "root" : "user", what, *more == '\0' ? "" : " ", more);
  setenv("ACCEPTD_LAUNCHER", text, 1);
}
/* Runs acceptd.js as the account and reads what it wants bound. Where it wants nothing, its end is ours. */
static void learn_plan(char *plan, char **argv)
{
  int ends[2], status;
  size_t length = 0;
  if (pipe2(ends, O_CLOEXEC) != 0) fail(1, "pipe: %s", strerror(errno));
  pid_t pid = fork();
  if (pid < 0) fail(1, "fork: %s", strerror(errno));
  if (pid == 0) {
    close(ends[0]);
    if (ends[1] == FIRST ? fcntl(FIRST, F_SETFD, 0) != 0 : dup2(ends[1], FIRST) < 0) _exit(1);
    order("plan", problem);
    run_script("acceptd.js", argv);
    _exit(1);
  }
  close(ends[1]);
  for (ssize_t got; length < MAX_PLAN - 1 && (got = read(ends[0], plan + length, MAX_PLAN - 1 - length)) != 0;)
    if (got > 0) length += got;
  close(ends[0]);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  plan[length] = '\0';
  if (length == MAX_PLAN - 1) fail(1, "more listeners than it can hold");
  if (!WIFEXITED(status)) exit(128 + WTERMSIG(status));
  if (WEXITSTATUS(status) != 0 || length == 0) exit(WEXITSTATUS(status));
  if (*problem != '\0') fail(78, "%s", problem);
}

/* Sockets that a service manager has bound, with their names: descriptors 3, 4, ... until they are taken, -1 then. */
static int handed[MAX_LISTENERS], handed_count;
static char *handed_names[MAX_LISTENERS];

/* The variables are for this process only. */
static void find_handed(void)
{
  const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
  long its, count = 0;
  int ours = pid != NULL && fds != NULL && decimal(pid, 1, LONG_MAX, &its) && its == getpid();
  if (ours && !decimal(fds, 0, MAX_LISTENERS, &count)) fail(1, "LISTEN_FDS: not 0 to %d", MAX_LISTENERS);
  handed_count = count;
  char *rest = strdup(names == NULL ? "" : names);
  for (int i = 0; i < handed_count; i++) {
    char *name = strsep(&rest, ":");
    handed[i] = FIRST + i;
    handed_names[i] = name == NULL ? "" : name;
    if (fcntl(handed[i], F_SETFD, FD_CLOEXEC) != 0) fail(1, "LISTEN_FDS: descriptor %d: %s", handed[i], strerror(errno));
  }
  static const char *const variables[] = {"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES"};
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
}

/* It listens at this address, port 0 being any, and with [::] on IPv4, too, where it should. */
static int listens_at(int fd, const struct sockaddr *wanted, socklen_t size, int only)
{
  struct sockaddr_in6 is = {0};
  int listens = 0, is_only = only;
  if (getsockname(fd, (struct sockaddr *)&is, &(socklen_t){sizeof is}) != 0 || is.sin6_family != wanted->sa_family ||
      getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &(socklen_t){sizeof listens}) != 0 || !listens)
    return 0;
  if (is.sin6_family == AF_INET6) getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_only, &(socklen_t){sizeof is_only});
  if (((const struct sockaddr_in *)wanted)->sin_port == 0) is.sin6_port = 0; /* where sin_port is */
  return is_only == only && memcmp(&is, wanted, size) == 0;
}

/* The socket of this listener's name, which has to be right, or else one at its address; -1: none. */
static int take_handed(const char *name, const struct sockaddr *wanted, socklen_t size, int only, const char *where)
{
  int found = -1, named = 0, is_named;
  for (int i = 0; i < handed_count; i++) {
    is_named = strcmp(handed_names[i], name) == 0;
    if (handed[i] < 0 || (!is_named && ((const struct sockaddr_in *)wanted)->sin_port == 0)) continue;
    named |= is_named;
    if ((is_named || found < 0) && listens_at(handed[i], wanted, size, only)) found = i;
  }
  if (named && (found < 0 || strcmp(handed_names[found], name) != 0))
    fail(CANNOT_BIND, "LISTEN_FDNAMES: the socket `%s` does not listen on %s, as control/listeners says", name, where);
  if (found < 0) return -1;
  int fd = handed[found];
  handed[found] = -1;
  return fd;
}

/* A socket bound as FAMILY (4, 6, or 46 for both) ADDRESS PORT says. Ours do not listen: the lanes do that. Puts the port in use, also
 * for 0, into `got`. */
static int bind_one(const char *family, const char *address, const char *port, const char *known, int *got)
{
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  int is_four = strcmp(family, "4") == 0, only = strcmp(family, "6") == 0, on = 1;
  struct sockaddr *name = is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six;
  socklen_t size = is_four ? sizeof four : sizeof six;
  char where[INET6_ADDRSTRLEN + 8];
  snprintf(where, sizeof where, "%s:%s", address, port);
  int valid = inet_pton(name->sa_family, address, is_four ? (void *)&four.sin_addr : (void *)&six.sin6_addr);
  int fd = take_handed(known, name, size, only, where), is_handed = fd >= 0;
  if (!is_handed) fd = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (valid != 1 || fd < 0 ||
      (!is_handed && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
                      (!is_four && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) != 0) || bind(fd, name, size) != 0)) ||
      getsockname(fd, name, &size) != 0)
    fail(CANNOT_BIND, "control/listeners: cannot bind %s: is another program using it, or does it need root?", where);
  *got = ntohs(is_four ? four.sin_port : six.sin6_port);
  return fd;
}

/* Line by line; `bound` gets ADDRESS PORT PORT-IN-USE of the sockets 3, 4, ..., with commas between. */
static void bind_all(char *plan, char *bound)
{
  int fds[MAX_LISTENERS], count = 0, got;
  for (char *line, *rest; (line = strsep(&plan, "\n")) != NULL && *line != '\0'; count++) {
    char *family = strtok_r(line, " ", &rest), *address = strtok_r(NULL, " ", &rest), *port = strtok_r(NULL, " ", &rest);
    char *name = strtok_r(NULL, " ", &rest);
    if (name == NULL || count == MAX_LISTENERS || strlen(address) >= INET6_ADDRSTRLEN || strlen(port) > 5 ||
        port[strspn(port, "0123456789")] != '\0' || atoi(port) > 65535)
      fail(1, "not a plan");
    fds[count] = bind_one(family, address, port, name, &got);
    bound += sprintf(bound, "%s%s %s %d", count == 0 ? "" : ",", address, port, got);
  }
  for (int i = 0; i < handed_count; i++)
    if (handed[i] >= 0)
      say("acceptd: LISTEN_FDNAMES: the socket `%s` is that of no listener of control/listeners: it is closed\n", handed_names[i]);
  /* None is to be overwritten before it has its number. */
  for (int i = 0; i < count; i++)
    if ((fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST + count)) < 0) fail(1, "descriptors: %s", strerror(errno));
  for (int i = 0; i < count; i++) dup2(fds[i], FIRST + i);
  close_from(FIRST + count);
}

/* Its sockets are for the account only, and the status group reaches the one that is for it. */
static void open_run(void)
{
  int fd = open(run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || (run_group != NO_ID && fchown(fd, (uid_t)-1, run_group) != 0) || fchmod(fd, run_group == NO_ID ? 0700 : 0710) != 0)
    fail(1, "%s: %s", run, strerror(errno));
  close(fd);
}

/* A signal kills a Node that has not come to its first line of JavaScript; a line on its standard input waits. It ends when we do. */
static _Noreturn void pass_signals(pid_t child, int input, const sigset_t *signals)
{
  static const char *const lines[NSIG] = {[SIGHUP] = "SIGHUP\n", [SIGTERM] = "SIGTERM\n", [SIGINT] = "SIGINT\n", [SIGUSR2] = "SIGUSR2\n"};
  int number, status;
  signal(SIGPIPE, SIG_IGN);
  fcntl(input, F_SETFL, O_NONBLOCK); /* a pipe full of signals needs no more */
  do {
    number = sigwaitinfo(signals, NULL);
    if (number > 0 && lines[number] != NULL && write(input, lines[number], strlen(lines[number])) < 0) continue;
  } while (number != SIGCHLD || waitpid(child, &status, WNOHANG) != child);
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static _Noreturn void run_and_wait(char *bound, char **argv)
{
  sigset_t signals;
  int input[2];
  if (pipe2(input, O_CLOEXEC) != 0) fail(1, "pipe: %s", strerror(errno));
  sigemptyset(&signals);
  for (const int *s = (int[]){SIGHUP, SIGUSR2, SIGTERM, SIGINT, SIGCHLD, 0}; *s != 0; s++) sigaddset(&signals, *s);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  pid_t pid = fork();
  if (pid < 0) fail(1, "fork: %s", strerror(errno));
  if (pid == 0) {
    dup2(input[0], 0);
    order("serve", bound);
    run_script("acceptd.js", argv);
    _exit(1);
  }
  int kept = fcntl(input[1], F_DUPFD_CLOEXEC, FIRST);
  dup2(kept, FIRST);
  close_from(FIRST + 1);
  pass_signals(pid, FIRST, &signals);
}

void serve(char **argv)
{
  static char plan[MAX_PLAN], bound[MAX_PLAN + MAX_LISTENERS * 8];
  find_handed();
  close_from(FIRST + handed_count);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  keep_only(BINDING); /* where there is none, or no root to take it from, the others are gone already */
  learn_plan(plan, argv);
  bind_all(plan, bound);
  open_run();
  if (!keep_only(NOTHING)) fail(1, "capabilities: %s", strerror(errno));
  run_and_wait(bound, argv);
}
