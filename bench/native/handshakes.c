/* TLS by itself, for the row `tls`: a client that shakes hands again and again, and a server that does nothing else.
 *
 *   handshakes dial PORT CLIENTS COUNT full|resumed|plain    prints {"handshakes":N,"resumed":N,"seconds":S}
 *   handshakes hold PORT COUNT tls|plain               prints "held" once all have been greeted, and holds them until its input ends
 *   handshakes serve PORT CERTIFICATE KEY              greets each client in TLS, one after the other, until it is ended; without
 *                                                      TLS for `plain -`
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static SSL_CTX *context;
static int port;
static int resume;
static int plain;
static int each;
static atomic_int resumed;

static void die(const char *what) {
  fprintf(stderr, "handshakes: %s\n", what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

static struct sockaddr_in address(void) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return to;
}

/* A greeting after tickets would wait for a delayed acknowledgement of these. */
static int undelayed(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static int dial(void) {
  struct sockaddr_in to = address();
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
  return undelayed(fd);
}

/* After a handshake and the greeting. */
static SSL *greeted(int fd, SSL_SESSION *before) {
  char line[512];
  SSL *ssl = SSL_new(context);
  if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) die("SSL_new");
  if (before != NULL) SSL_set_session(ssl, before);
  if (SSL_connect(ssl) != 1) die("SSL_connect");
  if (SSL_read(ssl, line, sizeof line) <= 0) die("no greeting");
  return ssl;
}

static void *clients(void *unused) {
  SSL_SESSION *session = NULL;
  char rest[512];
  (void)unused;
  for (int n = 0; n < each; n++) {
    int fd = dial();
    if (plain) {
      if (read(fd, rest, sizeof rest) <= 0) die("no greeting");
      shutdown(fd, SHUT_WR);
      while (read(fd, rest, sizeof rest) > 0) continue;
      close(fd);
      continue;
    }
    SSL *ssl = greeted(fd, session);
    if (SSL_session_reused(ssl)) resumed++;
    /* Tickets may come after the greeting: to the end. */
    SSL_shutdown(ssl);
    while (SSL_read(ssl, rest, sizeof rest) > 0) continue;
    if (resume) {
      SSL_SESSION_free(session);
      session = SSL_get1_session(ssl);
    }
    ERR_clear_error();
    SSL_free(ssl);
    close(fd);
  }
  SSL_SESSION_free(session);
  return NULL;
}

static void dial_all(int threads, int count) {
  struct timespec from, to;
  pthread_t *all = calloc((size_t)threads, sizeof *all);
  if (all == NULL) die("memory");
  each = count / threads;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < threads; i++)
    if (pthread_create(&all[i], NULL, clients, NULL) != 0) die("pthread_create");
  for (int i = 0; i < threads; i++) pthread_join(all[i], NULL);
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("{\"handshakes\":%d,\"resumed\":%d,\"seconds\":%f}\n", each * threads, resumed,
         (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
  free(all);
}

static void hold(int count, int tls) {
  char line[512];
  for (int i = 0; i < count; i++) {
    int fd = dial();
    if (tls) greeted(fd, NULL);
    else if (read(fd, line, sizeof line) <= 0) die("no greeting");
  }
  puts("held");
  fflush(stdout);
  while (read(0, line, sizeof line) > 0) continue;
}

static void serve(const char *certificate, const char *key) {
  static const char greeting[] = "220 bench.invalid ESMTP\r\n";
  struct sockaddr_in at = address();
  char rest[512];
  int one = 1;
  int listening = socket(AF_INET, SOCK_STREAM, 0), in_tls = strcmp(certificate, "plain") != 0;
  if (in_tls && SSL_CTX_use_certificate_chain_file(context, certificate) != 1) die("certificate");
  if (in_tls && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) die("key");
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listening, (struct sockaddr *)&at, sizeof at) != 0 || listen(listening, 4096) != 0) die("listen");
  puts("listening");
  fflush(stdout);
  for (;;) {
    int fd = accept(listening, NULL, NULL);
    if (!in_tls && write(undelayed(fd), greeting, sizeof greeting - 1) > 0) {
      while (read(fd, rest, sizeof rest) > 0) continue;
      close(fd);
      continue;
    }
    SSL *ssl = SSL_new(context);
    if (fd < 0 || ssl == NULL) die("accept");
    SSL_set_fd(ssl, undelayed(fd));
    if (SSL_accept(ssl) == 1 && SSL_write(ssl, greeting, sizeof greeting - 1) > 0)
      while (SSL_read(ssl, rest, sizeof rest) > 0) continue;
    ERR_clear_error();
    SSL_free(ssl);
    close(fd);
  }
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  if (argc < 5) die("usage: handshakes dial|hold|serve PORT ...");
  int serves = strcmp(argv[1], "serve") == 0;
  context = SSL_CTX_new(serves ? TLS_server_method() : TLS_client_method());
  if (context == NULL) die("SSL_CTX_new");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  port = atoi(argv[2]);
  if (serves) serve(argv[3], argv[4]);
  else if (strcmp(argv[1], "hold") == 0) hold(atoi(argv[3]), strcmp(argv[4], "tls") == 0);
  else if (argc > 5) {
    resume = strcmp(argv[5], "resumed") == 0;
    plain = strcmp(argv[5], "plain") == 0;
    dial_all(atoi(argv[3]), atoi(argv[4]));
  }
  return 0;
}
