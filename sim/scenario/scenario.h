// SPDX-License-Identifier: Apache-2.0
// A scenario file as values: what scenario-format (docs/scenario-format.md) says, read and checked,
// not yet run. Every part keeps the place it was written at, for messages.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/time.h"
#include "engine/compile/table_compiler.h"
#include "engine/manifest/objects.h"
#include "engine/policy/resolve.h"

namespace postern::sim {

enum class ScenarioFamily : std::uint8_t { v4, v6, dual };

// A protocol a probe can ask for.
enum class ProbeProtocol : std::uint8_t { tcp, udp, sctp, icmp };

enum class Expectation : std::uint8_t { deny, allow };

// One end as written: "ns/pod" glob, "node:NAME", "service:ns/name" or an address literal.
struct PodGlob {
  std::string ns;
  std::string name;
  [[nodiscard]] bool exact() const { return (ns + name).find('*') == std::string::npos; }
};
struct NodeEnd {
  std::string name;
};
struct ServiceEnd {
  NamespacedName service;
};
using End = std::variant<PodGlob, NodeEnd, ServiceEnd, IpAddress>;

struct ProbeLine {
  Location location;
  std::string from_text;
  std::string to_text;
  End from;
  End to;
  // Number or name; empty for ICMP.
  std::optional<std::variant<std::uint16_t, std::string>> port;
  ProbeProtocol protocol = ProbeProtocol::tcp;
  Expectation expect = Expectation::allow;
};

// What a single packet carries above IP (or instead of it).
struct TcpPart {
  std::uint16_t sport = 0;
  std::uint16_t dport = 0;
  std::string flags;  // letters of FSRPAU
  std::uint32_t sequence = 1;
  std::uint32_t acknowledgement = 0;
};
struct UdpPart {
  std::uint16_t sport = 0;
  std::uint16_t dport = 0;
};
struct SctpPart {
  std::uint16_t sport = 0;
  std::uint16_t dport = 0;
  std::string chunk;  // INIT, INIT-ACK, DATA, ABORT, SHUTDOWN
};
struct IcmpPart {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint16_t id = 0;
};
struct IpPart {
  std::uint8_t protocol = 0;
};
struct FramePart {
  std::vector<std::uint8_t> bytes;  // a whole Ethernet frame
};
using PacketPart = std::variant<TcpPart, UdpPart, SctpPart, IcmpPart, IpPart, FramePart>;

struct FragmentPart {
  std::uint32_t id = 0;      // at most 16 bits in IPv4
  std::uint16_t offset = 0;  // bytes, a multiple of 8
  bool more = false;
};

// Headers between that of IPv6 and the transport's, in the order in which they are written.
enum class ExtensionHeader : std::uint8_t { hop_by_hop, destination, routing };

// The packet that an ICMP error complains of: its ends as that packet has them, and what it carries
// (no whole frame, and nothing that it quotes itself).
struct QuotedPacket {
  std::string from_text;
  std::string to_text;
  End from;
  End to;
  PacketPart part;
};

// Only what is written is compared.
struct PacketExpectation {
  std::optional<Expectation> verdict;
  std::optional<std::string> reason;  // public name
  std::optional<std::string> policy;  // "ns/name"
  std::optional<std::uint32_t> rule;
  bool at_from = false;               // `at: from`
  bool at_written = false;            // then a drop must have been there
};

struct PacketLine {
  Location location;
  Duration at;  // after the step's advance
  std::string from_text;
  std::string to_text;
  End from;
  End to;
  PacketPart part;
  std::optional<QuotedPacket> quotes;  // with an IcmpPart
  std::optional<IpAddress> source;
  std::vector<std::uint16_t> vlan;          // outermost first
  std::vector<std::uint8_t> ip_options;     // IPv4
  std::vector<ExtensionHeader> extensions;  // IPv6
  std::optional<FragmentPart> fragment;
  std::optional<std::uint32_t> length;   // bytes kept after the Ethernet header
  PacketExpectation expect;
};

struct ReplayLine {
  Location location;
  std::string capture;  // path, already resolved against the scenario's folder
  std::string vantage;  // "pod-veth"
  std::optional<std::uint64_t> allowed;
  std::optional<std::uint64_t> denied;
};

using manifest::ObjectRef;

struct Step {
  Location location;
  std::string name;
  std::vector<ObjectRef> deletes;
  std::vector<manifest::Object> applies;  // Lists unpacked; workloads still as templates
  Duration advance;
  std::vector<ProbeLine> probes;
  std::vector<PacketLine> packets;
  std::optional<ReplayLine> replay;
};

struct Scenario {
  std::string file;  // as given on the command line, or as found below a folder
  std::string name;
  std::map<std::string, std::string> labels;
  std::string description;
  ScenarioFamily family = ScenarioFamily::v4;
  bool strict = false;
  std::optional<ServiceIpBlocks> service_ip_blocks;  // R46; absent: as the kind of policy has it
  EstablishedFlows established_flows = EstablishedFlows::reevaluate;
  bool node_conntrack = true;  // nodes remember connections (R40)
  Duration midflow_grace{};
  TableSizes limits;
  std::vector<manifest::Object> manifests;  // loaded before the first step
  std::vector<Step> steps;
  // Kinds skipped, with how often; policy kinds that are not supported are errors instead, unless
  // the reader was told to ignore them.
  std::map<std::string, std::size_t> skipped_kinds;
};

}  // namespace postern::sim
