/* acceptd: the part that may be root. It reads the root-owned files that say who acceptd is, binds, and becomes that account; everything
 * else is acceptd.js, which Node runs as the account: first to say what to bind, or what is wrong, then to supervise. It reads nothing from
 * a client, and of acceptd.js only addresses and ports. An ordinary user's acceptd takes the same way and stays who it is.
 *   plan      acceptd.js, in a child as the account: answers --check, --help and errors by itself, else writes FAMILY ADDRESS PORT NAME lines
 *   bind      the addresses, in that order, as descriptors 3, 4, ..., or take what a service manager has bound: sd_listen_fds(3)
 *   directories of the control sockets, and of what the runtime keeps
 *   become    the account, for good
 *   serve     acceptd.js in a child; we stay, with nothing but its pid and a pipe, pass signals on, and end as it does */
#define _GNU_SOURCE
#include "close.h"
#include "launch.h"
#include "say.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PLAN = 32768, MAX_LISTENERS = 256, FIRST = 3, NICE = -10, CANNOT_BIND = 71, NAME = 64 };

static int root;
static const char *control = "/etc/acceptd", *run = "/run/acceptd";
static char state[PATH_MAX]; /* what the runtime keeps for the next one */
static struct ids account;
static gid_t groups[2]; /* `group` of control/chains, and control/statusgroup */
static int group_count = 1;
static char problem[PATH_MAX + 128]; /* why there is no account; acceptd.js says it */

static _Noreturn __attribute__((format(printf, 2, 3))) void fail(int code, const char *format, ...)
{
  char text[PATH_MAX + 256];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof text, format, values);
  say("acceptd: %s\n", text);
  exit(code);
}

/* acceptd.js reads the options for itself, and refuses what is wrong with them. */
static void read_options(int argc, char **argv)
{
  static const struct option options[] = {{"control", 1, NULL, 'C'}, {"run", 1, NULL, 'r'}, {"helper", 1, NULL, 'o'}, {0}};
  if (getenv("ACCEPTD_CONTROL") != NULL) control = getenv("ACCEPTD_CONTROL");
  if (getenv("ACCEPTD_RUN") != NULL) run = getenv("ACCEPTD_RUN");
  opterr = 0;
  for (int option; (option = getopt_long(argc, argv, "+C:h", options, NULL)) != -1;) {
    if (option == 'C') control = optarg;
    if (option == 'r') run = optarg;
  }
}

/* Copies the value of a word of control/chains (its last, above all chains), or the first word of another file, if there is one. */
static void look_up(const char *name, const char *wanted, char *value, size_t room)
{
  char path[PATH_MAX], *line = NULL, *rest;
  size_t size = 0;
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", control, name);
  FILE *file = fopen(path, "re");
  if (file == NULL) return; /* acceptd.js says it if that is wrong */
  if (root && (fstat(fileno(file), &st) != 0 || st.st_uid != 0 || (st.st_mode & 022) != 0))
    snprintf(problem, sizeof problem, "%s: it says whose rights acceptd has, and others than root can write it", path);
  while (getline(&line, &size, file) >= 0) {
    char *word = strtok_r(line, " \t\r\n", &rest), *next = strtok_r(NULL, " \t\r\n", &rest);
    char *found = wanted == NULL ? word : word != NULL && strcmp(word, wanted) == 0 ? next : NULL;
    if (found != NULL && strlen(found) < room) strcpy(value, found);
    if (wanted == NULL || (word != NULL && strcmp(word, "chain") == 0)) break;
  }
  free(line);
  fclose(file);
}

/* Who root becomes; an ordinary user stays who it is. */
static void read_account(void)
{
  char name[NAME] = "acceptd", chains_group[NAME] = "", status[NAME] = "";
  look_up("chains", "account", name, sizeof name);
  look_up("chains", "group", chains_group, sizeof chains_group);
  look_up("statusgroup", NULL, status, sizeof status);
  enum found found = root ? find_account(name, &account) : FOUND;
  if (*problem == '\0' && found == UNKNOWN)
    snprintf(problem, sizeof problem,
             "control/chains: there is no account `%s` in /etc/passwd; make one with useradd --system --no-create-home %s", name, name);
  if (*problem == '\0' && found == IS_ROOT) snprintf(problem, sizeof problem, "control/chains: the account must not be root");
  if (*problem != '\0') account = (struct ids){UNPRIVILEGED, UNPRIVILEGED};
  groups[0] = account.gid;
  if (*problem == '\0' && *chains_group != '\0') find_group(chains_group, &groups[0]);
  if (*problem == '\0' && *status != '\0' && find_group(status, &groups[1])) group_count = 2;
}

/* Unless control/state names it: /var/lib/NAME for /run/NAME, else `state` beside the directory of the control sockets. */
static void name_state(void)
{
  const char *slash = strrchr(run, '/');
  if (strncmp(run, "/run/", 5) == 0) snprintf(state, sizeof state, "/var/lib/%s", run + 5);
  else snprintf(state, sizeof state, "%.*sstate", slash == NULL ? 0 : (int)(slash + 1 - run), run);
  look_up("state", NULL, state, sizeof state);
  setenv("ACCEPTD_STATE", state, 1);
}

