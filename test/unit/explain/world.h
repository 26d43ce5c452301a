// SPDX-License-Identifier: Apache-2.0
// A cluster from YAML text, and questions to it, for the tests of explain.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "engine/explain/explain.h"
#include "engine/manifest/cluster_state.h"
#include "engine/manifest/reader.h"

namespace postern {

inline ClusterSnapshot cluster_of(const std::string& yaml) {
  const auto manifest = manifest::read_manifest(yaml, "test.yaml");
  if (!manifest) {
    ADD_FAILURE() << manifest.error().front().to_string();
    return {};
  }
  manifest::ClusterState state;
  state.reserve(manifest->objects);
  auto cluster = state.apply({}, manifest->objects);
  if (!cluster) {
    ADD_FAILURE() << cluster.error().to_string();
    return {};
  }
  return *cluster;
}

struct Question {
  std::string from;
  std::string to;
  std::uint16_t port = 80;
  Protocol protocol = Protocol::tcp;
  bool strict = false;
};

inline Explanation ask(const ClusterSnapshot& cluster, const Question& question) {
  const auto from = find_traffic_end(cluster, question.from);
  const auto to = find_traffic_end(cluster, question.to);
  if (!from || !to) {
    ADD_FAILURE() << (from ? to.error() : from.error()).to_string();
    return {};
  }
  const auto explanation = explain(
      cluster, {*from, *to, static_cast<std::uint8_t>(question.protocol), question.port, question.strict});
  if (!explanation) {
    ADD_FAILURE() << explanation.error().to_string();
    return {};
  }
  return *explanation;
}

}  // namespace postern
