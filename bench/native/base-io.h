/* What the baseline's programs share: complete writes, one line of a control file, environment. */
#ifndef BASE_IO_H
#define BASE_IO_H
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

bool write_all(int fd, const char *bytes, size_t length);
bool write_text(int fd, const char *text);
/* read(2) that gives up after `seconds`: -1 and ETIMEDOUT. */
ssize_t timeoutread(int fd, char *to, size_t room, int seconds);
/* The file's text, NUL-terminated, from malloc; NULL if it cannot be read. */
char *slurp(const char *path);
/* The first line of control/NAME, or `otherwise`. */
char *control_line(const char *path, const char *otherwise);
/* Changes to $BASEHOME, as qmail's programs change to their home before they read control/. */
void enter_home(void);
#endif
