/* What a client says, as it is. */
#include <sys/socket.h>
#include <unistd.h>

#include "loadgen.h"

const bool wire_is_tls = false;

bool wire_start(struct client *c) {
  (void)c;
  return false; /* the server speaks first, so a readable socket is a connected one */
}

ssize_t wire_read(struct client *c, char *to, size_t room) {
  return read(c->fd, to, room);
}

ssize_t wire_write(struct client *c, const char *from, size_t length) {
  return send(c->fd, from, length, MSG_NOSIGNAL);
}

bool wire_pending(const struct client *c) {
  (void)c;
  return false;
}

void wire_end(struct client *c) {
  (void)c;
}
