/* A thread that takes on credentials as it is told, one command a line on stdin, and says on stdout what the kernel
 * lets it do with the entries of the directory that argv[1] names, which are called 0, 1, 2 and so on. Between two
 * commands it is blocked, as a caller of a file system is until it is answered. It is never the process's first
 * thread, which stays as privileged as it was. With argv[2] the process is in a user namespace of its own, and goes on
 * when it is told that this has its maps.
 *
 *   groups GID...   gids REAL EFFECTIVE SAVED   uids REAL EFFECTIVE SAVED   fsids UID GID   caps EFFECTIVE PERMITTED
 *   name TEXT       each: `done`, or the name of an errno
 *   verdicts COUNT  for each entry eight digits, 1 for yes: open for reading, then access by effective ids, masks 1 to 7
 *   access ENTRY    access for reading by real ids
 *   ring ENTRY      open for reading by a worker of io_uring
 *
 * Raw system calls, since those of the C library change every thread of the process. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_GROUPS 65536

static char line[1 << 20];
static gid_t groups[MAX_GROUPS + 1];
static int directory;

static void say(const char *text) {
  puts(text);
  fflush(stdout);
}

static void done(long result) { say(result < 0 ? strerrorname_np(errno) : "done"); }
static void yes(long result) { say(result < 0 ? "0" : "1"); }

static void join_groups(char *words) {
  size_t count = 0;
  for (char *word = strtok(words, " "); word && count <= MAX_GROUPS; word = strtok(NULL, " "))
    groups[count++] = (gid_t)strtoul(word, NULL, 10);
  done(syscall(SYS_setgroups, count, groups));
}

static void set_ids(long call, const char *words) {
  unsigned real, effective, saved;
  sscanf(words, "%u %u %u", &real, &effective, &saved);
  prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
  done(syscall(call, real, effective, saved));
}

static void set_fs_ids(const char *words) {
  unsigned uid, gid;
  sscanf(words, "%u %u", &uid, &gid);
  // These two return the id that was, whether they worked or not.
  syscall(SYS_setfsgid, gid);
  syscall(SYS_setfsuid, uid);
  done(syscall(SYS_setfsuid, -1) == (long)uid && syscall(SYS_setfsgid, -1) == (long)gid ? 0 : (errno = EPERM, -1));
}

static void set_capabilities(const char *words) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {0};
  sscanf(words, "%x %x", &data[0].effective, &data[0].permitted);
  done(syscall(SYS_capset, &header, data));
}

static int may_open(const char *entry) {
  int file = openat(directory, entry, O_RDONLY | O_NOFOLLOW);
  if (file >= 0) close(file);
  return file < 0 ? -1 : 0;
}

static void verdicts(int count) {
  for (int i = 0; i < count; i++) {
    char entry[16];
    snprintf(entry, sizeof entry, "%d", i);
    putchar(may_open(entry) < 0 ? '0' : '1');
    for (int mask = 1; mask <= 7; mask++)
      putchar(syscall(SYS_faccessat2, directory, entry, mask, AT_EACCESS) < 0 ? '0' : '1');
  }
  say("");
}

/* One request through a ring that stays, and its worker with it. */
static void open_by_ring(const char *entry) {
  static struct io_uring_params parameters;
  static struct io_uring_sqe *requests;
  static char *queues;
  static int ring = -1;
  if (ring < 0) {
    ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
    if (ring < 0) return done(-1);
    size_t size = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    queues = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    requests = mmap(NULL, sizeof *requests, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (queues == MAP_FAILED || requests == MAP_FAILED) return done(-1);
  }
  requests[0] = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .flags = IOSQE_ASYNC, .fd = directory};
  requests[0].addr = (unsigned long)entry;
  requests[0].open_flags = O_RDONLY;
  ((unsigned *)(queues + parameters.sq_off.array))[0] = 0;
  atomic_fetch_add((_Atomic unsigned *)(queues + parameters.sq_off.tail), 1);
  if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1) return done(-1);
  _Atomic unsigned *head = (_Atomic unsigned *)(queues + parameters.cq_off.head);
  struct io_uring_cqe *completions = (struct io_uring_cqe *)(queues + parameters.cq_off.cqes);
  int result = completions[*head & (parameters.cq_entries - 1)].res;
  atomic_fetch_add(head, 1);
  if (result >= 0) close(result);
  yes(result);
}

static void *obey(void *unused) {
  printf("%d\n", gettid());
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    char *at = line + strcspn(line, " ");
    if (*at) *at++ = 0;
    if (!strcmp(line, "groups")) join_groups(at);
    else if (!strcmp(line, "gids")) set_ids(SYS_setresgid, at);
    else if (!strcmp(line, "uids")) set_ids(SYS_setresuid, at);
    else if (!strcmp(line, "fsids")) set_fs_ids(at);
    else if (!strcmp(line, "caps")) set_capabilities(at);
    else if (!strcmp(line, "name")) done(prctl(PR_SET_NAME, at, 0, 0, 0));
    else if (!strcmp(line, "verdicts")) verdicts(atoi(at));
    else if (!strcmp(line, "access")) yes(faccessat(directory, at, R_OK, 0));
    else if (!strcmp(line, "ring")) open_by_ring(at);
    else say("EINVAL");
  }
  return unused;
}

int main(int count, char **words) {
  pthread_t thread;
  directory = open(words[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return 1;
  if (count > 2) {
    done(unshare(CLONE_NEWUSER));
    if (!fgets(line, sizeof line, stdin)) return 1;
  }
  return pthread_create(&thread, NULL, obey, NULL) || pthread_join(thread, NULL);
}
