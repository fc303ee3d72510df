/* A watcher: passes the news of the clerk on, and takes orders to end a session. It reads what the account sends, and has no root rights:
 * it becomes the account before that, and nobody can look into it. */
#define _GNU_SOURCE
#include "helper.h"
#include <sys/prctl.h>

/* Gives the clerk the end of a pipe to write news into. */
static int announce(int news)
{
  struct note note = {.kind = WATCHES, .from = getpid()};
  union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = {0};
  struct iovec data = {&note, sizeof note};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof news);
  memcpy(CMSG_DATA(head), &news, sizeof news);
  return sendmsg(CLERK, &message, MSG_NOSIGNAL) == sizeof note;
}

/* A line of the account: kill SESSION, or forget. */
static void obey(const char *line)
{
  struct note note = {.kind = strcmp(line, "forget") == 0 ? FORGETS : KILLS};
  if (note.kind == KILLS && strncmp(line, "kill ", 5) != 0) _exit(0);
  if (note.kind == KILLS && strlen(line + 5) > MAX_SESSION) return; /* no session's name, and none is to end for its beginning */
  if (note.kind == KILLS) strcpy(note.session, line + 5);
  send(CLERK, &note, sizeof note, MSG_NOSIGNAL);
}

void watch(void)
{
  const struct account account = {.uid = config->account, .gid = config->group};
  char news[4096], line[8 + MAX_SESSION] = "";
  size_t have = 0;
  int pipes[2];
  alarm(0);
  cache_close();
  if ((privileged && !become(&account)) || prctl(PR_SET_DUMPABLE, 0) != 0 || pipe2(pipes, O_CLOEXEC) != 0 || !announce(pipes[1]))
    refuse("busy", MISUSED);
  decided();
  close(pipes[1]);
  ssize_t got = read(pipes[0], news, sizeof news);
  if (got <= 0) refuse("busy", MISUSED); /* there are too many */
  struct pollfd on[] = {{STREAM, POLLIN, 0}, {pipes[0], POLLIN, 0}};
  while (got > 0 && send(STREAM, news, got, MSG_NOSIGNAL) == got) {
    while (poll(on, 2, -1) >= 0 && on[0].revents != 0) {
      if ((got = recv(STREAM, line + have, sizeof line - have, MSG_DONTWAIT)) <= 0) _exit(0);
      have += got;
      for (char *lf; (lf = memchr(line, '\n', have)) != NULL; have -= lf + 1 - line, memmove(line, lf + 1, have)) {
        *lf = '\0';
        obey(line);
      }
      if (have == sizeof line) _exit(0);
    }
    got = read(pipes[0], news, sizeof news);
  }
  _exit(0);
}
