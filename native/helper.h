/* What the files of accept-helper share. START HERE, then chains.c (what may run), accept-helper.c (who may ask, and when),
 * login.c (what a login becomes), handover.c (the step from login to backend), and verify.c (whose password it is). */
#ifndef HELPER_H
#define HELPER_H
#include <stddef.h>
#include <sys/types.h>

enum { MAX_CHAINS = 64, MAX_WORDS = 64, MAX_CREDENTIALS = 512, MAX_REQUEST = 65536, MAX_VARIABLES = 128 };
#define NOBODY ((uid_t)-1) /* no uid, or no gid, is named */
enum { REFUSED = 1, MISUSED = 2, TEMPORARY = 111 }; /* exit codes of checkpassword(8) */

/* One chain of the chains file; every pointer is into the text of that file. */
struct chain {
  char *name;
  int guest; /* runs as uid, gid; asks for no password */
  uid_t uid;
  gid_t gid;
  char **checkpassword; /* argv; of a builtin one only [0] "builtin" and [1], its file or NULL for /etc/shadow; NULL of a guest */
  char **backend;
  char *set[MAX_WORDS]; /* NAME=VALUE */
  int sets, line;
};

struct config {
  struct chain chains[MAX_CHAINS];
  int count;
  uid_t account;
  gid_t group; /* of the socket's folder */
  char *socket;
  long minimum, processes, attempts, timeout;
};

/* Opens a path whose every component belongs to root and can be written by root only; no symbolic links. mkdirs makes what is
 * missing. -1 and a sentence in *why. */
int open_trusted(const char *path, int mkdirs, const char **why);
/* Reads a chains file, trusted or any; prints every error as FILE:LINE: problem; NULL if there was one. To be freed as one. */
struct config *config_read(const char *path, int privileged);
int runs_checkpassword(const struct chain *chain);
const struct chain *config_chain(const struct config *config, const char *name);
/* Whether the daemon may send this NAME=VALUE for the environment of a chain. */
int variable_allowed(const char *variable);

/* The end of every chain: refuses root, writes the accepting line to stream and a byte to status, runs the backend on stream.
 * minimum 0 says that the helper has no privileges: then a group 0 is no concern. */
_Noreturn void hand_over(int stream, int status, uid_t minimum, char **backend);
/* The same, if argv is checknotroot --acceptd STREAM STATUS MINUID -- prog [ arg ... ]; returns if it is not. */
void hand_over_if_asked(int argc, char **argv);
#endif
