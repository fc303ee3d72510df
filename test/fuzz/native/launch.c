/* What the program authup reads with the rights it was started with (authup.c, base.c): control/authupuser, and the descriptors that a
 * UCSPI-TLS server names in the environment.
 *   octets: SSLREADFD, control/authupuser, passwd, with octets 255 between */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/launch.h"
#include <sys/socket.h>

static const char *number;
static int duplicated;
static char *its_getenv(const char *name) { return strcmp(name, "SSLREADFD") == 0 ? (char *)number : NULL; }
static FILE *its_fopen(__attribute__((unused)) const char *path, __attribute__((unused)) const char *how)
{
  return fuzz_files[0].size == 0 ? (errno = ENOENT, NULL) : fmemopen((void *)fuzz_files[0].bytes, fuzz_files[0].size, "r");
}
static int its_fcntl(int fd) { return duplicated = fd, fd < 64 ? 64 + fd : -1; }
static int its_open(const char *path) { return strcmp(path, "/dev/null") == 0 ? 63 : fuzz_open(path); }
#define getenv its_getenv
#define fopen its_fopen
#define fcntl(fd, ...) its_fcntl(fd)
#define open(path, ...) its_open(path)
#define fstat fuzz_fstat
#define read fuzz_read_file
#define close fuzz_close
#define calloc fuzz_calloc
#define free fuzz_free
#define main its_main
#include "../../../native/base.c"
#include "../../../native/authup.c"
#undef main

FUZZ_SAY
void beside(char *path, size_t size, const char *name) { (void)size, strcpy(path, name); }
void run_script(const char *name, char **argv) { (void)name, (void)argv; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_begin(data, size);
  number = fuzz_part(NULL);
  fuzz_file("/var/qmail/control/authupuser");
  fuzz_file("/etc/passwd");
  duplicated = -1;
  int fd = descriptor("SSLREADFD");
  long named = fuzz_number(number, 999999999);
  CHECK(fd >= 63 && (named < 0 || strlen(number) > 9 ? duplicated == -1 && fd == 63 : duplicated == named));
  struct account account = {0};
  *problem = '\0';
  read_account(&account);
  CHECK(fuzz_opened == 0 && account.uid != 0 && account.gid != 0 && account.uid != NO_ID && account.gid != NO_ID);
  CHECK((*problem != '\0') <= (account.uid == UNPRIVILEGED && account.gid == UNPRIVILEGED));
  return 0;
}
