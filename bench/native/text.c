/* What a client says, as octets: the message, base 64, and names made of a pattern. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loadgen.h"

char *body;
size_t body_length;

/* The message and its end: lines of 72 octets, `size` octets without the final dot. */
void make_body(void) {
  static const char head[] = "From: <bench@bench.invalid>\r\nSubject: bench\r\n\r\n";
  body = malloc(plan.size + sizeof head + 100);
  if (!body) abort();
  size_t at = 0;
  if (plan.size > sizeof head + 2) memcpy(body, head, sizeof head - 1), at = sizeof head - 1;
  while (at + 2 <= plan.size) {
    size_t width = plan.size - at - 2 < 70 ? plan.size - at - 2 : 70;
    if (plan.size - at - width - 2 == 1) width--; /* never a line of one octet */
    memset(body + at, 'x', width);
    memcpy(body + at + width, "\r\n", 2);
    at += width + 2;
  }
  memcpy(body + at, ".\r\n", 3);
  body_length = at + 3;
}

void base64(const char *from, size_t length, char *to) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < length; i += 3) {
    unsigned long bits = (unsigned long)(unsigned char)from[i] << 16;
    if (i + 1 < length) bits |= (unsigned long)(unsigned char)from[i + 1] << 8;
    if (i + 2 < length) bits |= (unsigned long)(unsigned char)from[i + 2];
    *to++ = digits[bits >> 18];
    *to++ = digits[bits >> 12 & 63];
    *to++ = i + 1 < length ? digits[bits >> 6 & 63] : '=';
    *to++ = i + 2 < length ? digits[bits & 63] : '=';
  }
  *to = 0;
}

/* The pattern's %d, if it has one, is the number of the user. */
int fill_in(char *to, size_t room, const char *pattern, uint32_t number) {
  const char *mark = strstr(pattern, "%d");
  if (!mark) return snprintf(to, room, "%s", pattern);
  return snprintf(to, room, "%.*s%u%s", (int)(mark - pattern), pattern, number, mark + 2);
}
