/* The oracle of glob.test.ts: for each pattern and text on standard input, each ended by a NUL, one character: 1 if fnmatch(3) matches. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  char *pattern = NULL, *text = NULL;
  size_t pattern_room = 0, text_room = 0;
  while (getdelim(&pattern, &pattern_room, 0, stdin) != -1) {
    if (getdelim(&text, &text_room, 0, stdin) == -1) return 1;
    putchar(fnmatch(pattern, text, 0) == 0 ? '1' : '0');
  }
  return 0;
}
