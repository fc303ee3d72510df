/* checknotroot prog [ arg ... ]: runs prog unless it is root. After a checkpassword(8) it makes sure that somebody logged in.
 * checknotroot --acceptd MINUID prog [ arg ... ]: accept-helper's last step after a checkpassword, which has the stream as descriptor 10
 * and says to 11 what became of it. */
#define _GNU_SOURCE
#include "helper.h"

int main(int argc, char **argv)
{
  if (argc > 3 && strcmp(argv[1], "--acceptd") == 0) {
    const char *why = unfit(strtoul(argv[2], NULL, 10), argv + 3);
    if (why != NULL) return write(STATUS, why, strlen(why)) < 0 || *why != 'r' ? TEMPORARY : REFUSED;
    if (write(STATUS, "A", 1) != 1) return TEMPORARY;
    run_backend(STREAM, argv + 3);
  }
  if (argc < 2) say("checknotroot: usage: checknotroot prog\n");
  else if (unfit(0, NULL) == NULL) execvp(argv[1], argv + 1);
  return 1;
}
