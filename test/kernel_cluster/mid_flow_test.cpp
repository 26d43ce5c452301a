// SPDX-License-Identifier: Apache-2.0
// Policies that come and go during a real TCP transfer between two pods, through the kernel: an allow that is
// removed stops the receiver's bytes and says of which connection (R14), with `keep` it does not; a policy
// that arrives breaks no answer of a connection that is older (R40), with the node's conntrack and, by grace,
// without it.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "backends/tc/tc_backend.h"
#include "net/fd.h"
#include "sim/netns/netns.h"
#include "sim/netns/topology.h"
#include "test/kernel_cluster/small_cluster.h"
#include "test/kernel_cluster/wrapped_backend.h"

namespace postern::sim {
namespace {

using namespace testing_support;
using std::chrono::milliseconds;

constexpr std::uint16_t kPort = 7000;
constexpr const char* kSender = "10.7.0.1";
constexpr const char* kReceiver = "10.7.0.2";

sockaddr_in socket_address(const char* ip, std::uint16_t port) {
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  made.sin_addr.s_addr = htonl(address(ip).v4_host_order());
  return made;
}

// What was dropped, as events say it.
std::vector<pn_event>& drops() {
  static std::vector<pn_event> all;
  return all;
}

Result<std::unique_ptr<Backend>> listened_backend(const TableSizes& sizes) {
  auto inner = make_tc_backend(sizes);
  if (!inner) return fail_as(inner);
  return std::unique_ptr<Backend>(std::make_unique<WrappedBackend>(std::move(*inner), [](pn_event event) {
    drops().push_back(event);
    return std::vector<pn_event>{event};
  }));
}

class Sink final : public EventSink {
 public:
  void on_event(const pn_event&) override {}
};

// Bytes from one pod to the other without end, until they stop or this goes.
class Transfer {
 public:
  // The sockets of the sender's and the receiver's pod; who connects is `receiver_opens`.
  Result<void> start(NetnsCluster& cluster, const SmallCluster& pods, bool receiver_opens) {
    auto near = cluster.netns_of(pods.party("x/sender"));
    if (!near) return fail_as(near);
    auto far = cluster.netns_of(pods.party("x/receiver"));
    if (!far) return fail_as(far);
    const char* const server_ip = receiver_opens ? kSender : kReceiver;
    const Netns& server = receiver_opens ? **near : **far;
    const Netns& client = receiver_opens ? **far : **near;
    UniqueFd listener;
    {
      auto scope = NetnsScope::enter(server);
      if (!scope) return fail_as(scope);
      listener = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in here = socket_address(server_ip, kPort);
      const int yes = 1;
      setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
      if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 ||
          listen(listener.get(), 1) != 0) {
        return fail(ErrorCode::io, "cannot listen");
      }
    }
    UniqueFd opened;
    {
      auto scope = NetnsScope::enter(client);
      if (!scope) return fail_as(scope);
      opened = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in there = socket_address(server_ip, kPort);
      if (connect(opened.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) {
        return fail(ErrorCode::io, "cannot connect");
      }
      sockaddr_in own{};
      socklen_t length = sizeof own;
      getsockname(opened.get(), reinterpret_cast<sockaddr*>(&own), &length);
      client_port_ = ntohs(own.sin_port);
    }
    UniqueFd accepted(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    send_ = std::move(receiver_opens ? accepted : opened);
    receive_ = std::move(receiver_opens ? opened : accepted);
    for (const int fd : {send_.get(), receive_.get()}) {
      const timeval patience{0, 100'000};
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    }
    threads_.emplace_back([this] {
      const std::vector<char> bytes(1000);
      while (!stopped_) {
        if (::send(send_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) <= 0 && errno != EAGAIN) return;
        std::this_thread::sleep_for(milliseconds(2));
      }
    });
    threads_.emplace_back([this] {
      std::vector<char> bytes(65536);
      while (!stopped_) {
        const ssize_t got = ::recv(receive_.get(), bytes.data(), bytes.size(), 0);
        if (got > 0) received_ += static_cast<std::uint64_t>(got);
        if (got == 0 || (got < 0 && errno != EAGAIN)) return;
      }
    });
    return {};
  }
  ~Transfer() {
    stopped_ = true;
    for (auto& thread : threads_) thread.join();
  }
  // Whether bytes go on arriving, after what is under way has.
  [[nodiscard]] bool goes_on() const {
    std::this_thread::sleep_for(milliseconds(300));
    const std::uint64_t before = received_;
    std::this_thread::sleep_for(milliseconds(1000));
    return received_ > before;
  }
  [[nodiscard]] std::uint16_t client_port() const { return client_port_; }

 private:
  UniqueFd send_;
  UniqueFd receive_;
  std::uint16_t client_port_ = 0;
  std::atomic<bool> stopped_ = false;
  std::atomic<std::uint64_t> received_ = 0;
  std::vector<std::thread> threads_;
};

class MidFlow : public ::testing::Test {
 protected:
  void begin(const ClusterSettings& settings) {
    drops().clear();
    auto made = NetnsCluster::make(listened_backend);
    ASSERT_TRUE(made) << made.error().to_string();
    cluster_ = std::move(*made);
    ASSERT_TRUE(cluster_->begin(settings));
    pods_.node("n", "172.20.0.1").pod("x/sender", "n", kSender).pod("x/receiver", "n", kReceiver);
  }
  void place() {
    const auto placed = cluster_->place(pods_.placement);
    ASSERT_TRUE(placed) << placed.error().to_string();
  }
  void start(bool receiver_opens) {
    const auto started = transfer_.start(*cluster_, pods_, receiver_opens);
    ASSERT_TRUE(started) << started.error().to_string();
    ASSERT_TRUE(transfer_.goes_on());
  }
  // Of the transfer's own connection, in its opener's direction.
  std::size_t drops_of_it() {
    Sink sink;
    const auto* node = cluster_->topology().active_nodes().front();
    EXPECT_TRUE(node->enforcer->backend().drain_events(sink));
    const std::uint32_t source = address(kSender).v4_host_order();
    std::size_t found = 0;
    for (const auto& event : drops()) {
      const std::uint32_t from = std::uint32_t{event.source[0]} << 24 | std::uint32_t{event.source[1]} << 16 |
                                 std::uint32_t{event.source[2]} << 8 | event.source[3];
      const bool it = from == source && event.protocol == IPPROTO_TCP &&
                      event.source_port == transfer_.client_port() && event.destination_port == kPort;
      if (it && pn_step_allows(event.step) == 0) ++found;
    }
    return found;
  }

  std::unique_ptr<NetnsCluster> cluster_;
  SmallCluster pods_;
  Transfer transfer_;
};

// The receiver is isolated for both directions, so its connections are tracked.
void admit_sender(SmallCluster& pods, bool yes) {
  pods.ingress_policy("x/in", "receiver", yes ? std::vector<PolicyRule>{peer_rule("sender")} : std::vector<PolicyRule>{});
  pods.egress_policy("x/out", "receiver", {});
}

TEST_F(MidFlow, AnAllowThatIsRemovedStopsTheBytesAndNamesTheConnection) {
  begin({});
  admit_sender(pods_, true);
  place();
  start(false);
  admit_sender(pods_, false);
  place();
  EXPECT_FALSE(transfer_.goes_on());
  EXPECT_GT(drops_of_it(), 0u);
}

TEST_F(MidFlow, WithKeepItStopsNothing) {
  ClusterSettings settings;
  settings.enforcer.established_flows = EstablishedFlows::keep;
  begin(settings);
  admit_sender(pods_, true);
  place();
  start(false);
  admit_sender(pods_, false);
  place();
  EXPECT_TRUE(transfer_.goes_on());
  EXPECT_EQ(drops_of_it(), 0u);
}

TEST_F(MidFlow, APolicyThatArrivesBreaksNoAnswerThatTheNodeKnows) {
  begin({});
  place();
  start(true);
  pods_.ingress_policy("x/in", "receiver", {});
  place();
  EXPECT_TRUE(transfer_.goes_on());
  EXPECT_GT(cluster_->topology().active_nodes().front()->enforcer->seeded(), 0u);
}

TEST_F(MidFlow, NorDoesItByGraceWhereTheNodeKnowsNothing) {
  ClusterSettings settings;
  settings.node_conntrack = false;
  settings.enforcer.midflow_grace = seconds(2);
  begin(settings);
  place();
  start(true);
  pods_.ingress_policy("x/in", "receiver", {});
  place();
  EXPECT_TRUE(transfer_.goes_on());
  std::this_thread::sleep_for(milliseconds(2500));
  EXPECT_TRUE(transfer_.goes_on()) << "the grace is over, and the connection has its entry";
  EXPECT_EQ(cluster_->topology().active_nodes().front()->enforcer->seeded(), 0u);
}

TEST_F(MidFlow, WithoutBothTheAnswersStop) {
  ClusterSettings settings;
  settings.node_conntrack = false;
  begin(settings);
  place();
  start(true);
  pods_.ingress_policy("x/in", "receiver", {});
  place();
  EXPECT_FALSE(transfer_.goes_on());
}

}  // namespace
}  // namespace postern::sim
