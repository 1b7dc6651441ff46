/* A reader without a pause for as long as it reads, which says what it saw.
 *   restless name   DIRECTORY NAME VALUE   opens, reads, closes
 *   restless held   DIRECTORY NAME VALUE   reads a descriptor that it holds
 *   restless mapped DIRECTORY NAME VALUE   touches a mapping that it holds
 *   restless around DIRECTORY NAME VALUE   follows the link DIRECTORY, lists what is there, asks for the file's attributes
 * On each change: BEGIN END STATE, where the state is ok, WRONG, SIGBUS or an errno's name, and the times are those of the
 * first attempt that ended so, in nanoseconds of CLOCK_MONOTONIC. On SIGTERM it ends, with a line for each state,
 * `total STATE COUNT LAST` (the begin of the last attempt that ended so), and `longest NANOSECONDS`. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST_STATES 32

static const char *directory, *name, *value;
static char path[4096];
static size_t length;
static int held = -1;
static const volatile char *mapped;
static sigjmp_buf after_bus;
static volatile sig_atomic_t stop;

static struct {
  const char *state;
  long count;
  long long last;
} totals[MOST_STATES];

static void on_bus(int signal) {
  (void)signal;
  siglongjmp(after_bus, 1);
}

static void on_term(int signal) {
  (void)signal;
  stop = 1;
}

static long long now(void) {
  struct timespec at;
  clock_gettime(CLOCK_MONOTONIC, &at);
  return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static const char *failed(void) { return strerrorname_np(errno); }
static const char *judge(int right) { return right ? "ok" : "WRONG"; }

/* One byte more than there is: a longer value would be seen. */
static const char *read_held(int fd) {
  char bytes[length + 1];
  ssize_t count = pread(fd, bytes, sizeof bytes, 0);
  if (count < 0) return failed();
  return judge((size_t)count == length && !memcmp(bytes, value, length));
}

static const char *by_name(void) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) return failed();
  const char *state = read_held(fd);
  close(fd);
  return state;
}

static const char *by_descriptor(void) { return read_held(held); }

static const char *by_mapping(void) {
  usleep(100); /* a cached page costs nothing, and this would take the processor away from whoever is tested */
  if (sigsetjmp(after_bus, 1)) return "SIGBUS";
  for (size_t i = 0; i < length; i++)
    if (mapped[i] != value[i]) return "WRONG";
  return "ok";
}

static const char *around(void) {
  char target[256];
  struct stat file;
  if (readlink(directory, target, sizeof target) < 0) return failed();
  DIR *open_directory = opendir(directory);
  if (open_directory == NULL) return failed();
  int listed = 0;
  errno = 0;
  for (struct dirent *entry; (entry = readdir(open_directory)) != NULL;) listed |= !strcmp(entry->d_name, name);
  const char *refused = errno ? failed() : listed ? NULL : "ENOENT";
  closedir(open_directory);
  if (refused) return refused;
  if (stat(path, &file) < 0) return failed();
  return judge((size_t)file.st_size == length);
}

static void note(const char *state, long long begin) {
  int i = 0;
  while (totals[i].state != NULL && strcmp(totals[i].state, state)) i++;
  if (i == MOST_STATES - 1) exit(3);
  totals[i].state = state;
  totals[i].count++;
  totals[i].last = begin;
}

int main(int count, char **words) {
  if (count != 5) return 2;
  directory = words[2], name = words[3], value = words[4], length = strlen(value);
  snprintf(path, sizeof path, "%s/%s", directory, name);
  setvbuf(stdout, NULL, _IOLBF, 0);
  signal(SIGBUS, on_bus);
  signal(SIGTERM, on_term);
  const char *(*attempt)(void) = !strcmp(words[1], "name")     ? by_name
                                 : !strcmp(words[1], "held")   ? by_descriptor
                                 : !strcmp(words[1], "mapped") ? by_mapping
                                                               : around;
  if (attempt == by_descriptor || attempt == by_mapping) {
    held = open(path, O_RDONLY);
    if (held < 0) return 2;
    mapped = mmap(NULL, length, PROT_READ, MAP_PRIVATE, held, 0);
    if (mapped == MAP_FAILED) return 2;
  }
  const char *last = "";
  long long longest = 0;
  while (!stop) {
    long long begin = now();
    const char *state = attempt();
    long long end = now();
    if (end - begin > longest) longest = end - begin;
    if (strcmp(state, last)) printf("%lld %lld %s\n", begin, end, state);
    last = state;
    note(state, begin);
    if (strcmp(state, "ok")) usleep(1000); /* a refusal costs next to nothing, and whoever is to end it wants the processor */
  }
  for (int i = 0; totals[i].state != NULL; i++)
    printf("total %s %ld %lld\n", totals[i].state, totals[i].count, totals[i].last);
  printf("longest %lld\n", longest);
  return 0;
}
