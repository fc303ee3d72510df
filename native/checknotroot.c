/* checknotroot prog [ arg ... ]: runs prog unless it is root. After a checkpassword(8) it makes sure that somebody logged in.
 * checknotroot --acceptd STREAM STATUS MINUID -- prog [ arg ... ]: accept-helper's last step after a checkpassword. */
#define _GNU_SOURCE
#include "helper.h"

int main(int argc, char **argv)
{
  if (argc > 6 && strcmp(argv[1], "--acceptd") == 0 && strcmp(argv[5], "--") == 0) {
    int stream = atoi(argv[2]), status = atoi(argv[3]);
    const char *why = unfit(strtoul(argv[4], NULL, 10), argv + 6);
    if (why != NULL) return write(status, why, strlen(why)) < 0 || *why != 'r' ? TEMPORARY : REFUSED;
    if (!say_accepted(stream) || write(status, "A", 1) != 1) return TEMPORARY;
    run_backend(stream, argv + 6);
  }
  if (argc < 2) say("checknotroot: usage: checknotroot prog\n");
  else if (unfit(0, NULL) == NULL) execvp(argv[1], argv + 1);
  return 1;
}
