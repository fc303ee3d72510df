/* What the files of accept-helper share. START HERE, then chains.c (what may run), accept-helper.c (who may ask, and when),
 * login.c (what a login becomes), verify.c (whose password it is), handover.c (the step to the backend), say.c (its log). */
#ifndef HELPER_H
#define HELPER_H
#include "close.h"
#include "say.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_CHAINS = 64, MAX_WORDS = 64, MAX_CREDENTIALS = 512, MOST_CREDENTIALS = 16384, MAX_REQUEST = 65536, MAX_VARIABLES = 128, MAX_SESSION = 64 };
enum { REFUSED = 1, MISUSED = 2, TEMPORARY = 111 }; /* exit codes of checkpassword(8) */
#define MAX_ID 0xfffffffeL /* a larger number is another id to the kernel */
#define NOBODY ((uid_t)-1)                          /* no uid, or no gid, is named */

/* One chain of the chains file; every pointer is into the text of that file. */
struct chain {
  char *name;
  int guest; /* runs as uid, gid; asks for no password */
  int certificate; /* the daemon has seen one of the user's; asks for no password */
  uid_t uid;
  gid_t gid;
  char **checkpassword; /* argv; of a builtin one only [0] "builtin" and [1], its file or NULL for /etc/shadow; NULL of a guest */
  char **backend;
  char *set[MAX_WORDS]; /* NAME=VALUE, each name once */
  int sets, line;
  long credentials; /* bytes that its checkpassword reads */
};

struct config {
  struct chain chains[MAX_CHAINS];
  int count;
  uid_t account;
  gid_t group; /* of the socket's folder */
  char *socket;
  long minimum, processes, attempts, timeout;
};

/* In the lock file, so that starting again gives no more attempts; shared by all processes of a helper. */
struct shared {
  unsigned long attempts; /* the second in the upper 32 bits, its attempts in the lower */
  unsigned lost;          /* log lines */
};

struct account {
  uid_t uid;
  gid_t gid, groups[64];
  int ngroups;
  char home[256], shell[256];
};

/* chains.c */
enum { LINKS = 1, MAKE = 2 };
/* Opens a path whose every component belongs to root and can be written by root only. LINKS: symbolic links are followed, and what
 * they lead through is held to the same. MAKE: makes missing folders. -1 with errno and a sentence in *why. */
int open_trusted(const char *path, int how, const char **why);
/* Reads a chains file, a trusted one if we are privileged; says every error as FILE:LINE: problem; NULL if there was one. To be freed as one. */
struct config *config_read(const char *path);
const struct chain *config_chain(const struct config *c, const char *name);
/* Of a chain or a session; and of a socket. */
int is_name(const char *word);
int is_path(const char *word);
/* Whether both are of the same name. */
int same_variable(const char *a, const char *b);
/* Whether the daemon may send this NAME=VALUE for the environment of a chain. */
int variable_allowed(const char *variable);

/* login.c: what a login's process tells the server. */
enum report_kind { ACCEPTED, REFUSAL, WATCH, KILL };
struct report {
  enum report_kind kind;
  pid_t from, pid; /* pid: of the backend */
  char session[MAX_SESSION + 1];
};
/* The server's; a login only reads them. */
extern struct config *config;
extern struct shared *shared;
extern char checknotroot[];
extern int privileged, listener; /* listener: -1 if the caller brought the stream */
extern long running;
/* Milliseconds of the monotonic clock. */
long now(void);
/* The process of one connection: reads a request from stream and becomes what that asks for. Reports go to up; down brings an octet
 * when the server has let go of stream, and then, to a watcher, its news. */
_Noreturn void login(int stream, int up, int down);

/* verify.c: 0, or an exit code with a line in the log. file NULL is /etc/shadow with /etc/passwd; password NULL: a certificate will do. */
int verify(const char *file, const char *user, const char *password, struct account *account);
/* Becomes the account, for good, and enters its home. */
int become(const struct account *account);
/* Cuts user NUL password NUL timestamp NUL; 0 unless it is exactly that. */
int split_credentials(char *bytes, size_t length, char *fields[3]);

/* handover.c: NULL if this process is not root and can run the backend, where there is one; else the answer for the login. minimum 0:
 * the helper has no privileges, and a group 0 is no concern. */
const char *unfit(uid_t minimum, char **backend);
/* Writes the accepting line to stream; 0 if it could not. */
int say_accepted(int stream);
_Noreturn void run_backend(int stream, char **backend);

#endif
