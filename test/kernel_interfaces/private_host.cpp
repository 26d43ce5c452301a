// SPDX-License-Identifier: Apache-2.0
#include "test/kernel_interfaces/private_host.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace postern::agent::testing_support {
namespace {

const std::string kFolder = "/mnt";  // a memory file system of the sandbox's own

std::string file_of(const std::string& pod) { return kFolder + "/netns/" + pod; }

// Two ends of the test program's namespace, once for all tests.
void mount_folder() {
  static const bool mounted = [] {
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    return ::mount("postern", kFolder.c_str(), "tmpfs", 0, nullptr) == 0;
  }();
  ASSERT_TRUE(mounted) << "cannot mount a memory file system at " << kFolder;
}

}  // namespace

void run(const std::string& command) {
  const int status = std::system(command.c_str());
  ASSERT_EQ(status, 0) << command;
}

void run_quietly(const std::string& command) {
  const int status = std::system((command + " >/dev/null 2>&1").c_str());
  static_cast<void>(status);
}

std::string text_of(const NetworkPicture& picture) {
  std::ostringstream text;
  for (const auto& [ifindex, link] : picture.links) {
    text << "link " << ifindex << ' ' << link.name << ' ' << link.kind << " mac " << int(link.mac[4]) << '.'
         << int(link.mac[5]) << " master " << link.master << " peer " << link.peer << " netns "
         << link.netns_id.value_or(-1) << (link.up ? " up\n" : " down\n");
  }
  for (const auto& [ifindex, addresses] : picture.addresses) {
    for (const auto& address : addresses) text << "address " << ifindex << ' ' << address.to_string() << '\n';
  }
  for (const auto& [destination, routes] : picture.routes) {
    for (const auto& route : routes) {
      text << "route " << destination.to_string() << " dev " << route.ifindex << " table " << route.table
           << " metric " << route.metric << " src " << (route.source ? route.source->to_string() : "-") << '\n';
    }
  }
  for (const auto& [address, by_link] : picture.neighbours) {
    for (const auto& [ifindex, mac] : by_link) {
      text << "neighbour " << address.to_string() << " dev " << ifindex << " mac " << int(mac[4]) << '.'
           << int(mac[5]) << '\n';
    }
  }
  for (const auto& [mac, by_vlan] : picture.forwarding) {
    for (const auto& [vlan, port] : by_vlan) {
      text << "heard " << int(mac[4]) << '.' << int(mac[5]) << " bridge " << vlan.bridge << " vlan " << vlan.id
           << " port " << port << '\n';
    }
  }
  for (const auto& [end, addresses] : picture.far_addresses) {
    for (const auto& address : addresses) {
      text << "far " << end.netns_id << '/' << end.ifindex << ' ' << address.to_string() << '\n';
    }
  }
  return text.str();
}

void PrivateHost::SetUp() {
  mount_folder();
  if (HasFatalFailure()) return;
  std::filesystem::create_directories(kFolder + "/netns");
  std::filesystem::create_directories(kFolder + "/cni");
  // Like a pod's: loopback up, IPv6 on, and addresses usable at once.
  auto made = sim::make_pod_netns();
  ASSERT_TRUE(made) << made.error().message;
  auto scope = sim::NetnsScope::enter(*made);
  ASSERT_TRUE(scope) << scope.error().message;
  scope_.emplace(std::move(*scope));
}

void PrivateHost::TearDown() {
  host.reset();
  while (!pods_.empty()) remove_pod_namespace(std::string(pods_.begin()->first));
  scope_.reset();
  std::filesystem::remove_all(kFolder + "/cni");
}

std::string PrivateHost::make_pod_namespace(const std::string& name) {
  auto made = sim::make_pod_netns();
  EXPECT_TRUE(made) << made.error().message;
  std::ofstream(file_of(name)).put('\n');
  EXPECT_EQ(::mount(sim::netns_path(*made).c_str(), file_of(name).c_str(), nullptr, MS_BIND, nullptr), 0) << name;
  pods_.insert_or_assign(name, std::move(*made));
  return file_of(name);
}

void PrivateHost::remove_pod_namespace(const std::string& name) {
  ::umount2(file_of(name).c_str(), MNT_DETACH);
  std::filesystem::remove(file_of(name));
  pods_.erase(name);
}

void PrivateHost::in_pod(const std::string& name, const std::string& command) {
  const auto scope = sim::NetnsScope::enter(pods_.at(name));
  ASSERT_TRUE(scope) << scope.error().message;
  run(command);
}

sim::CniPod PrivateHost::add_pod(const sim::CniNetwork& network, const std::string& name) {
  sim::CniRequest request;
  request.pod = {"shop", name};
  request.container_id = "container-" + name;
  request.netns_path = make_pod_namespace(name);
  const auto added = sim::cni_add(network, request);
  EXPECT_TRUE(added) << added.error().message;
  return added ? *added : sim::CniPod{request, {}, {}};
}

void PrivateHost::delete_pod(const sim::CniNetwork& network, const sim::CniPod& pod) {
  const auto deleted = sim::cni_del(network, pod);
  EXPECT_TRUE(deleted) << deleted.error().message;
  remove_pod_namespace(pod.request.pod.name);
}

sim::CniNetwork PrivateHost::network_of(sim::CniPlugin plugin, const std::vector<const char*>& ranges) const {
  sim::CniNetwork network;
  network.name = "pods";
  network.plugin = plugin;
  network.state_directory = kFolder + "/cni";
  for (const char* const range : ranges) network.ranges.push_back(Cidr::parse(range).value());
  EXPECT_EQ(sim::missing_cni_plugin(network), "") << "install containernetworking-plugins (ci/setup)";
  return network;
}

HostNetwork& PrivateHost::open(const HostNetworkOptions& options) {
  auto opened = HostNetwork::open(options);
  EXPECT_TRUE(opened) << opened.error().message;
  host.emplace(std::move(*opened));
  return *host;
}

bool PrivateHost::eventually(const std::function<bool()>& holds) {
  using Clock = std::chrono::steady_clock;
  for (const auto limit = Clock::now() + std::chrono::seconds(5); Clock::now() < limit;) {
    const auto drained = host->drain();
    EXPECT_TRUE(drained) << drained.error().message;
    if (holds()) return true;
    pollfd ready{host->fd(), POLLIN, 0};
    if (::poll(&ready, 1, 50) == 0) {
      const auto looked = host->look_again(unheard);
      EXPECT_TRUE(looked) << looked.error().message;
    }
  }
  return false;
}

PodAddresses PrivateHost::known_of(const sim::CniPod& pod) const {
  return {pod.request.pod, pod.addresses, std::nullopt};
}

}  // namespace postern::agent::testing_support
