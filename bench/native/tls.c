/* The same in TLS 1.3, with P-256 for the key exchange; no certificate is verified. With --tls resumed a client begins each session after
 * its first with the ticket of the one before. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>

#include "loadgen.h"

const bool wire_is_tls = true;
static SSL_CTX *context;

static int keep_ticket(SSL *ssl, SSL_SESSION *session) {
  struct client *c = SSL_get_app_data(ssl);
  SSL_SESSION_free(c->ticket);
  c->ticket = session;
  return 1;
}

static void prepare(void) {
  context = SSL_CTX_new(TLS_client_method());
  if (!context || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 || SSL_CTX_set1_groups_list(context, "P-256:X25519") != 1) {
    fprintf(stderr, "loadgen: OpenSSL cannot do TLS 1.3 with P-256\n");
    exit(1);
  }
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (!plan.resume) return;
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, keep_ticket);
}

bool wire_start(struct client *c) {
  if (!context) prepare();
  SSL *ssl = SSL_new(context);
  if (!ssl || SSL_set_fd(ssl, c->fd) != 1) abort();
  SSL_set_app_data(ssl, c);
  SSL_set_connect_state(ssl);
  if (plan.resume && c->ticket) SSL_set_session(ssl, c->ticket);
  c->secured = ssl;
  return true;
}

static void count_handshake(const SSL *ssl, bool was_there) {
  if (was_there || !SSL_is_init_finished(ssl)) return;
  tally.handshakes++;
  if (SSL_session_reused(ssl)) tally.resumed++;
}

static ssize_t outcome(SSL *ssl, int result) {
  if (result > 0) return result;
  int error = SSL_get_error(ssl, result), system = errno;
  ERR_clear_error();
  errno = EAGAIN;
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return -1;
  if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && system == 0)) return 0;
  errno = error == SSL_ERROR_SYSCALL ? system : EPROTO;
  return -1;
}

ssize_t wire_read(struct client *c, char *to, size_t room) {
  bool there = SSL_is_init_finished(c->secured);
  errno = 0;
  int result = SSL_read(c->secured, to, (int)room);
  ssize_t n = outcome(c->secured, result);
  int kept = errno;
  count_handshake(c->secured, there);
  errno = kept;
  return n;
}

ssize_t wire_write(struct client *c, const char *from, size_t length) {
  errno = 0;
  return outcome(c->secured, SSL_write(c->secured, from, (int)(length > 1 << 30 ? 1 << 30 : length)));
}

bool wire_pending(const struct client *c) {
  return SSL_pending(c->secured) > 0;
}

void wire_end(struct client *c) {
  if (!c->secured) return;
  /* It has ended as it should: its ticket is good for another. */
  SSL_set_shutdown(c->secured, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(c->secured);
  c->secured = NULL;
}
