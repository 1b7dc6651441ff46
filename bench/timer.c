/* Times open+read+close of one file: timer PATH ROUNDS prints the microseconds of one round. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int rounds = atoi(argv[2]);
  char bytes[4096];
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (int i = 0; i < rounds; i++) {
    int fd = open(argv[1], O_RDONLY);
    if (fd < 0 || read(fd, bytes, sizeof bytes) < 0) return 1;
    close(fd);
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
  printf("%.2f\n", ns / 1e3 / rounds);
  return 0;
}
