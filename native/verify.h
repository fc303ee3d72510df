/* Whose password it is (verify.c). */
#ifndef VERIFY_H
#define VERIFY_H
#include <stddef.h>
#include <sys/types.h>

struct account {
  uid_t uid;
  gid_t gid, groups[64];
  int ngroups;
  char home[256], shell[256];
};
/* 0 accepted, REFUSED, or TEMPORARY with a line on stderr. file NULL is /etc/shadow with /etc/passwd. */
int verify(const char *file, const char *user, const char *password, struct account *account);
/* Becomes the account, for good, and enters its home. 0, or TEMPORARY with a line on stderr. */
int become(const struct account *account);
/* Cuts user NUL password NUL timestamp NUL; 0 unless it is exactly that. */
int split_credentials(char *bytes, size_t length, char *fields[3]);
#endif
