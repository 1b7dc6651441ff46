/*
 * The yardstick of `npm run bench -- read`: the tree of bench/static-tree.ts on libfuse 3's low-level interface, with one
 * thread and nothing cached. `hello PLACE` serves a directory that it mounts on, or, as /dev/fd/N, a descriptor of
 * /dev/fuse that is mounted already. It prints `ready` when the kernel has said INIT, and when the mount is gone a line
 * of JSON: how many requests of each opcode came. What it negotiates is what fuse/negotiation.ts does.
 */
#define FUSE_USE_VERSION 35
#include <errno.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ROOT = FUSE_ROOT_ID, MANY = 2, FIRST_FILE = 3, FIRST_OF_MANY = 1000 };
enum { ENTRIES = 1000, NAME_BYTES = 16, BLOCK = 4096, MTIME = 1700000000, MAX_READ = 128 * 1024, OPCODES = 64 };

static struct file {
  const char *name;
  size_t size;
  const char *bytes;
} files[] = {
    {"hello", 13, "hello, world\n"}, {"1KiB", 1 << 10, NULL}, {"4KiB", 1 << 12, NULL},
    {"64KiB", 1 << 16, NULL},        {"1MiB", 1 << 20, NULL},
};
enum { FILES = sizeof files / sizeof *files };

static char names[ENTRIES][NAME_BYTES];
static unsigned long counts[OPCODES];

static struct file *file_of(fuse_ino_t node) {
  return node >= FIRST_FILE && node < FIRST_FILE + FILES ? &files[node - FIRST_FILE] : NULL;
}

static int is_directory(fuse_ino_t node) { return node == ROOT || node == MANY; }

static int is_of_many(fuse_ino_t node) { return node >= FIRST_OF_MANY && node < FIRST_OF_MANY + ENTRIES; }

static int attributes(fuse_ino_t node, struct stat *st) {
  struct file *file = file_of(node);
  if (!file && !is_directory(node) && !is_of_many(node)) return -1;
  memset(st, 0, sizeof *st);
  st->st_ino = node;
  st->st_mode = is_directory(node) ? S_IFDIR | 0555 : S_IFREG | 0444;
  st->st_nlink = is_directory(node) ? 2 : 1;
  st->st_size = file ? (off_t)file->size : 0;
  st->st_blocks = (st->st_size + 511) / 512;
  st->st_blksize = BLOCK;
  st->st_atime = st->st_mtime = st->st_ctime = MTIME;
  return 0;
}

static void init(void *data, struct fuse_conn_info *connection) {
  (void)data;
  connection->want = connection->capable &
                     (FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
  connection->max_readahead = 0;
  connection->max_write = MAX_READ; /* libfuse derives from it how many pages a request may have */
  puts("ready");
  fflush(stdout);
}

static fuse_ino_t find(fuse_ino_t parent, const char *name) {
  if (parent == ROOT) {
    if (strcmp(name, "many") == 0) return MANY;
    for (int i = 0; i < FILES; i++)
      if (strcmp(name, files[i].name) == 0) return FIRST_FILE + i;
  }
  if (parent == MANY && strncmp(name, "entry-", 6) == 0) {
    long index = strtol(name + 6, NULL, 10);
    if (index >= 0 && index < ENTRIES && strcmp(name, names[index]) == 0) return FIRST_OF_MANY + index;
  }
  return 0;
}

static void lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
  struct fuse_entry_param entry = {.ino = find(parent, name)}; /* both timeouts are 0: nothing is remembered */
  if (!entry.ino || attributes(entry.ino, &entry.attr) < 0)
    fuse_reply_err(request, ENOENT);
  else
    fuse_reply_entry(request, &entry);
}

static void getattr(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info) {
  (void)info;
  struct stat st;
  if (attributes(node, &st) < 0)
    fuse_reply_err(request, ENOENT);
  else
    fuse_reply_attr(request, &st, 0);
}

