// SPDX-License-Identifier: Apache-2.0
// The ground of the tests that let one process after another enforce: pods with peers, a policy, and
// flows of which it is known what becomes of each datagram.
#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/tc/bpffs.h"
#include "backends/tc/tc_backend.h"
#include "backends/tc/uninstall.h"
#include "engine/enforce/node_enforcer.h"
#include "test/kernel/enforcing_process.h"
#include "test/kernel/pod_rig.h"
#include "test/kernel/private_bpffs.h"
#include "test/support/numbered_traffic.h"

namespace postern::test {

using namespace std::chrono_literals;

inline constexpr std::chrono::milliseconds kPatience = 20s;  // of a machine that has other things to do
inline constexpr const char* kFriend = "10.1.0.1";
inline constexpr const char* kStranger = "10.1.0.2";
inline constexpr const char* kAllowed[] = {"in", "out", "answer out", "answer in", "late answer in"};

inline PolicyRule to_or_from(const std::string& block, PortRange ports) {
  PolicyRule rule;
  rule.peers = {IpBlock{*Cidr::parse(block), {}}};
  rule.ports = {PolicyPort{Protocol::udp, ports}};
  return rule;
}

// Isolated both ways; the friend may come in on 80, and the pod may go to the friend's ports from 7001.
inline ClusterSnapshot cluster_of(std::size_t pods) {
  ClusterSnapshot cluster;
  for (std::size_t i = 0; i < pods; ++i) {
    Pod pod;
    pod.key = {"x", "pod" + std::to_string(i)};
    pod.addresses = {*IpAddress::parse("10.0.0." + std::to_string(9 + i))};
    cluster.pods[pod.key] = pod;
  }
  NetworkPolicy policy;
  policy.key = {"x", "both"};
  policy.isolates_ingress = policy.isolates_egress = true;
  policy.ingress = {to_or_from(std::string(kFriend) + "/32", {80, 80})};
  policy.egress = {to_or_from(std::string(kFriend) + "/32", {7001, 7099})};
  cluster.network_policies[policy.key] = policy;
  return cluster;
}

// CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are all that the agent has.
inline Result<void> drop_capabilities() {
  const cap_value_t kept[] = {CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON};
  cap_t set = cap_init();
  const bool done = cap_set_flag(set, CAP_PERMITTED, std::size(kept), kept, CAP_SET) == 0 &&
                    cap_set_flag(set, CAP_EFFECTIVE, std::size(kept), kept, CAP_SET) == 0 &&
                    cap_set_proc(set) == 0;
  cap_free(set);
  if (!done) return fail(ErrorCode::internal, "the capabilities could not be dropped");
  if (unshare(CLONE_NEWNET) == 0) return fail(ErrorCode::internal, "CAP_SYS_ADMIN is still there");
  return {};
}

class TakeoverTest : public testing::TestWithParam<bool> {  // true: clsact by force
 protected:
  void SetUp() override {
    ASSERT_FALSE(private_bpffs().empty());
    path_ = private_bpffs() + "/postern";
    auto rig = PodRig::make({kFriend, kStranger});
    ASSERT_TRUE(rig) << rig.error().to_string();
    rig_ = std::move(*rig);
    ASSERT_TRUE(add_pods(1));
    cluster_ = cluster_of(1);
  }
  void TearDown() override {
    enforcer_.reset();
    const auto removed = tc::uninstall(path_);
    ASSERT_TRUE(removed) << removed.error().to_string();
    EXPECT_TRUE(removed->left.empty());
    EXPECT_FALSE(tc::folder_exists(path_));
  }

  bool add_pods(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t number = endpoints_.size();
      if (auto added = rig_->add_pod("10.0.0." + std::to_string(9 + number)); !added) {
        ADD_FAILURE() << added.error().to_string();
        return false;
      }
      endpoints_.push_back({EndpointId{static_cast<std::uint32_t>(40 + number)}, rig_->pod(number).ifindex,
                            {"x", "pod" + std::to_string(number)}});
    }
    return true;
  }

  [[nodiscard]] TcOptions options() const {
    TcOptions options;
    options.force_clsact = GetParam();
    options.pin_path = path_;
    return options;
  }

