/* checknotroot prog [ arg ... ]: runs prog unless it is root. Behind a checkpassword(8) it makes sure that somebody logged in.
 * checknotroot --acceptd STREAM STATUS MINUID -- prog [ arg ... ]: the same as accept-helper's last step. */
#define _GNU_SOURCE
#include "helper.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
  hand_over_if_asked(argc, argv);
  if (argc < 2) {
    dprintf(2, "checknotroot: usage: checknotroot prog\n");
    return 1;
  }
  uid_t real, effective, saved;
  if (getresuid(&real, &effective, &saved) != 0 || real == 0 || effective == 0 || saved == 0) {
    dprintf(2, "checknotroot: WAS RUNNING AS ROOT, TERMINATING\n");
    return 1;
  }
  execvp(argv[1], argv + 1);
  return 1;
}
