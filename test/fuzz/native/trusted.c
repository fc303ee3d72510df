/* Paths that only root may have written (open_trusted of chains.c): components, symbolic links and what they lead through. It ends, leaves
 * no descriptor open, and what it returns has been checked on the way.
 *   octet: 1 links are followed, 2 folders are made; then the path up to an octet 255; then, for each component: what it is, and a link's text */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/helper.h"

static int last_error, descriptors, steps, next_fd;
static unsigned char kinds[4096];
static uint8_t owners[4096];

static int its_open(const char *path, ...)
{
  CHECK(strcmp(path, "/") == 0 && next_fd < 4096);
  return descriptors++, kinds[next_fd] = 0, owners[next_fd] = 0, next_fd++;
}
static int its_openat(int at, const char *word, ...)
{
  CHECK(at < next_fd && *word != '\0' && strchr(word, '/') == NULL && next_fd < 4096);
  if (steps++ > 2000) return errno = ENOENT, -1;
  unsigned what = fuzz_octet();
  if (what % 8 == 1) return errno = last_error = ELOOP, -1;
  if (what % 8 == 2 || fuzz_left == 0) return errno = last_error = ENOENT, -1;
  kinds[next_fd] = what % 8 == 3 ? 022 : 0;
  owners[next_fd] = what % 8 == 4;
  return descriptors++, next_fd++;
}
static ssize_t its_readlinkat(__attribute__((unused)) int at, __attribute__((unused)) const char *word, char *to, size_t size)
{
  size_t length = fuzz_octet() << (fuzz_octet() % 7);
  if (length > size) length = size;
  if (length > fuzz_left) length = fuzz_left;
  for (size_t i = 0; i < length; i++) to[i] = fuzz_in[i] == 0 ? '/' : fuzz_in[i];
  return fuzz_in += length, fuzz_left -= length, length;
}
static int its_fstat(int fd, struct stat *st)
{
  memset(st, 0, sizeof *st);
  return st->st_uid = owners[fd], st->st_mode = S_IFDIR | 0755 | kinds[fd], 0;
}
#define open its_open
#define openat its_openat
#define readlinkat its_readlinkat
#define fstat its_fstat
#define dup(fd) (descriptors++, kinds[next_fd] = kinds[fd], owners[next_fd] = owners[fd], next_fd++)
#define mkdirat(...) (fuzz_octet() % 2 - 1)
#define fchownat(...) 0
#define fchmodat(...) 0
#define close(fd) (CHECK((fd) >= 0 && descriptors-- > 0), 0)
#include "../../../native/chains.c"

FUZZ_SAY
static struct config its;
struct config *config = &its;
int privileged = 1;
int decimal(const char *word, long least, long most, long *value) { return (void)word, (void)least, (void)most, (void)value, 0; }
int identity(const char *file, const char *name, uid_t *id, gid_t *group) { return (void)file, (void)name, (void)id, (void)group, 0; }
char *slurp(int fd, int ours, size_t *size) { return (void)fd, (void)ours, (void)size, NULL; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_begin(data, size);
  unsigned how = fuzz_octet() % 3;
  const char *path = fuzz_part(NULL), *why = NULL;
  descriptors = steps = 0;
  next_fd = 3;
  int fd = open_trusted(path, how, &why);
  CHECK(steps < 2000);
  CHECK(descriptors == (fd >= 0));
  CHECK(fd >= 0 || (why != NULL && *why != '\0'));
  if (fd >= 0) CHECK(*path == '/' && owners[fd] == 0 && kinds[fd] == 0);
  return 0;
}
