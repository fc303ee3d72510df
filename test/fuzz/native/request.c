/* A session's connection (login.c, chains.c, split_credentials of verify.c): what the account sends, in the framing of native/README.md,
 * and what a chain answers on its status pipe. A model reads the same octets in its own way: both take the same requests, and what a login
 * gets in its environment is allowed.
 *   octets: 1 privileged, 2 its vfork fails, 4 it is the child, 8 another uid asks, 16 too many processes; the exit code of the password
 *   check; length of the verdict, verdict; the connection */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/helper.h"
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

static const char CHAINS_TEXT[] =
  "chain mail\ncheckpassword builtin\nset RELAYCLIENT=\nset TCPREMOTEIP=192.0.2.1\nset PATH=/x\nbackend /backend -a\ncredentials 600\n"
  "chain program\ncheckpassword /check a\nbackend /backend\n"
  "chain cert\nkind certificate\ncheckpassword builtin /f\nbackend /backend\n"
  "chain guest\nkind guest 7 7\nbackend /backend\n";
static unsigned flags, verify_code;
static const char *verdict;
static size_t verdict_size;

/* The environment: names with values, one each. */
static struct { char *name, *value; } variables[70000];
static int variable_count;
static const char *value_of(const char *name)
{
  for (int i = 0; i < variable_count; i++)
    if (strcmp(variables[i].name, name) == 0) return variables[i].value;
  return NULL;
}
static int its_setenv(const char *name, const char *value, int replace)
{
  if (*name == '\0' || strchr(name, '=') != NULL) return errno = EINVAL, -1;
  int i = 0;
  while (i < variable_count && strcmp(variables[i].name, name) != 0) i++;
  if (i < variable_count && !replace) return 0;
  if (i == variable_count) variables[variable_count++].name = fuzz_strdup(name);
  variables[i].value = fuzz_strdup(value);
  return 0;
}

/* What became of the login. */
static enum { NOTHING, WATCHED, VERIFIED, RAN, GUEST } reached;
static char user[MAX_REQUEST], password[MAX_REQUEST], answer[512];
static int answers, notes, was_decided, has_password;

static ssize_t its_recv(int fd, void *to, size_t size, int how)
{
  CHECK(fd == STREAM && (how == MSG_WAITALL || how == MSG_DONTWAIT));
  if (size > fuzz_left) size = fuzz_left;
  memcpy(to, fuzz_in, size);
  return fuzz_in += size, fuzz_left -= size, size;
}
static ssize_t its_send(int fd, const void *bytes, size_t size, __attribute__((unused)) int how)
{
  if (fd == CLERK) {
    const struct note *note = bytes;
    CHECK(size == sizeof *note && note->kind == ACCEPTED && is_name(note->session) && notes++ == 0);
    return size;
  }
  CHECK(fd == STREAM && size < sizeof answer && size > 0 && ((const char *)bytes)[size - 1] == '\n');
  memcpy(answer, bytes, size);
  answer[size] = '\0';
  answers++;
  return size;
}
static ssize_t its_read(int fd, void *to, size_t size)
{
  if (fd == DOWN) return 1;
  if (size > verdict_size) size = verdict_size;
  memcpy(to, verdict, size);
  return size;
}
static ssize_t its_write(int fd, const void *bytes, size_t size)
{
  if (fd == UP) return was_decided++, size;
  CHECK(fd == 51 && size <= MOST_CREDENTIALS); /* the pipe to a checkpassword */
  const char *end = bytes;
  strcpy(user, end);
  strcpy(password, end += strlen(end) + 1);
  end += strlen(end) + 1;
  CHECK(end + strlen(end) + 1 == (const char *)bytes + size);
  reached = RAN;
  return size;
}
static int its_pipe2(int ends[2], __attribute__((unused)) int how) { return ends[0] = 50, ends[1] = 51, 0; }
static pid_t its_vfork(void) { return flags & 2 ? -1 : flags & 4 ? 0 : 77; }
static int its_execv(const char *path, char **argv)
{
  int words = 0;
  while (argv[words] != NULL) words++;
  CHECK(strcmp(path, "/check") == 0 && strcmp(argv[words - 1], "/backend") == 0 && strcmp(argv[3], "--acceptd") == 0);
  return errno = ENOENT, -1;
}
static pid_t its_waitpid(__attribute__((unused)) pid_t pid, int *status, __attribute__((unused)) int how)
{
  return *status = fuzz_octet() << 8 | (flags & 32 ? 9 : 0), 77;
}
static int its_getsockopt(int fd, int level, int what, struct ucred *peer, socklen_t *size)
{
  CHECK(fd == STREAM && level == SOL_SOCKET && what == SO_PEERCRED && *size == sizeof *peer);
  return peer->uid = flags & 8 ? 4242 : privileged ? config->account : getuid(), 0;
}
#define setenv its_setenv
#define recv its_recv
#define send its_send
#define read its_read
#define write its_write
#define pipe2 its_pipe2
#define vfork its_vfork
#define execv its_execv
#define waitpid its_waitpid
#define getsockopt(fd, level, what, to, size) its_getsockopt(fd, level, what, (struct ucred *)(to), size)
#define getrlimit(what, to) (-1)
#define dup2(from, to) (to)
#define dup3(from, to, how) (to)
#define close_from(lowest) ((void)0)
#define close(fd) 0
#define fcntl(...) 0
#define syscall(...) 52
#define poll(on, count, time) ((void)(on), 1)
#define setsid() 0
#define signal(number, how) ((void)(number))
#define alarm(seconds) ((void)(seconds))
#define sigprocmask(how, set, old) 0
#define sched_setscheduler(...) 0
#define getpriority(...) 0
#define kill(pid, number) 0
#define dprintf(fd, ...) 0
#define _exit fuzz_exit
#include "../../../native/login.c"
#undef close
#undef read
#define close fuzz_close
#define open fuzz_open
#define fstat fuzz_fstat
#define read fuzz_read_file
#include "../../../native/chains.c"
#undef close_from
#include "../../../native/base.c"
#define verify its_verify
#define enter its_enter
#include "../../../native/verify.c"
#undef verify
#undef enter

