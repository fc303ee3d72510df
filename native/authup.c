/* authup: starts authup-helper, which keeps the rights we were started with, gives them up for those of control/authupuser, and becomes
 * authup.js, which talks to the client. AUTHUP_LAUNCHER tells that one NAME CONTROL RELAY: what we were called, and the two streams to the
 * helper; or NAME and, instead of the streams, what is wrong. Its control files are opened with our rights, as authup has always read them:
 * AUTHUP_CONTROLS is their names and descriptors. */
#define _GNU_SOURCE
#include "launch.h"
#include <sys/socket.h>

enum { FIRST = 3, HIGH = 64, TEMPORARY = 111 };

static char problem[PATH_MAX + 300]; /* or the streams, if there is none */

static void control_path(char path[PATH_MAX], const char *name)
{
  const char *home = getenv("QMAILHOME");
  snprintf(path, PATH_MAX, "%s/control/%s", home == NULL || *home == '\0' ? "/var/qmail" : home, name);
}

/* The account of control/authupuser, or nobody. */
static void read_account(struct account *account)
{
  char path[PATH_MAX], line[256] = "";
  control_path(path, "authupuser");
  FILE *file = fopen(path, "re");
  if (file == NULL ? errno != ENOENT : fgets(line, sizeof line, file) == NULL && ferror(file) != 0)
    snprintf(problem, sizeof problem, "%s: %s", path, strerror(errno));
  if (file != NULL) fclose(file);
  line[strcspn(line, "\n")] = '\0';
  for (size_t end = strlen(line); end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t');) line[--end] = '\0';
  if (*problem == '\0' && (!identity("/etc/passwd", *line == '\0' ? "nobody" : line, &account->uid, &account->gid) ||
                           account->uid == 0 || account->gid == 0 || account->gid == NO_ID))
    snprintf(problem, sizeof problem, "%s: %s is no account without privileges", path, line);
  if (*problem != '\0') *account = (struct account){.uid = UNPRIVILEGED, .gid = UNPRIVILEGED};
}

/* NAME:DESCRIPTOR of each file that is there; -1 for one that cannot be opened. */
static void open_controls(void)
{
  static const char *const names[] = {"me", "smtpgreeting", "pop3greeting", "smtpcapabilities", "pop3capabilities",
                                      "timeoutsmtpd", "timeoutpop3d", "pop3apop", "barelineend"};
  char path[PATH_MAX], list[512] = "";
  for (size_t i = 0, length = 0; i < sizeof names / sizeof *names; i++) {
    control_path(path, names[i]);
    int fd = open(path, O_RDONLY);
    if (fd >= 0 || errno != ENOENT) length += snprintf(list + length, sizeof list - length, "%s:%d ", names[i], fd);
  }
  setenv("AUTHUP_CONTROLS", list, 1);
}

/* A descriptor that the UCSPI-TLS parent has named, or /dev/null. */
static int descriptor(const char *variable)
{
  const char *text = getenv(variable);
  size_t digits = text == NULL ? 0 : strspn(text, "0123456789");
  int fd = digits > 0 && digits < 10 && text[digits] == '\0' ? fcntl(atoi(text), F_DUPFD_CLOEXEC, HIGH) : -1;
  return fd >= 0 ? fd : open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* The helper's descriptors are 3 requests, 4 relay, 5 and 6 the client inside TLS; any of ours may have one of these numbers. */
static _Noreturn void run_helper(char *path, int requests, int relay, int root, char **chain, size_t words)
{
  int from[] = {fcntl(requests, F_DUPFD_CLOEXEC, HIGH), fcntl(relay, F_DUPFD_CLOEXEC, HIGH), descriptor("SSLREADFD"),
                descriptor("SSLWRITEFD")};
  char **argv = calloc(words + 4, sizeof *argv), **end = argv;
  for (int i = 0; i < 4; i++)
    if (dup2(from[i], FIRST + i) < 0) _exit(TEMPORARY);
  if (argv == NULL) _exit(TEMPORARY);
  *end++ = path;
  if (root) *end++ = "--need-root";
  *end++ = "--";
  memcpy(end, chain, words * sizeof *chain);
  execv(path, argv);
  _exit(TEMPORARY);
}

int main(int argc, char **argv)
{
  struct account account = {0};
  int root = geteuid() == 0 || getuid() == 0, control[2], relay[2], dividers = 0;
  char path[PATH_MAX + 16], order[sizeof problem + 300];
  if (root) read_account(&account);
  /* authup.js reads the command line for itself, and says what is wrong with it. */
  for (opterr = 0; getopt(argc, argv, "+t:") != -1;) {}
  char **chain = argv + optind + 1, **guests = chain;
  if (optind + 1 >= argc) chain = guests = argv + argc;
  for (; *guests != NULL && dividers == 0; guests++) dividers = strcmp(*guests, "--") == 0;
  beside(path, sizeof path, "authup-helper");
  if (*problem == '\0' && access(path, X_OK) != 0) snprintf(problem, sizeof problem, "cannot run %s", path);
  if (*problem == '\0' && guests - dividers > chain && (dividers == 0 || *guests != NULL)) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, relay) != 0)
      return perror("authup"), TEMPORARY;
    pid_t pid = fork();
    if (pid < 0) return perror("authup"), TEMPORARY;
    if (pid == 0) run_helper(path, control[1], relay[1], root, chain, argv + argc - chain);
    close(control[1]);
    close(relay[1]);
    fcntl(control[0], F_SETFD, 0);
    fcntl(relay[0], F_SETFD, 0);
    snprintf(problem, sizeof problem, "%d %d", control[0], relay[0]);
  }
  if (root) {
    open_controls();
    if (!become(&account) || is_root(1))
      return say("authup: cannot become uid %u, gid %u: %s\n", account.uid, account.gid, strerror(errno)), 1;
  }
  const char *slash = strrchr(argv[0], '/');
  snprintf(order, sizeof order, "%.250s %s", slash == NULL ? argv[0] : slash + 1, problem);
  setenv("AUTHUP_LAUNCHER", order, 1);
  run_script("authup.js", argv);
  return TEMPORARY;
}
