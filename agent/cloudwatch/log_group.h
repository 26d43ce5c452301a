// SPDX-License-Identifier: Apache-2.0
// Where the lines go: the group and stream names of the Amazon agent, and the cluster's name, which on EKS
// is a tag of the instance.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "agent/aws/aws_client.h"
#include "agent/loop/event_loop.h"

namespace postern::agent::cloudwatch {

// "/aws/eks/CLUSTER/cluster"; without a name "/aws/k8s-cluster/cluster".
std::string log_group_name(const std::string& cluster);
// "aws-network-policy-agent-audit-UUID": one of its own for each start. Of 16 random bytes.
std::string log_stream_name(std::string_view random);

// Asks the instance for its id and EC2 for its tag; asks again where that may help.
class ClusterNameFinder {
 public:
  // Why there is no name goes with an empty one.
  using Done = std::function<void(const std::string& name, const std::string& why)>;
  static constexpr const char* kTag = "aws:eks:cluster-name";
  static constexpr int kTries = 3;

  // Both outlive it, unless the client hears of nothing more. The wait after a failure doubles.
  ClusterNameFinder(EventLoop& loop, aws::AwsClient& aws, Duration wait)
      : loop_(loop), aws_(aws), wait_(wait) {}
  ~ClusterNameFinder() { loop_.cancel(timer_); }
  ClusterNameFinder(const ClusterNameFinder&) = delete;
  ClusterNameFinder& operator=(const ClusterNameFinder&) = delete;

  // Once; the client has a region. `done` is called once.
  void find(Done done);

 private:
  void ask();
  void ask_tag(const std::string& instance);
  void failed(const Error& error);

  EventLoop& loop_;
  aws::AwsClient& aws_;
  Duration wait_;
  int tries_ = 0;
  EventLoop::TimerId timer_ = 0;
  Done done_;
};

}  // namespace postern::agent::cloudwatch