  // A node enforcer over a backend with these options, not reconciled yet.
  static Result<void> make(const TcOptions& options, std::unique_ptr<NodeEnforcer>& into,
                           const TableSizes& sizes = {}) {
    auto backend = TcBackend::make(sizes, options);
    if (!backend) return fail_as(backend);
    EnforcerSettings settings;
    settings.hash_secret = secret_of(getpid());
    into = std::make_unique<NodeEnforcer>(std::move(*backend), settings);
    return {};
  }
  // Each process has its own, and only an inherited one finds the connections there are.
  static std::uint64_t secret_of(pid_t process) { return 0xab5712ac700000 + static_cast<std::uint64_t>(process); }
  Result<void> enforce(const TcOptions& options) {
    enforcer_.reset();
    if (auto made = make(options, enforcer_); !made) return made;
    return enforcer_->reconcile(cluster_, endpoints_, {});
  }
  // The same in a process of its own.
  Result<EnforcingProcess> first_process(const TcOptions& options) {
    return EnforcingProcess::start([&] { return enforce(options); });
  }

  // Runs work in a process that has these three, and ends it.
  static void with_few(const std::function<Result<void>()>& work) {
    auto process = EnforcingProcess::start([&]() -> Result<void> {
      if (auto dropped = drop_capabilities(); !dropped) return dropped;
      return work();
    });
    EXPECT_TRUE(process) << process.error().to_string();
  }

  // Flows of a pod: allowed and denied, each way, and answers that only a connection admits; of one
  // connection the opener said something once and is silent since.
  void add_flows(NumberedTraffic& traffic, std::size_t pod = 0) {
    const auto pair = [&](std::uint16_t port, const char* peer, std::uint16_t peer_port) {
      auto made = rig_->udp_pair(pod, port, {peer, static_cast<std::uint16_t>(peer_port + 10 * pod)});
      EXPECT_TRUE(made) << made.error().to_string();
      return made ? *made : PodRig::Pair{};
    };
    const std::string name = pod == 0 ? "" : std::to_string(pod) + " ";
    const auto in = pair(80, kFriend, 5001);
    const auto out = pair(6001, kFriend, 7001);
    const auto quiet = pair(6003, kFriend, 7003);
    EXPECT_EQ(send(quiet.pod, "hello", 5, 0), 5);
    const auto stranger_in = pair(81, kStranger, 5002);
    const auto stranger_out = pair(6002, kStranger, 7002);
    traffic.add({name + "in", in.peer, in.pod, Expected::either});
    traffic.add({name + "out", out.pod, out.peer, Expected::either});
    traffic.add({name + "answer out", in.pod, in.peer, Expected::either});
    traffic.add({name + "answer in", out.peer, out.pod, Expected::either});
    traffic.add({name + "late answer in", quiet.peer, quiet.pod, Expected::either});
    traffic.add({name + "stranger in", stranger_in.peer, stranger_in.pod, Expected::is_dropped});
    traffic.add({name + "stranger out", stranger_out.pod, stranger_out.peer, Expected::is_dropped});
  }
  // The first ones may meet an address that is still being looked for.
  static void settle(NumberedTraffic& traffic) {
    ASSERT_TRUE(traffic.wait_until("answer in", true, kPatience));
    ASSERT_TRUE(traffic.wait_until("late answer in", true, kPatience));
    ASSERT_TRUE(traffic.wait_until("answer out", true, kPatience));
    for (const char* flow : kAllowed) traffic.expect(flow, Expected::passes);
  }

  // What goes wrong while the first process is killed and a second one takes its place.
  std::vector<std::string> kill_and_restart(const TcOptions& options) {
    auto first = first_process(options);
    EXPECT_TRUE(first) << first.error().to_string();
    if (!first) return {"no first process"};
    NumberedTraffic traffic(1ms);
    add_flows(traffic);
    traffic.start();
    settle(traffic);
    traffic.wait(200);
    first->kill();
    traffic.wait(300);
    const auto second = enforce(options);
    EXPECT_TRUE(second) << second.error().to_string();
    traffic.wait(300);
    return traffic.stop();
  }

  [[nodiscard]] std::string version() const { return path_ + "/v" + std::to_string(PN_ABI_VERSION); }
  [[nodiscard]] bool is_pinned(std::size_t pod) const {
    return tc::folder_exists(version() + "/interfaces/" + std::to_string(rig_->pod(pod).ifindex));
  }

  std::string path_;
  std::unique_ptr<PodRig> rig_;
  ClusterSnapshot cluster_;
  std::vector<LocalEndpoint> endpoints_;
  std::unique_ptr<NodeEnforcer> enforcer_;
};

inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// Folders of generations in a version's folder, of whatever state.
inline std::vector<std::string> generations_in(const std::string& version) {
  auto names = tc::names_in(version);
  std::vector<std::string> found;
  for (const std::string& name : names ? *names : std::vector<std::string>{}) {
    if (name != "interfaces") found.push_back(name);
  }
  return found;
}

}  // namespace postern::test
