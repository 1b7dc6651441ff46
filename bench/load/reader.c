/* A workload's process under mixed load: it reads its secrets in every way there is, in random order, until its stdin is
 * closed, and reports every attempt.
 *
 *   reader load MOUNT WORKLOAD OTHER MARKER COUNT SEED PAUSE_US   the secrets are the files s000 to s(COUNT-1)
 *   reader check MARKER SECRET FILE                               reads a file once and prints the result: a control
 *
 * A value is the text `MARKER.SSS.VVVVVV.LLLLLL.` (secret, version, length) again and again, cut off at that length, so
 * whole, mixed, foreign and short ones can be told apart. Each attempt is a record of 32 bytes on stdout (little
 * endian): start and end (CLOCK_MONOTONIC, ns), way, secret, result, version, size; for a listing the last two are a bit
 * for each secret. The result is 0, an errno, 1000 for SIGBUS, or one of `enum wrong`. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum way { SELF, VIEW, VOLUME, HELD, MAPPED, SENT, STAT, FSTAT, XATTR, LIST, LIST_VOLUME, LIST_VIEWS, FOREIGN, WRITE };
enum { BUS = 1000 };
enum wrong { MALFORMED = 2000, OTHER_SECRET, OTHER_LENGTH, MIXED, CHANGED };
enum { BATCH = 64, MOST = 1 << 17, HELD_MOST = 10, MAPPED_MOST = 5, TAIL = 19, MOST_PATH = 1024 };
#define FLUSH_NS 5000000u

struct record {
  uint64_t start, end;
  uint16_t way, secret;
  uint32_t result, version, size;
};

struct held {
  int fd, secret;
  unsigned version;
  const volatile unsigned char *map;
  size_t length;
};

static struct record batch[BATCH];
static unsigned batched;
static uint64_t flushed, seed;
static const char *mount, *workload, *marker;
static char view[MOST_PATH / 4], foreign[MOST_PATH / 4];
static size_t marker_length;
static int count, memory;
static unsigned char bytes[MOST];
static struct held held[HELD_MOST], mapped[MAPPED_MOST];
static sigjmp_buf after_bus;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned draw(unsigned below) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)(seed >> 33) % below;
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

static void record(enum way way, uint64_t start, int secret, int result, unsigned version, unsigned size) {
  batch[batched++] =
      (struct record){start, now(), (uint16_t)way, (uint16_t)secret, (uint32_t)result, version, size};
  if (batched == BATCH || batch[batched - 1].end - flushed > FLUSH_NS) flush();
}

static unsigned digits(const unsigned char *p, int n) {
  unsigned value = 0;
  for (int i = 0; i < n; i++) value = p[i] >= '0' && p[i] <= '9' ? value * 10 + (p[i] - '0') : 99999999u;
  return value;
}

/* What is wrong with the n bytes that were read for a secret, or 0. */
static int judge(size_t n, int secret, unsigned *version) {
  size_t period = marker_length + TAIL;
  const unsigned char *tail = bytes + marker_length;
  if (n < period || memcmp(bytes, marker, marker_length) || tail[0] != '.') return MALFORMED;
  if (digits(tail + 1, 3) != (unsigned)secret) return OTHER_SECRET;
  if (digits(tail + 12, 6) != n) return OTHER_LENGTH;
  for (size_t i = period; i < n; i++)
    if (bytes[i] != bytes[i - period]) return MIXED;
  *version = digits(tail + 5, 6);
  return 0;
}

static int read_all(int fd, size_t *length) {
  ssize_t n;
  for (*length = 0; *length < MOST && (n = pread(fd, bytes + *length, MOST - *length, (off_t)*length)) != 0;) {
    if (n < 0) return errno;
    *length += (size_t)n;
  }
  return 0;
}

static int send_all(int fd, size_t *length) {
  off_t at = 0;
  ssize_t n;
  if (ftruncate(memory, 0) < 0 || lseek(memory, 0, SEEK_SET) < 0) return errno;
  while ((n = sendfile(memory, fd, &at, MOST)) != 0)
    if (n < 0) return errno;
  return read_all(memory, length);
}

/* Every byte of the mapping into `bytes`. */
static int touch_all(const struct held *h) {
  if (sigsetjmp(after_bus, 1)) return BUS;
  for (size_t i = 0; i < h->length; i++) bytes[i] = h->map[i];
  return 0;
}

static void on_bus(int signal) {
  (void)signal;
  siglongjmp(after_bus, 1);
}

static void path_of(char *path, const char *directory, int secret) {
  snprintf(path, MOST_PATH, "%s/%s/s%03d", mount, directory, secret);
}

static void by_name(enum way way, const char *directory, int secret) {
  char path[MOST_PATH];
  size_t length = 0;
  unsigned version = 0;
  path_of(path, directory, secret);
  uint64_t start = now();
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int result = fd < 0 ? errno : read_all(fd, &length);
  if (fd >= 0) close(fd);
  if (result == 0) result = judge(length, secret, &version);
  record(way, start, secret, result, version, (unsigned)length);
}

static void let_go(struct held *h) {
  if (h->map) munmap((void *)h->map, h->length);
  if (h->fd >= 0) close(h->fd);
  *h = (struct held){.fd = -1};
}

