// SPDX-License-Identifier: Apache-2.0
// From probe lines to cells: globs, overriding, self pairs, named ports, literals, and the errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/runner/plan.h"
#include "sim/runner/result.h"

namespace postern::sim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

ClusterSnapshot small_cluster() {
  ClusterSnapshot cluster;
  const auto add = [&](const char* ns, const char* name, const char* address) -> Pod& {
    Pod pod;
    pod.key = {ns, name};
    pod.node_name = "n1";
    if (*address != '\0') pod.addresses = {ip(address)};
    return cluster.pods[pod.key] = pod;
  };
  add("x", "a", "10.0.0.1").ports = {{"http", 8080, Protocol::tcp}, {"dns", 53, Protocol::udp}};
  add("x", "b", "10.0.0.2");
  add("y", "a", "10.0.0.3").ports = {{"http", 80, Protocol::tcp}};
  add("x", "done", "10.0.0.9").phase = PodPhase::succeeded;
  add("x", "new", "");
  Node node;
  node.name = "n1";
  node.addresses = {{"InternalIP", ip("172.18.0.2")}, {"ExternalIP", ip("198.51.100.2")}};
  cluster.nodes["n1"] = node;
  Service service;
  service.key = {"x", "web"};
  service.cluster_ips = {ip("10.96.0.10")};
  cluster.services[service.key] = service;
  return cluster;
}

End end_of(const std::string& text) {
  if (text.rfind("node:", 0) == 0) return NodeEnd{text.substr(5)};
  if (const auto address = IpAddress::parse(text)) return *address;
  const auto slash = text.find('/');
  return PodGlob{text.substr(0, slash), text.substr(slash + 1)};
}

ProbeLine line(const std::string& from, const std::string& to, const char* port = "80",
               Expectation expect = Expectation::allow, ProbeProtocol protocol = ProbeProtocol::tcp) {
  ProbeLine result;
  result.location = {"s.yaml", 7, 3};
  result.from_text = from;
  result.to_text = to;
  result.from = end_of(from);
  result.to = end_of(to);
  result.protocol = protocol;
  result.expect = expect;
  if (std::isdigit(static_cast<unsigned char>(*port)) != 0)
    result.port = static_cast<std::uint16_t>(std::stoi(port));
  else if (*port != '\0')
    result.port = std::string(port);
  return result;
}

struct Expanded {
  std::vector<std::string> cells;  // "x/a -> x/b TCP 80 allow"
  std::vector<IpAddress> outside;
  std::size_t idle = 0;
  std::string error;
};

Expanded expand(const std::vector<ProbeLine>& lines) {
  PlannedStep planned;
  planned.placement.cluster = small_cluster();
  Expanded result;
  if (const auto expanded = expand_probes(lines, planned); !expanded) {
    result.error = expanded.error().to_string();
    return result;
  }
  result.outside = planned.placement.outside;
  result.idle = planned.idle.size();
  for (const auto& [key, cell] : planned.cells)
    result.cells.push_back(to_string(key) + ' ' + std::string(to_string(cell.expect)));
  return result;
}

TEST(Expand, AGlobTakesLivePodsOnlyAndNoSelfPairs) {
  EXPECT_THAT(expand({line("*/*", "*/*")}).cells,
              ElementsAre("x/a -> x/b TCP 80 allow", "x/a -> y/a TCP 80 allow", "x/b -> x/a TCP 80 allow",
                          "x/b -> y/a TCP 80 allow", "y/a -> x/a TCP 80 allow", "y/a -> x/b TCP 80 allow"));
  EXPECT_THAT(expand({line("x/*", "x/a")}).cells, ElementsAre("x/b -> x/a TCP 80 allow"));
}

TEST(Expand, ASelfPairIsJudgedOnlyWhenBothSidesNameThePodExactly) {
  EXPECT_THAT(expand({line("x/a", "x/a")}).cells, ElementsAre("x/a -> x/a TCP 80 allow"));
  EXPECT_THAT(expand({line("x/a", "10.0.0.1")}).cells, ElementsAre("x/a -> x/a TCP 80 allow"));
  EXPECT_THAT(expand({line("x/a", "x/a*")}).cells, ElementsAre());
}

TEST(Expand, ALaterLineOverridesEveryCellItMatches) {
  EXPECT_THAT(
      expand({line("*/*", "x/*"), line("x/*", "x/*", "80", Expectation::deny), line("x/a", "x/b")}).cells,
      ElementsAre("x/a -> x/b TCP 80 allow", "x/b -> x/a TCP 80 deny", "y/a -> x/a TCP 80 allow",
                  "y/a -> x/b TCP 80 allow"));
}