static void open_file(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info) {
  if (!file_of(node)) {
    fuse_reply_err(request, EISDIR);
    return;
  }
  info->fh = node;
  info->direct_io = 1;
  info->noflush = 1;
  fuse_reply_open(request, info);
}

static void read_file(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info) {
  (void)info;
  struct file *file = file_of(node);
  size_t from = file && (size_t)offset < file->size ? (size_t)offset : 0;
  size_t left = file && (size_t)offset < file->size ? file->size - from : 0;
  fuse_reply_buf(request, left ? file->bytes + from : NULL, left < size ? left : size);
}

/* With `plus` the kernel would take attributes, too; like our engine, it gives none that may not be remembered. */
static size_t add_entry(fuse_req_t request, char *at, size_t left, off_t index, int plus) {
  const char *name = index == 0 ? "." : index == 1 ? ".." : names[index - 2];
  struct stat st = {.st_ino = index < 2 ? MANY : FIRST_OF_MANY + index - 2, .st_mode = index < 2 ? S_IFDIR : S_IFREG};
  struct fuse_entry_param nothing = {.attr = st};
  return plus ? fuse_add_direntry_plus(request, at, left, name, &nothing, index + 1)
              : fuse_add_direntry(request, at, left, name, &st, index + 1);
}

static void list(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, int plus) {
  char *buffer = malloc(size);
  if (!buffer || node != MANY) {
    fuse_reply_err(request, buffer ? ENOTDIR : ENOMEM);
    free(buffer);
    return;
  }
  size_t length = 0;
  for (off_t index = offset; index < ENTRIES + 2; index++) {
    size_t needed = add_entry(request, buffer + length, size - length, index, plus);
    if (needed > size - length) break;
    length += needed;
  }
  fuse_reply_buf(request, buffer, length);
  free(buffer);
}

static void read_directory(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info) {
  (void)info;
  list(request, node, size, offset, 0);
}

static void read_directory_plus(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                                struct fuse_file_info *info) {
  (void)info;
  list(request, node, size, offset, 1);
}

static const struct fuse_lowlevel_ops operations = {
    .init = init,
    .lookup = lookup,
    .getattr = getattr,
    .open = open_file,
    .read = read_file,
    .readdir = read_directory,
    .readdirplus = read_directory_plus,
};

/* fuse_session_loop, and counting. */
static void serve(struct fuse_session *session) {
  struct fuse_buf request = {0};
  while (!fuse_session_exited(session)) {
    int length = fuse_session_receive_buf(session, &request);
    if (length == -EINTR) continue;
    if (length <= 0) break;
    uint32_t opcode = ((struct fuse_in_header *)request.mem)->opcode;
    if (opcode < OPCODES) counts[opcode]++;
    fuse_session_process_buf(session, &request);
  }
  free(request.mem);
}

static void fill(struct file *file) {
  if (file->bytes) return;
  char *bytes = malloc(file->size);
  if (!bytes) abort();
  for (size_t i = 0; i < file->size; i++) bytes[i] = (char)(i * 7 + (i >> 8));
  file->bytes = bytes;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  for (int i = 0; i < FILES; i++) fill(&files[i]);
  for (int i = 0; i < ENTRIES; i++) snprintf(names[i], NAME_BYTES, "entry-%03d", i);
  char *options[] = {argv[0], "-oallow_other,ro,nosuid,nodev,noexec"};
  struct fuse_args arguments = FUSE_ARGS_INIT(2, options);
  struct fuse_session *session = fuse_session_new(&arguments, &operations, sizeof operations, NULL);
  if (!session || fuse_session_mount(session, argv[1]) != 0) return 1;
  serve(session);
  const char *separator = "{";
  for (int opcode = 0; opcode < OPCODES; opcode++) {
    if (!counts[opcode]) continue;
    printf("%s\"%d\":%lu", separator, opcode, counts[opcode]);
    separator = ",";
  }
  puts("}");
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  return 0;
}
