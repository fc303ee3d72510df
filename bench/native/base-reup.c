/* base-reup [-t TRIES] PROGRAM...: the retry stage of the baseline. Runs its program until it ends with 0 or 12. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
  long tries = 0;
  argv++, argc--;
  if (argc > 1 && strcmp(argv[0], "-t") == 0) tries = strtol(argv[1], NULL, 10), argv += 2, argc -= 2;
  if (argc < 1) {
    fprintf(stderr, "base-reup: usage: base-reup [ -t tries ] prog\n");
    return 1;
  }
  for (long attempt = 1; tries == 0 || attempt <= tries; attempt++) {
    pid_t child = fork();
    if (child < 0) return 111;
    if (child == 0) {
      char text[24];
      snprintf(text, sizeof text, "%ld", attempt);
      setenv("REUP", text, 1);
      execvp(argv[0], argv);
      _exit(errno == ENOENT ? 12 : 111);
    }
    int status;
    while (waitpid(child, &status, 0) < 0)
      if (errno != EINTR) return 111;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    char line[200];
    int n = snprintf(line, sizeof line, "reup %d %s %d (%ld/%ld): exit %d\n", getpid(), argv[0], child, attempt, tries, code);
    if (n > 0 && write(2, line, (size_t)n) < 0) return 111;
    if (code == 0 || code == 12) return 0;
  }
  return 0;
}
