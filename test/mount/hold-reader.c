/* Readers for the hold tests.
 *   reader descriptor FILE NODE  holds a descriptor, reads it every millisecond, and says on each change:
 *                                MILLISECONDS STATE (ok, WRONG, SIGBUS or an errno's name)
 *   reader mapping FILE NODE     the same with a mapping that it holds
 *   reader hammer FILE NODE      opens, reads, maps and closes, beside a descriptor and a mapping that it holds, until
 *                                SIGTERM, then says: ROUNDS LONGEST-STEP-IN-MILLISECONDS. Ends with 1 when anything is wrong
 *   reader touch FILE NODE       maps the file, says so, waits for a line, and touches the mapping for the first time
 *   reader mounts DIRECTORY      watches the list of mounts until SIGTERM: says how often it saw one there, and how often
 *                                one that could be written to
 * Bytes follow from node and position, as in fuse-hold-tree.ts. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LENGTH 8192

static sigjmp_buf after_bus;
static volatile sig_atomic_t stop;
static unsigned long long node;
static double longest;

static void on_bus(int signal) {
  (void)signal;
  siglongjmp(after_bus, 1);
}

static void on_term(int signal) {
  (void)signal;
  stop = 1;
}

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int right(const volatile char *bytes, size_t from, size_t count) {
  for (size_t i = 0; i < count; i++) {
    size_t position = from + i;
    if ((unsigned char)bytes[i] != ((position * 7 + (position >> 8) + node) & 0xff)) return 0;
  }
  return 1;
}

static const char *descriptor(int fd) {
  static char bytes[LENGTH];
  ssize_t count = pread(fd, bytes, LENGTH, 0);
  if (count < 0) return strerrorname_np(errno);
  return count == LENGTH && right(bytes, 0, LENGTH) ? "ok" : "WRONG";
}

static const char *mapping(const volatile char *map) {
  if (sigsetjmp(after_bus, 1)) return "SIGBUS";
  return right(map, 0, LENGTH) ? "ok" : "WRONG";
}

static const volatile char *map_file(int fd) {
  void *map = mmap(NULL, LENGTH, PROT_READ, MAP_PRIVATE, fd, 0);
  return map == MAP_FAILED ? NULL : map;
}

static void die(const char *where, const char *why) {
  printf("%s: %s\n", where, why);
  exit(1);
}

static int watch(int fd, const volatile char *map) {
  const char *last = "";
  while (!stop) {
    const char *state = map == NULL ? descriptor(fd) : mapping(map);
    if (strcmp(state, last)) printf("%.3f %s\n", milliseconds(), state);
    last = state;
    usleep(1000);
  }
  return 0;
}

static double since(double then, const char *where, const char *state) {
  double now = milliseconds();
  if (strcmp(state, "ok")) die(where, state);
  if (now - then > longest) longest = now - then;
  return now;
}

static int hammer(const char *path, int held, const volatile char *held_map) {
  long rounds = 0;
  puts("hammering");
  for (; !stop; rounds++) {
    double at = milliseconds();
    int fd = open(path, O_RDONLY);
    at = since(at, "open", fd < 0 ? strerrorname_np(errno) : "ok");
    at = since(at, "read", descriptor(fd));
    at = since(at, "held descriptor", descriptor(held));
    at = since(at, "held mapping", mapping(held_map));
    /* Out of the page cache, so that mapping it asks the server again. */
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    const volatile char *map = map_file(fd);
    if (map == NULL) die("mmap", strerrorname_np(errno));
    at = since(at, "mapping", mapping(map));
    munmap((void *)map, LENGTH);
    if (close(fd) < 0) die("close", strerrorname_np(errno));
    since(at, "close", "ok");
  }
  printf("%ld %.1f\n", rounds, longest);
  return 0;
}

static int mounts(const char *directory) {
  char line[4096], place[4096], options[256];
  long seen = 0, writable = 0;
  FILE *list = fopen("/proc/self/mountinfo", "r");
  struct pollfd change = {.fd = fileno(list), .events = POLLPRI};
  puts("watching");
  for (int last = 0; !last;) {
    last = stop; /* what is there at the end is seen, however little time there was to look */
    rewind(list);
    fflush(list);
    while (fgets(line, sizeof line, list) != NULL) {
      if (sscanf(line, "%*s %*s %*s %*s %4095s %255s", place, options) != 2 || strcmp(place, directory)) continue;
      seen++;
      if (strncmp(options, "ro", 2) || (options[2] != ',' && options[2] != 0)) writable++;
    }
    if (!last) poll(&change, 1, 20);
  }
  printf("%ld %ld\n", seen, writable);
  return 0;
}

int main(int count, char **words) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGBUS, on_bus);
  signal(SIGTERM, on_term);
  if (count == 3 && !strcmp(words[1], "mounts")) return mounts(words[2]);
  if (count != 4) return 2;
  node = strtoull(words[3], NULL, 10);
  int fd = open(words[2], O_RDONLY);
  if (fd < 0) die("open", strerrorname_np(errno));
  const volatile char *map = map_file(fd);
  if (map == NULL) die("mmap", strerrorname_np(errno));
  if (!strcmp(words[1], "descriptor")) return watch(fd, NULL);
  if (!strcmp(words[1], "mapping")) return watch(fd, map);
  if (!strcmp(words[1], "hammer")) return hammer(words[2], fd, map);
  puts("mapped");
  getchar();
  puts(mapping(map));
  return 0;
}
