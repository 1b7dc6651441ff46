/*
 * Times what readers do to a file system.
 *   timer file PATH BYTES TIMES READERS   opens, reads BYTES (or less, if the file ends) at once, and closes
 *   timer directory PATH TIMES READERS    opens, lists and closes
 * READERS processes do that TIMES times each, starting together, after TIMES / 10 + 1 times that do not count: what the
 * one measured before left in the CPU's caches is not what it costs. Prints two figures in microseconds: what one such
 * operation takes of the time (all readers together), and how long its own reader waits for it.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_READERS = 64 };

static struct shared {
  pthread_barrier_t start;
  double from[MAX_READERS], to[MAX_READERS];
} *shared;

static const char *path;
static size_t bytes;
static char *buffer;

static int read_file(void) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return -1;
  ssize_t count = read(fd, buffer, bytes);
  close(fd);
  return count > 0 ? 0 : -1;
}

static int list_directory(void) {
  DIR *directory = opendir(path);
  if (!directory) return -1;
  int entries = 0;
  while (readdir(directory)) entries++;
  closedir(directory);
  return entries > 2 ? 0 : -1;
}

static double now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int run_reader(int reader, long times, int (*operation)(void)) {
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody must be left waiting at the barrier */
  int failed = 0;
  for (long i = 0; i <= times / 10 && !failed; i++) failed = operation();
  pthread_barrier_wait(&shared->start);
  shared->from[reader] = now_us();
  for (long i = 0; i < times && !failed; i++) failed = operation();
  shared->to[reader] = now_us();
  return failed ? 1 : 0;
}

static int share_barrier(int readers) {
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return -1;
  pthread_barrierattr_t attributes;
  pthread_barrierattr_init(&attributes);
  pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  return pthread_barrier_init(&shared->start, &attributes, (unsigned)readers);
}

static int wait_for(int readers) {
  int failed = 0;
  for (int i = 0; i < readers; i++) {
    int status;
    if (wait(&status) < 0 || status != 0) failed = 1;
  }
  return failed;
}

int main(int argc, char **argv) {
  int is_file = argc == 6 && strcmp(argv[1], "file") == 0;
  if (!is_file && !(argc == 5 && strcmp(argv[1], "directory") == 0)) return 2;
  path = argv[2];
  bytes = is_file ? strtoul(argv[3], NULL, 10) : 0;
  long times = atol(argv[argc - 2]);
  int readers = atoi(argv[argc - 1]);
  if (times < 1 || readers < 1 || readers > MAX_READERS) return 2;
  buffer = malloc(bytes + 1);
  if (!buffer || share_barrier(readers) != 0) return 1;
  for (int i = 0; i < readers; i++) {
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) _exit(run_reader(i, times, is_file ? read_file : list_directory));
  }
  if (wait_for(readers)) return 1;
  double first = shared->from[0], last = shared->to[0], waited = 0;
  for (int i = 0; i < readers; i++) {
    if (shared->from[i] < first) first = shared->from[i];
    if (shared->to[i] > last) last = shared->to[i];
    waited += shared->to[i] - shared->from[i];
  }
  printf("%.3f %.3f\n", (last - first) / (double)times / readers, waited / (double)times / readers);
  return 0;
}
