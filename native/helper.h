/* What the files of accept-helper share. START HERE, then chains.c (what may run), accept-helper.c (who may ask, how it runs),
 * verify.c (whose password it is), handover.c (the step from login to backend). */
#ifndef HELPER_H
#define HELPER_H
#include <stddef.h>
#include <sys/types.h>

enum { MAX_CHAINS = 64, MAX_WORDS = 64, MAX_CREDENTIALS = 512, MAX_REQUEST = 65536, MAX_VARIABLES = 128 };
enum { REFUSED = 1, MISUSED = 2, TEMPORARY = 111 }; /* exit codes of checkpassword(8) */

/* One chain of the chains file; every pointer is into the text of that file. */
struct chain {
  char *name;
  int guest; /* runs as uid, gid; asks for no password */
  uid_t uid;
  gid_t gid;
  char **checkpassword; /* argv; NULL for a guest or when it is built in */
  int builtin;
  char *passwords; /* the file of a built-in checkpassword; NULL is /etc/shadow */
  char **backend;
  char *set[MAX_WORDS + 1]; /* NAME=VALUE */
  int sets, line;
};

struct config {
  char *text, **words;
  struct chain chains[MAX_CHAINS];
  int count;
  uid_t account, minimum;
  gid_t group;
  int named; /* bits: an account line, a group line */
  char *socket;
  long processes, attempts, timeout;
};

/* Opens a path whose every component belongs to root and can be written by root only; no symbolic links. mkdirs makes what is
 * missing and the last component is a directory. -1 and a sentence in *why. */
int open_trusted(const char *path, int mkdirs, const char **why);
/* Reads a chains file, trusted or any; prints every error as FILE:LINE: problem; NULL if there was one. */
struct config *config_read(const char *path, int privileged);
void config_free(struct config *config);
const struct chain *config_chain(const struct config *config, const char *name);
/* 1 if the daemon may send this NAME=VALUE for the environment of a chain; -1 if it holds control characters. */
int variable_allowed(const char *variable);

struct account {
  uid_t uid;
  gid_t gid, groups[64];
  int ngroups;
  char home[256], shell[256];
};
/* 0 accepted, REFUSED, or TEMPORARY with a line on stderr. file NULL is /etc/shadow with /etc/passwd. */
int verify(const char *file, const char *user, const char *password, struct account *account);
/* Becomes the account, for good, and enters its home. 0, or TEMPORARY with a line on stderr. */
int become(const struct account *account);
/* Cuts user NUL password NUL timestamp NUL; 0 unless it is exactly that. */
int split_credentials(char *bytes, size_t length, char *fields[3]);

/* The end of every chain: refuses root, writes the accepting line to stream, a byte to status, runs the backend on stream.
 * minimum 0 says that the helper has no privileges: then a group 0 is no concern. */
_Noreturn void hand_over(int stream, int status, uid_t minimum, char **backend);

#endif
