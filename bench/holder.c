/* Holds one file as many times as it is told, and finds out when that ends. One command a line on stdin, one answer a
 * line on stdout.
 *
 *   hold PATH N   opens it N times, reads each, maps it once and touches that: "held", or the name of an errno
 *   poll          reads all of them again and again, at full rate, until none answers any more: the start and the end
 *                 (CLOCK_MONOTONIC, ns) of the last read that succeeded, and how they ended: "EACCES SIGBUS"
 *   try           reads each once: how they ended, "ok" among it
 *   drop          closes and unmaps all
 *   sweep DIR     reads every file in it once: how many bytes there were, or the name of an errno */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST_HELD = 64, BYTES = 1 << 16, BUS = 1000, MOST_ENDS = 8 };
#define PATIENCE_NS 20000000000u

static char bytes[BYTES], line[4096];
static int held[MOST_HELD], count;
static volatile const char *mapped = MAP_FAILED;
static size_t length;
static sigjmp_buf after_bus;
static int ends[MOST_ENDS], ended;

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_bus(int signal) {
  (void)signal;
  siglongjmp(after_bus, 1);
}

static const char *name(int result) {
  return result == 0 ? "ok" : result == BUS ? "SIGBUS" : strerrorname_np(result);
}

/* 0 or an errno. */
static int read_one(int fd) { return pread(fd, bytes, sizeof bytes, 0) < 0 ? errno : 0; }

/* Every page of it. 0 or BUS. */
static int touch(void) {
  if (sigsetjmp(after_bus, 1)) return BUS;
  for (size_t i = 0; i < length; i += 4096) bytes[0] = mapped[i];
  return 0;
}

static int attempt(int i) { return i < count ? read_one(held[i]) : touch(); }

static void note(int result) {
  for (int i = 0; i < ended; i++)
    if (ends[i] == result) return;
  if (ended < MOST_ENDS) ends[ended++] = result;
}

static void say_ends(void) {
  for (int i = 0; i < ended; i++) printf(i ? " %s" : "%s", name(ends[i]));
  putchar('\n');
}

static void drop(void) {
  while (count > 0) close(held[--count]);
  if (mapped != MAP_FAILED) munmap((void *)mapped, length);
  mapped = MAP_FAILED;
}

static int hold(const char *path, int times) {
  for (count = 0; count < times && count < MOST_HELD; count++) {
    held[count] = open(path, O_RDONLY | O_CLOEXEC);
    if (held[count] < 0 || read_one(held[count]) != 0) return errno;
  }
  off_t end = lseek(held[0], 0, SEEK_END);
  if (end <= 0) return errno;
  length = (size_t)end;
  mapped = mmap(NULL, length, PROT_READ, MAP_PRIVATE, held[0], 0);
  return mapped == MAP_FAILED ? errno : touch();
}

static void poll_all(void) {
  uint64_t last_start = 0, last_end = 0, give_up = now() + PATIENCE_NS;
  int alive[MOST_HELD + 1], living = count + 1;
  for (int i = 0; i <= count; i++) alive[i] = 1;
  for (ended = 0; living > 0 && last_start < give_up;) {
    for (int i = 0; i <= count; i++) {
      if (!alive[i]) continue;
      uint64_t start = now();
      int result = attempt(i);
      if (result == 0) {
        last_start = start;
        last_end = now();
      } else {
        note(result);
        alive[i] = 0;
        living--;
      }
    }
  }
  if (living > 0) note(0);
  printf("%llu %llu ", (unsigned long long)last_start, (unsigned long long)last_end);
  say_ends();
}

static void try_all(void) {
  ended = 0;
  for (int i = 0; i <= count; i++) note(attempt(i));
  say_ends();
}

static void sweep(const char *path) {
  DIR *directory = opendir(path);
  long sum = 0;
  int failure = directory == NULL ? errno : 0;
  for (struct dirent *entry; !failure && (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    int fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (n < 0) failure = errno;
    else sum += n;
    if (fd >= 0) close(fd);
  }
  if (directory) closedir(directory);
  if (failure) puts(name(failure));
  else printf("%ld\n", sum);
}

int main(void) {
  signal(SIGBUS, on_bus);
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin) != NULL) {
    char path[4096];
    int times;
    line[strcspn(line, "\n")] = 0;
    if (sscanf(line, "hold %4095s %d", path, &times) == 2) {
      int failure = hold(path, times);
      puts(failure ? name(failure) : "held");
    } else if (!strcmp(line, "poll")) poll_all();
    else if (!strcmp(line, "try")) try_all();
    else if (!strcmp(line, "drop")) {
      drop();
      puts("dropped");
    } else if (sscanf(line, "sweep %4095s", path) == 1) sweep(path);
    else puts("EINVAL");
  }
  return 0;
}
