/* A reader that does as it is told: one command a line on stdin, one answer a line on stdout. The answer is what was
 * asked for, or the name of an errno, or SIGBUS. Values are text. What it opens stays open, also across `exec`.
 *
 *   cat PATH   open PATH   read FD   loop FD   map FD   touch   stat PATH   fstat FD   list PATH   link PATH
 *   write PATH   become UID GID   move CGROUP_PROCS   exec
 *
 * `loop` reads until that fails; `touch` reads what `map` mapped; stat is: mode, size, uid, gid. */
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
#include <unistd.h>

static char value[1 << 20], line[8192];
static volatile const char *mapped = MAP_FAILED;
static size_t mapped_length;
static sigjmp_buf after_bus;

static void on_bus(int signal) {
  (void)signal;
  siglongjmp(after_bus, 1);
}

static void answer(const char *bytes, size_t length) {
  fwrite(bytes, 1, length, stdout);
  putchar('\n');
  fflush(stdout);
}

static void say(const char *text) { answer(text, strlen(text)); }
static void done(int result) { say(result < 0 ? strerrorname_np(errno) : "done"); }

static ssize_t whole(int fd) {
  size_t length = 0;
  ssize_t n;
  while ((n = pread(fd, value + length, sizeof value - length, (off_t)length)) > 0) length += (size_t)n;
  return n < 0 ? -1 : (ssize_t)length;
}

static void read_all(int fd) {
  ssize_t length = whole(fd);
  if (length < 0) done(-1);
  else answer(value, (size_t)length);
}

static void cat(const char *path) {
  int fd = open(path, O_RDONLY);
  if (fd < 0) {
    done(-1);
    return;
  }
  read_all(fd);
  close(fd);
}

static void number(int result) {
  char text[16];
  snprintf(text, sizeof text, "%d", result);
  if (result < 0) done(-1);
  else say(text);
}

static void loop(int fd) {
  while (whole(fd) >= 0) continue;
  done(-1);
}

static void map(int fd) {
  off_t end = lseek(fd, 0, SEEK_END);
  // Who may not know the length can still map.
  mapped_length = end < 0 ? 1 : (size_t)end;
  mapped = mmap(NULL, mapped_length, PROT_READ, MAP_PRIVATE, fd, 0);
  done(mapped == MAP_FAILED ? -1 : 0);
}

static void touch(void) {
  if (mapped == MAP_FAILED) {
    say("ENOMEM");
    return;
  }
  if (sigsetjmp(after_bus, 1)) {
    say("SIGBUS");
    return;
  }
  for (size_t i = 0; i < mapped_length; i++) value[i] = mapped[i];
  answer(value, mapped_length);
}

static void show(int result, const struct stat *s) {
  char text[128];
  snprintf(text, sizeof text, "%o %lld %u %u", s->st_mode, (long long)s->st_size, s->st_uid, s->st_gid);
  if (result < 0) done(-1);
  else say(text);
}

static void list(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL) {
    done(-1);
    return;
  }
  size_t length = 0;
  errno = 0;
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    length += (size_t)sprintf(value + length, length ? " %s" : "%s", entry->d_name);
  }
  if (errno) done(-1);
  else answer(value, length);
  closedir(directory);
}

static void link_target(const char *path) {
  ssize_t length = readlink(path, value, sizeof value);
  if (length < 0) done(-1);
  else answer(value, (size_t)length);
}

static void become(const char *ids) {
  unsigned uid = 0, gid = 0;
  sscanf(ids, "%u %u", &uid, &gid);
  done(setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 ? -1 : 0);
}

static void move(const char *procs) {
  int fd = open(procs, O_WRONLY | O_CLOEXEC);
  done(fd < 0 || write(fd, "0", 1) < 0 || close(fd) < 0 ? -1 : 0);
}

int main(int count, char **words) {
  (void)count;
  signal(SIGBUS, on_bus);
  say("ready");
  while (fgets(line, sizeof line, stdin) != NULL) {
    struct stat s = {0};
    line[strcspn(line, "\n")] = 0;
    char *at = strchr(line, ' ');
    at = at ? at + 1 : line + strlen(line);
    const char *verb = strtok(line, " ");
    if (!strcmp(verb, "cat")) cat(at);
    else if (!strcmp(verb, "open")) number(open(at, O_RDONLY));
    else if (!strcmp(verb, "read")) read_all(atoi(at));
    else if (!strcmp(verb, "loop")) loop(atoi(at));
    else if (!strcmp(verb, "map")) map(atoi(at));
    else if (!strcmp(verb, "touch")) touch();
    else if (!strcmp(verb, "stat")) show(lstat(at, &s), &s);
    else if (!strcmp(verb, "fstat")) show(fstat(atoi(at), &s), &s);
    else if (!strcmp(verb, "list")) list(at);
    else if (!strcmp(verb, "link")) link_target(at);
    else if (!strcmp(verb, "write")) number(open(at, O_WRONLY | O_CREAT, 0600));
    else if (!strcmp(verb, "become")) become(at);
    else if (!strcmp(verb, "move")) move(at);
    else if (!strcmp(verb, "exec")) return execv("/proc/self/exe", words);
    else say("EINVAL");
  }
  return 0;
}
