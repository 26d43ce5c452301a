// SPDX-License-Identifier: Apache-2.0
// Capture files: reads pcap (micro- and nanosecond) and pcapng, writes nanosecond pcap. Every packet
// comes out as an Ethernet frame, whatever the link type: what sees packets later knows one framing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/time.h"

namespace postern::sim {

struct CapturedPacket {
  Instant at;  // nanoseconds since 1970
  // An Ethernet frame: as captured, or made from the network packet of another link type, with zero
  // hardware addresses. May be shorter than the packet was (snap length).
  std::vector<std::byte> frame;
  std::uint32_t original_length = 0;  // bytes of the whole packet, in the same framing as `frame`
  std::uint32_t wire_length = 0;      // bytes on the wire in the capture's own framing
  std::uint64_t number = 0;           // from 1, as other tools number the packets of the file
  [[nodiscard]] bool cut() const { return frame.size() < original_length; }
};

class CaptureReader {
 public:
  // "-" is standard input. Errors: a file that cannot be read or is no capture (io, invalid_input),
  // a link type that carries no Ethernet or IP packets, by name (unsupported).
  static Result<CaptureReader> open(const std::string& path);
  ~CaptureReader();
  CaptureReader(CaptureReader&&) noexcept;
  CaptureReader& operator=(CaptureReader&&) noexcept;

  // The next packet; empty at the end of the file. Errors (invalid_input): a file cut in the middle
  // of a packet or damaged; the message says how many packets were read before.
  Result<std::optional<CapturedPacket>> next();

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] std::uint64_t packets_read() const;

 private:
  struct State;
  explicit CaptureReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Writes Ethernet frames with nanosecond times.
class CaptureWriter {
 public:
  static Result<CaptureWriter> create(const std::string& path);
  ~CaptureWriter();
  CaptureWriter(CaptureWriter&&) noexcept;
  CaptureWriter& operator=(CaptureWriter&&) noexcept;

  // `original_length` 0: the frame is whole.
  Result<void> write(Instant at, std::span<const std::byte> frame, std::uint32_t original_length = 0);
  // Everything is on its way to the disk, or an error (a full disk shows here, not before).
  Result<void> close();

 private:
  struct State;
  explicit CaptureWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace postern::sim
