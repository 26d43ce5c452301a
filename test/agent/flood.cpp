// SPDX-License-Identifier: Apache-2.0
// Sends UDP packets at a rate, as exactly as a busy machine lets it, and says what it did:
//   flood ADDRESS PORTS PER_SECOND SECONDS
// to the ports 20000 and up, one after the other, so PORTS is the number of flows. Prints
//   {"sent": n, "seconds": s}
// of what the kernel took from it.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>

int main(int argc, char** argv) {
  using Clock = std::chrono::steady_clock;
  constexpr std::size_t kBatch = 64;
  if (argc != 5) {
    std::fprintf(stderr, "usage: flood ADDRESS PORTS PER_SECOND SECONDS\n");
    return 2;
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  const auto ports = static_cast<std::uint32_t>(std::atoi(argv[2]));
  const double per_second = std::atof(argv[3]);
  const double seconds = std::atof(argv[4]);
  if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || ports == 0 || ports > 40000) return 2;
  const int socket_fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (socket_fd < 0) return 1;
  const int room = 8 << 20;
  setsockopt(socket_fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);

  std::array<sockaddr_in, kBatch> addresses{};
  std::array<mmsghdr, kBatch> messages{};
  std::array<char, 18> payload{};  // the shortest frame of an Ethernet
  iovec bytes{payload.data(), payload.size()};
  for (std::size_t i = 0; i < kBatch; ++i) {
    messages[i].msg_hdr.msg_name = &addresses[i];
    messages[i].msg_hdr.msg_namelen = sizeof addresses[i];
    messages[i].msg_hdr.msg_iov = &bytes;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const auto start = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  const auto wanted = static_cast<std::uint64_t>(per_second * seconds);
  std::uint64_t sent = 0;
  std::uint32_t flow = 0;
  while (sent < wanted) {
    const double due = per_second * passed();
    if (static_cast<double>(sent) + kBatch > due) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (passed() < seconds) continue;
    }
    const auto count = static_cast<unsigned>(wanted - sent < kBatch ? wanted - sent : kBatch);
    for (unsigned i = 0; i < count; ++i) {
      addresses[i] = to;
      addresses[i].sin_port = htons(static_cast<std::uint16_t>(20000 + flow++ % ports));
    }
    const int taken = sendmmsg(socket_fd, messages.data(), count, 0);
    if (taken > 0) sent += static_cast<std::uint64_t>(taken);
    if (passed() > seconds * 3 + 2) break;
  }
  std::printf("{\"sent\": %llu, \"seconds\": %.3f}\n", static_cast<unsigned long long>(sent), passed());
  close(socket_fd);
  return 0;
}
