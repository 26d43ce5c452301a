// SPDX-License-Identifier: Apache-2.0
// To which flow a fragment is counted.
#include "sim/replay/flow_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::sim {
namespace {

constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kDestinationOptions = 60;

struct Sent {
  bool back = false;        // from b to a
  std::uint16_t port = 0;   // of a; that of b is 53. 0: a later fragment
  std::uint32_t id = 0;     // 0: a whole packet
  std::uint8_t protocol = kUdp;  // that all fragments have
  int at = 0;               // seconds
};

PacketFacts facts_of(const Sent& sent) {
  PacketFacts facts;
  facts.ip = facts.has_addresses = true;
  facts.source = *IpAddress::parse(sent.back ? "10.0.0.2" : "10.0.0.1");
  facts.destination = *IpAddress::parse(sent.back ? "10.0.0.1" : "10.0.0.2");
  facts.fragment = sent.id != 0;
  facts.later_fragment = sent.port == 0;
  facts.fragment_id = sent.id;
  facts.fragment_protocol = sent.protocol;
  facts.protocol = sent.port == 0 ? sent.protocol : kUdp;
  if (sent.port == 0) return facts;
  facts.has_ports = true;
  facts.source_port = sent.back ? 53 : sent.port;
  facts.destination_port = sent.back ? sent.port : 53;
  return facts;
}

TEST(FlowTable, ALaterFragmentIsOfTheFlowOfItsFirst) {
  const struct {
    const char* name;
    std::vector<Sent> packets;
    std::string flows;  // of each packet the flow, and whether it goes on as its flow began
  } rows[] = {
      {"its first came before it", {{.port = 9, .id = 5}, {.id = 5}, {.id = 5}}, "0> 0> 0> "},
      {"two flows in turns", {{.port = 9, .id = 5}, {.port = 8, .id = 6}, {.id = 5}, {.id = 6}}, "0> 1> 0> 1> "},
      {"of an answer", {{.port = 9}, {.back = true, .port = 9, .id = 5}, {.back = true, .id = 5}}, "0> 0< 0< "},
      {"an id of the other side", {{.port = 9, .id = 5}, {.back = true, .id = 5}}, "0> 1> "},
      {"the id of a whole packet", {{.port = 9}, {.id = 5}}, "0> 1> "},
      {"its first comes after it", {{.id = 5}, {.port = 9, .id = 5}, {.id = 5}}, "0> 1> 1> "},
      {"another protocol", {{.port = 9, .id = 5}, {.id = 5, .protocol = 6}}, "0> 1> "},
      {"an extension header behind that of fragments",
       {{.port = 9, .id = 5, .protocol = kDestinationOptions}, {.id = 5, .protocol = kDestinationOptions}}, "0> 0> "},
      {"the last moment", {{.port = 9, .id = 5}, {.id = 5, .at = 29}}, "0> 0> "},
      {"too late", {{.port = 9, .id = 5}, {.id = 5, .at = 30}}, "0> 1> "},
      {"the id used again", {{.port = 9, .id = 5}, {.port = 8, .id = 5, .at = 29}, {.id = 5, .at = 40}}, "0> 1> 1> "},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    FlowTable table;
    std::string flows;
    for (const auto& sent : row.packets) {
      const auto place = table.place(facts_of(sent), Instant{} + seconds(sent.at));
      flows += std::to_string(place.flow - table.flows().data()) + (place.forward ? "> " : "< ");
    }
    EXPECT_EQ(flows, row.flows);
  }
}

TEST(FlowTable, MoreDatagramsThanAreRememberedAreNoTrouble) {
  FlowTable table;
  for (std::uint32_t id = 1; id <= 100000; ++id) table.place(facts_of({.port = 9, .id = id}), {});
  EXPECT_EQ(table.place(facts_of({.id = 100000}), {}).flow, &table.flows().front());
  EXPECT_TRUE(table.place(facts_of({.id = 1}), {}).fresh) << "forgotten, so of no known flow";
}

}  // namespace
}  // namespace postern::sim
