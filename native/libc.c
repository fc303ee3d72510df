/* As much of libc as checkpassword, checknotroot and libcrypt need, and a start without one. glibc asks the processor what it can do,
 * some eighty times before main(), and under a hypervisor each CPUID instruction is a trap of microseconds: with it an exec of
 * checkpassword takes four times as long. The Makefile takes libc where this does not do: another processor, another libcrypt.
 * No header of libc declares what is defined here, since some give it other names. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#undef errno

int main(int argc, char **argv);

char **environ;
static int last_error;
int *__errno_location(void) { return &last_error; }

static long system_call6(long number, long a, long b, long c, long d, long e, long f)
{
#if defined __x86_64__
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
#elif defined __aarch64__
  register long x8 __asm__("x8") = number, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f, result __asm__("x0") = a;
  __asm__ volatile("svc 0" : "+r"(result) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
#endif
  if (result >= 0 || result < -4095) return result;
  last_error = -result;
  return -1;
}

static long system_call(long number, long a, long b, long c) { return system_call6(number, a, b, c, 0, 0, 0); }

/* ---- system calls */

int getresuid(uid_t *r, uid_t *e, uid_t *s) { return system_call(SYS_getresuid, (long)r, (long)e, (long)s); }
int getresgid(gid_t *r, gid_t *e, gid_t *s) { return system_call(SYS_getresgid, (long)r, (long)e, (long)s); }
int setresuid(uid_t r, uid_t e, uid_t s) { return system_call(SYS_setresuid, r, e, s); }
int setresgid(gid_t r, gid_t e, gid_t s) { return system_call(SYS_setresgid, r, e, s); }
int setgroups(size_t count, const gid_t *groups) { return system_call(SYS_setgroups, count, (long)groups, 0); }
uid_t getuid(void) { return system_call(SYS_getuid, 0, 0, 0); }
uid_t geteuid(void) { return system_call(SYS_geteuid, 0, 0, 0); }
pid_t getpid(void) { return system_call(SYS_getpid, 0, 0, 0); }
int chdir(const char *path) { return system_call(SYS_chdir, (long)path, 0, 0); }
int access(const char *path, int mode) { return system_call(SYS_faccessat, -100, (long)path, mode); } /* AT_FDCWD */
ssize_t readlink(const char *path, char *to, size_t size) { return system_call6(SYS_readlinkat, -100, (long)path, (long)to, size, 0, 0); }
int open(const char *path, int how, ...) { return system_call6(SYS_openat, -100, (long)path, how, 0, 0, 0); } /* makes no files */
int fstat(int fd, void *st) { return system_call(SYS_fstat, fd, (long)st, 0); }
ssize_t read(int fd, void *to, size_t size) { return system_call(SYS_read, fd, (long)to, size); }
ssize_t write(int fd, const void *from, size_t size) { return system_call(SYS_write, fd, (long)from, size); }
int close(int fd) { return system_call(SYS_close, fd, 0, 0); }
int dup2(int from, int to) { return system_call(from == to ? SYS_fcntl : SYS_dup3, from, from == to ? F_GETFD : to, 0) < 0 ? -1 : to; }
int execve(const char *path, char *const *argv, char *const *env) { return system_call(SYS_execve, (long)path, (long)argv, (long)env); }
int execv(const char *path, char *const *argv) { return execve(path, argv, environ); }
int munmap(void *at, size_t size) { return system_call(SYS_munmap, (long)at, size, 0); }

/* Before Linux 5.9, and where a filter does not know close_range(2), one by one. */
void closefrom(int lowest)
{
  unsigned long limit[2] = {1024, 0};
  if (system_call(SYS_close_range, lowest, ~0U, 0) == 0) return;
  system_call6(SYS_prlimit64, 0, 7, 0, (long)limit, 0, 0); /* RLIMIT_NOFILE */
  for (unsigned long fd = lowest; fd < limit[0]; fd++) close(fd);
}

void *mmap(void *at, size_t size, int protection, int how, int fd, off_t from)
{
  return (void *)system_call6(SYS_mmap, (long)at, size, protection, how, fd, from);
}

time_t time(time_t *to)
{
  long now[2] = {0, 0};
  system_call(SYS_clock_gettime, 0, (long)now, 0);
  if (to != NULL) *to = now[0];
  return now[0];
}

_Noreturn void _exit(int code)
{
  for (;;) system_call(SYS_exit_group, code, 0, 0);
}

void arc4random_buf(void *to, size_t size)
{
  if (system_call(SYS_getrandom, (long)to, size, 0) != (long)size) _exit(111);
}

