/* blocking-tls CERTIFICATE KEY prog [ arg ... ]: a UCSPI-TLS parent on a port of 127.0.0.1, which it prints first. It handshakes as
 * s6-ucspitlsd does, in a process of its own, with blocking reads and writes on the open file that prog has on 0 and 1, where a
 * read that would block is the end. prog gets SSLCTLFD, SSLREADFD and SSLWRITEFD. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
  perror(what);
  exit(111);
}

static void check(int ok, const char *what)
{
  if (!ok) die(what);
}

static SSL *handshake(int client, const char *certificate, const char *key)
{
  SSL_CTX *context = SSL_CTX_new(TLS_server_method());
  check(context != NULL && SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
          SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1, "certificate");
  SSL *tls = SSL_new(context);
  check(tls != NULL && SSL_set_fd(tls, client) == 1, "TLS");
  int accepted = SSL_accept(tls);
  if (accepted == 1) return tls;
  int why = SSL_get_error(tls, accepted);
  if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) fprintf(stderr, "blocking-tls: the connection does not block\n");
  else fprintf(stderr, "blocking-tls: handshake failed\n");
  exit(1);
}

static void say_variables(SSL *tls, int control)
{
  char text[512];
  int length = snprintf(text, sizeof text, "SSL_PROTOCOL=%s%cSSL_CIPHER=%s%c", SSL_get_version(tls), 0, SSL_get_cipher_name(tls), 0);
  check(write(control, text, (size_t)length + 1) == length + 1, "variables"); /* with an empty string at the end */
}

static void write_all(int fd, const char *bytes, ssize_t length)
{
  while (length > 0) {
    ssize_t wrote = write(fd, bytes, (size_t)length);
    if (wrote < 0) exit(0);
    bytes += wrote, length -= wrote;
  }
}

/* Until prog closes its end. */
static void carry(SSL *tls, int client, int to_prog, int from_prog)
{
  static char bytes[16384];
  for (;;) {
    struct pollfd ready[2] = {{.fd = to_prog < 0 ? -1 : client, .events = POLLIN}, {.fd = from_prog, .events = POLLIN}};
    int pending = to_prog >= 0 && SSL_pending(tls) > 0;
    check(poll(ready, 2, pending ? 0 : -1) >= 0, "poll");
    if (pending || ready[0].revents != 0) {
      int got = SSL_read(tls, bytes, sizeof bytes);
      if (got > 0) write_all(to_prog, bytes, got);
      else if (SSL_get_error(tls, got) != SSL_ERROR_WANT_READ) close(to_prog), to_prog = -1;
    }
    if (ready[1].revents != 0) {
      ssize_t got = read(from_prog, bytes, sizeof bytes);
      if (got <= 0) break;
      if (SSL_write(tls, bytes, (int)got) <= 0) exit(0);
    }
  }
  SSL_shutdown(tls);
  exit(0);
}

static void set_number(const char *name, int number)
{
  char text[16];
  snprintf(text, sizeof text, "%d", number);
  check(setenv(name, text, 1) == 0, name);
}

static void serve(int client, char **argv)
{
  int control[2], in[2], out[2];
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, control) == 0 && pipe(in) == 0 && pipe(out) == 0, "descriptors");
  pid_t pid = fork();
  check(pid >= 0, "fork");
  if (pid == 0) {
    char asked;
    close(control[1]), close(in[0]), close(out[1]);
    if (read(control[0], &asked, 1) != 1) exit(0);
    SSL *tls = handshake(client, argv[1], argv[2]);
    say_variables(tls, control[0]);
    carry(tls, client, in[1], out[0]);
  }
  close(control[0]), close(in[1]), close(out[0]);
  check(dup2(client, 0) == 0 && dup2(client, 1) == 1, "dup2");
  close(client);
  set_number("SSLCTLFD", control[1]), set_number("SSLREADFD", in[0]), set_number("SSLWRITEFD", out[1]);
  signal(SIGCHLD, SIG_DFL), signal(SIGPIPE, SIG_DFL);
  execvp(argv[3], argv + 3);
  die(argv[3]);
}

int main(int argc, char **argv)
{
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (argc < 4) return fprintf(stderr, "usage: blocking-tls certificate key prog\n"), 100;
  check(bind(listener, (void *)&address, length) == 0 && listen(listener, 20) == 0, "listen");
  check(getsockname(listener, (void *)&address, &length) == 0, "getsockname");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  signal(SIGCHLD, SIG_IGN), signal(SIGPIPE, SIG_IGN);
  for (;;) {
    int client = accept(listener, NULL, NULL);
    check(client >= 0, "accept");
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) serve(client, argv);
    close(client);
  }
}