/* Opens, and reads once to learn which version it has got; reported as by name. */
static void take(struct held *h, int with_map) {
  char path[MOST_PATH];
  size_t length = 0;
  struct stat s;
  h->secret = (int)draw((unsigned)count);
  path_of(path, "self", h->secret);
  uint64_t start = now();
  h->fd = open(path, O_RDONLY | O_CLOEXEC);
  int result = h->fd < 0 ? errno : read_all(h->fd, &length);
  if (result == 0) result = judge(length, h->secret, &h->version);
  record(SELF, start, h->secret, result, h->version, (unsigned)length);
  if (result == 0 && with_map && fstat(h->fd, &s) == 0) {
    void *map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, h->fd, 0);
    if (map != MAP_FAILED) {
      h->map = map;
      h->length = (size_t)s.st_size;
    }
  }
  if (result != 0 || (with_map && !h->map)) let_go(h);
}

static void use(enum way way, struct held *h) {
  size_t length = h->length;
  unsigned version = 0;
  struct stat s = {0};
  uint64_t start = now();
  int result;
  switch (way) {
    case FSTAT: result = fstat(h->fd, &s) < 0 ? errno : 0; break;
    case MAPPED: result = touch_all(h); break;
    case SENT: result = send_all(h->fd, &length); break;
    default: result = read_all(h->fd, &length);
  }
  if (way == FSTAT) length = (size_t)s.st_size;
  else if (result == 0) result = judge(length, h->secret, &version);
  if (result == 0 && way != FSTAT && version != h->version) result = CHANGED;
  record(way, start, h->secret, result, h->version, (unsigned)length);
  /* A dead one is tried again for a while: it must not come back to life by mistake. */
  if (draw(100) < (result ? 8 : 2)) let_go(h);
}

static void held_step(enum way way) {
  struct held *h = way == MAPPED ? &mapped[draw(MAPPED_MOST)] : &held[draw(HELD_MOST)];
  if (h->fd < 0) take(h, way == MAPPED);
  else use(way, h);
}

static void look(enum way way, int secret) {
  char path[MOST_PATH], text[16] = "";
  struct stat s = {0};
  path_of(path, "self", secret);
  uint64_t start = now();
  if (way == STAT) {
    int result = stat(path, &s) < 0 ? errno : 0;
    record(way, start, secret, result, 0, (unsigned)s.st_size);
  } else {
    int result = getxattr(path, "user.lapse.version", text, sizeof text - 1) < 0 ? errno : 0;
    record(way, start, secret, result, (unsigned)atoi(text), 0);
  }
}

/* One bit for each secret that is listed; of views: bit 0 for one's own, bit 1 for any other. */
static void list(enum way way, const char *directory) {
  char path[MOST_PATH];
  uint64_t seen = 0;
  snprintf(path, sizeof path, "%s/%s", mount, directory);
  uint64_t start = now();
  DIR *d = opendir(path);
  errno = d ? 0 : errno;
  for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
    if (e->d_name[0] == '.') continue;
    int i = atoi(e->d_name + 1);
    if (way == LIST_VIEWS) seen |= strcmp(e->d_name, workload) ? 2 : 1;
    else if (i >= 0 && i < 64) seen |= (uint64_t)1 << i;
  }
  int result = errno;
  if (d) closedir(d);
  record(way, start, 0, result, (unsigned)seen, (unsigned)(seen >> 32));
}

static void forbidden(enum way way, int secret) {
  char path[MOST_PATH];
  path_of(path, way == FOREIGN ? foreign : "self", secret);
  uint64_t start = now();
  int fd = open(path, (way == WRITE ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
  int result = fd < 0 ? errno : 0;
  if (fd >= 0) close(fd);
  record(way, start, secret, result, 0, 0);
}

static void step(void) {
  int secret = (int)draw((unsigned)count);
  unsigned what = draw(100);
  if (what < 14) by_name(SELF, "self", secret);
  else if (what < 24) by_name(VIEW, view, secret);
  else if (what < 34) by_name(VOLUME, "volume", secret);
  else if (what < 52) held_step(HELD);
  else if (what < 70) held_step(MAPPED);
  else if (what < 74) held_step(SENT);
  else if (what < 78) held_step(FSTAT);
  else if (what < 83) look(STAT, secret);
  else if (what < 87) look(XATTR, secret);
  else if (what < 91) list(LIST, "self");
  else if (what < 94) list(LIST_VOLUME, "volume");
  else if (what < 96) list(LIST_VIEWS, "w");
  else if (what < 98) forbidden(FOREIGN, secret);
  else forbidden(WRITE, secret);
}

static int check(int secret, const char *path) {
  size_t length = 0;
  unsigned version = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  int result = fd < 0 ? errno : read_all(fd, &length);
  if (result == 0) result = judge(length, secret, &version);
  printf("%d\n", result);
  return 0;
}

int main(int argc, char **argv) {
  signal(SIGBUS, on_bus);
  if (argc == 5 && !strcmp(argv[1], "check")) {
    marker = argv[2];
    marker_length = strlen(marker);
    return check(atoi(argv[3]), argv[4]);
  }
  if (argc != 9 || strcmp(argv[1], "load")) return 2;
  mount = argv[2], workload = argv[3], marker = argv[5];
  snprintf(view, sizeof view, "w/%s", workload);
  snprintf(foreign, sizeof foreign, "w/%s", argv[4]);
  marker_length = strlen(marker);
  count = atoi(argv[6]);
  seed = strtoull(argv[7], NULL, 10);
  long pause = strtol(argv[8], NULL, 10);
  memory = memfd_create("sent", MFD_CLOEXEC);
  for (int i = 0; i < HELD_MOST; i++) held[i].fd = -1;
  for (int i = 0; i < MAPPED_MOST; i++) mapped[i].fd = -1;
  struct pollfd in = {.fd = 0, .events = POLLIN};
  while (poll(&in, 1, 0) == 0) {
    step();
    const struct timespec nap = {0, (long)draw((unsigned)(2 * pause + 1)) * 1000};
    nanosleep(&nap, NULL);
  }
  flush();
  return 0;
}
