/* The probe of a drill: it reads the canary over and over in four ways, as a patient application or an attacker would,
 * and keeps what it saw in a page of shared memory, so that it needs nobody and outlives whoever started it.
 *
 *   probe PATH PAUSE_MICROSECONDS          descriptor 3: the page (4096 bytes; its layout stands in page.ts, too)
 *
 * Ways: 0 open, read, close; 1 a descriptor held open; 2 a private mapping; 3 open, read, close whenever inotify speaks of
 * the file or its directory, and every 10 ms, since a lease that is over is no news to inotify. The pause lies between two
 * rounds of the first three. The value itself is never written anywhere. It ends when the page says so, and exits with 2
 * for a wrong use, 3 for a page that is none, 4 for threads or inotify that it cannot have. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REOPEN, HELD, MAPPED, WATCHED, WAYS };
enum { PAGE = 3, PAGE_BYTES = 4096, BUS = 1000, MOST = 1 << 16, RING = 1 << 16, MOST_PAUSE_US = 1000000 };
enum { WATCH_MS = 10, GUARD_NS = 5000000 };
#define MAGIC 0x65626f727070616cu /* "lapprobe" */
#define LAYOUT 1u

/* Times are nanoseconds of CLOCK_MONOTONIC, 0 for never. `refused` is the first refusal after the last success. */
struct value {
  uint64_t hash, attempts, reads, first_start, first_end, last_start, last_end, refused_start, refused_end;
};

/* `late` counts successes of the old value that began after the effect. */
struct figures {
  uint64_t trial, effect_at, late, attempts_after, last_refused, error;
  struct value current, previous;
};

/* The slot that the count names is whole; the other one is being written. */
struct shown {
  _Atomic uint64_t count;
  uint64_t unused[7];
  struct {
    struct figures figures;
    uint64_t unused[8];
  } slots[2];
};

struct page {
  uint64_t magic, layout;
  _Atomic uint64_t pid, loops, told, until, effect_at, old_hash, trial, holding;
  uint64_t unused[22];
  struct shown ways[WAYS];
};
_Static_assert(sizeof(struct shown) == 576, "page.ts says where the ways are");
_Static_assert(sizeof(struct page) == 2560, "page.ts says where the ways are");

/* The beginnings of the last so many, oldest overwritten: to count what was before an order was noticed. */
struct ring {
  uint64_t count, starts[RING];
};

struct way {
  struct figures now;
  uint64_t old_hash;
  struct ring attempts, old_reads;
};

static struct page *page;
static struct way ways[WAYS];
static const char *path;
static struct timespec nap;
static _Thread_local sigjmp_buf after_bus;
static _Thread_local volatile sig_atomic_t touching;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* FNV-1a; 0 says that there is no value. */
static uint64_t hash_of(const volatile unsigned char *p, size_t n) {
  uint64_t h = 0xcbf29ce484222325u;
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
  return h ? h : 1;
}

static void keep(struct ring *ring, uint64_t start) { ring->starts[ring->count++ % RING] = start; }

static uint64_t since(const struct ring *ring, uint64_t at) {
  uint64_t n = 0, most = ring->count < RING ? ring->count : RING;
  while (at != 0 && n < most && ring->starts[(ring->count - 1 - n) % RING] > at) n++;
  return n;
}

/* Noticed after an attempt: all of those before are in the rings, and none is under way. */
static void take_orders(struct way *way) {
  struct figures *f = &way->now;
  uint64_t trial = page->trial;
  if (trial != f->trial) {
    f->trial = trial;
    f->effect_at = f->late = f->attempts_after = f->error = 0;
    way->old_hash = page->old_hash;
    way->attempts.count = way->old_reads.count = 0;
  }
  uint64_t at = page->effect_at;
  if (at == f->effect_at) return;
  f->effect_at = at;
  f->late = since(&way->old_reads, at);
  f->attempts_after = since(&way->attempts, at);
}