TEST(Expand, ANameAndANumberOfOnePortAreOneCell) {
  EXPECT_THAT(expand({line("x/b", "x/a", "8080"), line("x/b", "x/a", "http", Expectation::deny)}).cells,
              ElementsAre("x/b -> x/a TCP 8080 deny"));
}

TEST(Expand, ANamedPortIsThatOfEachDestinationAndAGlobLeavesOutPodsWithoutIt) {
  EXPECT_THAT(expand({line("x/b", "*/*", "http")}).cells,
              ElementsAre("x/b -> x/a TCP 8080 allow", "x/b -> y/a TCP 80 allow"));
}

TEST(Expand, ALineThatJudgesNoPairIsReported) {
  EXPECT_EQ(expand({line("x/b", "*/*", "http")}).idle, 0u);
  EXPECT_EQ(expand({line("x/b", "*/*", "htpp")}).idle, 1u);
  EXPECT_EQ(expand({line("x/a", "x/a*")}).idle, 1u);
}

TEST(Expand, ProtocolsAreCellsOfTheirOwnSortedByName) {
  EXPECT_THAT(
      expand({line("x/b", "x/a", "80"), line("x/b", "x/a", "80", Expectation::deny, ProbeProtocol::udp),
              line("x/b", "x/a", "", Expectation::deny, ProbeProtocol::icmp),
              line("x/b", "x/a", "80", Expectation::allow, ProbeProtocol::sctp)})
          .cells,
      ElementsAre("x/b -> x/a ICMP deny", "x/b -> x/a SCTP 80 allow", "x/b -> x/a TCP 80 allow",
                  "x/b -> x/a UDP 80 deny"));
}

TEST(Expand, LiteralsAreWhatHasTheAddressElseAnOutsideHost) {
  const auto found = expand({line("203.0.113.7", "10.0.0.2"), line("172.18.0.2", "x/a"),
                             line("198.51.100.2", "x/b"), line("x/a", "node:n1"), line("10.0.0.9", "x/a")});
  EXPECT_THAT(found.cells, ElementsAre("10.0.0.9 -> x/a TCP 80 allow", "198.51.100.2 -> x/b TCP 80 allow",
                                       "203.0.113.7 -> x/b TCP 80 allow", "node:n1 -> x/a TCP 80 allow",
                                       "x/a -> node:n1 TCP 80 allow"));
  // A finished pod's address belongs to nobody (R23).
  EXPECT_THAT(found.outside, ElementsAre(ip("10.0.0.9"), ip("203.0.113.7")));
}

struct ErrorRow {
  const char* name;
  ProbeLine line;
  const char* says;
};

TEST(Expand, WhatDoesNotExistIsAnErrorWithPlaceAndNearestNames) {
  const ErrorRow rows[] = {
      {"no such pod", line("x/a", "x/c"), "x/c does not exist at this step"},
      {"nearest pod", line("x/a", "y/aa"), "y/a"},
      {"finished pod", line("x/a", "x/done"), "is finished"},
      {"pod without address", line("x/a", "x/new"), "has no address"},
      {"empty glob", line("z/*", "x/a"), "z/* matches no live pod"},
      {"no such node", line("x/a", "node:n2"), "n1"},
      {"no such port", line("x/a", "y/a", "htpp"), "http"},
      {"port of another protocol", line("x/b", "x/a", "dns"), "no TCP port named \"dns\""},
      {"port name of no pod", line("x/a", "203.0.113.7", "http"), "must be a number"},
      {"ClusterIP", line("x/a", "10.96.0.10"), "not supported yet"},
      {"IPv6", line("x/a", "2001:db8::1"), "not supported yet"},
  };
  for (const ErrorRow& row : rows) {
    const auto found = expand({row.line});
    EXPECT_THAT(found.error, HasSubstr(row.says)) << row.name;
    EXPECT_THAT(found.error, HasSubstr("s.yaml:7")) << row.name;
  }
}

TEST(Differences, OnlyDisagreeingCellsAreNamed) {
  ScenarioResult a;
  a.file = "f.yaml";
  a.name = "n";
  a.steps.push_back({"one", {}, {}, {}});
  a.steps[0].cells.push_back(
      {{"x/a", "x/b", ProbeProtocol::tcp, 80}, Expectation::allow, Expectation::allow, {}, {}});
  a.steps[0].cells.push_back(
      {{"x/b", "x/a", ProbeProtocol::icmp, 0}, Expectation::allow, Expectation::allow, {}, {}});
  ScenarioResult b = a;
  EXPECT_TRUE(differences(a, "sim", b, "tc").empty());
  b.steps[0].cells[1].got = Expectation::deny;
  const auto found = differences(a, "sim", b, "tc");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].what, "x/b -> x/a ICMP: sim allow, tc deny");
}

}  // namespace
}  // namespace postern::sim
