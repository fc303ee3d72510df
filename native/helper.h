/* What the files of accept-helper share. START HERE, then chains.c (what may run), accept-helper.c (who may ask, and when),
 * login.c (what a login becomes), verify.c (whose password it is), handover.c (the step to the backend), say.c (its log); and, without
 * root rights, clerk.c (which sessions there are) and watch.c (who wants to know). */
#ifndef HELPER_H
#define HELPER_H
#include "base.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#if __has_include(<crypt.h>)
#include <crypt.h>
#endif
#ifdef NO_CRYPT /* Debian has taken it out of musl */
#define crypt(password, hash) ((void)(password), (void)(hash), say("checkpassword: built without crypt(3)\n"), NULL)
#endif

enum { MAX_CHAINS = 64, MAX_WORDS = 64, MAX_CREDENTIALS = 512, MOST_CREDENTIALS = 16384, MAX_REQUEST = 65536, MAX_SESSION = 64 };
enum { MAX_HASH = 64 }; /* of the cache */
enum { REFUSED = 1, MISUSED = 2, TEMPORARY = 111 }; /* exit codes of checkpassword(8) */
enum { STREAM = 10, STATUS, UP, DOWN, CLERK };      /* descriptors of a login; a chain inherits the first two */

/* One chain of the chains file; every pointer is into the text of that file. */
struct chain {
  char *name;
  const char *kind; /* what asks for it: auth, guest, or certificate, which the daemon has seen; the last two without a password */
  uid_t uid; /* a guest's */
  gid_t gid;
  char **checkpassword; /* argv; of a builtin one only [0] "builtin" and [1], its file or NULL for /etc/shadow; NULL of a guest */
  char **backend;
  char *set[MAX_WORDS]; /* NAME=VALUE, each name once */
  int sets, line;
  long credentials; /* bytes that its checkpassword reads */
  long verified;    /* seconds for which a verified password need not be hashed again */
};

struct config {
  struct chain chains[MAX_CHAINS];
  int count;
  uid_t account;
  gid_t group; /* of the socket's folder */
  char *socket, *text;
  long minimum, processes, attempts, timeout;
  char *words[];
};

/* In the lock file, so that starting again gives no more attempts; shared by all processes of a helper. */
struct shared {
  unsigned long attempts; /* the second in the upper 32 bits, its attempts in the lower */
  unsigned lost;          /* log lines */
};

/* What the clerk is told: by a login that it was accepted or became a watcher, by a watcher what to end
 * or that verified passwords are to be forgotten, by the server what has ended. */
struct note {
  enum { ACCEPTED, WATCHES, KILLS, FORGETS, ENDED } kind;
  pid_t from, pid; /* the server's child; the backend */
  int status;      /* as of waitpid(2) */
  char session[MAX_SESSION + 1];
};
/* What the server is told: of no pid, that a login is decided; by the clerk, what child of its to send a signal, or of -1, to forget. */
struct order { pid_t pid; int signal; };

/* chains.c */
enum { LINKS = 1, MAKE = 2 };
/* Opens a path whose every component belongs to root and can be written by root only. LINKS: symbolic links are followed, and what
 * they lead through is held to the same. MAKE: makes missing folders, the last one root:GROUP 0750. -1 with a sentence in *why. */
int open_trusted(const char *path, int how, const char **why);
/* Reads a chains file, a trusted one if we are privileged; says every error as FILE:LINE: problem; NULL if there was one. */
struct config *config_read(const char *path);
void config_free(struct config *c);
const struct chain *config_chain(const struct config *c, const char *name);
/* Of a chain or a session; and of a socket. */
int is_name(const char *word);
int is_path(const char *word);
/* Whether the daemon may send this NAME=VALUE for the environment of a chain. */
int variable_allowed(const char *variable);

/* accept-helper.c; a login only reads them. */
extern struct config *config;
extern struct shared *shared;
extern char checknotroot[];
extern int privileged, serving; /* serving: the stream is that of a client of the server, not of the program that started us */
extern long running;

/* login.c: the process of one connection reads a request from stream and becomes what that asks for. It tells up when that
 * is decided; down brings one when the server has let go of stream. Notes go to clerk. */
_Noreturn void login(int stream, int up, int down, int clerk);
/* Answers and ends. */
_Noreturn void refuse(const char *answer, int code);
int decided(void);

/* Without root rights. Both stay. */
_Noreturn void keep_register(int notes, int up);
_Noreturn void watch(void);

/* verify.c: 0, or an exit code with a line in the log. file NULL is /etc/shadow with /etc/passwd; password NULL: a certificate will do.
 * seconds: for how long a password need not be hashed again. */
int verify(const char *file, const char *user, const char *password, long seconds, struct account *account);
/* Becomes the account and enters its home. */
int enter(const struct account *account);
/* Cuts user NUL password NUL timestamp NUL; 0 unless it is exactly that. */
int split_credentials(char *bytes, size_t length, char *fields[3]);

/* cache.c. The monitor opens it, and who is not root any more closes it; without it nothing is known. */
void cache_open(void);
void cache_close(void);
void cache_forget(void);
/* Notes how the password file is, before it is read: another one forgets what it has verified. */
void cache_begin(const char *path);
/* What stands for user, password and their hash in that file; 0, and nothing, if there is nothing. */
int cache_hash(char hash[MAX_HASH], const char *user, const char *password, const char *its);
int cache_has(const char *hash, long seconds);
void cache_add(const char *hash);

/* handover.c: NULL if this process is not root and can run the backend, where there is one; else the answer for the login. minimum 0:
 * the helper has no privileges, and a group 0 is no concern. */
const char *unfit(uid_t minimum, char **backend);
/* Writes the accepting line to stream, which is the backend's then. */
_Noreturn void run_backend(int stream, char **backend);

#endif
