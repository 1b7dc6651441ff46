/* Makes system calls as it is told: one command a line on stdin, its words separated by tabs, and one answer a line on
 * stdout: what was asked for, or the name of an errno, or of a signal. What it opens stays open.
 *
 *   sys NAME ARGUMENT…        any call of numbers (=1) and strings: its result
 *   read WAY FD SIZE OFFSET   count and CRC-32           cat PATH, thread-cat PATH   the text (and the thread's id before)
 *   ring-open PATH            like open, by io_uring
 *   map FD SIZE PROT FLAGS OFFSET   a number             touch MAP FROM SIZE, poke MAP AT
 *   stat PATH, lstat PATH, fstat FD, statx PATH FLAGS MASK   all fields         statfs PATH        readlink PATH SIZE
 *   getdents FD SIZE          offset/inode/type/name of each, separated by tabs
 *   getxattr PATH NAME SIZE, lgetxattr, fgetxattr FD …, listxattr PATH SIZE, llistxattr, flistxattr: count and bytes
 *   lock FD COMMAND TYPE      poll FD, select FD, epoll FD: the events          watch PATH MASK, heard   of inotify
 *   handle PATH, open-handle FD   by_handle_at           become UID GID GROUP…, drop-override
 *   bind PATH                 storm COUNT PATH           hold COUNT PATH        parallel COUNT ROUNDS PATH REFERENCE */
#include "probe.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { MAX_WORDS = 16, LINE_BYTES = 1 << 16, MAX_MAPS = 16 };

static char line[LINE_BYTES], text[LINE_BYTES * 4];
static char *words[MAX_WORDS];
static int count;

static long long number(int index) { return index < count ? strtoll(words[index], NULL, 0) : 0; }
static int fd_of(int index) { return (int)number(index); }

static void answer(const char *bytes) {
  puts(bytes);
  fflush(stdout);
}

static void refuse(void) { answer(strerrorname_np(errno)); }

static void say(long long result) {
  if (result < 0) {
    refuse();
    return;
  }
  snprintf(text, sizeof text, "%lld", result);
  answer(text);
}

/* Calls of numbers and strings only. */
#define CALL(name) {#name, SYS_##name}
static const struct {
  const char *name;
  long number;
} calls[] = {
    CALL(openat),     CALL(close),        CALL(lseek),       CALL(truncate),   CALL(ftruncate),  CALL(unlinkat),
    CALL(renameat2),  CALL(linkat),       CALL(symlinkat),   CALL(mkdirat),    CALL(mknodat),    CALL(fchmodat),
    CALL(fchmod),     CALL(fchownat),     CALL(fchown),      CALL(utimensat),  CALL(setxattr),   CALL(lsetxattr),
    CALL(removexattr), CALL(fallocate),   CALL(write),       CALL(flock),      CALL(fsync),      CALL(fdatasync),
    CALL(syncfs),     CALL(faccessat2),   CALL(chdir),       CALL(ioctl),      CALL(readahead),  CALL(fadvise64),
    CALL(execve),     CALL(gettid),       CALL(setresuid),   CALL(fcntl),      CALL(pread64),    CALL(dup),
    CALL(sync_file_range),
};

static void sys(void) {
  long parameters[6] = {0};
  for (int i = 2; i < count && i < 8; i++)
    parameters[i - 2] = words[i][0] == '=' ? (long)strtoll(words[i] + 1, NULL, 0) : (long)words[i];
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    if (strcmp(calls[i].name, words[1])) continue;
    say(syscall(calls[i].number, parameters[0], parameters[1], parameters[2], parameters[3], parameters[4],
                parameters[5]));
    return;
  }
  answer("no such call");
}

static unsigned crc32(const volatile char *bytes, size_t length) {
  unsigned crc = ~0u;
  for (size_t i = 0; i < length; i++) {
    crc ^= (unsigned char)bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
  }
  return ~crc;
}

static void digest(const volatile char *bytes, size_t length) {
  snprintf(text, sizeof text, "%zu %08x", length, crc32(bytes, length));
  answer(text);
}

static void read_by(void) {
  way_of_reading *way = find_way(words[1]);
  size_t size = (size_t)number(3);
  if (way == NULL || size > DATA_BYTES) {
    answer("no such way");
    return;
  }
  ssize_t length = way(fd_of(2), size, (off_t)number(4));
  if (length < 0) refuse();
  else digest(data, (size_t)length);
}

