/* What the harnesses share. A harness includes the sources that it is about, after defining the calls of theirs that would leave the
 * process: nothing here opens, sends, forks or ends. LLVMFuzzerTestOneInput is called by libFuzzer, or by replay.c for the kept inputs. */
#ifndef FUZZ_H
#define FUZZ_H
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The oracle. */
#define CHECK(what) ((what) ? (void)0 : (fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what), abort()))

/* ---- the input, octet by octet; zeros after its end */
static const uint8_t *fuzz_in;
static size_t fuzz_left;

__attribute__((unused)) static unsigned fuzz_octet(void)
{
  return fuzz_left == 0 ? 0 : (fuzz_left--, *fuzz_in++);
}

/* ---- what the sources allocate: freed after each input, however they returned */
enum { FUZZ_BLOCKS = 65536 };
static void *fuzz_blocks[FUZZ_BLOCKS];
static int fuzz_block_count;

__attribute__((unused)) static void *fuzz_calloc(size_t count, size_t size)
{
  CHECK(fuzz_block_count < FUZZ_BLOCKS);
  return fuzz_blocks[fuzz_block_count++] = calloc(count, size);
}

__attribute__((unused)) static void fuzz_free(void *block)
{
  for (int i = fuzz_block_count; block != NULL && i-- > 0;)
    if (fuzz_blocks[i] == block) {
      fuzz_blocks[i] = fuzz_blocks[--fuzz_block_count];
      return free(block);
    }
  CHECK(block == NULL); /* it was not allocated, or is free */
}

__attribute__((unused)) static char *fuzz_copy(const void *bytes, size_t size)
{
  char *copy = fuzz_calloc(1, size + 1);
  if (size > 0) memcpy(copy, bytes, size);
  return copy;
}

__attribute__((unused)) static char *fuzz_strdup(const char *text) { return fuzz_copy(text, strlen(text)); }

/* The input up to the next octet 255, or its end, as a string of its own. */
__attribute__((unused)) static char *fuzz_part(size_t *size)
{
  const uint8_t *stop = fuzz_left == 0 ? NULL : memchr(fuzz_in, 255, fuzz_left);
  size_t length = stop == NULL ? fuzz_left : (size_t)(stop - fuzz_in);
  char *part = fuzz_copy(fuzz_in, length);
  fuzz_in += length + (stop != NULL);
  fuzz_left -= length + (stop != NULL);
  if (size != NULL) *size = length;
  return part;
}

/* ---- files: descriptors from 100 on; everything belongs to root, and only root can write it */
enum { FUZZ_FILES = 8, FUZZ_FIRST = 100, FUZZ_FOLDER = 99 };
static struct { const char *path, *bytes; size_t size; } fuzz_files[FUZZ_FILES];
static int fuzz_file_count, fuzz_opened;

__attribute__((unused)) static void fuzz_file(const char *path)
{
  CHECK(fuzz_file_count < FUZZ_FILES);
  fuzz_files[fuzz_file_count].path = path;
  fuzz_files[fuzz_file_count].bytes = fuzz_part(&fuzz_files[fuzz_file_count].size);
  fuzz_file_count++;
}

__attribute__((unused)) static int fuzz_open(const char *path, ...)
{
  for (int i = 0; i < fuzz_file_count; i++)
    if (strcmp(fuzz_files[i].path, path) == 0) return fuzz_opened++, FUZZ_FIRST + i;
  if (strcmp(path, "/") == 0) return fuzz_opened++, FUZZ_FOLDER;
  return errno = ENOENT, -1;
}

__attribute__((unused)) static int fuzz_fstat(int fd, struct stat *st)
{
  memset(st, 0, sizeof *st);
  st->st_uid = geteuid();
  st->st_mode = fd < FUZZ_FIRST ? S_IFDIR | 0755 : S_IFREG | 0600;
  if (fd >= FUZZ_FIRST) st->st_size = fuzz_files[fd - FUZZ_FIRST].size;
  return 0;
}

/* Files are read whole. */
__attribute__((unused)) static ssize_t fuzz_read_file(int fd, void *to, size_t size)
{
  CHECK(fd >= FUZZ_FIRST && fd < FUZZ_FIRST + fuzz_file_count && size == fuzz_files[fd - FUZZ_FIRST].size);
  memcpy(to, fuzz_files[fd - FUZZ_FIRST].bytes, size);
  return size;
}

__attribute__((unused)) static int fuzz_close(int fd)
{
  CHECK(fd >= 0);
  if (fd >= FUZZ_FOLDER) CHECK(fuzz_opened-- > 0);
  return 0;
}

/* ---- the end of a process */
static jmp_buf fuzz_ended;
static int fuzz_code;

__attribute__((unused)) static _Noreturn void fuzz_exit(int code)
{
  fuzz_code = code;
  longjmp(fuzz_ended, 1);
}

/* ---- the log: what was said last, and how often */
static char fuzz_said[8192];
static int fuzz_says;

__attribute__((unused)) static void fuzz_say(const char *format, va_list values)
{
  int length = vsnprintf(fuzz_said, sizeof fuzz_said, format, values);
  CHECK(length > 0 && (length >= (int)sizeof fuzz_said || fuzz_said[length - 1] == '\n'));
  fuzz_says++;
}
#define FUZZ_SAY \
  unsigned fuzz_lost, *lost_lines = &fuzz_lost; \
  const char *log_stamp = ""; \
  void say(const char *format, ...) \
  { \
    va_list values; \
    va_start(values, format); \
    fuzz_say(format, values); \
    va_end(values); \
  }

static void fuzz_begin(const uint8_t *data, size_t size)
{
  while (fuzz_block_count > 0) free(fuzz_blocks[--fuzz_block_count]);
  fuzz_in = data;
  fuzz_left = size;
  fuzz_file_count = fuzz_opened = fuzz_says = fuzz_code = 0;
}

/* ---- a model's own reading of lines of fields: field n (from 0) of line `line` of a text that ends at its first NUL; NULL: no such line */
__attribute__((unused)) static char *fuzz_field(const char *text, int line, int n, char separator)
{
  for (; line > 0; line--)
    if ((text = strchr(text, '\n')) == NULL) return NULL;
    else text++;
  const char *stop = strchr(text, '\n');
  if (stop == NULL) stop = text + strlen(text);
  while (n-- > 0) {
    while (text < stop && *text != separator) text++;
    if (text == stop) return fuzz_copy("", 0);
    text++;
  }
  size_t length = 0;
  while (text + length < stop && text[length] != separator) length++;
  return fuzz_copy(text, length);
}

/* A number as these programs read one: digits, and no more than the largest id. -1: none. */
__attribute__((unused)) static long fuzz_number(const char *word, long most)
{
  __int128 value = 0;
  if (*word == '\0') return -1;
  for (; *word != '\0'; word++) {
    if (!isdigit((unsigned char)*word)) return -1;
    if (value <= most) value = value * 10 + (*word - '0');
  }
  return value <= most ? value : -1;
}
#endif
