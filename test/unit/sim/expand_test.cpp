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
  service.selector = Labels{{"app", "web"}};
  service.cluster_ips = {ip("10.96.0.10")};
  service.ports = {{"http", Protocol::tcp, 80, std::uint16_t{8080}},
                   {"dns", Protocol::udp, 53, std::string("dns")},
                   {"", Protocol::tcp, 81, std::string("nobody")}};
  cluster.services[service.key] = service;
  cluster.pods.at({"x", "a"}).labels = {{"app", "web"}};
  cluster.pods.at({"x", "b"}).labels = {{"app", "web"}};
  service.key = {"y", "headless"};
  service.cluster_ips.clear();
  cluster.services[service.key] = service;
  return cluster;
}

// The same with both families: x/a and y/a have both, x/b IPv4 alone, y/six IPv6 alone.
ClusterSnapshot dual_cluster() {
  ClusterSnapshot cluster = small_cluster();
  cluster.pods.at({"x", "a"}).addresses.push_back(ip("fd00::1"));
  cluster.pods.at({"y", "a"}).addresses.push_back(ip("fd00::3"));
  Pod six;
  six.key = {"y", "six"};
  six.node_name = "n1";
  six.addresses = {ip("fd00::6")};
  cluster.pods[six.key] = six;
  cluster.nodes["n1"].addresses.push_back({"InternalIP", ip("fd00:172::2")});
  cluster.services.at({"x", "web"}).cluster_ips.push_back(ip("fd00:96::10"));
  return cluster;
}

End end_of(const std::string& text) {
  if (text.rfind("node:", 0) == 0) return NodeEnd{text.substr(5)};
  if (text.rfind("service:", 0) == 0) {
    const auto separator = text.find('/');
    return ServiceEnd{{text.substr(8, separator - 8), text.substr(separator + 1)}};
  }
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

std::string ask_of(const ProbeRequest& request) {
  std::string text = request.from.address.to_string() + " -> " + request.to.address.to_string() + ' ' +
                     std::to_string(request.port);
  if (request.to.kind == Party::Kind::service) text += " unanswered";
  if (!request.via) return text;
  return text + " via " + request.via->address.to_string() + ' ' + std::to_string(request.via->port);
}

struct Expanded {
  std::vector<std::string> cells;  // "x/a -> x/b TCP 80 allow"
  std::vector<std::string> asks;   // "10.0.0.1 -> 10.0.0.2 8080 via 10.96.0.10 80", of all cells
  std::vector<IpAddress> outside;
  std::size_t idle = 0;
  std::string error;
};

Expanded expand(const std::vector<ProbeLine>& lines, ScenarioFamily family = ScenarioFamily::v4,
                ClusterSnapshot cluster = small_cluster()) {
  PlannedStep planned;
  planned.placement.cluster = std::move(cluster);
  Expanded result;
  if (const auto expanded = expand_probes(lines, family, planned); !expanded) {
    result.error = expanded.error().to_string();
    return result;
  }
  result.outside = planned.placement.outside;
  result.idle = planned.idle.size();
  for (const auto& [key, cell] : planned.cells) {
    result.cells.push_back(to_string(key) + ' ' + std::string(to_string(cell.expect)));
    for (const ProbeRequest& request : cell.requests) result.asks.push_back(ask_of(request));
  }
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
      {"pod without address", line("x/a", "x/new"), "has no IPv4 address"},
      {"empty glob", line("z/*", "x/a"), "z/* matches no live pod"},
      {"no such node", line("x/a", "node:n2"), "n1"},
      {"no such port", line("x/a", "y/a", "htpp"), "http"},
      {"port of another protocol", line("x/b", "x/a", "dns"), "no TCP port named \"dns\""},
      {"port name of no pod", line("x/a", "203.0.113.7", "http"), "must be a number"},
      {"no such Service", line("x/a", "service:x/wep"), "did you mean x/web?"},
      {"no such Service port", line("x/a", "service:x/web", "8080"),
       "Service x/web has no TCP port 8080, expected one of http (TCP 80), dns (UDP 53), TCP 81"},
      {"Service port of another protocol", line("x/a", "service:x/web", "dns"), "no TCP port \"dns\""},
      {"nearest Service port", line("x/a", "service:x/web", "htpp"), "did you mean http?"},
      {"port of a ClusterIP", line("x/a", "10.96.0.10", "8080"), "no TCP port 8080"},
      {"headless Service", line("x/a", "service:y/headless"), "no IPv4 ClusterIP"},
      {"ICMP to a Service", line("x/a", "service:x/web", "", Expectation::deny, ProbeProtocol::icmp),
       "takes TCP, UDP and SCTP at its ports: found ICMP"},
      {"a Service that sends", line("10.96.0.10", "x/a"), "which sends nothing"},
  };
  for (const ErrorRow& row : rows) {
    const auto found = expand({row.line});
    EXPECT_THAT(found.error, HasSubstr(row.says)) << row.name;
    EXPECT_THAT(found.error, HasSubstr("s.yaml:7")) << row.name;
  }
}

TEST(Expand, AServiceIsAskedAtEveryBackendsTargetPort) {
  const auto found = expand({line("y/a", "service:x/web", "http")});
  EXPECT_THAT(found.cells, ElementsAre("y/a -> service:x/web TCP 80 allow"));
  EXPECT_THAT(found.asks, ElementsAre("10.0.0.3 -> 10.0.0.1 8080 via 10.96.0.10 80",
                                      "10.0.0.3 -> 10.0.0.2 8080 via 10.96.0.10 80"));
}

TEST(Expand, ABackendWithoutTheNamedTargetPortIsNone) {
  const auto found =
      expand({line("y/a", "service:x/web", "53", Expectation::allow, ProbeProtocol::udp)});
  EXPECT_THAT(found.asks, ElementsAre("10.0.0.3 -> 10.0.0.1 53 via 10.96.0.10 53"));
}

