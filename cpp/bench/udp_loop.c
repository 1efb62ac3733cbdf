/* A plain loop of sendmmsg and recvmmsg, with which scripts/bench-sockets compares udpbaseline:
 * what a C programmer would write in an afternoon. It paces nothing and verifies nothing.
 *
 *   udp-loop blast SRC PORT DEST PORT BYTES BATCH SECONDS
 *     sends as fast as it can, and receives what comes back
 *   udp-loop echo IP PORT BATCH    sends back what it receives, until SIGTERM
 *   udp-loop sink IP PORT BATCH    receives, until SIGTERM
 *
 * Prints how many datagrams it sent and received. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { kMostBatch = 512, kMostBytes = 2048 };

static volatile sig_atomic_t over = 0;

struct batch {
  struct mmsghdr messages[kMostBatch];
  struct iovec vectors[kMostBatch];
  struct sockaddr_in names[kMostBatch];
  uint8_t bytes[kMostBatch][kMostBytes];
};

struct receiver {
  int socket;
  unsigned batch;
  uint64_t received;
};

static void stop(int signal) {
  (void)signal;
  over = 1;
}

static void fail(const char* what) {
  fprintf(stderr, "udp-loop: %s: %s\n", what, strerror(errno));
  exit(1);
}

static struct sockaddr_in address(const char* ip, const char* port) {
  struct sockaddr_in found = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
  if (inet_pton(AF_INET, ip, &found.sin_addr) != 1) {
    fail(ip);
  }
  return found;
}

static int bound(const char* ip, const char* port) {
  const struct sockaddr_in own = address(ip, port);
  const struct timeval timeout = {.tv_usec = 2000};
  const int room = 4 << 20;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || bind(fd, (const struct sockaddr*)&own, sizeof own) != 0) {
    fail("bind");
  }
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  return fd;
}

static struct batch* new_batch(size_t bytes, int with_names) {
  struct batch* batch = calloc(1, sizeof *batch);
  if (batch == NULL) {
    fail("memory");
  }
  for (unsigned i = 0; i < kMostBatch; ++i) {
    batch->vectors[i] = (struct iovec){batch->bytes[i], bytes};
    batch->messages[i].msg_hdr.msg_iov = &batch->vectors[i];
    batch->messages[i].msg_hdr.msg_iovlen = 1;
    if (with_names) {
      batch->messages[i].msg_hdr.msg_name = &batch->names[i];
      batch->messages[i].msg_hdr.msg_namelen = sizeof batch->names[i];
    }
  }
  return batch;
}

static void* receive(void* argument) {
  struct receiver* receiver = argument;
  struct batch* batch = new_batch(kMostBytes, 0);
  while (!over) {
    const int got =
        recvmmsg(receiver->socket, batch->messages, receiver->batch, MSG_WAITFORONE, NULL);
    receiver->received += got > 0 ? (uint64_t)got : 0;
  }
  return NULL;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void report(uint64_t sent, uint64_t received) {
  printf("{\"sent\": %llu, \"received\": %llu}\n", (unsigned long long)sent,
         (unsigned long long)received);
}

static int blast(char** args) {
  struct receiver receiver = {.socket = bound(args[0], args[1]), .batch = (unsigned)atoi(args[5])};
  const struct sockaddr_in peer = address(args[2], args[3]);
  if (connect(receiver.socket, (const struct sockaddr*)&peer, sizeof peer) != 0) {
    fail("connect");
  }
  struct batch* batch = new_batch((size_t)atoi(args[4]), 0);
  pthread_t thread = 0;
  if (pthread_create(&thread, NULL, receive, &receiver) != 0) {
    fail("thread");
  }
  uint64_t sent = 0;
  for (const double end = now() + atof(args[6]); now() < end && !over;) {
    for (unsigned i = 0; i < receiver.batch; ++i) {
      for (unsigned byte = 0; byte < sizeof sent; ++byte) {
        batch->bytes[i][byte] = (uint8_t)((sent + i) >> (8 * byte));
      }
    }
    const int done = sendmmsg(receiver.socket, batch->messages, receiver.batch, 0);
    sent += done > 0 ? (uint64_t)done : 0;
  }
  usleep(100000);
  over = 1;
  pthread_join(thread, NULL);
  report(sent, receiver.received);
  return 0;
}

static int echo(char** args, int answers) {
  const int fd = bound(args[0], args[1]);
  const int most = atoi(args[2]);
  struct batch* batch = new_batch(kMostBytes, answers);
  uint64_t received = 0;
  uint64_t sent = 0;
  while (!over) {
    const int got = recvmmsg(fd, batch->messages, (unsigned)most, MSG_WAITFORONE, NULL);
    if (got <= 0) {
      continue;
    }
    received += (uint64_t)got;
    if (!answers) {
      continue;
    }
    for (int i = 0; i < got; ++i) {
      batch->vectors[i].iov_len = batch->messages[i].msg_len;
    }
    for (int from = 0; from < got && !over;) {
      const int done = sendmmsg(fd, batch->messages + from, (unsigned)(got - from), 0);
      from += done > 0 ? done : 0;
      sent += done > 0 ? (uint64_t)done : 0;
    }
    for (int i = 0; i < got; ++i) {
      batch->vectors[i].iov_len = kMostBytes;
      batch->messages[i].msg_hdr.msg_namelen = sizeof batch->names[i];
    }
  }
  report(sent, received);
  return 0;
}

int main(int argc, char** argv) {
  signal(SIGTERM, stop);
  signal(SIGINT, stop);
  if (argc == 9 && strcmp(argv[1], "blast") == 0 && atoi(argv[7]) <= kMostBatch &&
      atoi(argv[6]) <= kMostBytes) {
    return blast(argv + 2);
  }
  if (argc == 5 && strcmp(argv[1], "echo") == 0 && atoi(argv[4]) <= kMostBatch) {
    return echo(argv + 2, 1);
  }
  if (argc == 5 && strcmp(argv[1], "sink") == 0 && atoi(argv[4]) <= kMostBatch) {
    return echo(argv + 2, 0);
  }
  fprintf(
      stderr,
      "usage: udp-loop blast SRC PORT DEST PORT BYTES BATCH SECONDS | echo IP PORT BATCH | sink IP "
      "PORT BATCH\n");
  return 2;
}