/* What was superseded may still be read now and then: it stays the previous one. */
static struct value *value_of(struct figures *f, uint64_t start, uint64_t end, uint64_t hash) {
  if (hash == f->current.hash) return &f->current;
  if (hash == f->previous.hash) return &f->previous;
  f->previous = f->current;
  f->current = (struct value){.hash = hash, .first_start = start, .first_end = end};
  return &f->current;
}

static void note_read(struct way *way, uint64_t start, uint64_t end, uint64_t hash) {
  struct value *value = value_of(&way->now, start, end, hash);
  value->attempts++;
  value->reads++;
  value->last_start = start;
  value->last_end = end;
  value->refused_start = value->refused_end = 0;
  if (hash != way->old_hash) return;
  keep(&way->old_reads, start);
  if (way->now.effect_at != 0 && start > way->now.effect_at) way->now.late++;
}

static void note_refusal(struct figures *f, uint64_t start, uint64_t end, int error) {
  f->current.attempts++;
  if (f->current.refused_start == 0) {
    f->current.refused_start = start;
    f->current.refused_end = end;
  }
  f->last_refused = start;
  f->error = (uint64_t)error;
}

static void publish(struct shown *shown, const struct figures *figures) {
  uint64_t next = shown->count + 1;
  memcpy(&shown->slots[next % 2].figures, figures, sizeof *figures);
  atomic_thread_fence(memory_order_seq_cst);
  shown->count = next;
  atomic_thread_fence(memory_order_seq_cst);
}

static void note(int which, uint64_t start, uint64_t end, int error, uint64_t hash) {
  struct way *way = &ways[which];
  take_orders(way);
  keep(&way->attempts, start);
  if (way->now.effect_at != 0 && start > way->now.effect_at) way->now.attempts_after++;
  if (error == 0) note_read(way, start, end, hash);
  else note_refusal(&way->now, start, end, error);
  publish(&page->ways[which], &way->now);
}

static int open_file(void) { return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); }

static void read_fd(int which, uint64_t start, int fd, unsigned char *bytes) {
  ssize_t n = fd < 0 ? -1 : pread(fd, bytes, MOST, 0);
  int error = n < 0 ? errno : 0;
  uint64_t end = now();
  note(which, start, end, error, n < 0 ? 0 : hash_of(bytes, (size_t)n));
}

static void read_name(int which, unsigned char *bytes) {
  uint64_t start = now();
  int fd = open_file();
  read_fd(which, start, fd, bytes);
  if (fd >= 0) close(fd);
}

static void on_bus(int number) {
  if (touching) siglongjmp(after_bus, 1);
  signal(number, SIG_DFL);
}

static void touch(const volatile unsigned char *map, size_t length) {
  uint64_t start = now();
  if (sigsetjmp(after_bus, 0) == 0) {
    touching = 1;
    uint64_t hash = hash_of(map, length);
    touching = 0;
    note(MAPPED, start, now(), 0, hash);
  } else {
    touching = 0;
    note(MAPPED, start, now(), BUS, 0);
  }
}

/* Whether a way that holds something should get it anew, now that the name can be read. */
static bool is_stale(int which) {
  const struct value *value = &ways[which].now.current;
  bool other = value->hash != ways[REOPEN].now.current.hash;
  return value->refused_start != 0 || (other && page->holding == 0);
}

static void hold_again(int *held) {
  if (*held >= 0 && !is_stale(HELD)) return;
  int fd = open_file();
  if (fd < 0) return;
  if (*held >= 0) close(*held);
  *held = fd;
}

static void map_again(const unsigned char **map, size_t *length) {
  if (*map != NULL && !is_stale(MAPPED)) return;
  struct stat status;
  int fd = open_file();
  if (fd < 0) return;
  size_t size = fstat(fd, &status) == 0 && status.st_size > 0 ? (size_t)status.st_size : 0;
  if (size > MOST) size = MOST;
  void *fresh = size == 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (fresh == MAP_FAILED) return;
  if (*map != NULL) munmap((void *)*map, *length);
  *map = fresh;
  *length = size;
}

