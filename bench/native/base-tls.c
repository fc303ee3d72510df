/* base-tls PORT MOST CERTIFICATE KEY PROGRAM...: the baseline's parent where it has TLS, in the place of sslserver(1) or s6-tlsserver. For each
 * client on 127.0.0.1:PORT, at most MOST at once, a process shakes hands and starts PROGRAM, and carries between the client and its
 * descriptors 0 and 1, two pipes. Tickets are good for all of them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static SSL_CTX *context;
static char **program;
static unsigned children;

static void die(const char *what) {
  fprintf(stderr, "base-tls: %s\n", what);
  ERR_print_errors_fp(stderr);
  exit(111);
}

/* The descriptors that the chain reads and writes at its other ends. */
static pid_t start_chain(int *to, int *from) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) _exit(111);
  pid_t child = fork();
  if (child < 0) _exit(111);
  if (child == 0) {
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0) _exit(111);
    execvp(program[0], program);
    _exit(111);
  }
  close(in[0]);
  close(out[1]);
  *to = in[1];
  *from = out[0];
  return child;
}

static int write_all(int fd, const char *octets, size_t length) {
  while (length > 0) {
    ssize_t n = write(fd, octets, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    octets += n, length -= (size_t)n;
  }
  return 1;
}

/* One read of the client's. False when it has ended. */
static int from_client(SSL *ssl, int to) {
  static char octets[65536];
  do {
    int n = SSL_read(ssl, octets, sizeof octets);
    if (n <= 0 || !write_all(to, octets, (size_t)n)) return 0;
  } while (SSL_pending(ssl) > 0);
  return 1;
}

static void carry(int fd) {
  static char octets[65536];
  int one = 1, to, from;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  SSL *ssl = SSL_new(context);
  if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1) _exit(1);
  setenv("PROTO", "SSL", 1);
  setenv("TCPREMOTEIP", "127.0.0.1", 1);
  pid_t chain = start_chain(&to, &from);
  struct pollfd both[2] = {{.fd = fd, .events = POLLIN}, {.fd = from, .events = POLLIN}};
  for (;;) {
    if (poll(both, 2, -1) < 0 && errno != EINTR) break;
    if (both[1].revents) {
      ssize_t n = read(from, octets, sizeof octets);
      if (n <= 0 || SSL_write(ssl, octets, (int)n) <= 0) break;
    }
    if (both[0].revents && !from_client(ssl, to)) {
      close(to);
      both[0].fd = -1;
    }
  }
  SSL_shutdown(ssl);
  close(fd);
  close(from);
  waitpid(chain, NULL, 0);
  _exit(0);
}

static void reap(int options) {
  while (children > 0 && waitpid(-1, NULL, options) > 0) {
    children--;
    options = WNOHANG;
  }
}

static void nothing(int signal_number) {
  (void)signal_number;
}

int main(int argc, char **argv) {
  int one = 1, listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sigaction interrupts = {.sa_handler = nothing};
  if (argc < 6) die("usage: base-tls PORT MOST CERTIFICATE KEY PROGRAM...");
  unsigned most = (unsigned)atoi(argv[2]);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  program = argv + 5;
  signal(SIGPIPE, SIG_IGN);
  sigaction(SIGCHLD, &interrupts, NULL);
  context = SSL_CTX_new(TLS_server_method());
  if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) die("OpenSSL");
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
  if (SSL_CTX_use_certificate_chain_file(context, argv[3]) != 1) die("certificate");
  if (SSL_CTX_use_PrivateKey_file(context, argv[4], SSL_FILETYPE_PEM) != 1) die("key");
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (listening < 0 || bind(listening, (struct sockaddr *)&at, sizeof at) < 0 || listen(listening, 4096) < 0) die("listen");
  for (;;) {
    reap(WNOHANG);
    if (children >= most) reap(0);
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      die("accept");
    }
    pid_t child = fork();
    if (child == 0) {
      close(listening);
      carry(fd);
    }
    if (child > 0) children++;
    close(fd);
  }
}
