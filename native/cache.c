/* Passwords that were verified a moment ago, for chains that say `verified SECONDS`: a keyed hash of each, in memory that nobody but the
 * processes of logins has, is never written to disk or into a core, and ends with the helper. The hash is the quickest of crypt(3) under a
 * salt that nobody knows: no cryptography of our own, and an attacker who read all of this memory would still have to guess. */
#define _GNU_SOURCE
#include "helper.h"
#include <sys/mman.h>
#include <sys/random.h>

enum { ENTRIES = 512, SALT = 16 }; /* a later password may take the place of an earlier one */

static struct cache {
  unsigned generation; /* what was verified in another one is forgotten */
  char salt[SALT + 1];
  struct verified { long at; char hash[MAX_HASH]; } entries[ENTRIES];
} *cache;
static struct stat file;
static unsigned generation;

void cache_open(void)
{
  static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  struct cache *c = mmap(NULL, sizeof *c, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (c == MAP_FAILED || mlock(c, sizeof *c) != 0 || madvise(c, sizeof *c, MADV_DONTDUMP) != 0 || getrandom(c->salt, SALT, 0) != SALT)
    return say("accept-helper: no memory can be locked: `verified` has no effect: %s\n", strerror(errno));
  for (int i = 0; i < SALT; i++) c->salt[i] = digits[c->salt[i] & 63];
  cache = c;
}

void cache_close(void)
{
  if (cache != NULL) munmap(cache, sizeof *cache);
  cache = NULL;
}

void cache_forget(void)
{
  if (cache == NULL) return;
  __atomic_add_fetch(&cache->generation, 1, __ATOMIC_SEQ_CST);
  explicit_bzero(cache->entries, sizeof cache->entries);
}

void cache_begin(const char *path)
{
  if (cache == NULL || stat(path, &file) != 0) return;
  generation = __atomic_load_n(&cache->generation, __ATOMIC_SEQ_CST);
}

int cache_hash(char hash[MAX_HASH], const char *user, const char *password, const char *its)
{
  char text[512], setting[64]; /* crypt(3) takes no more */
  *hash = '\0';
  if (cache == NULL) return 0;
  snprintf(setting, sizeof setting, "$5$rounds=1000$%s$", cache->salt);
  int length = snprintf(text, sizeof text, "%u %lx %lx %lx %lx.%lx %lx.%lx %s %zu %s %s", generation, (long)file.st_dev, (long)file.st_ino,
                        (long)file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec, file.st_ctim.tv_sec, file.st_ctim.tv_nsec, its,
                        strlen(user), user, password);
  const char *got = length < (int)sizeof text ? crypt(text, setting) : NULL;
  explicit_bzero(text, sizeof text);
  if (got != NULL && *got == '$') snprintf(hash, MAX_HASH, "%s", got + strlen(setting));
  return *hash != '\0';
}

static struct verified *place_of(const char *hash)
{
  unsigned place = 0;
  for (int i = 0; i < 4; i++) place = place * 31 + (unsigned char)hash[i];
  return &cache->entries[place % ENTRIES];
}

int cache_has(const char *hash, long seconds)
{
  if (*hash == '\0') return 0;
  const struct verified *v = place_of(hash);
  return v->at > 0 && now() - v->at < seconds * 1000 && strcmp(v->hash, hash) == 0;
}

void cache_add(const char *hash)
{
  if (*hash == '\0') return;
  struct verified *v = place_of(hash);
  v->at = 0;
  strcpy(v->hash, hash);
  __atomic_store_n(&v->at, now(), __ATOMIC_SEQ_CST);
}
