// SPDX-License-Identifier: Apache-2.0
// Capture files written byte by byte, so that what the reader reads was not written by its own library.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace postern::sim {

using Bytes = std::vector<std::uint8_t>;

inline void put16(Bytes& bytes, std::uint16_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value));
  bytes.push_back(static_cast<std::uint8_t>(value >> 8));
}

inline void put32(Bytes& bytes, std::uint32_t value) {
  put16(bytes, static_cast<std::uint16_t>(value));
  put16(bytes, static_cast<std::uint16_t>(value >> 16));
}

struct FilePacket {
  std::uint32_t seconds = 0;
  std::uint32_t fraction = 0;  // micro- or nanoseconds, as the file says
  Bytes bytes;
  std::uint32_t original = 0;  // 0: as many as there are
};

inline constexpr std::uint32_t kMicroseconds = 0xa1b2c3d4;
inline constexpr std::uint32_t kNanoseconds = 0xa1b23c4d;
inline constexpr std::uint32_t kLinkEthernet = 1;

// The classic format, little-endian.
inline Bytes pcap_file(std::uint32_t magic, std::uint32_t link_type, const std::vector<FilePacket>& packets) {
  Bytes file;
  put32(file, magic);
  put16(file, 2);
  put16(file, 4);
  put32(file, 0);
  put32(file, 0);
  put32(file, 262144);
  put32(file, link_type);
  for (const auto& packet : packets) {
    put32(file, packet.seconds);
    put32(file, packet.fraction);
    put32(file, static_cast<std::uint32_t>(packet.bytes.size()));
    put32(file, packet.original != 0 ? packet.original : static_cast<std::uint32_t>(packet.bytes.size()));
    file.insert(file.end(), packet.bytes.begin(), packet.bytes.end());
  }
  return file;
}

// One section, one interface whose times count nanoseconds, one enhanced packet block a packet.
inline Bytes pcapng_file(std::uint16_t link_type, const std::vector<FilePacket>& packets) {
  Bytes file;
  put32(file, 0x0a0d0d0a);
  put32(file, 28);
  put32(file, 0x1a2b3c4d);
  put16(file, 1);
  put16(file, 0);
  put32(file, 0xffffffff);
  put32(file, 0xffffffff);
  put32(file, 28);

  put32(file, 1);
  put32(file, 32);
  put16(file, link_type);
  put16(file, 0);
  put32(file, 262144);
  put16(file, 9);  // if_tsresol: 10^-9
  put16(file, 1);
  put32(file, 9);
  put32(file, 0);  // end of options
  put32(file, 32);

  for (const auto& packet : packets) {
    const auto padded = static_cast<std::uint32_t>((packet.bytes.size() + 3) / 4 * 4);
    const std::uint64_t ns = std::uint64_t{packet.seconds} * 1'000'000'000 + packet.fraction;
    put32(file, 6);
    put32(file, 32 + padded);
    put32(file, 0);
    put32(file, static_cast<std::uint32_t>(ns >> 32));
    put32(file, static_cast<std::uint32_t>(ns));
    put32(file, static_cast<std::uint32_t>(packet.bytes.size()));
    put32(file, packet.original != 0 ? packet.original : static_cast<std::uint32_t>(packet.bytes.size()));
    file.insert(file.end(), packet.bytes.begin(), packet.bytes.end());
    file.insert(file.end(), padded - packet.bytes.size(), 0);
    put32(file, 32 + padded);
  }
  return file;
}

// A file of the running test, in the folder for temporary files.
inline std::string write_capture(const std::string& name, const Bytes& bytes) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string path = testing::TempDir() + test->test_suite_name() + "." + test->name() + "." + name;
  for (auto& letter : path.erase(0, testing::TempDir().size())) {
    if (letter == '/') letter = '_';
  }
  path.insert(0, testing::TempDir());
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  EXPECT_TRUE(file.good()) << path;
  return path;
}

}  // namespace postern::sim
