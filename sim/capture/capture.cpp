// SPDX-License-Identifier: Apache-2.0
#include "sim/capture/capture.h"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sim/capture/link_types.h"

namespace postern::sim {

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
constexpr int kSnapLength = 262144;

// libpcap writes "path: reason" for files it cannot open, and our messages name the path themselves.
std::string without_path(const std::string& message, const std::string& path) {
  const std::string prefix = path + ": ";
  return message.compare(0, prefix.size(), prefix) == 0 ? message.substr(prefix.size()) : message;
}

std::string link_type_text(int link_type) {
  const char* name = pcap_datalink_val_to_name(link_type);
  const char* description = pcap_datalink_val_to_description(link_type);
  std::string text = name != nullptr ? name : "number " + std::to_string(link_type);
  if (description != nullptr) text += std::string(" (") + description + ")";
  return text;
}

struct PcapCloser {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};
struct DumperCloser {
  void operator()(pcap_dumper_t* dumper) const { pcap_dump_close(dumper); }
};

}  // namespace

struct CaptureReader::State {
  std::string path;
  std::unique_ptr<pcap_t, PcapCloser> handle;
  int link_type = 0;
  std::uint64_t packets = 0;
};

CaptureReader::CaptureReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureReader::~CaptureReader() = default;
CaptureReader::CaptureReader(CaptureReader&&) noexcept = default;
CaptureReader& CaptureReader::operator=(CaptureReader&&) noexcept = default;
const std::string& CaptureReader::path() const {
  return state_->path;
}
std::uint64_t CaptureReader::packets_read() const {
  return state_->packets;
}

Result<CaptureReader> CaptureReader::open(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path == "-" ? "standard input" : path;
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  state->handle.reset(
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (!state->handle) {
    return fail(ErrorCode::io, "cannot read as a capture: " + without_path(error.data(), path),
                {state->path});
  }
  state->link_type = pcap_datalink(state->handle.get());
  if (!link_type_supported(state->link_type)) {
    return fail(ErrorCode::unsupported,
                "link type " + link_type_text(state->link_type) +
                    " is not supported; expected Ethernet, raw IP, Linux cooked, loopback, PPP, Cisco HDLC, IPsec (enc) or NFLOG",
                {state->path});
  }
  return CaptureReader(std::move(state));
}

Result<std::optional<CapturedPacket>> CaptureReader::next() {
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  const int outcome = pcap_next_ex(state_->handle.get(), &header, &data);
  if (outcome == PCAP_ERROR_BREAK) return std::optional<CapturedPacket>{};
  if (outcome != 1) {
    return fail(ErrorCode::invalid_input,
                "damaged or cut after " + std::to_string(state_->packets) +
                    " whole packets: " + without_path(pcap_geterr(state_->handle.get()), state_->path),
                {state_->path});
  }
  const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), header->caplen);
  auto frame = to_ethernet(state_->link_type, bytes);
  CapturedPacket packet;
  // In a file opened for nanoseconds tv_usec counts nanoseconds.
  packet.at.ns = static_cast<std::int64_t>(header->ts.tv_sec) * kNsPerSecond + header->ts.tv_usec;
  packet.frame = std::move(frame.bytes);
  packet.wire_length = header->len;
  const std::int64_t length = static_cast<std::int64_t>(header->len) + frame.length_change;
  packet.original_length = static_cast<std::uint32_t>(std::max<std::int64_t>(length, 0));
  packet.number = ++state_->packets;
  return std::optional(std::move(packet));
}

struct CaptureWriter::State {
  std::string path;
  std::unique_ptr<pcap_t, PcapCloser> handle;
  std::unique_ptr<pcap_dumper_t, DumperCloser> dumper;
};

CaptureWriter::CaptureWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
CaptureWriter::~CaptureWriter() = default;
CaptureWriter::CaptureWriter(CaptureWriter&&) noexcept = default;
CaptureWriter& CaptureWriter::operator=(CaptureWriter&&) noexcept = default;

Result<CaptureWriter> CaptureWriter::create(const std::string& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->handle.reset(
      pcap_open_dead_with_tstamp_precision(DLT_EN10MB, kSnapLength, PCAP_TSTAMP_PRECISION_NANO));
  if (!state->handle) return fail(ErrorCode::internal, "libpcap gave no handle to write with", {path});
  state->dumper.reset(pcap_dump_open(state->handle.get(), path.c_str()));
  if (!state->dumper) {
    return fail(ErrorCode::io, "cannot write: " + without_path(pcap_geterr(state->handle.get()), path),
                {path});
  }
  return CaptureWriter(std::move(state));
}

Result<void> CaptureWriter::write(Instant at, std::span<const std::byte> frame,
                                  std::uint32_t original_length) {
  if (!state_->dumper) return fail(ErrorCode::internal, "written to after close", {state_->path});
  pcap_pkthdr header{};
  header.ts.tv_sec = static_cast<decltype(header.ts.tv_sec)>(at.ns / kNsPerSecond);
  header.ts.tv_usec = static_cast<decltype(header.ts.tv_usec)>(at.ns % kNsPerSecond);
  header.caplen = static_cast<bpf_u_int32>(frame.size());
  header.len = std::max(original_length, header.caplen);
  pcap_dump(reinterpret_cast<u_char*>(state_->dumper.get()), &header,
            reinterpret_cast<const u_char*>(frame.data()));
  // pcap_dump reports nothing; the stream remembers a write that failed.
  if (std::ferror(pcap_dump_file(state_->dumper.get())) != 0) {
    return fail(ErrorCode::io, std::string("cannot write: ") + std::strerror(errno), {state_->path});
  }
  return {};
}

Result<void> CaptureWriter::close() {
  if (!state_->dumper) return {};
  const int flushed = pcap_dump_flush(state_->dumper.get());
  const int cause = errno;
  state_->dumper.reset();
  if (flushed != 0)
    return fail(ErrorCode::io, std::string("cannot write: ") + std::strerror(cause), {state_->path});
  return {};
}

}  // namespace postern::sim
