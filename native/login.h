/* A login between its server (accept-helper.c) and its own process (login.c). */
#ifndef LOGIN_H
#define LOGIN_H
#include "helper.h"
#include <limits.h>

enum { STREAM = 10, STATUS = 11, MAX_SESSION = 64 }; /* the descriptors that a chain inherits */

/* The server's; a login only reads them, but for the attempts. */
extern int privileged;
extern char checknotroot[PATH_MAX + 16];
extern struct config *config;
extern long running;
extern struct attempts { long second, count; } *attempts; /* in a file that outlives us: starting us again gives no more of them */
/* Milliseconds of the monotonic clock. */
long now(void);

/* The chain that a request names; NULL if there is none of that name, or not all of the request has come: reading it could wait. */
const struct chain *chain_asked_for(int stream);
/* Starts a process that reads its request from stream and becomes what that asks for; -1 and errno if there is none. */
pid_t start_login(int stream, int status);
#endif
