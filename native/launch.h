/* Running the script of Node that lies beside a program of ours: acceptd.js or authup.js, as the account. */
#ifndef LAUNCH_H
#define LAUNCH_H
#include "base.h"

enum { UNPRIVILEGED = 65534 }; /* the ids that report an error when there is no account */

/* Puts the path of a file beside this program into path. */
void beside(char *path, size_t size, const char *name);
/* Runs the script beside this program; returns if that is not possible, with a line on stderr. */
void run_script(const char *name, char **argv);
#endif
