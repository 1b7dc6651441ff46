/* Notes when a CPU of this machine stood still, as those of a virtual machine do that its host lends to others. A thread on each
 * goes before all else there, so that it comes late only where the CPU itself did not go on: being busy is no standstill.
 *
 *   standstills          says `watching`, and then of each standstill when it began and ended, in nanoseconds of CLOCK_MONOTONIC
 *
 * It ends with its input. It exits with 4 where it may not go before others, or has no threads. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { ROUND_NS = 10000000, LATE_NS = 50000000 };

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void *watch(void *unused) {
  for (;;) {
    uint64_t due = now() + ROUND_NS;
    struct timespec until = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) continue;
    uint64_t woken = now();
    if (woken - due > LATE_NS) printf("%llu %llu\n", (unsigned long long)due, (unsigned long long)woken);
  }
  return unused;
}

int main(void) {
  cpu_set_t all, one;
  struct sched_param first = {sched_get_priority_max(SCHED_FIFO)};
  setvbuf(stdout, NULL, _IOLBF, 0);
  mlockall(MCL_CURRENT | MCL_FUTURE);
  if (sched_getaffinity(0, sizeof all, &all) != 0) return 4;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &all)) continue;
    pthread_attr_t attributes;
    pthread_t thread;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 65536);
    pthread_attr_setaffinity_np(&attributes, sizeof one, &one);
    pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
    pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
    pthread_attr_setschedparam(&attributes, &first);
    if (pthread_create(&thread, &attributes, watch, NULL) != 0) return 4;
  }
  puts("watching");
  for (char byte; read(0, &byte, 1) > 0;) continue;
  return 0;
}
