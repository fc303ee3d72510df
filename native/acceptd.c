/* acceptd: the part that may be root. It reads the root-owned files that say who acceptd is, makes that account's directories, and becomes
 * it, with one right left: to bind ports below 1024. serve.c does all the rest as the account. Nothing here is read from a client, or from
 * acceptd.js. An ordinary user's acceptd takes the same way and stays who it is. */
#define _GNU_SOURCE
#include "acceptd.h"
#include "launch.h"
#include <getopt.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { FIRST = 3, NICE = -10 };

int root;
const char *run = "/run/acceptd";
gid_t run_group = NO_ID;
char problem[PATH_MAX + 128];
static const char *control = "/etc/acceptd";
static struct account account;
static int serving = 1;

void fail(int code, const char *format, ...)
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
  static const struct option options[] = {{"control", 1, NULL, 'C'}, {"run", 1, NULL, 'r'}, {"helper", 1, NULL, 'o'},
                                          {"check", 0, NULL, 'h'}, {"help", 0, NULL, 'h'}, {"version", 0, NULL, 'h'}, {0}};
  if (getenv("ACCEPTD_CONTROL") != NULL) control = getenv("ACCEPTD_CONTROL");
  if (getenv("ACCEPTD_RUN") != NULL) run = getenv("ACCEPTD_RUN");
  opterr = 0;
  for (int option; (option = getopt_long(argc, argv, "+C:h", options, NULL)) != -1;) {
    if (option == 'C') control = optarg;
    if (option == 'r') run = optarg;
    if (option == 'h') serving = 0;
  }
}

/* The value of a word of control/chains (its last, above all chains), or the first word of another file, if there is one. */
static const char *look_up(const char *name, const char *wanted, const char *otherwise)
{
  char path[PATH_MAX], *line, *text;
  size_t size;
  snprintf(path, sizeof path, "%s/%s", control, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return otherwise; /* acceptd.js says it if that is wrong */
  if ((text = slurp(fd, root, &size)) == NULL)
    snprintf(problem, sizeof problem, "%s: it says whose rights acceptd has, and others than root can write it", path);
  while ((line = strsep(&text, "\n")) != NULL) {
    char *word = strtok(line, " \t\r"), *value = strtok(NULL, " \t\r");
    if (wanted == NULL) return word != NULL ? word : otherwise;
    if (word != NULL && strcmp(word, "chain") == 0) break;
    if (value != NULL && strcmp(word, wanted) == 0) otherwise = value;
  }
  return otherwise;
}

/* Who root becomes, and with which groups: that of control/chains and that of control/statusgroup; an ordinary user stays who it is. */
static void read_account(void)
{
  const char *name = look_up("chains", "account", "acceptd"), *group = look_up("chains", "group", "");
  const char *status = look_up("statusgroup", NULL, "");
  gid_t ignored;
  int known = !root || identity("/etc/passwd", name, &account.uid, &account.gid);
  if (*problem == '\0' && !known)
    snprintf(problem, sizeof problem,
             "control/chains: there is no account `%s` in /etc/passwd; make one with useradd --system --no-create-home %s", name, name);
  else if (*problem == '\0' && root && (account.uid == 0 || account.gid == 0 || account.gid == NO_ID))
    snprintf(problem, sizeof problem, "control/chains: the account must not be root");
  if (*problem != '\0') account = (struct account){.uid = UNPRIVILEGED, .gid = UNPRIVILEGED};
  account.groups[0] = account.gid;
  account.ngroups = 1;
  if (*problem != '\0') return;
  if (*group != '\0') identity("/etc/group", group, &account.groups[0], &ignored);
  if (*status != '\0' && identity("/etc/group", status, &account.groups[1], &ignored)) account.ngroups = 2, run_group = account.groups[1];
}

/* Makes a directory with those above it. One that is there already is nobody's to give away, unless it is only ever acceptd's. */
static void make_directory(const char *name, int ours)
{
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s", name);
  for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') *slash = '\0', mkdir(path, 0755);
  int is_new = mkdir(path, 0700) == 0, fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (root && (is_new || ours) && (fd < 0 || fchown(fd, account.uid, is_new ? account.gid : NO_ID) != 0))
    fail(1, "%s: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
}

/* What the runtime keeps for the next one, unless control/state names it: in /var/lib/NAME for /run/NAME, else in `state` beside the
 * directory of the control sockets. */
static void make_directories(void)
{
  char beside_run[PATH_MAX];
  const char *slash = strrchr(run, '/');
  if (strncmp(run, "/run/", 5) == 0) snprintf(beside_run, sizeof beside_run, "/var/lib/%s", run + 5);
  else snprintf(beside_run, sizeof beside_run, "%.*sstate", slash == NULL ? 0 : (int)(slash + 1 - run), run);
  const char *state = look_up("state", NULL, beside_run);
  setenv("ACCEPTD_STATE", state, 1);
  if (!serving || *problem != '\0') return;
  make_directory(run, 1);
  make_directory(state, 0);
}

int main(int argc, char **argv)
{
  sigset_t hup;
  int fd;
  root = geteuid() == 0;
  while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd < FIRST) {}
  for (const int *s = (int[]){SIGHUP, SIGUSR2, SIGTERM, SIGINT, SIGCHLD, 0}; *s != 0; s++) signal(*s, SIG_DFL);
  sigemptyset(&hup);
  sigaddset(&hup, SIGHUP), sigaddset(&hup, SIGUSR2);
  sigprocmask(SIG_SETMASK, &hup, NULL); /* they wait until somebody hears them; the others end us until then */
  read_options(argc, argv);
  read_account();
  make_directories();
  /* The lanes wait for no backend, and every backend waits for them: they come first, unless we were started with another nice value.
   * A container may take even root's right to it. */
  if (root && getpriority(PRIO_PROCESS, 0) == 0) setpriority(PRIO_PROCESS, 0, NICE);
  prctl(PR_SET_KEEPCAPS, 1);
  if (root && (!become(&account) || is_root(1))) fail(1, "cannot become uid %u, gid %u: %s", account.uid, account.gid, strerror(errno));
  serve(argv);
}