/* What acceptd.js is to do, in its environment. */
static void order(const char *what, const char *more)
{
  char text[MAX_PLAN + 64];
  snprintf(text, sizeof text, "%s %s%s%s", root ? "root" : "user", what, *more == '\0' ? "" : " ", more);
  setenv("ACCEPTD_LAUNCHER", text, 1);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* A unit may give an ordinary user the right to bind ports below 1024: it is for binding only, and never acceptd.js's. */
static void drop_capabilities(void)
{
  /* capset(2), version 3. linux/capability.h is not among musl's headers. */
  struct { uint32_t version; int pid; } header = {0x20080522, 0};
  struct { uint32_t effective, permitted, inheritable; } none[2] = {{0}};
  if (syscall(SYS_capset, &header, none) != 0) fail(1, "capabilities: %s", strerror(errno));
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
    if (root) become(&account, groups, group_count);
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
  const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
  if (pid != NULL && count != NULL && atol(pid) == getpid()) handed_count = atoi(count);
  if (handed_count < 0 || handed_count > MAX_LISTENERS) fail(1, "LISTEN_FDS: not 0 to %d", MAX_LISTENERS);
  char *rest = strdup(names == NULL ? "" : names);
  for (int i = 0; i < handed_count; i++) {
    char *name = strsep(&rest, ":");
    handed[i] = FIRST + i;
    handed_names[i] = name == NULL ? "" : name;
    if (fcntl(handed[i], F_SETFD, FD_CLOEXEC) != 0) fail(1, "LISTEN_FDS: descriptor %d: %s", handed[i], strerror(errno));
  }
  for (const char *const *name = (const char *const[]){"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES", NULL}; *name != NULL; name++)
    unsetenv(*name);
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

/* A socket bound as FAMILY (4, 6, or 46 for both) ADDRESS PORT says. Ours do not listen: the lanes do that. Puts the port in use, also for 0,
 * into `got`. */
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
    if (handed[i] >= 0) say("acceptd: LISTEN_FDNAMES: the socket `%s` is that of no listener of control/listeners: it is closed\n", handed_names[i]);
  /* None is to be overwritten before it has its number. */
  for (int i = 0; i < count; i++)
    if ((fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST + count)) < 0) fail(1, "descriptors: %s", strerror(errno));
  for (int i = 0; i < count; i++) dup2(fds[i], FIRST + i);
  close_from(FIRST + count);
}

/* Makes a directory with those above it; answers a descriptor of it. */
static int open_directory(const char *name, int *is_new)
{
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s", name);
  for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
    *slash = '\0';
    mkdir(path, 0755);
  }
  *is_new = mkdir(path, 0700) == 0;
  return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Whose sockets only the account reaches, and the status group the one that is for it. */
static void make_run(void)
{
  int is_new, fd = open_directory(run, &is_new);
  if (fd < 0 || ((root || group_count == 2) && fchown(fd, root ? account.uid : (uid_t)-1, groups[group_count - 1]) != 0) ||
      fchmod(fd, group_count == 1 ? 0700 : 0710) != 0)
    fail(1, "%s: %s", run, strerror(errno));
  close(fd);
}

/* The account's if it is new: one that was there already is nobody's to give away. Without it the runtime says so. */
static void make_state(void)
{
  int is_new, fd = open_directory(state, &is_new);
  if (fd >= 0 && root && is_new && fchown(fd, account.uid, account.gid) != 0) perror(state);
  close(fd);
}

/* A signal kills a Node that has not come to its first line of JavaScript; a line on its standard input waits. It ends when we do. */
static _Noreturn void pass_signals(pid_t child, int input, const sigset_t *signals)
{
  static const char *const lines[NSIG] = {[SIGHUP] = "SIGHUP\n", [SIGTERM] = "SIGTERM\n", [SIGINT] = "SIGINT\n"};
  int number, status;
  signal(SIGPIPE, SIG_IGN);
  fcntl(input, F_SETFL, O_NONBLOCK); /* a pipe full of signals needs no more */
  do {
    number = sigwaitinfo(signals, NULL);
    if (number > 0 && lines[number] != NULL && write(input, lines[number], strlen(lines[number])) < 0) continue;
  } while (number != SIGCHLD || waitpid(child, &status, WNOHANG) != child);
  exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static _Noreturn void serve(char *bound, char **argv, const sigset_t *signals)
{
  int input[2];
  if (pipe2(input, O_CLOEXEC) != 0) fail(1, "pipe: %s", strerror(errno));
  sigprocmask(SIG_BLOCK, signals, NULL);
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
  pass_signals(pid, FIRST, signals);
}

int main(int argc, char **argv)
{
  static char plan[MAX_PLAN], bound[MAX_PLAN + MAX_LISTENERS * 8];
  sigset_t signals, hup;
  int fd;
  root = geteuid() == 0;
  while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd < FIRST) {}
  find_handed();
  close_from(FIRST + handed_count);
  sigemptyset(&hup);
  sigaddset(&hup, SIGHUP);
  signals = hup;
  for (const int *s = (int[]){SIGTERM, SIGINT, SIGCHLD, 0}; *s != 0; s++) signal(*s, SIG_DFL), sigaddset(&signals, *s);
  signal(SIGHUP, SIG_DFL);
  sigprocmask(SIG_SETMASK, &hup, NULL); /* it waits until there is somebody to hear it; the others end us until then */
  read_options(argc, argv);
  read_account();
  name_state();
  learn_plan(plan, argv);
  bind_all(plan, bound);
  make_run();
  make_state();
  if (root) {
    /* The lanes wait for no backend, and every backend waits for them: they come first, unless whoever started us has chosen a nice value.
     * A container may take even root's right to it. */
    if (getpriority(PRIO_PROCESS, 0) == 0) setpriority(PRIO_PROCESS, 0, NICE);
    become(&account, groups, group_count);
  }
  drop_capabilities();
  serve(bound, argv, &signals);
}
