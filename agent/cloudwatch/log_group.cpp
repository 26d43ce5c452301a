// SPDX-License-Identifier: Apache-2.0
#include "agent/cloudwatch/log_group.h"

#include <utility>

#include "agent/aws/aws_answers.h"
#include "agent/settings/setting_values.h"

namespace postern::agent::cloudwatch {

std::string log_group_name(const std::string& cluster) {
  return cluster.empty() ? "/aws/k8s-cluster/cluster" : "/aws/eks/" + cluster + "/cluster";
}

std::string log_stream_name(std::string_view random) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string name = "aws-network-policy-agent-audit-";
  for (std::size_t i = 0; i < 16; ++i) {
    auto byte = i < random.size() ? static_cast<unsigned char>(random[i]) : static_cast<unsigned char>(0);
    if (i == 6) byte = static_cast<unsigned char>((byte & 0x0f) | 0x40);  // version 4: random
    if (i == 8) byte = static_cast<unsigned char>((byte & 0x3f) | 0x80);  // of the usual variant
    if (i == 4 || i == 6 || i == 8 || i == 10) name += '-';
    name += kDigits[byte >> 4];
    name += kDigits[byte & 15];
  }
  return name;
}

void ClusterNameFinder::find(Done done) {
  done_ = std::move(done);
  ask();
}

void ClusterNameFinder::ask() {
  ++tries_;
  aws_.metadata().get("/latest/meta-data/instance-id", [this](const Result<std::string>& instance) {
    if (!instance) return failed(instance.error());
    ask_tag(*instance);
  });
}

void ClusterNameFinder::ask_tag(const std::string& instance) {
  aws::AwsCall call;
  call.service = "ec2";
  call.endpoint = aws_.environment().ec2_endpoint;
  call.headers = {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  call.body = aws::tag_form(instance, kTag);
  aws_.call(std::move(call), [this, instance](const aws::AwsOutcome& outcome) {
    if (!outcome.reply) return failed(outcome.reply.error());
    const auto tag = aws::read_tag_answer(outcome.reply->status, outcome.reply->body);
    if (!tag) return failed({tag.error().code, "ec2:DescribeTags: " + tag.error().message});
    if (!*tag) return done_("", "instance " + instance + " has no tag " + kTag);
    if (!is_cluster_name(**tag)) return done_("", std::string("the tag ") + kTag + " is no cluster's name");
    done_(**tag, "");
  });
}

void ClusterNameFinder::failed(const Error& error) {
  if (error.code != ErrorCode::io || tries_ == kTries) return done_("", error.message);
  timer_ = loop_.after(wait_, [this] { ask(); });
  wait_.ns *= 2;
}

}  // namespace postern::agent::cloudwatch
