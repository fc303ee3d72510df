/* What checkpassword(8) reads from descriptor 3 (checkpassword.c): the same for every way in which a pipe delivers it.
 *   octets: count of reads, their sizes; what comes */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/helper.h"

static size_t sizes[16], reads, next;
static char user[MAX_CREDENTIALS + 2], password[MAX_CREDENTIALS + 2];
static int verified;

static ssize_t its_read(int fd, void *to, size_t size)
{
  CHECK(fd == 3 && size > 0);
  if (next < reads && sizes[next] == 255) return next++, errno = EINTR, -1;
  size_t most = next < reads ? sizes[next++] + 1 : size;
  if (size > most) size = most;
  if (size > fuzz_left) size = fuzz_left;
  memcpy(to, fuzz_in, size);
  return fuzz_in += size, fuzz_left -= size, size;
}
#define read its_read
#define close(fd) 0
#define setenv(name, value, how) ((void)(value), 0)
#define unsetenv(name) 0
#define getenv(name) NULL
#define execvp(path, argv) fuzz_exit(1000)
#define _exit fuzz_exit
#define split_credentials its_split
#define main its_main
#define verify its_verify
#define enter its_enter
static int its_split(char *bytes, size_t length, char *field[3])
{
  int nuls = 0;
  for (size_t i = 0; i < length; i++)
    if (bytes[i] == '\0' && ++nuls < 3) field[nuls] = bytes + i + 1;
  field[0] = bytes;
  return nuls == 3 && bytes[length - 1] == '\0';
}
static int its_verify(const char *file, const char *who, const char *secret, long seconds, __attribute__((unused)) struct account *account)
{
  CHECK(file == NULL && seconds == 0 && strlen(who) <= MAX_CREDENTIALS && strlen(secret) <= MAX_CREDENTIALS);
  strcpy(user, who);
  strcpy(password, secret);
  return verified++, 0;
}
static int its_enter(__attribute__((unused)) const struct account *account) { return 0; }
#include "../../../native/checkpassword.c"
#undef main

FUZZ_SAY

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  char *argv[] = {(char *)"checkpassword", (char *)"/prog", NULL};
  fuzz_begin(data, size);
  reads = fuzz_octet() % 17;
  for (size_t i = 0; i < reads; i++) sizes[i] = fuzz_octet();
  next = verified = optind = 0;
  const char *bytes = fuzz_copy(fuzz_in, fuzz_left);
  size_t length = fuzz_left, end = 0;
  int nuls = 0, code = 0;
  if (setjmp(fuzz_ended) == 0) code = its_main(2, argv);
  else code = fuzz_code;
  while (end < length && nuls < 3) nuls += bytes[end++] == '\0';
  int good = length <= MAX_CREDENTIALS && nuls == 3;
  CHECK(code == (good ? 1000 : MISUSED) && verified == good);
  if (good) CHECK(strcmp(user, bytes) == 0 && strcmp(password, bytes + strlen(bytes) + 1) == 0);
  return 0;
}
