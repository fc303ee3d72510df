/* What acceptd and authup have in common: both start as root, and no Node process ever does. They find an account, become it, and run the
 * script that is theirs: acceptd.js or authup.js beside them. */
#ifndef LAUNCH_H
#define LAUNCH_H
#include <stddef.h>
#include <sys/types.h>

enum { UNPRIVILEGED = 65534 }; /* the ids of whoever says what is wrong, where there is no account to say it */
struct ids { uid_t uid; gid_t gid; };

/* A name of /etc/passwd, or a number, which is its own group where /etc/passwd does not know it. */
enum found { FOUND, UNKNOWN, IS_ROOT } find_account(const char *name, struct ids *ids);
/* A name of /etc/group, or a number; 0 if there is none. */
int find_group(const char *name, gid_t *gid);
/* For good, or it ends the process with a line on stderr. */
void become(const struct ids *ids, const gid_t *groups, size_t count);
/* Puts the path of a file beside this program into path. */
void beside(char *path, size_t size, const char *name);
/* Runs the script beside this program; returns if that is not possible, with a line on stderr. */
void run_script(const char *name, char **argv);
#endif
