/* What the part of acceptd that binds is given (serve.c): the sockets of a service manager by LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES,
 * and acceptd.js's plan. Descriptors are taken once, and numbers are numbers.
 *   octets: 1 LISTEN_PID is ours; what the sockets listen on, 8 octets; LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, plan, with octets 255 between */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/acceptd.h"
#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char *listen_pid, *listen_fds, *listen_names;
static uint8_t kinds[8];
static int placed[4096], asked;

static char *its_getenv(const char *name)
{
  return strcmp(name, "LISTEN_PID") == 0 ? listen_pid : strcmp(name, "LISTEN_FDS") == 0 ? listen_fds : listen_names;
}
static int its_getsockname(int fd, struct sockaddr *to, socklen_t *size)
{
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(587)};
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(25)};
  unsigned kind = kinds[fd & 7];
  int is_four = kind & 1;
  if (kind & 2) four.sin_addr.s_addr = htonl(0x7f000001), six.sin6_addr.s6_addr[15] = 1;
  socklen_t its = is_four ? sizeof four : sizeof six;
  memcpy(to, is_four ? (void *)&four : (void *)&six, its < *size ? its : *size);
  *size = its;
  return kind & 128 ? -1 : 0;
}
static int its_getsockopt(int fd, int level, int what, int *to)
{
  *to = level == SOL_SOCKET ? CHECK(what == SO_ACCEPTCONN), !(kinds[fd & 7] & 4) : !!(kinds[fd & 7] & 8);
  return 0;
}
static int its_fcntl(int fd, int what, int lowest)
{
  CHECK(fd >= 3);
  if (what == F_SETFD) return 0;
  CHECK(what == F_DUPFD_CLOEXEC && fd < 4096 && !placed[fd] && lowest <= 3 + 256);
  placed[fd] = 1; /* each goes to one listener */
  return lowest + fd;
}
#define getenv its_getenv
#define unsetenv(name) 0
#define strdup fuzz_strdup
#define getsockname(fd, to, size) its_getsockname(fd, (struct sockaddr *)(to), size)
#define getsockopt(fd, level, what, to, size) its_getsockopt(fd, level, what, to)
#define setsockopt(...) 0
#define socket(...) (1000 + asked++)
#define bind(...) 0
#define fcntl(fd, what, ...) its_fcntl(fd, what, __VA_ARGS__)
#define dup2(from, to) (CHECK((to) >= 3 && (to) < 3 + 256), (to))
#define close_from(lowest) CHECK((lowest) >= 3)
#define getpid() 4242
#define exit fuzz_exit
#include "../../../native/serve.c"
#undef exit

FUZZ_SAY
int root;
const char *run = "/run/acceptd";
gid_t run_group = NO_ID;
char problem[PATH_MAX + 128];
void run_script(const char *name, char **argv) { (void)name, (void)argv; }
void fail(int code, const char *format, ...) { (void)format, fuzz_exit(code + 1000); }
int decimal(const char *word, long least, long most, long *value)
{
  long number = fuzz_number(word, most);
  *value = number;
  return number >= least;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static char bound[MAX_PLAN + MAX_LISTENERS * 8];
  fuzz_begin(data, size);
  int ours = fuzz_octet() & 1;
  for (int i = 0; i < 8; i++) kinds[i] = fuzz_octet();
  listen_pid = fuzz_part(NULL), listen_fds = fuzz_part(NULL), listen_names = fuzz_part(NULL);
  if (ours) listen_pid = fuzz_strdup("4242");
  size_t length;
  char *plan = fuzz_part(&length);
  if (length >= MAX_PLAN) plan[MAX_PLAN - 1] = '\0';
  handed_count = asked = 0;
  memset(placed, 0, sizeof placed);
  memset(bound, 0, sizeof bound);
  if (setjmp(fuzz_ended) != 0) return 0;
  find_handed();
  long count = fuzz_number(listen_fds, MAX_LISTENERS);
  CHECK(handed_count == (strcmp(listen_pid, "4242") == 0 ? count : 0));
  bind_all(plan, bound);
  /* ADDRESS PORT PORT-IN-USE, with commas between. */
  char *rest = bound, *item;
  int items = 0;
  while (*bound != '\0' && (item = strsep(&rest, ",")) != NULL) {
    char address[64] = "";
    unsigned port = 65536, used = 65536;
    unsigned char octets[16];
    CHECK(sscanf(item, "%63s %u %u", address, &port, &used) == 3 && port < 65536 && used < 65536);
    CHECK(inet_pton(AF_INET, address, octets) == 1 || inet_pton(AF_INET6, address, octets) == 1);
    items++;
  }
  int taken = 0;
  for (int i = 0; i < handed_count; i++) taken += handed[i] < 0;
  CHECK(items <= MAX_LISTENERS && taken + asked == items);
  return 0;
}