static ssize_t whole(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t length = pread(fd, data, LINE_BYTES - 1, 0);
  int error = errno;
  close(fd);
  errno = error;
  // One answer is one line.
  if (length >= 0) data[length] = 0, data[strcspn(data, "\n")] = 0;
  return length;
}

static void cat(void) {
  if (whole(words[1]) < 0) refuse();
  else answer(data);
}

static void *cat_in_thread(void *unused) {
  (void)unused;
  if (whole(words[1]) < 0) snprintf(text, sizeof text, "%s", strerrorname_np(errno));
  else snprintf(text, sizeof text, "%ld\t%.*s", syscall(SYS_gettid), LINE_BYTES, data);
  return NULL;
}

static void thread_cat(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, cat_in_thread, NULL);
  pthread_join(thread, NULL);
  answer(text);
}

static struct {
  volatile char *start;
  size_t length;
} maps[MAX_MAPS];
static int map_count;
static sigjmp_buf after_fault;
static volatile sig_atomic_t fault;

static void on_fault(int signal) {
  fault = signal;
  siglongjmp(after_fault, 1);
}

static void map(void) {
  size_t length = (size_t)number(2);
  void *start = mmap(NULL, length, (int)number(3), (int)number(4), fd_of(1), (off_t)number(5));
  if (start == MAP_FAILED || map_count == MAX_MAPS) {
    refuse();
    return;
  }
  maps[map_count].start = start;
  maps[map_count].length = length;
  say(map_count++);
}

static void touch(int writes) {
  volatile char *start = maps[fd_of(1)].start + number(2);
  size_t length = (size_t)number(3);
  if (sigsetjmp(after_fault, 1)) {
    answer(fault == SIGBUS ? "SIGBUS" : "SIGSEGV");
    return;
  }
  if (writes) {
    *start = '!';
    answer("done");
    return;
  }
  for (size_t i = 0; i < length; i++) data[i] = start[i];
  digest(data, length);
}

