/* The clerk: knows which sessions there are, tells the watchers how they end, and has them ended. The server does none of this, since it
 * is root: the clerk has become the account, and can ask it for one thing only, to send a child of its own a signal. */
#define _GNU_SOURCE
#include "helper.h"
#include <sys/mman.h>
#include <sys/prctl.h>

enum { MAX_SESSIONS = 1000000, MAX_WATCHERS = 64 };
enum { KILL_TIME = 5000, TICK = 250 }; /* milliseconds from TERM to KILL; between looks at deadlines */

/* In an array of their own, since every exit searches all of them. */
static struct table {
  pid_t processes[MAX_SESSIONS]; /* the server's children */
  struct { pid_t backend; long deadline; char name[MAX_SESSION + 1]; } sessions[MAX_SESSIONS];
} *table;
static long count, killed; /* killed: with a deadline */
static struct { pid_t pid; int fd; } watchers[MAX_WATCHERS];
static int server;

static void order(pid_t pid, int signal)
{
  struct order order = {pid, signal};
  if (write(server, &order, sizeof order) != sizeof order) _exit(TEMPORARY);
}

static void let_go(int w)
{
  if (watchers[w].fd >= 0) close(watchers[w].fd);
  watchers[w].fd = -1;
}

/* One that leaves a pipe full of news unread waits for its reader, and would do so forever. */
static void tell(int w, const char *line, size_t length)
{
  if (watchers[w].fd < 0 || write(watchers[w].fd, line, length) == (ssize_t)length) return;
  order(watchers[w].pid, SIGKILL);
  let_go(w);
}

static void add_watcher(pid_t pid, int fd)
{
  int w = 0;
  while (w < MAX_WATCHERS && watchers[w].fd >= 0) w++;
  if (w == MAX_WATCHERS) return (void)close(fd);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  watchers[w].pid = pid;
  watchers[w].fd = fd;
  tell(w, "watching\n", 9);
}

static void end_session(const char *name)
{
  for (long i = 0; i < count; i++) {
    if (strcmp(table->sessions[i].name, name) != 0) continue;
    order(table->processes[i], SIGTERM);
    if (table->sessions[i].deadline == 0) table->sessions[i].deadline = now() + KILL_TIME, killed++;
  }
}

static void ended(pid_t pid, int status)
{
  char line[160];
  long i = count - 1;
  while (i >= 0 && table->processes[i] != pid) i--;
  for (int w = 0; w < MAX_WATCHERS; w++)
    if (watchers[w].pid == pid) let_go(w);
  if (i < 0) return;
  const char *how = WIFSIGNALED(status) ? "signal" : "exit";
  int code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
  int length = snprintf(line, sizeof line, "end %s %d %s %d\n", table->sessions[i].name, table->sessions[i].backend, how, code);
  for (int w = 0; w < MAX_WATCHERS; w++) tell(w, line, length);
  killed -= table->sessions[i].deadline != 0;
  table->processes[i] = table->processes[--count];
  table->sessions[i] = table->sessions[count];
}

static void look_at_deadlines(void)
{
  long time = now();
  for (long i = 0; i < count; i++) {
    if (table->sessions[i].deadline == 0 || table->sessions[i].deadline > time) continue;
    order(table->processes[i], SIGKILL);
    table->sessions[i].deadline = time + KILL_TIME;
  }
}

/* The next note, and the descriptor that a watcher sends with its own. */
static int receive(int notes, struct note *note, int *fd)
{
  union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control;
  struct iovec data = {note, sizeof *note};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
  ssize_t got = recvmsg(notes, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *head = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  *fd = -1;
  if (head != NULL && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) memcpy(fd, CMSG_DATA(head), sizeof *fd);
  return got == sizeof *note;
}

void keep_register(int notes, int up)
{
  struct pollfd on = {notes, POLLIN, 0};
  struct note note;
  int fd = -1;
  server = up;
  cache_close();
  prctl(PR_SET_NAME, "accept-clerk");
  table = mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (table == MAP_FAILED) _exit(TEMPORARY);
  memset(watchers, -1, sizeof watchers);
  for (;;) {
    if (killed == 0 || poll(&on, 1, TICK) > 0) {
      if (!receive(notes, &note, &fd)) _exit(TEMPORARY);
      note.session[MAX_SESSION] = '\0';
      if (note.kind == WATCHES) add_watcher(note.from, fd);
      if (note.kind == KILLS) end_session(note.session);
      if (note.kind == FORGETS) order(-1, 0);
      if (note.kind == ENDED) ended(note.from, note.status);
      if (note.kind == ACCEPTED && count < MAX_SESSIONS) {
        table->processes[count] = note.from;
        table->sessions[count].backend = note.pid;
        table->sessions[count].deadline = 0;
        memcpy(table->sessions[count++].name, note.session, sizeof note.session);
      }
    }
    if (killed > 0) look_at_deadlines();
  }
}
