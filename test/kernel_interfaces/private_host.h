// SPDX-License-Identifier: Apache-2.0
// A host to look at: a network namespace that the test is in, pods in namespaces of their own whose files
// are below /mnt of the sandbox's own mounts, and the tools that change things there.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/interfaces/host_network.h"
#include "sim/cni/cni.h"

namespace postern::agent::testing_support {

// Runs it by the shell; `quiet` ones may fail.
void run(const std::string& command);
void run_quietly(const std::string& command);

// Everything but incarnations, a line each: two pictures of one host at one moment have the same.
std::string text_of(const NetworkPicture& picture);

class PrivateHost : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A namespace with a file; the interface is still to be made.
  std::string make_pod_namespace(const std::string& name);
  // Its file goes, and it with it, some time later.
  void remove_pod_namespace(const std::string& name);
  // Runs something in it.
  void in_pod(const std::string& name, const std::string& command);

  // A pod by a CNI plug-in, in a namespace of its own.
  sim::CniPod add_pod(const sim::CniNetwork& network, const std::string& name);
  void delete_pod(const sim::CniNetwork& network, const sim::CniPod& pod);
  [[nodiscard]] sim::CniNetwork network_of(sim::CniPlugin plugin, const std::vector<const char*>& ranges) const;

  HostNetwork& open(const HostNetworkOptions& options = {});
  // Drains, and looks again where that may help, until it holds; false after some seconds.
  bool eventually(const std::function<bool()>& holds);
  [[nodiscard]] PodAddresses known_of(const sim::CniPod& pod) const;

  std::optional<HostNetwork> host;
  std::vector<IpAddress> unheard;  // asked for by eventually()

 private:
  std::optional<sim::NetnsScope> scope_;
  std::map<std::string, sim::Netns> pods_;
};

}  // namespace postern::agent::testing_support