static void show(int result, const struct stat *s) {
  if (result < 0) {
    refuse();
    return;
  }
  snprintf(text, sizeof text, "ino %llu mode %o links %llu uid %u gid %u size %lld blocks %lld of %ld times %lld.%09ld %lld.%09ld %lld.%09ld",
           (unsigned long long)s->st_ino, s->st_mode, (unsigned long long)s->st_nlink, s->st_uid, s->st_gid,
           (long long)s->st_size, (long long)s->st_blocks, (long)s->st_blksize, (long long)s->st_atim.tv_sec,
           s->st_atim.tv_nsec, (long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec, (long long)s->st_ctim.tv_sec,
           s->st_ctim.tv_nsec);
  answer(text);
}

static void stat_by(const char *verb) {
  struct stat s;
  if (verb[0] == 'f') show(fstat(fd_of(1), &s), &s);
  else if (verb[0] == 'l') show(lstat(words[1], &s), &s);
  else show(stat(words[1], &s), &s);
}

/* The same fields as the others, and what the file system says it knows. */
static void extended(void) {
  struct statx s;
  if (statx(AT_FDCWD, words[1], (int)number(2), (unsigned)number(3), &s) < 0) {
    refuse();
    return;
  }
  snprintf(text, sizeof text, "ino %llu mode %o links %u uid %u gid %u size %llu blocks %llu of %u times %lld.%09u %lld.%09u %lld.%09u mask %x",
           (unsigned long long)s.stx_ino, s.stx_mode, s.stx_nlink, s.stx_uid, s.stx_gid, (unsigned long long)s.stx_size,
           (unsigned long long)s.stx_blocks, s.stx_blksize, (long long)s.stx_atime.tv_sec, s.stx_atime.tv_nsec,
           (long long)s.stx_mtime.tv_sec, s.stx_mtime.tv_nsec, (long long)s.stx_ctime.tv_sec, s.stx_ctime.tv_nsec,
           s.stx_mask & (STATX_BASIC_STATS | STATX_BTIME));
  answer(text);
}

static void file_system(void) {
  struct statfs s;
  if (statfs(words[1], &s) < 0) {
    refuse();
    return;
  }
  snprintf(text, sizeof text, "type %lx block %ld name %ld blocks %llu files %llu", (long)s.f_type, (long)s.f_bsize,
           (long)s.f_namelen, (unsigned long long)s.f_blocks, (unsigned long long)s.f_files);
  answer(text);
}

static void link_target(void) {
  ssize_t length = readlink(words[1], data, (size_t)number(2));
  if (length < 0) {
    refuse();
    return;
  }
  data[length] = 0;
  answer(data);
}

static void directory_entries(void) {
  struct entry {
    unsigned long long inode;
    long long offset;
    unsigned short length;
    unsigned char type;
    char name[];
  };
  long end = syscall(SYS_getdents64, fd_of(1), data, (size_t)number(2));
  if (end < 0) {
    refuse();
    return;
  }
  int length = 0;
  text[0] = 0;
  for (long at = 0; at < end;) {
    struct entry *entry = (struct entry *)(data + at);
    length += snprintf(text + length, sizeof text - (size_t)length, "%s%lld/%llu/%u/%s", length ? "\t" : "",
                       entry->offset, entry->inode, entry->type, entry->name);
    at += entry->length;
  }
  answer(text);
}

/* The names of a list are shown with spaces between. */
static void attribute(const char *verb) {
  int lists = strstr(verb, "list") != NULL;
  size_t size = (size_t)number(lists ? 2 : 3);
  ssize_t length;
  if (lists && verb[0] == 'f') length = flistxattr(fd_of(1), data, size);
  else if (lists && verb[1] == 'l') length = llistxattr(words[1], data, size);
  else if (lists) length = listxattr(words[1], data, size);
  else if (verb[0] == 'f') length = fgetxattr(fd_of(1), words[2], data, size);
  else if (verb[0] == 'l') length = lgetxattr(words[1], words[2], data, size);
  else length = getxattr(words[1], words[2], data, size);
  if (length < 0) {
    refuse();
    return;
  }
  for (ssize_t i = 0; lists && i < length; i++)
    if (data[i] == 0) data[i] = ' ';
  snprintf(text, sizeof text, "%zd %.*s", length, size == 0 ? 0 : (int)length, data);
  answer(text);
}

static void lock(void) {
  struct flock whole_file = {.l_type = (short)number(3), .l_whence = SEEK_SET};
  say(fcntl(fd_of(1), (int)number(2), &whole_file));
}

static void ready_by_poll(void) {
  struct pollfd asked = {fd_of(1), POLLIN | POLLPRI, 0};
  say(poll(&asked, 1, 1000) < 0 ? -1 : asked.revents);
}

static void ready_by_select(void) {
  fd_set readable;
  struct timeval limit = {1, 0};
  FD_ZERO(&readable);
  FD_SET(fd_of(1), &readable);
  say(select(fd_of(1) + 1, &readable, NULL, NULL, &limit));
}

static void ready_by_epoll(void) {
  int set = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLPRI};
  if (epoll_ctl(set, EPOLL_CTL_ADD, fd_of(1), &event) < 0 || epoll_wait(set, &event, 1, 1000) < 0) refuse();
  else say(event.events);
  close(set);
}

static int watcher = -1;

static void watch(void) {
  if (watcher < 0) watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  say(inotify_add_watch(watcher, words[1], (uint32_t)number(2)));
}

/* What came within a second, as watch/mask/name. */
static void heard(void) {
  struct pollfd asked = {watcher, POLLIN, 0};
  ssize_t end = poll(&asked, 1, 1000) > 0 ? read(watcher, data, DATA_BYTES) : 0;
  int length = 0;
  text[0] = 0;
  for (ssize_t at = 0; at < end;) {
    struct inotify_event *event = (struct inotify_event *)(data + at);
    length += snprintf(text + length, sizeof text - (size_t)length, "%s%d/%x/%s", length ? "\t" : "", event->wd,
                       event->mask, event->len ? event->name : "");
    at += (ssize_t)(sizeof *event + event->len);
  }
  answer(text);
}

static struct {
  struct file_handle head;
  unsigned char rest[MAX_HANDLE_SZ];
} handle;

static void remember_handle(void) {
  int mount;
  handle.head.handle_bytes = MAX_HANDLE_SZ;
  say(name_to_handle_at(AT_FDCWD, words[1], &handle.head, &mount, 0));
}

static void become(void) {
  gid_t groups[MAX_WORDS];
  size_t more = 0;
  for (int i = 3; i < count; i++) groups[more++] = (gid_t)number(i);
  uid_t uid = (uid_t)number(1);
  gid_t gid = (gid_t)number(2);
  say(setgroups(more, groups) < 0 || setresgid(gid, gid, gid) < 0 ? -1 : setresuid(uid, uid, uid));
}

