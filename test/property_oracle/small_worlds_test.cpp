// SPDX-License-Identifier: Apache-2.0
// Every policy of a small alphabet in a small cluster, each asked everything there is to ask: two
// namespaces with a pod each, one rule.
#include <iostream>

#include "test/oracle/small_cluster.h"
#include "test/property_oracle/ground.h"
#include "test/property_oracle/run.h"

namespace postern::property {
namespace {

using namespace oracle;

const std::vector<LabelSelector>& selectors() {
  static const std::vector<LabelSelector> kAll{
      {},
      labels({{"app", "red"}}),
      expression("app", SelectorOperator::in, {"red"}),
      expression("app", SelectorOperator::not_in, {"red"}),
      expression("app", SelectorOperator::exists),
      expression("app", SelectorOperator::does_not_exist),
  };
  return kAll;
}

std::vector<std::vector<PolicyPeer>> peer_lists() {
  std::vector<std::vector<PolicyPeer>> lists{{}};
  for (const auto& selector : selectors()) {
    lists.push_back({pods(selector)});
    lists.push_back({namespaces(selector)});
    lists.push_back({both(selector, labels({{"app", "red"}}))});
    lists.push_back({both(labels({{"app", "red"}}), selector)});
  }
  lists.push_back({namespaces(labels({{kNamespaceNameLabel, "y"}}))});
  for (const auto* text : {"0.0.0.0/0", "10.0.0.0/31", "10.0.1.1/32", "10.0.0.0/8"})
    lists.push_back({block(text)});
  lists.push_back({block("0.0.0.0/0", {"10.0.0.0/8"})});
  lists.push_back({block("10.0.0.0/8", {"10.0.1.0/24"}), block("10.0.1.1/32")});
  for (const auto* text : {"::/0", "fd00::/127", "fd00:0:0:1::1/128"}) lists.push_back({block(text)});
  lists.push_back({block("::/0", {"fd00::/16"})});
  return lists;
}

std::vector<std::vector<PolicyPort>> port_lists() {
  return {{},
          {any_port()},
          {any_port(Protocol::udp)},
          {port(80)},
          {ports(80, 81)},
          {ports(2, 65534, Protocol::sctp)},
          {named("web")},
          {named("web", Protocol::udp)},
          {port(80), ports(82, 83)}};
}

// x/a listens on web 80, y/a on web 8080 and, over UDP, on web 53; both on the own node.
World two_pods(bool first_is_red, bool second_is_red) {
  World world;
  world.host_addresses = {ip("192.168.0.1")};
  for (const auto& [ns, red, address, second_address, listens] :
       {std::tuple{"x", first_is_red, "10.0.0.1", "fd00::1", 80},
        {"y", second_is_red, "10.0.1.1", "fd00:0:0:1::1", 8080}}) {
    Pod& pod = world.objects.pods[{ns, "a"}];
    pod.key = {ns, "a"};
    pod.node_name = kOwnNode;
    pod.addresses = {ip(address)};
    pod.addresses.push_back(ip(second_address));
    if (red) pod.labels = {{"app", "red"}};
    pod.ports = {{"web", static_cast<std::uint16_t>(listens), Protocol::tcp}, {"web", 53, Protocol::udp}};
    Labels of_namespace{{kNamespaceNameLabel, ns}};
    if (!red) of_namespace["app"] = "red";
    world.objects.namespaces[ns] = {.name = ns, .labels = of_namespace, .annotations = {}};
  }
  return world;
}

std::string wrong_in(const World& world, std::size_t& verdicts, std::size_t& denied) {
  Ground ground;
  if (const auto refused = ground.follow(world)) return *refused;
  if (const auto wrong = difference_in_isolation(world, ground.enforcer().policy())) return *wrong;
  for (const auto& question : every_question(world)) {
    const auto expected = verdict(world.cluster(), question);
    if (const auto wrong = difference(expected, ground.ask(world, question), ground.enforcer().rules())) {
      std::ostringstream text;
      showValue(world, text);
      return text.str() + to_string(question) + ": " + *wrong;
    }
    ++verdicts;
    denied += expected.allow ? 0 : 1;
  }
  return {};
}

// Sanitizers make a part do.
std::size_t stride() { return scale() < 1 ? 13 : 1; }

TEST(SmallWorlds, EveryPolicyOfOneRule) {
  std::size_t worlds = 0;
  std::size_t verdicts = 0;
  std::size_t denied = 0;
  std::size_t position = 0;
  for (const bool egress : {false, true}) {
    for (const auto& peers : peer_lists()) {
      for (const auto& list : port_lists()) {
        for (const int red : {0, 1, 2, 3}) {
          if (position++ % stride() != 0) continue;
          World world = two_pods((red & 1) != 0, (red & 2) != 0);
          NetworkPolicy& policy = world.objects.network_policies[{"x", "p"}];
          policy.key = {"x", "p"};
          policy.isolates_ingress = !egress;
          policy.isolates_egress = egress;
          (egress ? policy.egress : policy.ingress) = {{peers, list}};
          ASSERT_EQ(wrong_in(world, verdicts, denied), "");
          ++worlds;
        }
      }
    }
  }
  std::cout << worlds << " worlds, " << verdicts << " verdicts, " << denied << " deny\n";
  EXPECT_GE(worlds * stride(), 2000u);
  EXPECT_GT(denied * 10, verdicts);
}

// Who is selected, by which types: without rules, so that isolation is all that shows.
TEST(SmallWorlds, EveryPodSelectorAndPolicyType) {
  std::size_t worlds = 0;
  std::size_t verdicts = 0;
  std::size_t denied = 0;
  for (const auto* ns : {"x", "y"}) {
    for (const auto& selector : selectors()) {
      for (const int types : {1, 2, 3}) {
        for (const int red : {0, 1, 2, 3}) {
          for (const bool strict : {false, true}) {
            World world = two_pods((red & 1) != 0, (red & 2) != 0);
            world.strict = strict;
            NetworkPolicy& policy = world.objects.network_policies[{ns, "p"}];
            policy.key = {ns, "p"};
            policy.pod_selector = selector;
            policy.isolates_ingress = (types & 1) != 0;
            policy.isolates_egress = (types & 2) != 0;
            ASSERT_EQ(wrong_in(world, verdicts, denied), "");
            ++worlds;
          }
        }
      }
    }
  }
  std::cout << worlds << " worlds, " << verdicts << " verdicts, " << denied << " deny\n";
  EXPECT_EQ(worlds, 288u);
}

// One Service with every way of having backends, asked by a pod with every small egress rule.
TEST(SmallWorlds, EveryServiceOfTwoPods) {
  std::size_t verdicts = 0;
  std::size_t denied = 0;
  std::size_t position = 0;
  for (const auto& peers : peer_lists()) {
    for (const auto& list : port_lists()) {
      for (const int shape : {0, 1, 2, 3, 4, 5}) {
        if (position++ % stride() != 0) continue;
        World world = two_pods(true, true);
        Pod& other = world.objects.pods[{"y", "b"}];
        other = world.objects.pods.at({"y", "a"});
        other.key = {"y", "b"};
        other.addresses = {ip("10.0.1.2")};
        other.labels["side"] = "b";
        other.ports[0].port = 81;
        other.ready = shape != 1;
        Service& service = world.objects.services[{shape == 2 ? "x" : "y", "s"}];
        service.key = {shape == 2 ? "x" : "y", "s"};
        service.selector = Labels{{shape == 3 ? "side" : "app", shape == 4   ? "none"
                                                                : shape == 3 ? "b"
                                                                             : "red"}};
        service.cluster_ips = {ip("10.96.0.1")};
        service.cluster_ips.push_back(ip("fd96::1"));
        service.ports = {{"one", Protocol::tcp, 80, std::string("web")}};
        if (shape == 5) service.ports.push_back({"two", Protocol::udp, 80, std::uint16_t{53}});
        NetworkPolicy& policy = world.objects.network_policies[{"x", "p"}];
        policy.key = {"x", "p"};
        policy.isolates_ingress = false;
        policy.isolates_egress = true;
        policy.egress = {{peers, list}};
        ASSERT_EQ(wrong_in(world, verdicts, denied), "");
      }
    }
  }
  std::cout << verdicts << " verdicts, " << denied << " deny\n";
}

}  // namespace
}  // namespace postern::property