TEST(Expand, WhereNoBackendStandsTheServiceItselfIsAsked) {
  EXPECT_THAT(expand({line("y/a", "service:x/web", "81", Expectation::deny)}).asks,
              ElementsAre("10.0.0.3 -> 10.96.0.10 81 unanswered"));
}

TEST(Expand, AClusterIpIsTheServiceAndNameNumberAndAddressAreOneCell) {
  const auto found =
      expand({line("y/a", "service:x/web", "http"), line("y/a", "10.96.0.10", "80", Expectation::deny)});
  EXPECT_THAT(found.cells, ElementsAre("y/a -> service:x/web TCP 80 deny"));
}

TEST(Expand, AGlobAsksAServiceFromItsBackendsToo) {
  EXPECT_THAT(expand({line("x/*", "service:x/web")}).cells,
              ElementsAre("x/a -> service:x/web TCP 80 allow", "x/b -> service:x/web TCP 80 allow"));
}

TEST(Expand, AnEndPointThatIsNoPodIsWhoeverHasTheAddress) {
  ClusterSnapshot cluster = small_cluster();
  cluster.services.at({"x", "web"}).selector.reset();
  cluster.endpoint_slices[{"x", "web-1"}] = {
      {"x", "web-1"},
      "web",
      {{{ip("203.0.113.9")}, true}, {{ip("172.18.0.2")}, true}, {{ip("10.0.0.2")}, false}},
      {{"http", Protocol::tcp, 9000, std::uint16_t{9000}}}};
  const auto found = expand({line("y/a", "service:x/web")}, ScenarioFamily::v4, cluster);
  EXPECT_THAT(found.asks, ElementsAre("10.0.0.3 -> 172.18.0.2 9000 via 10.96.0.10 80",
                                      "10.0.0.3 -> 203.0.113.9 9000 via 10.96.0.10 80"));
  EXPECT_THAT(found.outside, ElementsAre(ip("203.0.113.9")));
}

Expanded expand_dual(const std::vector<ProbeLine>& lines) {
  return expand(lines, ScenarioFamily::dual, dual_cluster());
}

TEST(ExpandDual, APairIsAskedInEveryFamilyThatBothHave) {
  EXPECT_THAT(expand_dual({line("x/a", "y/a")}).asks,
              ElementsAre("10.0.0.1 -> 10.0.0.3 80", "fd00::1 -> fd00::3 80"));
  EXPECT_THAT(expand_dual({line("x/a", "x/b")}).asks, ElementsAre("10.0.0.1 -> 10.0.0.2 80"));
  EXPECT_THAT(expand_dual({line("node:n1", "y/a")}).asks,
              ElementsAre("172.18.0.2 -> 10.0.0.3 80", "fd00:172::2 -> fd00::3 80"));
}

TEST(ExpandDual, AGlobLeavesOutPairsWithoutACommonFamilyAndExactNamesAreAnError) {
  EXPECT_THAT(expand_dual({line("x/b", "y/*")}).cells, ElementsAre("x/b -> y/a TCP 80 allow"));
  EXPECT_THAT(expand_dual({line("x/b", "y/six")}).error, HasSubstr("no address family in common"));
  EXPECT_THAT(expand_dual({line("203.0.113.7", "y/six")}).error, HasSubstr("no address family in common"));
}

TEST(ExpandDual, ALiteralFixesTheFamilyAndIsACellOfItsOwn) {
  const auto found = expand_dual({line("x/a", "y/a"), line("x/a", "fd00::3", "80", Expectation::deny)});
  EXPECT_THAT(found.cells,
              ElementsAre("x/a -> fd00::3 TCP 80 deny", "x/a -> y/a TCP 80 allow"));
  EXPECT_THAT(found.asks, ElementsAre("fd00::1 -> fd00::3 80", "10.0.0.1 -> 10.0.0.3 80",
                                      "fd00::1 -> fd00::3 80"));
  // Still the pod: no glob judges it against itself.
  EXPECT_THAT(expand_dual({line("y/a*", "fd00::3")}).cells, ElementsAre());
}

TEST(ExpandDual, AServiceIsAskedByEachClusterIpAtTheBackendsOfItsFamily) {
  EXPECT_THAT(expand_dual({line("y/a", "service:x/web")}).asks,
              ElementsAre("10.0.0.3 -> 10.0.0.1 8080 via 10.96.0.10 80",
                          "10.0.0.3 -> 10.0.0.2 8080 via 10.96.0.10 80",
                          "fd00::3 -> fd00::1 8080 via fd00:96::10 80"));
  EXPECT_THAT(expand_dual({line("y/a", "fd00:96::10")}).cells,
              ElementsAre("y/a -> fd00:96::10 TCP 80 allow"));
}

TEST(Differences, OnlyDisagreeingCellsAreNamed) {
  ScenarioResult a;
  a.file = "f.yaml";
  a.name = "n";
  a.steps.push_back({"one", {}, {}, {}});
  a.steps[0].cells.push_back(
      {{"x/a", "x/b", ProbeProtocol::tcp, 80}, Expectation::allow, CellVerdict::allow, {}, {}});
  a.steps[0].cells.push_back(
      {{"x/b", "x/a", ProbeProtocol::icmp, 0}, Expectation::allow, CellVerdict::allow, {}, {}});
  ScenarioResult b = a;
  EXPECT_TRUE(differences(a, "sim", b, "tc").empty());
  b.steps[0].cells[1].got = CellVerdict::deny;
  const auto found = differences(a, "sim", b, "tc");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].what, "x/b -> x/a ICMP: sim allow, tc deny");
}

}  // namespace
}  // namespace postern::sim