/* Stays root, but without the right to pass over modes. */
static void drop_override(void) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &head, sets) < 0) {
    refuse();
    return;
  }
  unsigned keep = ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
  sets[0].effective &= keep;
  sets[0].permitted &= keep;
  say(syscall(SYS_capset, &head, sets));
}

static void bind_socket(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", words[1]);
  say(bind(fd, (struct sockaddr *)&address, sizeof address));
  close(fd);
}

/* Opens, reads and closes, or lists, so often. */
static void storm(void) {
  for (long long i = number(1); i > 0; i--) {
    int fd = open(words[2], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (pread(fd, data, 64, 0) < 0 && (errno != EISDIR || syscall(SYS_getdents64, fd, data, 4096) < 0))) {
      refuse();
      return;
    }
    close(fd);
  }
  answer("done");
}

static void hold(void) {
  long long held = 0;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  while (held < number(1) && open(words[2], O_RDONLY | O_CLOEXEC) >= 0) held++;
  say(held);
}

/* One of many readers: at random places, against the reference. */
static int compare(const char *path, const char *reference, size_t size, unsigned seed, long long rounds) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 1;
  for (; rounds > 0; rounds--) {
    size_t at = (size_t)rand_r(&seed) % size, length = (size_t)rand_r(&seed) % 200000;
    ssize_t expected = (ssize_t)(length < size - at ? length : size - at);
    if (pread(fd, data, length, (off_t)at) != expected) return 2;
    if (memcmp(data, reference + at, (size_t)expected)) return 3;
  }
  return 0;
}

static void parallel(void) {
  struct stat s;
  int file = open(words[4], O_RDONLY | O_CLOEXEC), good = 0, status;
  if (file < 0 || fstat(file, &s) < 0) {
    refuse();
    return;
  }
  char *reference = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_SHARED, file, 0);
  for (long long i = 0; i < number(1); i++)
    if (fork() == 0) _exit(compare(words[3], reference, (size_t)s.st_size, (unsigned)i, number(2)));
  for (long long i = 0; i < number(1); i++) good += wait(&status) > 0 && status == 0;
  close(file);
  say(good);
}

static void obey(const char *verb) {
  if (!strcmp(verb, "sys")) sys();
  else if (!strcmp(verb, "read")) read_by();
  else if (!strcmp(verb, "cat")) cat();
  else if (!strcmp(verb, "thread-cat")) thread_cat();
  else if (!strcmp(verb, "map")) map();
  else if (!strcmp(verb, "touch")) touch(0);
  else if (!strcmp(verb, "poke")) touch(1);
  else if (!strcmp(verb, "statx")) extended();
  else if (!strcmp(verb, "statfs")) file_system();
  else if (strstr(verb, "stat") != NULL) stat_by(verb);
  else if (!strcmp(verb, "readlink")) link_target();
  else if (!strcmp(verb, "getdents")) directory_entries();
  else if (strstr(verb, "xattr") != NULL) attribute(verb);
  else if (!strcmp(verb, "lock")) lock();
  else if (!strcmp(verb, "poll")) ready_by_poll();
  else if (!strcmp(verb, "select")) ready_by_select();
  else if (!strcmp(verb, "epoll")) ready_by_epoll();
  else if (!strcmp(verb, "watch")) watch();
  else if (!strcmp(verb, "heard")) heard();
  else if (!strcmp(verb, "handle")) remember_handle();
  else if (!strcmp(verb, "open-handle")) say(open_by_handle_at(fd_of(1), &handle.head, O_RDONLY | O_CLOEXEC));
  else if (!strcmp(verb, "ring-open")) say(ring_open(words[1]));
  else if (!strcmp(verb, "become")) become();
  else if (!strcmp(verb, "drop-override")) drop_override();
  else if (!strcmp(verb, "bind")) bind_socket();
  else if (!strcmp(verb, "storm")) storm();
  else if (!strcmp(verb, "hold")) hold();
  else if (!strcmp(verb, "parallel")) parallel();
  else answer("no such command");
}

int main(void) {
  signal(SIGBUS, on_fault);
  signal(SIGSEGV, on_fault);
  answer("ready");
  while (fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    count = 0;
    for (char *word = strtok(line, "\t"); word != NULL && count < MAX_WORDS; word = strtok(NULL, "\t"))
      words[count++] = word;
    if (count > 0) obey(words[0]);
  }
  return 0;
}
