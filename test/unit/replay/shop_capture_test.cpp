// SPDX-License-Identifier: Apache-2.0
// The shipped capture of real traffic, read a second time by tshark: counts by flow agree with the
// fields that tshark prints, and what the replay denies is what nobody answered when it was recorded.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "backends/native/native_backend.h"
#include "sim/replay/manifest_cluster.h"
#include "sim/replay/replay.h"

namespace postern::sim {
namespace {

constexpr const char* kCapture = "scenarios/captures/shop.pcap";
constexpr const char* kManifests = "scenarios/apps/shop";

struct TsharkPacket {
  std::uint64_t number = 0;
  std::uint64_t length = 0;
  std::string source;
  std::string destination;
  int protocol = 0;
  int source_port = 0;
  int destination_port = 0;
  bool tcp = false;
  bool asks = false;  // opens a connection: no answer to anything
};

// Fields of a line, empty ones included.
std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::string field;
  for (const char letter : line + '|') {
    if (letter != '|') {
      field += letter;
      continue;
    }
    fields.push_back(field);
    field.clear();
  }
  return fields;
}

int number_of(const std::string& text) {
  return text.empty() ? 0 : std::stoi(text, nullptr, 0);
}

bool is_set(const std::string& flag) {
  return flag == "1" || flag == "True";
}

std::vector<TsharkPacket> tshark_packets() {
  const std::string command =
      std::string("tshark -n -r ") + kCapture +
      " -T fields -E separator='|' -E occurrence=f -e frame.number -e frame.len -e ip.src -e ip.dst"
      " -e ip.proto -e tcp.srcport -e tcp.dstport -e udp.srcport -e udp.dstport -e icmp.ident"
      " -e tcp.flags.syn -e tcp.flags.ack -e icmp.type 2>/dev/null";
  std::vector<TsharkPacket> packets;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return packets;
  std::string text;
  std::array<char, 4096> buffer{};
  while (const auto got = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), got);
  EXPECT_EQ(pclose(pipe), 0) << "tshark is needed (ci/setup installs it) and must be able to read "
                             << kCapture;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto fields = split(line);
    if (fields.size() != 13) {
      ADD_FAILURE() << "unexpected line of tshark: " << line;
      continue;
    }
    TsharkPacket packet;
    packet.number = std::stoull(fields[0]);
    packet.length = std::stoull(fields[1]);
    packet.source = fields[2];
    packet.destination = fields[3];
    packet.protocol = number_of(fields[4]);
    packet.tcp = !fields[5].empty();
    packet.source_port = number_of(fields[5] + fields[7] + fields[9]);
    packet.destination_port = number_of(fields[6] + fields[8] + fields[9]);
    // An echo reply alone is an answer; of UDP the first packet asks.
    packet.asks = packet.tcp ? is_set(fields[10]) && !is_set(fields[11]) : fields[12] != "0";
    packets.push_back(packet);
  }
  return packets;
}

using FlowKey = std::tuple<int, std::string, int, std::string, int>;

FlowKey key_of(int protocol, const std::string& a, int port_a, const std::string& b, int port_b) {
  if (std::tie(b, port_b) < std::tie(a, port_a)) return {protocol, b, port_b, a, port_a};
  return {protocol, a, port_a, b, port_b};
}

struct Tally {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t midstream = 0;
  std::uint64_t denied = 0;
  bool operator==(const Tally&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Tally& tally) {
  return out << tally.packets << " packets, " << tally.bytes << " bytes, " << tally.midstream
             << " midstream, " << tally.denied << " denied";
}

// What should be found, from tshark's fields alone: a connection is midstream until its SYN, and what
// was opened and never got an answer is what the programs dropped when it was recorded.
std::map<FlowKey, Tally> expected_flows(const std::vector<TsharkPacket>& packets) {
  std::map<FlowKey, Tally> flows;
  std::map<FlowKey, bool> opened;
  std::map<FlowKey, std::map<std::string, std::uint64_t>> senders;
  for (const auto& packet : packets) {
    const auto key = key_of(packet.protocol, packet.source, packet.source_port, packet.destination,
                            packet.destination_port);
    auto& tally = flows[key];
    ++tally.packets;
    tally.bytes += packet.length;
    opened[key] = opened[key] || packet.asks;
    if (packet.tcp && !opened[key]) ++tally.midstream;
    ++senders[key][packet.source];
  }
  for (auto& [key, tally] : flows) {
    if (opened[key] && senders[key].size() == 1) tally.denied = tally.packets - tally.midstream;
  }
  return flows;
}

ReplayResult replayed() {
  const std::vector<std::string> manifests{kManifests};
  const std::vector<std::string> captures{kCapture};
  const auto loaded = load_cluster(manifests);
  if (!loaded) {
    ADD_FAILURE() << loaded.error().front().to_string();
    return {};
  }
  const auto result = replay_captures(captures, loaded->cluster, {}, make_native_backend);
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    return {};
  }
  return *result;
}

TEST(ShopCapture, EveryFlowAgreesWithTsharkAndWithWhatTheKernelDropped) {
  const auto packets = tshark_packets();
  ASSERT_GT(packets.size(), 50u);
  const auto result = replayed();
  std::map<FlowKey, Tally> found;
  for (const auto& flow : result.flows) {
    const auto key = key_of(flow.protocol, flow.from.address.to_string(), flow.from.port,
                            flow.to.address.to_string(), flow.to.port);
    found[key] = {flow.packets, flow.bytes, flow.midstream, flow.denied};
  }
  const auto expected = expected_flows(packets);
  EXPECT_EQ(found.size(), expected.size());
  Tally sum;
  for (const auto& [key, tally] : expected) {
    const auto& [protocol, a, port_a, b, port_b] = key;
    EXPECT_EQ(found[key], tally) << "protocol " << protocol << " " << a << ":" << port_a << " and " << b
                                 << ":" << port_b;
    sum.packets += tally.packets;
    sum.bytes += tally.bytes;
    sum.midstream += tally.midstream;
    sum.denied += tally.denied;
  }
  EXPECT_EQ(result.totals.packets, sum.packets);
  EXPECT_EQ(result.totals.bytes, sum.bytes);
  EXPECT_EQ(result.totals.midstream, sum.midstream);
  EXPECT_EQ(result.totals.denied, sum.denied);
  EXPECT_GT(sum.denied, 0u) << "a capture without denials shows nothing";
}

}  // namespace
}  // namespace postern::sim
