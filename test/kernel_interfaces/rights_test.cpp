// SPDX-License-Identifier: Apache-2.0
// What the agent's capabilities permit: with exactly CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON everything
// is found; without CAP_NET_ADMIN less, and it is said.
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/capability.h>

#include <cerrno>
#include <thread>

#include "net/fd.h"
#include "test/kernel_interfaces/private_host.h"

namespace postern::agent {
namespace {

// Capabilities belong to a thread, so one that ends takes the loss with it.
void with_capabilities(std::vector<cap_value_t> values, const std::function<void()>& work) {
  std::thread([&] {
    const cap_t wanted = cap_init();
    for (const auto set : {CAP_PERMITTED, CAP_EFFECTIVE}) {
      ASSERT_EQ(cap_set_flag(wanted, set, static_cast<int>(values.size()), values.data(), CAP_SET), 0);
    }
    ASSERT_EQ(cap_set_proc(wanted), 0);
    cap_free(wanted);
    work();
  }).join();
}

class RightsTest : public testing_support::PrivateHost {
 protected:
  void SetUp() override {
    PrivateHost::SetUp();
    if (HasFatalFailure()) return;
    routed = add_pod(network_of(sim::CniPlugin::ptp, {"10.31.0.0/24", "fd31::/64"}), "routed");
    auto other = network_of(sim::CniPlugin::bridge, {"10.32.0.0/24", "fd32::/64"});
    other.name = "bridged";
    bridged = add_pod(other, "bridged");
  }
  sim::CniPod routed;
  sim::CniPod bridged;
};

TEST_F(RightsTest, with_exactly_the_agents_capabilities_pods_are_found_by_every_way) {
  const std::string unnumbered = make_pod_namespace("unnumbered");
  with_capabilities({CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON}, [&] {
    const UniqueFd netns(::open(routed.request.netns_path.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(::setns(netns.get(), CLONE_NEWNET), -1);
    ASSERT_EQ(errno, EPERM) << "the control: these capabilities do not enter a namespace";

    open();
    EXPECT_EQ(host->far_refusal(), "");
    for (const auto* pod : {&routed, &bridged}) {
      auto known = known_of(*pod);
      const auto netns_id = host->netns_id(pod->request.netns_path);
      ASSERT_TRUE(netns_id) << netns_id.error().message;
      known.netns_id = *netns_id;
      InterfaceMatch match;
      EXPECT_TRUE(eventually([&] {
        match = locate(host->picture(), known, {});
        unheard = match.unheard;
        return match.ways().size() == 3 && match.unheard.empty();
      })) << match.words;
      EXPECT_TRUE(match.interface && match.interface->name == pod->host_interface) << match.words;
    }
    const auto fresh = host->netns_id(unnumbered);
    EXPECT_TRUE(fresh) << "a namespace that has no number yet: " << fresh.error().message;
  });
}

TEST_F(RightsTest, without_cap_net_admin_routes_are_left_and_the_rest_is_said) {
  with_capabilities({CAP_BPF, CAP_PERFMON}, [&] {
    open();
    EXPECT_NE(host->far_refusal(), "");
    const auto match = locate(host->picture(), known_of(routed), {});
    EXPECT_EQ(match.ways(), std::vector{Way::route}) << match.words;
    EXPECT_TRUE(match.interface && match.interface->name == routed.host_interface);
    const auto refused = host->provoke_neighbour(bridged.addresses[0]);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::permission) << refused.error().message;
  });
}

}  // namespace
}  // namespace postern::agent
