/* libc; or, with -DSTART, as much of it as checknotroot needs, and a start without one. glibc asks the processor what it can do, some
 * eighty times before main(), and under a hypervisor each CPUID instruction is a trap of microseconds: without it checknotroot takes a
 * fifth of the time. */
#ifndef START_H
#define START_H
#include <errno.h>
#ifndef START
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#else
#include <linux/limits.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#undef errno
#define X_OK 1

static int errno;
static char **environ;

static long system_call(long number, long a, long b, long c, long d)
{
#if defined __x86_64__
  register long r10 __asm__("r10") = d;
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
#elif defined __aarch64__
  register long x8 __asm__("x8") = number, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
  register long result __asm__("x0") = a;
  __asm__ volatile("svc 0" : "+r"(result) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
#endif
  if (result >= 0 || result < -4095) return result;
  errno = -result;
  return -1;
}

static inline int getresuid(uid_t *r, uid_t *e, uid_t *s) { return system_call(SYS_getresuid, (long)r, (long)e, (long)s, 0); }
static inline int getresgid(gid_t *r, gid_t *e, gid_t *s) { return system_call(SYS_getresgid, (long)r, (long)e, (long)s, 0); }
static inline pid_t getpid(void) { return system_call(SYS_getpid, 0, 0, 0, 0); }
static inline int access(const char *path, int mode) { return system_call(SYS_faccessat, -100, (long)path, mode, 0); } /* AT_FDCWD */
static inline ssize_t write(int fd, const void *from, size_t size) { return system_call(SYS_write, fd, (long)from, size, 0); }
static inline int dup2(int from, int to) { return from == to ? to : system_call(SYS_dup3, from, to, 0, 0); }
static inline void closefrom(int lowest) { system_call(SYS_close_range, lowest, ~0U, 0, 0); }
static inline int execv(const char *path, char *const *argv) { return system_call(SYS_execve, (long)path, (long)argv, (long)environ, 0); }
static inline _Noreturn void _exit(int code) { for (;;) system_call(SYS_exit_group, code, 0, 0, 0); }

static size_t strlen(const char *text)
{
  size_t length = 0;
  while (text[length] != '\0') length++;
  return length;
}

static inline int strcmp(const char *a, const char *b)
{
  while (*a == *b && *a != '\0') a++, b++;
  return (unsigned char)*a - (unsigned char)*b;
}

static inline unsigned long strtoul(const char *text, __attribute__((unused)) char **end, __attribute__((unused)) int base)
{
  unsigned long value = 0;
  while (*text >= '0' && *text <= '9') value = value * 10 + (*text++ - '0');
  return value;
}

static const char *strerror(int error)
{
  static const struct { int error; const char *text; } texts[] = {
    {ENOENT, "No such file or directory"}, {EACCES, "Permission denied"}, {ENOTDIR, "Not a directory"}, {ENOEXEC, "Exec format error"},
    {ELOOP, "Too many levels of symbolic links"}, {ENAMETOOLONG, "File name too long"}, {ENOMEM, "Cannot allocate memory"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i].error == error) return texts[i].text;
  return "it cannot be run";
}

/* Knows %s, %u, and %d of what is not negative. What does not fit is cut off. */
static int format(char *to, int size, const char *from, va_list words)
{
  int at = 0;
  for (; *from != '\0'; from++) {
    char number[11], *word = number + 10;
    *word = '\0';
    if (*from != '%') *--word = *from;
    else if (*++from == 's') word = va_arg(words, char *);
    else
      for (unsigned rest = va_arg(words, unsigned); rest > 0 || *word == '\0'; rest /= 10) *--word = '0' + rest % 10;
    while (*word != '\0' && at < size - 1) to[at++] = *word++;
  }
  to[at] = '\0';
  return at;
}

static inline int snprintf(char *to, size_t size, const char *from, ...)
{
  va_list words;
  va_start(words, from);
  int length = format(to, size, from, words);
  va_end(words);
  return length;
}

static inline void dprintf(int fd, const char *from, ...)
{
  char line[512];
  va_list words;
  va_start(words, from);
  write(fd, line, format(line, sizeof line, from, words));
  va_end(words);
}

/* A script without an interpreter is one of sh(1), as execvp(3) has it. */
static void execute(char *path, char **argv)
{
  char *shell[4096];
  int argc = 1;
  execv(path, argv);
  if (errno != ENOEXEC) return;
  shell[0] = "sh";
  shell[1] = path;
  do shell[argc + 1] = argv[argc];
  while (argv[argc] != NULL && ++argc < 4094);
  if (argv[argc] == NULL) execv("/bin/sh", shell);
}

static inline void execvp(char *name, char **argv)
{
  const char *paths = "/bin:/usr/bin";
  char path[PATH_MAX];
  int denied = 0;
  for (char **e = environ; *e != NULL; e++)
    if ((*e)[0] == 'P' && (*e)[1] == 'A' && (*e)[2] == 'T' && (*e)[3] == 'H' && (*e)[4] == '=') paths = *e + 5;
  for (char *c = name; *c != '\0'; c++)
    if (*c == '/') return execute(name, argv);
  for (size_t length = strlen(name); length > 0; paths++) {
    size_t at = 0;
    while (*paths != '\0' && *paths != ':' && at + length + 2 < sizeof path) path[at++] = *paths++;
    if (at > 0) path[at++] = '/';
    for (size_t i = 0; i <= length && at < sizeof path; i++) path[at++] = name[i];
    if (path[at - 1] == '\0') execute(path, argv);
    denied |= errno == EACCES;
    while (*paths != '\0' && *paths != ':') paths++;
    if (*paths == '\0') break;
  }
  if (denied) errno = EACCES;
}

int main(int argc, char **argv);

/* What the kernel leaves on the stack: argc, argv, NULL, environ, NULL. */
__attribute__((used)) static _Noreturn void begin(long *stack)
{
  environ = (char **)stack + *stack + 2;
  _exit(main((int)*stack, (char **)stack + 1));
}
#if defined __x86_64__
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call begin");
#elif defined __aarch64__
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n and sp, x0, #-16\n bl begin");
#endif
#endif
#endif
