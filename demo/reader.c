/* The reader in the container: it reads one secret over and over in three ways, as a patient application or an
 * attacker would, and reports every attempt with its times.
 *
 *   reader PATH PAUSE_MICROSECONDS
 *
 * Ways: 0 open, read, close; 1 a descriptor opened once, and held; 2 a private mapping made once. Each attempt is one
 * record of 32 bytes on stdout (little endian): start and end (CLOCK_MONOTONIC, ns), FNV-1a hash of what was read,
 * the way, and the result: 0, an errno, or 1000 for SIGBUS. The value itself is never written anywhere.
 * Runs until SIGTERM. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum way { REOPEN, HELD, MAPPED };
enum { BUS = 1000, MOST = 1 << 20, BATCH = 64 };
#define FLUSH_NS 5000000u

struct record {
  uint64_t start, end, hash;
  uint32_t way, result;
};

static struct record batch[BATCH];
static unsigned batched;
static uint64_t flushed;
static unsigned char bytes[MOST];
static sigjmp_buf after_bus;
static volatile sig_atomic_t ended;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t fnv1a(const volatile unsigned char *p, size_t n) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
  return h;
}

static void flush(void) {
  const char *p = (const char *)batch;
  size_t left = batched * sizeof *batch;
  while (left > 0) {
    ssize_t n = write(1, p, left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) exit(1);
    p += n;
    left -= (size_t)n;
  }
  batched = 0;
  flushed = now();
}

static void record(enum way way, uint64_t start, int result, uint64_t hash) {
  batch[batched++] = (struct record){start, now(), hash, (uint32_t)way, (uint32_t)result};
  if (batched == BATCH || batch[batched - 1].end - flushed > FLUSH_NS) flush();
}

static int reopen(const char *path) {
  uint64_t start = now();
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
  int result = n < 0 ? errno : 0;
  if (fd >= 0) close(fd);
  record(REOPEN, start, result, n < 0 ? 0 : fnv1a(bytes, (size_t)n));
  return result == 0;
}

static void again(int fd) {
  uint64_t start = now();
  ssize_t n = pread(fd, bytes, sizeof bytes, 0);
  record(HELD, start, n < 0 ? errno : 0, n < 0 ? 0 : fnv1a(bytes, (size_t)n));
}

static void touch(const volatile unsigned char *map, size_t length) {
  uint64_t start = now();
  if (sigsetjmp(after_bus, 1) == 0)
    record(MAPPED, start, 0, fnv1a(map, length));
  else
    record(MAPPED, start, BUS, 0);
}

static void on_bus(int signal) {
  (void)signal;
  siglongjmp(after_bus, 1);
}

static void on_term(int signal) {
  (void)signal;
  ended = 1;
}

/* Stays on the last of its CPUs, so that what is measured has the others to itself. */
static void keep_aside(void) {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  long pause = strtol(argv[2], NULL, 10);
  const struct timespec nap = {0, pause * 1000};
  signal(SIGBUS, on_bus);
  signal(SIGTERM, on_term);
  keep_aside();
  int held = -1;
  const unsigned char *map = MAP_FAILED;
  size_t length = 0;
  while (!ended) {
    int readable = reopen(argv[1]);
    if (readable && held < 0) {
      held = open(argv[1], O_RDONLY | O_CLOEXEC);
      off_t end = held < 0 ? 0 : lseek(held, 0, SEEK_END);
      length = end > 0 ? (size_t)end : 0;
      if (length > 0) map = mmap(NULL, length, PROT_READ, MAP_PRIVATE, held, 0);
    }
    if (held >= 0) again(held);
    if (map != MAP_FAILED) touch(map, length);
    nanosleep(&nap, NULL);
  }
  flush();
  return 0;
}
