/* Every way of getting a file's bytes that the kernel offers to a program without a mapping. */
#include "probe.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Page-aligned, as O_DIRECT may want it. */
_Alignas(4096) char data[DATA_BYTES];

enum { PIPE_BYTES = 65536 };

static ssize_t by_pread(int fd, size_t size, off_t offset) { return pread(fd, data, size, offset); }

static ssize_t by_read(int fd, size_t size, off_t offset) {
  return lseek(fd, offset, SEEK_SET) < 0 ? -1 : read(fd, data, size);
}

/* In three parts, of which the first two are odd. */
static int in_parts(size_t size, struct iovec parts[3]) {
  size_t first = size < 7 ? size : 7, second = size - first < 4001 ? size - first : 4001;
  parts[0] = (struct iovec){data, first};
  parts[1] = (struct iovec){data + first, second};
  parts[2] = (struct iovec){data + first + second, size - first - second};
  return 3;
}

static ssize_t by_readv(int fd, size_t size, off_t offset) {
  struct iovec parts[3];
  return lseek(fd, offset, SEEK_SET) < 0 ? -1 : readv(fd, parts, in_parts(size, parts));
}

static ssize_t by_preadv(int fd, size_t size, off_t offset) {
  struct iovec parts[3];
  return preadv(fd, parts, in_parts(size, parts), offset);
}

/* Moves into a pipe with `move` and takes out again, as often as needed. */
static ssize_t through_pipe(ssize_t (*move)(int, int, off_t *, size_t), int fd, size_t size, off_t offset) {
  int ends[2];
  size_t length = 0;
  ssize_t moved = 0;
  if (pipe(ends) < 0) return -1;
  while (length < size) {
    size_t rest = size - length < PIPE_BYTES ? size - length : PIPE_BYTES;
    if ((moved = move(ends[1], fd, &offset, rest)) <= 0) break;
    for (ssize_t taken = 0, n; taken < moved; taken += n)
      if ((n = read(ends[0], data + length + taken, (size_t)(moved - taken))) <= 0) break;
    length += (size_t)moved;
  }
  int error = errno;
  close(ends[0]);
  close(ends[1]);
  errno = error;
  return moved < 0 && length == 0 ? -1 : (ssize_t)length;
}

static ssize_t splice_into(int pipe, int fd, off_t *offset, size_t size) {
  return splice(fd, offset, pipe, NULL, size, 0);
}

static ssize_t by_splice(int fd, size_t size, off_t offset) { return through_pipe(splice_into, fd, size, offset); }
static ssize_t by_sendfile(int fd, size_t size, off_t offset) { return through_pipe(sendfile, fd, size, offset); }

static ssize_t by_copy_file_range(int fd, size_t size, off_t offset) {
  int memory = memfd_create("copy", 0);
  ssize_t copied = copy_file_range(fd, &offset, memory, NULL, size, 0);
  int error = errno;
  if (copied > 0 && pread(memory, data, (size_t)copied, 0) != copied) copied = -1;
  close(memory);
  errno = error;
  return copied;
}

static ssize_t by_aio(int fd, size_t size, off_t offset) {
  static aio_context_t context;
  struct iocb read_it = {.aio_fildes = (__u32)fd, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_offset = offset,
                         .aio_buf = (__u64)(size_t)data, .aio_nbytes = size};
  struct iocb *batch[] = {&read_it};
  struct io_event event;
  if (context == 0 && syscall(SYS_io_setup, 1, &context) < 0) return -1;
  if (syscall(SYS_io_submit, context, 1, batch) != 1) return -1;
  if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1) return -1;
  if (event.res >= 0) return (ssize_t)event.res;
  errno = (int)-event.res;
  return -1;
}

static struct {
  int fd;
  unsigned *tail, *mask, *array, *seen, *done, *done_mask;
  struct io_uring_sqe *asked;
  struct io_uring_cqe *answers;
} ring = {.fd = -1};

static int open_ring(void) {
  struct io_uring_params about = {0};
  if (ring.fd >= 0) return 0;
  int fd = (int)syscall(SYS_io_uring_setup, 1, &about);
  if (fd < 0) return -1;
  const int both = PROT_READ | PROT_WRITE;
  char *out = mmap(NULL, 4096, both, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQ_RING);
  char *in = mmap(NULL, 4096, both, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_CQ_RING);
  ring.asked = mmap(NULL, 4096, both, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
  if (out == MAP_FAILED || in == MAP_FAILED || ring.asked == MAP_FAILED) return -1;
  ring.tail = (unsigned *)(out + about.sq_off.tail);
  ring.mask = (unsigned *)(out + about.sq_off.ring_mask);
  ring.array = (unsigned *)(out + about.sq_off.array);
  ring.seen = (unsigned *)(in + about.cq_off.head);
  ring.done = (unsigned *)(in + about.cq_off.tail);
  ring.done_mask = (unsigned *)(in + about.cq_off.ring_mask);
  ring.answers = (struct io_uring_cqe *)(in + about.cq_off.cqes);
  ring.fd = fd;
  return 0;
}

static int ring_submit(struct io_uring_sqe call) {
  unsigned at = *ring.tail & *ring.mask;
  ring.asked[at] = call;
  ring.array[at] = at;
  __atomic_store_n(ring.tail, *ring.tail + 1, __ATOMIC_RELEASE);
  if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return -1;
  if (*ring.seen == __atomic_load_n(ring.done, __ATOMIC_ACQUIRE)) {
    errno = EPROTO;
    return -1;
  }
  int result = ring.answers[*ring.seen & *ring.done_mask].res;
  __atomic_store_n(ring.seen, *ring.seen + 1, __ATOMIC_RELEASE);
  if (result >= 0) return result;
  errno = -result;
  return -1;
}

static ssize_t ring_read(int fd, unsigned char flags, size_t size, off_t offset) {
  return ring_submit((struct io_uring_sqe){.opcode = IORING_OP_READ, .flags = flags, .fd = fd, .off = (__u64)offset,
                                           .addr = (__u64)(size_t)data, .len = (__u32)size});
}

int ring_open(const char *path) {
  if (open_ring() < 0) return -1;
  return ring_submit((struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (__u64)(size_t)path,
                                           .open_flags = O_RDONLY | O_CLOEXEC});
}

static ssize_t by_io_uring(int fd, size_t size, off_t offset) {
  return open_ring() < 0 ? -1 : ring_read(fd, 0, size, offset);
}

/* The descriptor is registered once, so the kernel has a reference of its own, and the number may be closed. */
static ssize_t by_io_uring_fixed(int fd, size_t size, off_t offset) {
  static int registered = -1;
  if (open_ring() < 0) return -1;
  if (registered < 0 && syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, &fd, 1) < 0) return -1;
  registered = fd;
  return ring_read(0, IOSQE_FIXED_FILE, size, offset);
}

way_of_reading *find_way(const char *name) {
  static const struct {
    const char *name;
    way_of_reading *way;
  } ways[] = {{"pread", by_pread},           {"read", by_read},
              {"readv", by_readv},           {"preadv", by_preadv},
              {"splice", by_splice},         {"sendfile", by_sendfile},
              {"aio", by_aio},               {"copy_file_range", by_copy_file_range},
              {"io_uring", by_io_uring},     {"io_uring_fixed", by_io_uring_fixed}};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    if (!strcmp(ways[i].name, name)) return ways[i].way;
  return NULL;
}
