/* What authup asks of authup-helper (authup-helper.c): requests on descriptor 3, delivered in any pieces, and the environment that is
 * inherited. A model says which requests start which chain, and with which additions.
 *   octets: 1 no chain for guests, 2 the program is missing; count of reads, their sizes; inherited variables up to an octet 255; the stream */
#define _GNU_SOURCE
#include "fuzz.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

static unsigned flags;
static size_t sizes[16], reads, next;
static int started, was_guest;
static char request[70000], credentials[600];
static size_t request_size, credentials_size;
static char **its_environment;

static ssize_t its_read(__attribute__((unused)) int fd, void *to, size_t size)
{
  if (next < reads && sizes[next] == 255) return next++, errno = EINTR, -1;
  size_t most = next < reads ? sizes[next++] + 1 : size;
  if (size > most) size = most;
  if (size > fuzz_left) size = fuzz_left;
  memcpy(to, fuzz_in, size);
  return fuzz_in += size, fuzz_left -= size, size;
}
static ssize_t its_write(int fd, const void *bytes, size_t size)
{
  CHECK(fd == 51 && size <= 512);
  memcpy(credentials, bytes, credentials_size = size);
  return size;
}
static int its_execvpe(const char *path, char **chain, char **env);
static pid_t its_vfork(void) { return 0; }
static _Noreturn void its_end(int code) { fuzz_exit(code); }
#define read its_read
#define write its_write
#define vfork its_vfork
#define execvpe its_execvpe
#define dup2(from, to) (to)
#define dup3(from, to, how) (to)
#define close(fd) 0
#define fcntl(...) 0
#define ioctl(...) (-1)
#define pipe2(ends, how) ((ends)[0] = 50, (ends)[1] = 51, 0)
#define signal(number, how) ((void)0)
#define sigprocmask(...) 0
#define waitpid(...) 77
#define dprintf(fd, ...) its_answer(__VA_ARGS__)
#define _exit its_end
static char answer[256];
static int answers;
static int its_answer(const char *format, ...)
{
  va_list values;
  va_start(values, format);
  vsnprintf(answer, sizeof answer, format, values);
  va_end(values);
  return answers++;
}
#define main its_main
#define environ its_environment
#include "../../../native/authup-helper.c"
#undef main
#undef environ

static int is_named(const char *variable, const char *name) { return strncmp(variable, name, strlen(name)) == 0; }

static int allowed(const char *variable)
{
  return strchr(variable, '=') != NULL && (is_named(variable, "AUTHUP_USER=") || is_named(variable, "AUTHUSER=") ||
                                           is_named(variable, "FIXSMTPIOTLS=") || is_named(variable, "SSL_") || is_named(variable, "TLS_"));
}

static int inherited(const char *variable)
{
  for (char **e = its_environment; *e != NULL; e++)
    if (strcmp(*e, variable) == 0) return 1;
  return 0;
}

static int its_execvpe(const char *path, char **chain, char **env)
{
  was_guest = strcmp(path, "/guest") == 0;
  CHECK(was_guest || strcmp(path, "/chain") == 0);
  CHECK(path == chain[0] && started++ == 0);
  int count = 0;
  for (; env[count] != NULL; count++) {
    CHECK(count < MAX_VARIABLES);
    int added = env[count] >= request && env[count] < request + request_size;
    CHECK(inherited(env[count]) || allowed(env[count]) || added);
    CHECK(!is_named(env[count], "UCSPITLS=") && !is_named(env[count], "SSLREADFD=") && !is_named(env[count], "DISABLETLS="));
    if (was_guest) CHECK(!is_named(env[count], "AUTHUP_USER=") && !is_named(env[count], "AUTHUSER="));
  }
  /* What was asked for comes first, and an inherited variable of that name is not there. */
  for (int i = 0; i < count; i++)
    for (int j = i + 1; j < count && strchr(env[i], '=') != NULL; j++)
      if (!inherited(env[i]) && inherited(env[j]) && !allowed(env[j])) CHECK(strncmp(env[i], env[j], strcspn(env[i], "=") + 1) != 0);
  return errno = flags & 2 ? ENOENT : EACCES, -1;
}

/* The first request of the stream: 1 the chain, 2 that for guests, 0 none; the credentials begin at *at. */
static int model(const char *bytes, size_t size, const char **at)
{
  const char *stop = bytes + size, *text[2];
  int count = 0;
  for (*at = bytes;; count++) {
    const char *nul = *at < stop ? memchr(*at, 0, stop - *at) : NULL;
    if (nul == NULL) return 0;
    if (count < 2) text[count] = *at;
    int blank = count >= 2 && nul == *at;
    *at = nul + 1;
    if (blank) break;
  }
  if (strcmp(text[0], "guest") == 0) return *at == stop && (flags & 1) == 0 ? 2 : 0;
  return strcmp(text[0], "auth") == 0 && stop - *at <= 512 ? 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static char bytes[4 + MAX_REQUEST];
  fuzz_begin(data, size);
  flags = fuzz_octet();
  reads = fuzz_octet() % 17;
  for (size_t i = 0; i < reads; i++) sizes[i] = fuzz_octet();
  size_t length;
  char *variables = fuzz_part(&length);
  its_environment = fuzz_calloc(length + 2, sizeof(char *));
  int count = 0;
  for (char *at = variables; at < variables + length; at += strlen(at) + 1)
    if (count < 2000) its_environment[count++] = at;
  next = 0;
  started = answers = was_guest = 0;
  credentials_size = 0;
  const unsigned char *head = fuzz_in;
  size_t have = fuzz_left;
  size_t wanted = have < 4 ? 0 : (size_t)head[0] << 24 | head[1] << 16 | head[2] << 8 | head[3];
  int whole = have >= 4 && wanted > 0 && wanted <= MAX_REQUEST && have - 4 >= wanted;
  memcpy(request, head + 4, request_size = whole ? wanted : 0);
  const char *its = NULL;
  int expected = whole ? model(request, wanted, &its) : 0;
  static char *chain[] = {(char *)"/chain", NULL}, *guests[] = {(char *)"/guest", NULL};
  if (setjmp(fuzz_ended) == 0) {
    if (!read_all(bytes, 4)) return CHECK(have < 4), 0;
    if (wanted == 0 || wanted > MAX_REQUEST || !read_all(bytes + 4, wanted)) return CHECK(!whole), 0;
    CHECK(memcmp(bytes + 4, request, wanted) == 0);
    serve(bytes + 4, bytes + 4 + wanted, chain, flags & 1 ? NULL : guests);
    CHECK(expected == 0 && answers == 1 && strncmp(answer, "bad ", 4) == 0);
  } else CHECK(started == 1 && expected == was_guest + 1);
  if (started && expected == 1) CHECK(credentials_size == (size_t)(request + wanted - its) && memcmp(credentials, its, credentials_size) == 0);
  return 0;
}
