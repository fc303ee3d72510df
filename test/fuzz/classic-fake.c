/* The program that fixsmtpio or authup starts in the targets classic-*: classic-fake backend|child FOLDER [ARG ...]. FOLDER/script is a row of
 * strings, each with a NUL after it: a key and what it stands for.
 *   backend  speaks SMTP: keys greeting, verbs in capitals, in_data, eof (the exit code at the end of the input); FOLDER/got is what it has read
 *   child    is a checkpassword: the key is the password, what it stands for the exit code, a space and what it says; FOLDER/fd3 is what it
 *            was given, a line each in hexadecimal digits */
#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char script[65536];
static size_t size;

static const char *meaning(const char *key, const char *otherwise)
{
  for (const char *at = script; at < script + size;) {
    const char *value = at + strlen(at) + 1;
    if (strcmp(at, key) == 0) return value;
    at = value + strlen(value) + 1;
  }
  return otherwise;
}

static void say(const char *text) { if (write(1, text, strlen(text)) < 0) exit(99); }

/* A line with its line feed; 0 at the end. */
static size_t take(char *line, size_t room, int log)
{
  size_t length = 0;
  while (length < room && read(0, line + length, 1) == 1)
    if (line[length++] == '\n') break;
  return write(log, line, length) < 0 ? 0 : length;
}

static int backend(int log)
{
  static char line[65536], verb[sizeof line];
  say(meaning("greeting", ""));
  for (size_t length; (length = take(line, sizeof line - 1, log)) > 0 && line[length - 1] == '\n';) {
    size_t end = 0;
    while (line[end] != ' ' && line[end] != '\r' && line[end] != '\n') verb[end] = toupper((unsigned char)line[end]), end++;
    verb[end] = '\0';
    const char *reply = meaning(verb, "502 unimplemented\r\n");
    say(reply);
    if (strcmp(verb, "QUIT") == 0) return 0;
    if (strcmp(verb, "DATA") != 0 || strncmp(reply, "354", 3) != 0) continue;
    while ((length = take(line, sizeof line - 1, log)) > 0 && !(length == 3 && memcmp(line, ".\r\n", 3) == 0)) {}
    say(meaning("in_data", "250 ok queued\r\n"));
  }
  return atoi(meaning("eof", "1"));
}

static int child(int log)
{
  char bytes[1024] = "", hex[3];
  size_t length = 0;
  for (ssize_t got; (got = read(3, bytes + length, sizeof bytes - 1 - length)) > 0;) length += got;
  for (size_t i = 0; i <= length; i++)
    if (write(log, i == length ? "\n" : hex, i == length ? 1 : (snprintf(hex, sizeof hex, "%02x", (unsigned char)bytes[i]), 2)) < 0) return 99;
  const char *does = meaning(bytes + strlen(bytes) + 1, "1 ");
  say(strchr(does, ' ') + 1);
  if (*does == 's') kill(getpid(), atoi(does + 1));
  return atoi(does);
}

int main(int argc, char **argv)
{
  if (argc < 3 || chdir(argv[2]) != 0) return 99;
  int is_backend = strcmp(argv[1], "backend") == 0, fd = open("script", O_RDONLY);
  ssize_t got = read(fd, script, sizeof script - 1);
  int log = open(is_backend ? "got" : "fd3", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (got < 0 || log < 0) return 99;
  size = got;
  return is_backend ? backend(log) : child(log);
}
