/* mkusers COUNT FIRSTUID HOME: a password file of user0..userCOUNT-1, password secretN, sha256-crypt with 1000 rounds.
 * The format, user:hash:uid:gid:gecos:home:shell, is read by native/checkpassword and by Dovecot's passwd-file alike. */
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "mkusers: usage: mkusers COUNT FIRSTUID HOME\n");
    return 1;
  }
  unsigned long count = strtoul(argv[1], NULL, 10), first = strtoul(argv[2], NULL, 10);
  for (unsigned long i = 0; i < count; i++) {
    char password[40], setting[60];
    snprintf(password, sizeof password, "secret%lu", i);
    snprintf(setting, sizeof setting, "$5$rounds=1000$benchsalt%lu$", i % 10000000);
    const char *hash = crypt(password, setting);
    if (!hash || hash[0] == '*') {
      fprintf(stderr, "mkusers: crypt(3) knows no sha256\n");
      return 1;
    }
    printf("user%lu:%s:%lu:%lu::%s:/bin/false\n", i, hash, first + i, first + i, argv[3]);
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
