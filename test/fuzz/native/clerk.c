/* The clerk (clerk.c): notes of the server, of logins and of watchers. What it asks of the server is about a child that was accepted or
 * became a watcher and has not ended.
 *   octets: 255 the clock goes on, 254 a short note, 253 a note with unexpected contents; else kind, child, name, status */
#define _GNU_SOURCE
#include "fuzz.h"
#include "../../../native/helper.h"
#include <sys/mman.h>
#include <sys/prctl.h>

static long clock_now;
static int alive[256], dying; /* a child of the server's that the clerk knows of; the one whose end it hears of now */
static int opened[4096], open_count, orders;

static ssize_t its_recvmsg(int fd, struct msghdr *message, int how)
{
  CHECK(fd == 30 && how == MSG_CMSG_CLOEXEC);
  struct note note = {0};
  alive[dying] = 0;
  dying = 0;
  if (fuzz_left == 0) return 0;
  unsigned first = fuzz_octet();
  message->msg_controllen = 0;
  if (first == 254) return sizeof note - 1;
  note.kind = first % 5;
  note.from = fuzz_octet() % 64 + 1;
  note.pid = 10000 + note.from;
  note.status = fuzz_octet() << 8 | (first & 64 ? 9 : 0);
  memset(note.session, 'a' + fuzz_octet() % 8, fuzz_octet() % (sizeof note.session + 1));
  if (first == 253) note.kind = fuzz_octet();
  if ((note.kind == ACCEPTED || note.kind == WATCHES) && alive[note.from]) note.kind = KILLS; /* a login says it once */
  if (note.kind == WATCHES && open_count < 4096) {
    message->msg_controllen = CMSG_SPACE(sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
    int its = 100 + open_count;
    memcpy(CMSG_DATA(head), &its, sizeof its);
    opened[open_count++] = 1;
    alive[note.from] = 1;
  }
  if (note.kind == ACCEPTED) alive[note.from] = 1;
  if (note.kind == ENDED) dying = note.from;
  memcpy(message->msg_iov->iov_base, &note, sizeof note);
  return sizeof note;
}
static ssize_t its_write(int fd, const void *bytes, size_t size)
{
  if (fd == 31) {
    const struct order *order = bytes;
    CHECK(size == sizeof *order);
    if (order->pid != -1) CHECK(order->pid > 0 && order->pid < 256 && alive[order->pid] != 0 && (order->signal == SIGTERM || order->signal == SIGKILL));
    else CHECK(order->signal == 0);
    return orders++, size;
  }
  CHECK(fd >= 100 && fd < 100 + open_count && opened[fd - 100] && size > 0 && size < 160 && ((const char *)bytes)[size - 1] == '\n');
  return fuzz_octet() % 8 == 0 ? -1 : (ssize_t)size;
}
static int its_close(int fd)
{
  CHECK(fd >= 100 && fd < 100 + open_count && opened[fd - 100]);
  return opened[fd - 100] = 0;
}
static int its_poll(void) { return fuzz_left > 0 && *fuzz_in == 255 ? (fuzz_octet(), clock_now += 2000, 0) : 1; }
static char memory[100 << 20];
#define recvmsg its_recvmsg
#define write its_write
#define close its_close
#define poll(on, count, time) ((void)(on), its_poll())
#define fcntl(...) 0
#define prctl(...) 0
#define mmap(...) ((void *)memory)
#define now() clock_now
#define _exit fuzz_exit
#include "../../../native/clerk.c"

FUZZ_SAY
void cache_close(void) {}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  _Static_assert(sizeof(struct table) <= sizeof memory, "the table has its place");
  fuzz_begin(data, size);
  count = killed = open_count = orders = 0;
  clock_now = 1000, dying = 0;
  memset(alive, 0, sizeof alive);
  if (setjmp(fuzz_ended) == 0) keep_register(30, 31);
  CHECK(fuzz_code == TEMPORARY && count >= 0 && killed >= 0 && killed <= count);
  int watching = 0, left = 0, deadlines = 0;
  for (int w = 0; w < MAX_WATCHERS; w++) watching += watchers[w].fd >= 0;
  for (int i = 0; i < open_count; i++) left += opened[i];
  for (long i = 0; i < count; i++) deadlines += table->sessions[i].deadline != 0;
  CHECK(watching == left && deadlines == killed);
  return 0;
}
