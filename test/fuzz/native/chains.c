/* The helper's chains file (chains.c, base.c), with and without root rights: what is accepted keeps its promises, and what is not is
 * reported with file and line.
 *   octet: 1 privileged   text of the file */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/helper.h"

static int its_stat(const char *path, struct stat *st)
{
  memset(st, 0, sizeof *st);
  st->st_mode = S_IFREG | (path[strlen(path) - 1] == 'w' ? 0666 : 0755);
  return path[1] == 'n' ? (errno = ENOENT, -1) : 0;
}
/* Every path is a folder, except that one named chains is the file. */
static int its_openat(__attribute__((unused)) int at, const char *word, ...)
{
  if (strcmp(word, "chains") == 0) return fuzz_opened++, FUZZ_FIRST;
  return *word == 'n' ? (errno = ENOENT, -1) : (fuzz_opened++, FUZZ_FOLDER);
}
#define open fuzz_open
#define openat its_openat
#define fstat fuzz_fstat
#define stat(path, st) its_stat(path, st)
#define read fuzz_read_file
#define close fuzz_close
#define calloc fuzz_calloc
#define free fuzz_free
#include "../../../native/base.c"
#include "../../../native/chains.c"

FUZZ_SAY
struct config *config;
int privileged;

/* One of the words of the text, and so a string inside it. */
static void check_word(const struct config *c, const char *word)
{
  CHECK(word >= c->text && word < c->text + fuzz_files[0].size);
  CHECK(*word != '\0' && strpbrk(word, " \t\r\n") == NULL);
}

static void check_chain(const struct config *c, const struct chain *chain)
{
  int guest = strcmp(chain->kind, "guest") == 0;
  CHECK(is_name(chain->name) && config_chain(c, chain->name) == chain);
  CHECK(guest || strcmp(chain->kind, "auth") == 0 || strcmp(chain->kind, "certificate") == 0);
  if (guest) CHECK(chain->checkpassword == NULL && chain->uid != 0 && chain->uid != NO_ID && chain->gid != NO_ID);
  else CHECK(*chain->checkpassword[0] == '/' || strcmp(chain->checkpassword[0], "builtin") == 0);
  CHECK(*chain->backend[0] == '/');
  for (char **word = chain->backend; *word != NULL; word++) check_word(c, *word);
  for (char **word = guest ? chain->backend : chain->checkpassword; *word != NULL; word++) check_word(c, *word);
  CHECK(chain->sets >= 0 && chain->sets <= MAX_WORDS && chain->line > 0);
  for (int i = 0; i < chain->sets; i++) {
    CHECK(variable_name(chain->set[i]));
    for (int j = 0; j < i; j++) CHECK(!same_variable(chain->set[i], chain->set[j]));
  }
  CHECK(chain->credentials >= MAX_CREDENTIALS && chain->credentials <= MOST_CREDENTIALS);
  CHECK(chain->verified >= 0 && chain->verified <= 3600);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  fuzz_begin(data, size);
  privileged = fuzz_octet() & 1;
  fuzz_files[0].path = "/etc/acceptd/chains";
  fuzz_files[0].bytes = (const char *)fuzz_in;
  fuzz_files[0].size = fuzz_left;
  fuzz_files[1].path = "/etc/passwd";
  fuzz_files[1].bytes = "root:x:0:0::/:/bin/sh\nacceptd:x:999:998::/:\nodd:x:12:y::/:\n";
  fuzz_files[2].path = "/etc/group";
  fuzz_files[2].bytes = "root:x:0:\nmail:x:8:ann,bob\n";
  for (fuzz_file_count = 1; fuzz_file_count < 3; fuzz_file_count++)
    fuzz_files[fuzz_file_count].size = strlen(fuzz_files[fuzz_file_count].bytes);
  struct config *c = config_read(fuzz_files[0].path);
  CHECK(fuzz_opened == 0);
  CHECK((c == NULL) == (fuzz_says > 0));
  if (c == NULL) {
    const char *after = fuzz_said + strlen(fuzz_files[0].path);
    CHECK(strncmp(fuzz_said, fuzz_files[0].path, after - fuzz_said) == 0 && *after == ':' && isdigit((unsigned char)after[1]));
  } else {
    CHECK(c->count > 0 && c->count <= MAX_CHAINS && c->account != 0 && is_path(c->socket));
    CHECK(!privileged || c->account != NO_ID);
    for (int i = 0; i < c->count; i++) check_chain(c, &c->chains[i]);
    config_free(c);
  }
  CHECK(fuzz_block_count == 0);
  return 0;
}