/* On the last of the machine's CPUs, so that what is measured has the others to itself; whoever was given some stays there. */
static void keep_aside(void) {
  cpu_set_t all, one;
  if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) < sysconf(_SC_NPROCESSORS_ONLN)) return;
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

static void *loop(void *bytes) {
  int held = -1;
  const unsigned char *map = NULL;
  size_t length = 0;
  keep_aside();
  for (;;) {
    read_name(REOPEN, bytes);
    if (held >= 0) read_fd(HELD, now(), held, bytes);
    if (map != NULL) touch(map, length);
    if (ways[REOPEN].now.current.refused_start == 0) {
      hold_again(&held);
      map_again(&map, &length);
    }
    page->loops++;
    if (nap.tv_nsec > 0 || nap.tv_sec > 0) nanosleep(&nap, NULL);
  }
  return NULL;
}

/* A name may lead elsewhere by now, after a rotation or in another mount: then the old watch goes. */
static int watch_again(int inotify, int old, const char *what, uint32_t events) {
  int fresh = inotify_add_watch(inotify, what, events);
  if (fresh < 0) return old;
  if (old >= 0 && fresh != old) inotify_rm_watch(inotify, old);
  return fresh;
}

static void listen(int inotify, uint32_t events) {
  _Alignas(struct inotify_event) char said[4096];
  struct pollfd ready = {inotify, POLLIN, 0};
  if (poll(&ready, 1, WATCH_MS) <= 0) return;
  for (ssize_t n; (n = read(inotify, said, sizeof said)) > 0;) {
    for (char *p = said; p < said + n;) {
      const struct inotify_event *event = (const struct inotify_event *)p;
      if (event->mask & events) page->told++;
      p += sizeof *event + event->len;
    }
  }
}

/* Watches first and reads then, so that no change falls between. */
static void *watch(void *bytes) {
  const uint32_t file = IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF;
  const uint32_t names = file | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
  char *directory = strdup(path);
  *strrchr(directory, '/') = 0;
  int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), directory_watch = -1, file_watch = -1;
  if (inotify < 0) _exit(4);
  for (;;) {
    directory_watch = watch_again(inotify, directory_watch, directory, names | IN_ONLYDIR);
    file_watch = watch_again(inotify, file_watch, path, file);
    read_name(WATCHED, bytes);
    listen(inotify, names | IN_UNMOUNT | IN_Q_OVERFLOW);
  }
  return NULL;
}

/* Any file that is long enough may be the page of some later version. */
static bool find_page(void) {
  struct stat status;
  if (fstat(PAGE, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < PAGE_BYTES) return false;
  page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE, 0);
  return page != MAP_FAILED && page->magic == MAGIC && page->layout == LAYOUT;
}

/* The first thread only watches the clock: the others may hang in a file system that does not answer. */
int main(int argc, char **argv) {
  /* lapsed goes before its neighbours; who reads from it does not. */
  setpriority(PRIO_PROCESS, 0, 0);
  static unsigned char bytes[2][MOST];
  static const struct timespec guard = {0, GUARD_NS};
  if (argc != 3 || strchr(argv[1], '/') == NULL) return 2;
  path = argv[1];
  long pause = strtol(argv[2], NULL, 10);
  if (pause < 0 || pause > MOST_PAUSE_US) return 2;
  nap = (struct timespec){pause / 1000000, pause % 1000000 * 1000};
  if (!find_page()) return 3;
  close(PAGE);
  struct sigaction action = {.sa_handler = on_bus, .sa_flags = SA_NODEFER};
  sigaction(SIGBUS, &action, NULL);
  pthread_t threads[2];
  if (pthread_create(&threads[0], NULL, watch, bytes[0]) != 0) return 4;
  if (pthread_create(&threads[1], NULL, loop, bytes[1]) != 0) return 4;
  page->pid = (uint64_t)getpid();
  while (now() < page->until) nanosleep(&guard, NULL);
  _exit(0);
}
