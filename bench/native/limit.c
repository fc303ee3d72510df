/* limit dialogue|hash|exec PORT PROCESSES USERS [PROGRAM ARGUMENT...]: the least that a server can do for a session of loadgen, as the bound
 * for what this machine can do at all. PROCESSES processes with epoll share a listener on 127.0.0.1.
 *
 *   dialogue   answers EHLO, AUTH PLAIN, MAIL, RCPT, DATA and QUIT; any password is right
 *   hash       the same, and the password is hashed as the line of its user in USERS says (user:hash:uid:gid:...)
 *   exec       the same, and PROGRAM is forked and executed as the user, with the client on its descriptors 0 and 1; it has to serve
 *              the rest of the session without a greeting
 *
 * It reads SMTP as loadgen writes it: commands in capitals, AUTH PLAIN with an initial response. No limits, no timeouts, no log. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE = 2000, CHUNK = 131072, EVENTS = 256 };

struct connection {
  int fd;
  bool in_message;
  size_t length; /* of what has been read of a command, or the last four octets of a message */
  char held[LINE];
};

struct user {
  char *hash;
  uid_t uid;
  gid_t gid;
};

static enum { DIALOGUE, HASH, EXEC } mode;
static struct user *users;
static size_t user_count;
static char **program;
static int poller;
static char chunk[LINE + CHUNK];

static void die(const char *what) {
  fprintf(stderr, "limit: %s: %s\n", what, strerror(errno));
  exit(111);
}

/* userN is line N. */
static void read_users(const char *path) {
  char *line = NULL, *hash, *field;
  size_t room = 0;
  FILE *file = fopen(path, "re");
  if (file == NULL) die(path);
  while (getline(&line, &room, file) > 0) {
    char *rest = line;
    users = realloc(users, (user_count + 1) * sizeof *users);
    if (users == NULL) die("users");
    strsep(&rest, ":");
    hash = strsep(&rest, ":");
    field = strsep(&rest, ":");
    if (hash == NULL || field == NULL || rest == NULL) die("a line of users");
    users[user_count].hash = strdup(hash);
    users[user_count].uid = (uid_t)strtoul(field, NULL, 10);
    users[user_count++].gid = (gid_t)strtoul(rest, NULL, 10);
  }
  free(line);
  fclose(file);
}

static size_t unbase64(const char *text, char *to, size_t room) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned long bits = 0;
  unsigned have = 0;
  size_t length = 0;
  for (const char *digit; *text && (digit = strchr(digits, *text)) && length + 1 < room; text++) {
    bits = bits << 6 | (unsigned long)(digit - digits);
    if ((have += 6) < 8) continue;
    have -= 8;
    to[length++] = (char)(bits >> have & 0xff);
  }
  to[length] = 0;
  return length;
}

/* NULL: refused. */
static const struct user *verified(const char *coded) {
  char plain[300];
  size_t length = unbase64(coded, plain, sizeof plain), name = strlen(plain) + 1;
  size_t password = name < length ? name + strlen(plain + name) + 1 : length;
  if (password >= length || strncmp(plain + name, "user", 4) != 0) return NULL;
  unsigned long number = strtoul(plain + name + 4, NULL, 10);
  if (number >= user_count) return NULL;
  const char *hash = crypt(plain + password, users[number].hash);
  return hash != NULL && strcmp(hash, users[number].hash) == 0 ? &users[number] : NULL;
}

static void run_as(const struct user *who, int fd) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (getuid() == 0 && (setgroups(1, &who->gid) < 0 || setgid(who->gid) < 0 || setuid(who->uid) < 0)) _exit(111);
  if (dup2(fd, 0) < 0 || dup2(fd, 1) < 0) _exit(111);
  execv(program[0], program);
  _exit(111);
}

static void hand_over(const struct user *who, int fd) {
  epoll_ctl(poller, EPOLL_CTL_DEL, fd, NULL);
  fcntl(fd, F_SETFL, 0);
  if (vfork() == 0) run_as(who, fd);
}