FUZZ_SAY
int privileged, serving = 1;
long running;
struct config *config;
struct shared *shared;
char checknotroot[PATH_MAX + 16] = "/checknotroot";

int verify(const char *file, const char *who, const char *secret, long seconds, struct account *account)
{
  CHECK(file == NULL || strcmp(file, "/f") == 0);
  CHECK(seconds == 0);
  strcpy(user, who);
  if ((has_password = secret != NULL)) strcpy(password, secret);
  reached = VERIFIED;
  *account = (struct account){.uid = 5, .gid = 5, .home = "/home", .shell = "/sh"};
  return verify_code % 3 == 0 ? 0 : verify_code % 3 == 1 ? REFUSED : TEMPORARY;
}
int enter(const struct account *account)
{
  if (reached == NOTHING) reached = GUEST, CHECK(privileged ? account->uid == 7 : account->uid == getuid());
  return 0;
}
const char *unfit(__attribute__((unused)) uid_t minimum, char **backend)
{
  CHECK(strcmp(backend[0], "/backend") == 0);
  return verify_code & 64 ? "root" : verify_code & 128 ? "missing /backend: it is not there" : NULL;
}
void run_backend(__attribute__((unused)) int stream, __attribute__((unused)) char **backend) { fuzz_exit(1000); }
void watch(void) { reached = WATCHED, fuzz_exit(1001); }
void cache_close(void) {}
int cache_hash(char hash[MAX_HASH], const char *a, const char *b, const char *c) { return (void)a, (void)b, (void)c, *hash = 0; }
int cache_has(const char *hash, long seconds) { return (void)hash, (void)seconds, 0; }
void cache_add(const char *hash) { (void)hash; }
void cache_begin(const char *path) { (void)path; }
char *crypt(const char *a, const char *b) { return (void)a, (void)b, NULL; }

/* ---- the model: what a request has to come to */
static const char *strings[MAX_REQUEST + 1];

static int has_control(const char *text)
{
  for (; *text != '\0'; text++)
    if (iscntrl((unsigned char)*text)) return 1;
  return 0;
}

