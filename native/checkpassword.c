/* checkpassword [ -f FILE ] prog [ arg ... ]: the interface of checkpassword(8) for hosts that have none.
 * Descriptor 3 carries user NUL password NUL timestamp NUL; exits 1 refused, 2 misused, 111 temporarily not possible. */
#define _GNU_SOURCE
#include "helper.h"

int main(int argc, char **argv)
{
  static char bytes[MAX_CREDENTIALS + 1];
  char *field[3];
  size_t length = 0;
  ssize_t got;
  struct account account;
  const char *file = getenv("CHECKPASSWORD_FILE");
  opterr = 0;
  for (int option; (option = getopt(argc, argv, "+f:")) != -1; file = optarg)
    if (option != 'f') return MISUSED;
  if (optind >= argc) return say("checkpassword: usage: checkpassword [ -f file ] prog\n"), MISUSED;
  while (length < sizeof bytes && (got = read(3, bytes + length, sizeof bytes - length)) != 0) {
    if (got < 0 && errno != EINTR) return errno == EBADF ? MISUSED : TEMPORARY;
    if (got > 0) length += got;
  }
  close(3);
  /* The interface lets more follow the timestamp, and lets the timestamp go unread. */
  for (size_t i = 0, nuls = 0; i < length && length <= MAX_CREDENTIALS; i++)
    if (bytes[i] == '\0' && ++nuls == 3) explicit_bzero(bytes + i + 1, length - i - 1), length = i + 1;
  int answer = length <= MAX_CREDENTIALS && split_credentials(bytes, length, field) ? 0 : MISUSED;
  if (answer == 0) answer = verify(file, field[0], field[1], 0, &account);
  if (answer == 0 && setenv("USER", field[0], 1) != 0) answer = TEMPORARY;
  explicit_bzero(bytes, sizeof bytes);
  if (answer != 0 || (answer = enter(&account)) != 0) _exit(answer); /* with all that verify has read */
  if (setenv("HOME", account.home, 1) != 0 || setenv("SHELL", account.shell, 1) != 0) return TEMPORARY;
  unsetenv("CHECKPASSWORD_FILE");
  execvp(argv[optind], argv + optind);
  say("checkpassword: unable to run %s: %s\n", argv[optind], strerror(errno));
  return TEMPORARY;
}
