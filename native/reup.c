/* reup [ -t tries ] prog: runs prog again until it exits 0 or 12 or the tries are used up; REUP counts from 1 in its environment.
 * Without a limit, a program that cannot be run or fails immediately is run ever more slowly. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t child, stopped;

static void stop(int number)
{
  stopped = number;
  if (child > 0) kill(child, number);
}

static double seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

/* Ends by the signal that stopped us, so that our parent sees what happened. */
static void end_if_stopped(void)
{
  if (!stopped) return;
  sigset_t none;
  signal(stopped, SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  raise(stopped);
}

static int usage(const char *name, const char *problem)
{
  if (problem != NULL) dprintf(2, "%s: %s -- %c\n", name, problem, optopt);
  dprintf(2, "reup: usage: reup [ -t tries ] prog\n");
  return 1;
}

/* As sgetopt of qmail reads a command line: any word that begins with -- ends the options, and a number ends where its digits do. The
 * place of the program in argv, or 0 after a usage message. */
static int options(int argc, char **argv, unsigned long *tries)
{
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL, *name = slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "reup";
  opterr = 0;
  while (optind < argc && strncmp(argv[optind], "--", 2) != 0) {
    int option = getopt(argc, argv, "+:t:");
    if (option == -1) return optind;
    if (option == ':') return usage(name, "option requires an argument"), 0;
    if (option != 't') return usage(name, "illegal option"), 0;
    if (*optarg < '0' || *optarg > '9') return usage(name, NULL), 0;
    *tries = strtoul(optarg, NULL, 10);
  }
  return optind < argc ? optind + 1 : optind;
}

int main(int argc, char **argv)
{
  unsigned long tries = 0;
  struct sigaction action = {.sa_handler = stop};
  sigset_t signals, before;
  int code = 0, hasty = 0;
  int program = options(argc, argv, &tries);
  if (program == 0) return 1;
  if (program >= argc) return usage(NULL, NULL);
  argv += program;
  signal(SIGCHLD, SIG_DFL);
  sigemptyset(&signals);
  for (const int *s = (int[]){SIGTERM, SIGINT, SIGHUP, SIGQUIT, 0}; *s != 0; s++) {
    sigaddset(&signals, *s);
    sigaction(*s, &action, NULL);
  }
  sigprocmask(SIG_BLOCK, &signals, &before);
  for (unsigned long i = 1; tries == 0 || i <= tries; i++) {
    char number[24];
    int status = 0;
    double started = seconds();
    snprintf(number, sizeof number, "%lu", i);
    if (setenv("REUP", number, 1) != 0) return 111;
    pid_t pid = fork();
    if (pid == 0) {
      for (int s = 1; s < NSIG; s++)
        if (sigismember(&signals, s) == 1) signal(s, SIG_DFL);
      sigprocmask(SIG_SETMASK, &before, NULL);
      execvp(argv[0], argv);
      dprintf(2, "reup: unable to run %s: %s\n", argv[0], strerror(errno));
      _exit(111);
    }
    if (pid < 0) {
      dprintf(2, "reup: unable to fork: %s\n", strerror(errno));
      return 111;
    }
    child = pid;
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    sigprocmask(SIG_BLOCK, &signals, NULL);
    child = 0;
    code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    dprintf(2, "reup %d %s %d (%lu/%lu): exit %d\n", getpid(), argv[0], pid, i, tries, code);
    end_if_stopped();
    if (code == 0 || code == 12) break;
    hasty = seconds() - started > 1 ? 0 : hasty + (code == 111 ? 3 : 1);
    if (tries > 0 || hasty < 6) continue;
    long pause = 100L << (hasty < 12 ? hasty - 6 : 7); /* milliseconds: 0.1 s doubling to 12.8 s */
    struct timespec time = {pause / 1000, pause % 1000 * 1000000};
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    nanosleep(&time, NULL);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    end_if_stopped();
  }
  return code;
}
