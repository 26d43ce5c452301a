// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/interrupt.h"

#include <time.h>
#include <unistd.h>

#include <csignal>

namespace postern::cli {

namespace {

volatile std::sig_atomic_t g_interrupted = 0;
timespec g_first{};  // written before the flag, by the first signal alone

// One key press may arrive twice: from the terminal, and forwarded by the process that waits for this
// one. Only what comes later is a second wish.
constexpr long kSameWishMs = 500;

void on_signal(int number) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  if (g_interrupted == 0) {
    g_first = now;
    g_interrupted = 1;
    return;
  }
  const long ms = (now.tv_sec - g_first.tv_sec) * 1000 + (now.tv_nsec - g_first.tv_nsec) / 1'000'000;
  if (ms > kSameWishMs) ::_exit(128 + number);
}

}  // namespace

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  // Neither handler may run inside the other.
  sigaddset(&action.sa_mask, SIGINT);
  sigaddset(&action.sa_mask, SIGTERM);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return g_interrupted != 0; }

}  // namespace postern::cli