static _Noreturn void die(const char *why, size_t length)
{
  write(2, why, length);
  for (;;) system_call(SYS_kill, getpid(), SIGABRT, 0), _exit(111);
}

_Noreturn void __stack_chk_fail(void) { die("stack smashed\n", 14); }
_Noreturn void __assert_fail(void) { die("assertion failed\n", 17); }

/* ---- memory and strings */

/* By sixteen octets, the last of which may be copied twice: a hash copies a few dozen some ten thousand times. */
void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
  char *t = to;
  const char *f = from;
  if (size >= 16) {
    for (size_t at = 0; at + 16 < size; at += 16) __builtin_memcpy(t + at, f + at, 16);
    __builtin_memcpy(t + size - 16, f + size - 16, 16);
  } else if (size >= 8) {
    __builtin_memcpy(t, f, 8);
    __builtin_memcpy(t + size - 8, f + size - 8, 8);
  } else {
    while (size-- > 0) *t++ = *f++;
  }
  return to;
}

void *memmove(void *to, const void *from, size_t size)
{
  char *t = to;
  const char *f = from;
  if (t <= f)
    while (size-- > 0) *t++ = *f++;
  else
    while (size-- > 0) t[size] = f[size];
  return to;
}

void *memset(void *to, int octet, size_t size)
{
  char *t = to;
  uint64_t word = 0x0101010101010101ULL * (unsigned char)octet;
  for (; size >= 8; size -= 8, t += 8) __builtin_memcpy(t, &word, 8);
  while (size-- > 0) *t++ = octet;
  return to;
}

void explicit_bzero(void *at, size_t size)
{
  memset(at, 0, size);
  __asm__ volatile("" : : "r"(at) : "memory");
}
void __explicit_bzero_chk(void *at, size_t size, __attribute__((unused)) size_t room) { explicit_bzero(at, size); }

