/* mkusers COUNT FIRSTUID HOME [sha256|sha512|yescrypt]: a password file of user0..userCOUNT-1, password secretN; sha256-crypt with 1000
 * rounds, sha512-crypt with its usual 5000, or yescrypt as Debian's passwd makes it.
 * The format, user:hash:uid:gid:gecos:home:shell, is read by native/checkpassword and by Dovecot's passwd-file alike. */
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* yescrypt wants whole groups of four characters. */
static const char *const hashes[][2] = {
    {"sha256", "$5$rounds=1000$benchsalt%lu$"}, {"sha512", "$6$benchsalt%lu$"}, {"yescrypt", "$y$j9T$benchsalt%07lu$"}};

int main(int argc, char **argv) {
  unsigned which = 0;
  while (argc == 5 && which < 3 && strcmp(argv[4], hashes[which][0]) != 0) which++;
  if (argc < 4 || argc > 5 || which == 3) {
    fprintf(stderr, "mkusers: usage: mkusers COUNT FIRSTUID HOME [sha256|sha512|yescrypt]\n");
    return 1;
  }
  unsigned long count = strtoul(argv[1], NULL, 10), first = strtoul(argv[2], NULL, 10);
  for (unsigned long i = 0; i < count; i++) {
    char password[40], setting[60];
    snprintf(password, sizeof password, "secret%lu", i);
    snprintf(setting, sizeof setting, hashes[which][1], i % 10000000);
    const char *hash = crypt(password, setting);
    if (!hash || hash[0] == '*') {
      fprintf(stderr, "mkusers: crypt(3) knows no %s\n", hashes[which][0]);
      return 1;
    }
    printf("user%lu:%s:%lu:%lu::%s:/bin/false\n", i, hash, first + i, first + i, argv[3]);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
