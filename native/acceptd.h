/* The two halves of acceptd: what may be root (acceptd.c), and what it does as the account (serve.c). */
#ifndef ACCEPTD_H
#define ACCEPTD_H
#include "base.h"

extern int root;             /* it was started by root */
extern const char *run;      /* the directory of the control sockets */
extern gid_t run_group;      /* whose it is; NO_ID if there is no status group, which may pass through it */
extern char problem[];       /* why there is no account; acceptd.js says it */

_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Plans, binds, and stays for as long as acceptd.js serves. SIGHUP is blocked. */
_Noreturn void serve(char **argv);
#endif
