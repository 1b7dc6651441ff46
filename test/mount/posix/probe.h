/* What the two halves of the probe share: the bytes that a way of reading brought, and who says so. */
#ifndef PROBE_H
#define PROBE_H
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/types.h>

enum { DATA_BYTES = 2 << 20 };
extern char data[DATA_BYTES];

/* Reads up to `size` bytes at `offset` into `data`: the count, or -1 and errno. */
typedef ssize_t way_of_reading(int fd, size_t size, off_t offset);
/* NULL when there is no such way. */
way_of_reading *find_way(const char *name);

/* open(2) through io_uring: a descriptor, or -1 and errno. */
int ring_open(const char *path);

#endif
