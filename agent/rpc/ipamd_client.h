// SPDX-License-Identifier: Apache-2.0
// Asks the VPC CNI's ipamd, once at start, what the node is: mode and addresses. The call runs on a thread
// of its own; the answer, or that there is none, comes on the loop's.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/loop/event_loop.h"
#include "engine/base/ip.h"
#include "engine/base/result.h"
#include "engine/base/time.h"

namespace postern::agent {

struct NodeConfig {
  // What ipamd gives to the CNI as NETWORK_POLICY_MODE; nothing: the CNI does not call this agent.
  std::optional<bool> strict;
  bool multi_nic = false;
  std::optional<IpAddress> ipv4;
  std::optional<IpAddress> ipv6;
  std::string instance_id;
  std::string region;
};

struct IpamdOptions {
  std::string socket;  // --ipamd-socket
  Duration call_limit = seconds(30);
  int retries = 5;                    // after the first try
  Duration first_pause = seconds(1);  // doubled from try to try
};

class IpamdClient {
 public:
  // Errors: not_found when neither the socket nor its folder is there (this is no node of the VPC CNI;
  // told at once), else io after all tries, invalid_input for an answer that makes no sense, unsupported
  // in a build without gRPC.
  using Answered = std::function<void(Result<NodeConfig>)>;

  // On the loop's thread, as everything here. `answered` is called once, later, never from within ask().
  static std::unique_ptr<IpamdClient> ask(EventLoop& loop, const IpamdOptions& options, Answered answered);
  // Cancels a call that runs, and waits for that; nothing is called after it.
  ~IpamdClient();
  IpamdClient(const IpamdClient&) = delete;
  IpamdClient& operator=(const IpamdClient&) = delete;

 private:
  class Inquiry;
  explicit IpamdClient(std::shared_ptr<Inquiry> inquiry);
  std::shared_ptr<Inquiry> inquiry_;
};

}  // namespace postern::agent