int memcmp(const void *a, const void *b, size_t size)
{
  const unsigned char *x = a, *y = b;
  for (; size > 0; size--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

void *memchr(const void *at, int octet, size_t size)
{
  for (const unsigned char *a = at; size > 0; size--, a++)
    if (*a == (unsigned char)octet) return (void *)a;
  return NULL;
}

size_t strlen(const char *text)
{
  size_t length = 0;
  while (text[length] != '\0') length++;
  return length;
}

int strncmp(const char *a, const char *b, size_t size)
{
  for (; size > 0 && *a == *b && *a != '\0'; size--) a++, b++;
  return size == 0 ? 0 : (unsigned char)*a - (unsigned char)*b;
}

int strcmp(const char *a, const char *b) { return strncmp(a, b, SIZE_MAX); }
char *strcpy(char *restrict to, const char *restrict from) { return memcpy(to, from, strlen(from) + 1); }

char *strchr(const char *text, int octet)
{
  while (*text != (char)octet && *text != '\0') text++;
  return *text == (char)octet ? (char *)text : NULL;
}

char *strrchr(const char *text, int octet)
{
  const char *last = NULL, *at = text;
  for (; (at = strchr(at, octet)) != NULL && *at != '\0'; at++) last = at;
  return (char *)(octet == '\0' ? at : last);
}

size_t strspn(const char *text, const char *of)
{
  size_t length = 0;
  while (text[length] != '\0' && strchr(of, text[length]) != NULL) length++;
  return length;
}

size_t strcspn(const char *text, const char *until)
{
  size_t length = 0;
  while (text[length] != '\0' && strchr(until, text[length]) == NULL) length++;
  return length;
}

char *strsep(char **next, const char *between)
{
  char *word = *next, *end = word, one = *between;
  if (word == NULL) return NULL;
  if (between[0] != '\0' && between[1] == '\0')
    while (*end != one && *end != '\0') end++;
  else end += strcspn(word, between);
  *next = *end == '\0' ? NULL : end + 1;
  if (*end != '\0') *end = '\0'; /* what is empty may be constant */
  return word;
}

/* strtoul(3) in base 10, whatever base is asked for: hashes and password files know no other. */
unsigned long strtoul(const char *text, char **end, __attribute__((unused)) int base)
{
  const char *at = text + strspn(text, " \t\n\v\f\r");
  int minus = *at == '-', over = 0;
  unsigned long value = 0, digits = 0;
  for (at += minus || *at == '+'; *at >= '0' && *at <= '9'; at++, digits++) {
    unsigned long digit = *at - '0';
    over |= value > (ULONG_MAX - digit) / 10;
    value = value * 10 + digit;
  }
  if (end != NULL) *end = (char *)(digits > 0 ? at : text);
  if (over) last_error = ERANGE;
  return over ? ULONG_MAX : minus ? -value : value;
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base) { return strtoul(text, end, base); }

long strtol(const char *text, char **end, int base)
{
  int minus = text[strspn(text, " \t\n\v\f\r")] == '-';
  unsigned long value = strtoul(text, end, base), size = minus && value != ULONG_MAX ? -value : value;
  if (size <= LONG_MAX) return minus ? -(long)size : (long)size;
  return minus ? LONG_MIN : LONG_MAX;
}

long __isoc23_strtol(const char *text, char **end, int base) { return strtol(text, end, base); }
long atol(const char *text) { return strtol(text, NULL, 10); }
int atoi(const char *text) { return strtol(text, NULL, 10); }

/* ---- the heap: a mapping for each piece; checkpassword has three */

void *malloc(size_t size)
{
  if (size > SIZE_MAX - 16) return NULL;
  size_t *at = mmap(NULL, size + 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return NULL;
  *at = size;
  return at + 2;
}

void *calloc(size_t count, size_t size)
{
  return count > 0 && size > SIZE_MAX / 2 / count ? NULL : malloc(count * size);
}

void free(void *at)
{
  if (at != NULL) munmap((size_t *)at - 2, ((size_t *)at)[-2] + 16);
}

void *realloc(void *at, size_t size)
{
  size_t had = at == NULL ? 0 : ((size_t *)at)[-2];
  void *to = malloc(size);
  if (to != NULL && at != NULL) memcpy(to, at, had < size ? had : size), free(at);
  return to;
}

/* ---- text */

const char *strerror(int error)
{
  static const struct { int error; char text[40]; } texts[] = {
    {ENOENT, "No such file or directory"}, {EACCES, "Permission denied"}, {EPERM, "Operation not permitted"},
    {ENOTDIR, "Not a directory"}, {ENOEXEC, "Exec format error"}, {ELOOP, "Too many levels of symbolic links"},
    {ENAMETOOLONG, "File name too long"}, {ENOMEM, "Cannot allocate memory"}, {EAGAIN, "Try again"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i].error == error) return texts[i].text;
  return "it cannot be done";
}

/* Knows %s, %.*s, %c, %u, %lu, %zu, and %d of what is not negative. What does not fit is cut off; answers with the whole length. */
static int format(char *to, size_t size, const char *from, va_list words)
{
  size_t length = 0;
  for (; *from != '\0'; from++) {
    char number[24], *word = number + 23;
    size_t most = SIZE_MAX, wide = 0;
    *word = '\0';
    if (*from == '%') {
      if (strncmp(++from, ".*", 2) == 0) most = va_arg(words, int), from += 2;
      if (*from == 'l' || *from == 'z') wide = 1, from++;
      if (*from == 's') word = va_arg(words, char *);
      else if (*from == 'c') *--word = va_arg(words, int);
      else
        for (unsigned long rest = wide ? va_arg(words, unsigned long) : va_arg(words, unsigned); rest > 0 || *word == '\0'; rest /= 10)
          *--word = '0' + rest % 10;
    } else *--word = *from;
    for (; most > 0 && *word != '\0'; most--, length++, word++)
      if (length + 1 < size) to[length] = *word;
  }
  if (size > 0) to[length < size ? length : size - 1] = '\0';
  return length;
}

int snprintf(char *to, size_t size, const char *from, ...)
{
  va_list words;
  va_start(words, from);
  int length = format(to, size, from, words);
  va_end(words);
  return length;
}

int __snprintf_chk(char *to, size_t size, __attribute__((unused)) int flag, __attribute__((unused)) size_t room, const char *from, ...)
{
  va_list words;
  va_start(words, from);
  int length = format(to, size, from, words);
  va_end(words);
  return length;
}

int dprintf(int fd, const char *from, ...)
{
  char line[512];
  va_list words;
  va_start(words, from);
  size_t length = format(line, sizeof line, from, words);
  va_end(words);
  return write(fd, line, length < sizeof line ? length : sizeof line - 1);
}

/* ---- environment and exec */

static char **variable(const char *name, size_t length)
{
  char **at = environ;
  while (*at != NULL && (strncmp(*at, name, length) != 0 || (*at)[length] != '=')) at++;
  return at;
}

char *getenv(const char *name)
{
  char *found = *variable(name, strlen(name));
  return found == NULL ? NULL : found + strlen(name) + 1;
}

int unsetenv(const char *name)
{
  for (char **at; *(at = variable(name, strlen(name))) != NULL;)
    do at[0] = at[1];
    while (*at++ != NULL);
  return 0;
}

/* Always in place of the value that is there. */
int setenv(const char *name, const char *value, __attribute__((unused)) int overwrite)
{
  size_t count = 0, length = strlen(name) + strlen(value) + 2;
  unsetenv(name);
  while (environ[count] != NULL) count++;
  char *text = malloc(length), **wider = calloc(count + 2, sizeof *wider);
  if (text == NULL || wider == NULL) return -1;
  snprintf(text, length, "%s=%s", name, value);
  memcpy(wider, environ, count * sizeof *wider);
  wider[count] = text;
  environ = wider;
  return 0;
}

/* A script without an interpreter is one of sh(1), as execvp(3) has it. */
static void execute(const char *path, char *const *argv)
{
  const char *shell[4096];
  size_t argc = 1;
  execv(path, argv);
  if (last_error != ENOEXEC) return;
  while (argv[argc] != NULL) argc++;
  if (argc + 2 > sizeof shell / sizeof *shell) return;
  shell[0] = "sh";
  shell[1] = path;
  memcpy(shell + 2, argv + 1, argc * sizeof *shell);
  execv("/bin/sh", (char *const *)shell);
}

int execvp(const char *name, char *const *argv)
{
  const char *paths = getenv("PATH");
  char path[PATH_MAX];
  int denied = 0;
  size_t length = strlen(name);
  if (strchr(name, '/') != NULL) return execute(name, argv), -1;
  if (paths == NULL) paths = "/bin:/usr/bin";
  for (last_error = ENOENT; length > 0; paths++) {
    size_t at = strcspn(paths, ":");
    if (at + length + 2 < sizeof path) {
      snprintf(path, sizeof path, "%.*s%s%s", (int)at, paths, at > 0 ? "/" : "", name);
      execute(path, argv);
      denied |= last_error == EACCES;
      if (last_error != ENOENT && last_error != ENOTDIR && last_error != EACCES) return -1;
    }
    if (*(paths += at) == '\0') break;
  }
  if (denied) last_error = EACCES;
  return -1;
}

/* ---- start */

/* Where the compiler has put the stack's guard. */
#if defined __x86_64__
static uintptr_t thread[8];
#define GUARD thread[5]
enum { RELATIVE = R_X86_64_RELATIVE };
#elif defined __aarch64__
uintptr_t __stack_chk_guard;
#define GUARD __stack_chk_guard
enum { RELATIVE = R_AARCH64_RELATIVE };
#endif

extern const Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* What the kernel leaves on the stack: argc, argv, NULL, environ, NULL, auxiliary values. The program is somewhere in memory, and the
 * pointers in it are what they would be at address 0: nothing but this may run until they are right. */
__attribute__((used, no_stack_protector)) static _Noreturn void begin(long *stack)
{
  const char *base = __ehdr_start;
  const Elf64_Rela *rela = NULL;
  size_t size = 0;
  for (const Elf64_Dyn *d = _DYNAMIC; d->d_tag != DT_NULL; d++) {
    if (d->d_tag == DT_RELA) rela = (const Elf64_Rela *)(base + d->d_un.d_ptr);
    if (d->d_tag == DT_RELASZ) size = d->d_un.d_val;
  }
  for (; size >= sizeof *rela; size -= sizeof *rela, rela++)
    if (ELF64_R_TYPE(rela->r_info) == RELATIVE) *(uintptr_t *)(base + rela->r_offset) = (uintptr_t)base + rela->r_addend;
  environ = (char **)stack + *stack + 2;
  char **end = environ;
  while (*end != NULL) end++;
  for (Elf64_auxv_t *aux = (Elf64_auxv_t *)(end + 1); aux->a_type != AT_NULL; aux++)
    if (aux->a_type == AT_RANDOM) memcpy(&GUARD, (void *)aux->a_un.a_val, sizeof GUARD);
  GUARD &= ~(uintptr_t)0xff; /* ends a string that runs into it */
#if defined __x86_64__
  system_call(SYS_arch_prctl, 0x1002, (long)thread, 0); /* ARCH_SET_FS */
#endif
  _exit(main((int)*stack, (char **)stack + 1));
}
#if defined __x86_64__
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin");
#elif defined __aarch64__
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n and sp, x0, #-16\n bl begin");
#endif