/* The reply; NULL: the connection belongs to another process. */
static const char *log_in(int fd, const char *coded) {
  const struct user *who = mode == DIALOGUE ? NULL : verified(coded);
  if (mode != DIALOGUE && who == NULL) return "535 no\r\n";
  if (mode != EXEC) return "235 ok\r\n";
  if (send(fd, "235 ok\r\n", 8, MSG_NOSIGNAL) == 8) hand_over(who, fd);
  return NULL;
}

/* Likewise. */
static const char *reply(struct connection *c, const char *line) {
  switch (line[0]) {
    case 'E': return "250-limit.invalid\r\n250 AUTH PLAIN\r\n";
    case 'M': case 'R': return "250 ok\r\n";
    case 'D': c->in_message = true; return "354 go ahead\r\n";
    case 'Q': return "221 limit.invalid\r\n";
    case 'A':
      return strncmp(line, "AUTH PLAIN ", 11) == 0 ? log_in(c->fd, line + 11) : "504 no\r\n";
    default: return "502 no\r\n";
  }
}

static bool say(int fd, const char *text) {
  size_t length = strlen(text);
  return send(fd, text, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static void keep(struct connection *c, const char *from, size_t length) {
  if (length > LINE) length = LINE;
  memmove(c->held, from, length);
  c->length = length;
}

/* False: the connection has ended, or has gone to another process. */
static bool serve(struct connection *c) {
  memcpy(chunk, c->held, c->length);
  ssize_t n = read(c->fd, chunk + c->length, CHUNK);
  if (n <= 0) return n < 0 && errno == EAGAIN;
  char *at = chunk, *end = chunk + c->length + n;
  for (;;) {
    if (c->in_message) {
      char *dot = memmem(at, (size_t)(end - at), "\r\n.\r\n", 5);
      if (dot == NULL) {
        size_t rest = end - at < 4 ? (size_t)(end - at) : 4;
        keep(c, end - rest, rest);
        return true;
      }
      c->in_message = false;
      at = dot + 5;
      if (!say(c->fd, "250 taken\r\n")) return false;
    }
    char *line = at, *feed = memchr(at, '\n', (size_t)(end - at));
    if (feed == NULL) {
      keep(c, at, (size_t)(end - at));
      return true;
    }
    *feed = 0;
    at = feed + 1;
    const char *text = reply(c, line);
    if (text == NULL || !say(c->fd, text) || line[0] == 'Q') return false;
  }
}

static void greet(int listener) {
  int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  struct connection *c = malloc(sizeof *c);
  if (c == NULL) die("memory");
  c->fd = fd, c->in_message = false, c->length = 0;
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  say(fd, "220 limit.invalid ESMTP\r\n");
}

static void work(int listener) {
  static struct epoll_event events[EVENTS];
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  int children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  struct epoll_event of_listener = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL};
  struct epoll_event of_children = {.events = EPOLLIN, .data.ptr = &child};
  poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0 || children < 0) die("epoll");
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &of_listener);
  epoll_ctl(poller, EPOLL_CTL_ADD, children, &of_children);
  for (;;) {
    int n = epoll_wait(poller, events, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (c == NULL) {
        greet(listener);
      } else if ((void *)c == &child) {
        struct signalfd_siginfo info;
        if (read(children, &info, sizeof info) > 0)
          while (waitpid(-1, NULL, WNOHANG) > 0) continue;
      } else if (!serve(c)) {
        close(c->fd);
        free(c);
      }
    }
  }
}

static int listening(const char *port) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4096) < 0) die("listen");
  return fd;
}

int main(int argc, char **argv) {
  static const char *const modes[] = {"dialogue", "hash", "exec"};
  struct rlimit files;
  sigset_t child;
  unsigned which = 0;
  while (argc > 4 && which < 3 && strcmp(argv[1], modes[which]) != 0) which++;
  if (argc < 5 || which == 3 || (which == EXEC && argc < 6)) {
    fprintf(stderr, "limit: usage: limit dialogue|hash|exec PORT PROCESSES USERS [PROGRAM ARGUMENT...]\n");
    return 1;
  }
  mode = which;
  program = argv + 5;
  read_users(argv[4]);
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  int fd = listening(argv[2]);
  pid_t parent = getpid();
  for (int n = atoi(argv[3]); n > 1; n--) {
    if (fork() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) return 0;
    break;
  }
  sigprocmask(SIG_BLOCK, &child, NULL);
  work(fd);
}
