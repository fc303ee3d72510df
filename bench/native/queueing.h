/* A message for a queue program with the interface of qmail-queue(8): the message on its descriptor 0, then on descriptor 1 the envelope,
 * F sender NUL (T recipient NUL)... NUL. */
#ifndef QUEUEING_H
#define QUEUEING_H
#include <stdbool.h>
#include <stddef.h>

void queueing_sender(const char *mail);       /* MAIL FROM:<...> as it was written */
void queueing_recipient(const char *rcpt);
void queueing_open(char **program);
void queueing_write(const char *octets, size_t length);
bool queueing_close(void); /* the program has taken it */
#endif
