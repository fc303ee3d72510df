/* authup-helper [ --need-root ] -- chain [ -- guest chain ]: keeps the rights that the program authup was started with, so that
 * authup can give its own up before it greets. Never setuid, never reads from a client. Descriptors: 0 and 1 the client's, 3 requests
 * and answers, 4 a relay to authup, 5 and 6 the client's data inside TLS. One request at a time; the end of 3 ends it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONTROL = 20, MAX_VARIABLES = 1024, MAX_REQUEST = 65536, MAX_CREDENTIALS = 512, TEMPORARY = 111 };

static int read_all(char *bytes, size_t length)
{
  while (length > 0) {
    ssize_t got = read(CONTROL, bytes, length);
    if (got == 0 || (got < 0 && errno != EINTR)) return 0;
    if (got > 0) bytes += got, length -= got;
  }
  return 1;
}

static char *next_string(char **at, const char *end)
{
  char *start = *at, *nul = start < end ? memchr(start, 0, end - start) : NULL;
  if (nul != NULL) *at = nul + 1;
  return nul == NULL ? NULL : start;
}

static int has_flag(const char *flags, const char *word)
{
  size_t length = strlen(word);
  for (const char *at = flags; *at != '\0'; at += strcspn(at, ","), at += *at == ',')
    if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) return 1;
  return 0;
}

static int addition_allowed(const char *variable)
{
  static const char *const names[] = {"AUTHUP_USER=", "AUTHUSER=", "FIXSMTPIOTLS=", "SSL_", "TLS_", NULL};
  for (int i = 0; names[i] != NULL; i++)
    if (strncmp(variable, names[i], strlen(names[i])) == 0) return strchr(variable, '=') != NULL;
  return 0;
}

/* What was for authup only. The descriptors of UCSPI-TLS are closed by now, or have other numbers. */
static int is_ours(const char *variable)
{
  static const char *const names[] = {"UCSPITLS=", "DISABLETLS=", "SSLCTLFD=", "SSLREADFD=", "SSLWRITEFD=", NULL};
  int i = 0;
  while (names[i] != NULL && strncmp(variable, names[i], strlen(names[i])) != 0) i++;
  return names[i] != NULL;
}

/* authup's libuv may have made the client's descriptors non-blocking; a chain expects them as they come. Answers the flags to go back to
 * after the chain, since authup reads on then, or -1. */
static int blocking(int fd)
{
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 ? flags : -1;
}

static void as_before(int fd, int flags)
{
  if (flags >= 0) fcntl(fd, F_SETFL, flags);
}

static volatile int exec_errno;

static pid_t start(char **chain, char **env, int credentials, int in, int out)
{
  exec_errno = 0;
  pid_t pid = vfork();
  if (pid != 0) return pid;
  signal(SIGPIPE, SIG_DFL);
  if (credentials >= 0 ? dup2(credentials, 3) < 0 : (close(3), 0)) _exit(TEMPORARY);
  if ((in != 0 && dup2(in, 0) < 0) || (out != 1 && dup2(out, 1) < 0)) _exit(TEMPORARY);
  execvpe(chain[0], chain, env);
  exec_errno = errno;
  _exit(TEMPORARY);
}

/* What the chain wrote last must be read by authup before it hears of the end: two streams keep no order between them. */
static void wait_for_relay(int relayed)
{
  for (int queued = 0; relayed && ioctl(4, TIOCOUTQ, &queued) == 0 && queued > 0;) {
    struct pollfd gone[2] = {{.fd = CONTROL, .events = POLLRDHUP}, {.fd = 4, .events = POLLRDHUP}};
    if (poll(gone, 2, 2) > 0) return;
  }
}