/* Whose login it asks for; NOTHING: refused. */
static int model(const uint8_t *bytes, size_t size)
{
  if (size < 4) return NOTHING;
  size_t length = (size_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
  if (length < 1 || length > 65536 || size != length + 4) return NOTHING;
  const char *text = (const char *)bytes + 4, *stop = text + length, *at = text;
  int count = 0, blank = -1;
  for (const char *nul; at < stop && (nul = memchr(at, 0, stop - at)) != NULL && blank < 0; at = nul + 1) {
    strings[count++] = at;
    if (has_control(at)) return NOTHING;
    if (count == 1 && strcmp(at, "watch") == 0 && nul + 1 == stop) return WATCHED;
    if (count > 3 && *at == '\0') blank = count - 1;
  }
  if (count < 3 || blank < 0 || !is_name(strings[1])) return NOTHING;
  const char *chain = strings[2], *kind = strings[0];
  if (strcmp(chain, "guest") == 0) return strcmp(kind, "guest") == 0 && at == stop ? GUEST : NOTHING;
  int which = strcmp(chain, "mail") == 0 ? VERIFIED : strcmp(chain, "cert") == 0 ? VERIFIED : strcmp(chain, "program") == 0 ? RAN : NOTHING;
  if (strcmp(kind, strcmp(chain, "cert") == 0 ? "certificate" : "auth") != 0 || stop - at > (strcmp(chain, "mail") == 0 ? 600 : 512))
    return NOTHING;
  int nuls = 0;
  for (const char *c = at; c < stop; c++) nuls += *c == '\0';
  if (nuls != 3 || stop[-1] != '\0' || has_control(at)) return NOTHING;
  strings[MAX_REQUEST] = at;
  return which;
}

static void check_environment(int guest)
{
  static const char *const ours[] = {"RELAYCLIENT", "PATH", "AUTHUP_USER", "AUTHUSER", "USER", "HOME", "SHELL"};
  for (int i = 0; i < variable_count; i++) {
    char *text = fuzz_calloc(1, strlen(variables[i].name) + strlen(variables[i].value) + 2);
    sprintf(text, "%s=%s", variables[i].name, variables[i].value);
    int known = variable_allowed(text);
    for (size_t j = 0; j < sizeof ours / sizeof *ours; j++) known |= strcmp(variables[i].name, ours[j]) == 0;
    CHECK(known && !has_control(text));
  }
  if (guest) return CHECK(value_of("AUTHUP_USER") == NULL && value_of("AUTHUSER") == NULL && value_of("USER") == NULL);
  CHECK(strcmp(value_of("AUTHUP_USER"), user) == 0 && strcmp(value_of("AUTHUSER"), user) == 0);
  if (value_of("RELAYCLIENT") != NULL) CHECK(*value_of("RELAYCLIENT") == '\0' && strcmp(value_of("TCPREMOTEIP"), "192.0.2.1") == 0);
}

static void check_outcome(int expected)
{
  int busy = (flags & 16) && strcmp(answer, "busy\n") == 0; /* what may come before the last look at the name */
  if (expected == NOTHING && !busy) CHECK(reached == NOTHING && answers == 1 && strncmp(answer, "bad ", 4) == 0 && was_decided == 1);
  else if ((flags & 16) && expected != WATCHED) CHECK(reached == NOTHING && busy);
  else CHECK(reached == (unsigned)expected);
  if (reached == VERIFIED || reached == RAN) {
    const char *its = strings[MAX_REQUEST];
    CHECK(strcmp(user, its) == 0);
    if (reached == RAN || has_password) CHECK(strcmp(password, its + strlen(its) + 1) == 0);
    CHECK(reached == RAN || has_password == (strcmp(strings[0], "auth") == 0));
  }
  if (reached != NOTHING && reached != WATCHED) check_environment(reached == GUEST);
  if (fuzz_code == 1000) CHECK(notes == 1 && answers == 0 && reached != RAN);
  if (reached == RAN && notes == 1) CHECK(strlen(verdict) == 1 && *verdict == 'A' && answers == 0);
  CHECK(answers <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static struct shared counts;
  fuzz_begin(data, size);
  reached = NOTHING;
  *answer = '\0';
  variable_count = answers = notes = was_decided = has_password = 0;
  if (config == NULL) {
    fuzz_files[0].path = "/chains";
    fuzz_files[0].bytes = CHAINS_TEXT;
    fuzz_files[0].size = strlen(CHAINS_TEXT);
    fuzz_file_count = 1;
    privileged = 0;
    CHECK((config = config_read("/chains")) != NULL);
    config->account = 999;
    fuzz_file_count = 0;
  }
  shared = &counts;
  counts.attempts = 0;
  flags = fuzz_octet();
  verify_code = fuzz_octet();
  verdict_size = fuzz_octet();
  if (verdict_size > fuzz_left) verdict_size = fuzz_left;
  verdict = fuzz_copy(fuzz_in, verdict_size);
  fuzz_in += verdict_size;
  fuzz_left -= verdict_size;
  privileged = flags & 1;
  running = flags & 16 ? config->processes : 0;
  const uint8_t *bytes = (const uint8_t *)fuzz_copy(fuzz_in, fuzz_left);
  size_t length = fuzz_left;
  if (setjmp(fuzz_ended) == 0) login(20, 21, 22, 23);
  if (flags & 8) CHECK(reached == NOTHING && answers == 0 && fuzz_code == MISUSED);
  else check_outcome(model(bytes, length));
  return 0;
}
