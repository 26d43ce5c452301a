// SPDX-License-Identifier: Apache-2.0
// Events into records: numbers of the datapath get the names that the cluster has for them. Whose address
// it is comes from an index of the cluster's pods, which is made anew when the cluster has changed and a
// record is wanted, but not more often than every quarter of a second.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "agent/flow/flow_record.h"
#include "engine/abi/event.h"
#include "engine/base/time.h"
#include "engine/model/snapshot.h"
#include "engine/policy/resolve.h"

namespace postern::agent {

// What is in force, and what is known of the cluster and the host. Nothing is kept of what they return.
struct FlowSources {
  std::string node;
  std::function<const ResolvedPolicy&()> policy;
  std::function<const RuleRegistry&()> rules;
  std::function<const ClusterSnapshot&()> cluster;
  std::function<std::string(std::uint32_t ifindex)> interface_name;
};

class FlowNames {
 public:
  static constexpr Duration kLeastAge = milliseconds(250);  // of an index that is replaced

  explicit FlowNames(FlowSources sources) : sources_(std::move(sources)) {}

  // The cluster is different.
  void cluster_changed() { changed_ = true; }
  // `unix_offset_ns`: what the event's clock lacks to the time since 1970. `now`: of the event's clock.
  FlowRecord name(const pn_event& event, std::int64_t unix_offset_ns);

  // Made so far.
  [[nodiscard]] std::uint64_t indexes() const { return indexes_; }

 private:
  struct Hash {
    std::size_t operator()(const IpAddress& address) const;
  };
  struct Known {
    NamespacedName pod;
    std::string workload;
  };
  void refresh(std::uint64_t now_ns);
  void name_end(FlowEnd& end) const;
  [[nodiscard]] pn_tier tier_of(const PolicyRef& policy) const;
  void name_rule(FlowRecord& record, std::uint32_t step) const;
  void name_endpoint(FlowRecord& record, const pn_event& event) const;

  FlowSources sources_;
  bool changed_ = true;
  std::uint64_t made_ns_ = 0;
  std::uint64_t indexes_ = 0;
  std::unordered_map<IpAddress, Known, Hash> by_address_;
};

}  // namespace postern::agent