static void serve(char *at, const char *end, char **chain, char **guest_chain)
{
  char *env[MAX_VARIABLES + 1], *variable, *what = next_string(&at, end), *flags = next_string(&at, end);
  int variables = 0, guest = what != NULL && strcmp(what, "guest") == 0, credentials[2] = {-1, -1}, status;
  if (flags == NULL || (!guest && strcmp(what, "auth") != 0)) return (void)dprintf(CONTROL, "bad request\n");
  if (guest && guest_chain == NULL) return (void)dprintf(CONTROL, "bad no chain for guests\n");
  while ((variable = next_string(&at, end)) != NULL && *variable != '\0')
    if (addition_allowed(variable) && !(guest && strncmp(variable, "AUTH", 4) == 0) && variables < MAX_VARIABLES / 2)
      env[variables++] = variable;
  if (variable == NULL || end - at > MAX_CREDENTIALS || (guest && end != at)) return (void)dprintf(CONTROL, "bad request\n");
  for (char **e = environ; *e != NULL && variables < MAX_VARIABLES; e++) {
    int known = is_ours(*e) || (guest && (strncmp(*e, "AUTHUP_USER=", 12) == 0 || strncmp(*e, "AUTHUSER=", 9) == 0));
    for (int i = 0; i < variables; i++) known |= strncmp(*e, env[i], strcspn(env[i], "=") + 1) == 0;
    if (!known) env[variables++] = *e;
  }
  env[variables] = NULL;
  int tls = has_flag(flags, "tls"), relay = has_flag(flags, "relay"), in = relay ? 4 : tls ? 5 : 0, out = relay ? 4 : tls ? 6 : 1;
  int in_flags = blocking(in), out_flags = blocking(out);
  if (!guest && (pipe2(credentials, O_CLOEXEC) != 0 || write(credentials[1], at, end - at) != end - at))
    return (void)dprintf(CONTROL, "bad no pipe: %s\n", strerror(errno));
  if (!guest) close(credentials[1]);
  pid_t pid = start(guest ? guest_chain : chain, env, credentials[0], in, out);
  if (!guest) close(credentials[0]);
  if (pid < 0) return (void)dprintf(CONTROL, "bad no process: %s\n", strerror(errno));
  dprintf(CONTROL, "pid %d\n", pid);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  as_before(in, in_flags);
  as_before(out, out_flags);
  wait_for_relay(relay);
  if (exec_errno != 0) dprintf(CONTROL, "missing %s: %s\n", (guest ? guest_chain : chain)[0], strerror(exec_errno));
  else if (WIFSIGNALED(status)) dprintf(CONTROL, "signal %d\n", WTERMSIG(status));
  else dprintf(CONTROL, "exit %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
  static char bytes[4 + MAX_REQUEST];
  char **chain, **guest_chain = NULL;
  sigset_t none;
  if (getuid() != geteuid() || getgid() != getegid()) return dprintf(2, "authup-helper: it runs what it is told, so never setuid\n"), 77;
  argv++;
  if (argc > 1 && strcmp(*argv, "--need-root") == 0) {
    if (geteuid() != 0) return dprintf(2, "authup-helper: root is needed\n"), 77;
    argv++;
  }
  if (*argv == NULL || strcmp(*argv, "--") != 0)
    return dprintf(2, "authup-helper: usage: authup-helper -- chain [ -- guest chain ]\n"), 100;
  chain = argv + 1;
  for (char **word = chain; *word != NULL && guest_chain == NULL; word++)
    if (strcmp(*word, "--") == 0) *word = NULL, guest_chain = word + 1;
  if (*chain == NULL || (guest_chain != NULL && *guest_chain == NULL)) return dprintf(2, "authup-helper: empty chain\n"), 100;
  for (int s = 1; s < NSIG; s++) signal(s, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_IGN); /* ours; the chain gets the default back */
  if (dup3(3, CONTROL, O_CLOEXEC) < 0) return dprintf(2, "authup-helper: no control stream: %s\n", strerror(errno)), 100;
  for (int fd = 3; fd <= 6; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  /* 3 stays taken, so that no pipe of ours gets the number that the chain's descriptor has. */
  while (read_all(bytes, 4)) {
    const unsigned char *b = (const unsigned char *)bytes;
    size_t length = (size_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
    if (length == 0 || length > MAX_REQUEST || !read_all(bytes + 4, length)) break;
    serve(bytes + 4, bytes + 4 + length, chain, guest_chain);
    explicit_bzero(bytes, sizeof bytes);
  }
  return 0;
}
