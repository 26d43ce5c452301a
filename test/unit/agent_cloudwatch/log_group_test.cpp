// SPDX-License-Identifier: Apache-2.0
#include "agent/cloudwatch/log_group.h"

#include <gtest/gtest.h>

namespace postern::agent::cloudwatch {
namespace {

TEST(LogGroup, names_are_those_of_the_amazon_agent) {
  EXPECT_EQ(log_group_name("shop"), "/aws/eks/shop/cluster");
  EXPECT_EQ(log_group_name(""), "/aws/k8s-cluster/cluster");
  EXPECT_EQ(log_stream_name(std::string(16, '\0')),
            "aws-network-policy-agent-audit-00000000-0000-4000-8000-000000000000");
  EXPECT_EQ(log_stream_name(std::string(16, '\xff')),
            "aws-network-policy-agent-audit-ffffffff-ffff-4fff-bfff-ffffffffffff");
  EXPECT_EQ(log_stream_name("0123456789abcdef"),
            "aws-network-policy-agent-audit-30313233-3435-4637-b839-616263646566");
}

}  // namespace
}  // namespace postern::agent::cloudwatch
