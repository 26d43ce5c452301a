// SPDX-License-Identifier: Apache-2.0
#include "engine/policy/to_policy_endpoints.h"

#include <algorithm>
#include <cstdint>
#include <set>

#include "engine/policy/endpoint_plan.h"
#include "engine/policy/sort_unique.h"

namespace postern {

namespace {

constexpr std::size_t kHashDigits = 10;
constexpr std::size_t kLongestName = 253;

// FNV-1a; only names depend on it.
std::string hash_of(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string digits;
  for (std::size_t i = 0; i < kHashDigits; ++i) digits += kDigits[hash >> (60 - 4 * i) & 15];
  return digits;
}

std::string text_of(const std::vector<EndpointInfo>& infos) {
  std::string text;
  for (const auto& info : infos) {
    text += info.block->cidr.to_string();
    for (const auto& except : info.block->excepts) text += "!" + except.to_string();
    for (const auto& port : info.ports) {
      text += ":" + std::string(to_string(port.protocol));
      if (!port.port) continue;
      const auto& range = std::get<PortRange>(*port.port);
      text += std::to_string(range.lo) + "-" + std::to_string(range.hi);
    }
    text += ";";
  }
  return text;
}

// hostIP is of the podIP's family where the node has one.
std::vector<PodEndpoint> entries_of(const ClusterSnapshot& cluster, const std::vector<const Pod*>& pods) {
  std::vector<PodEndpoint> entries;
  for (const Pod* pod : pods) {
    const auto node = cluster.nodes.find(pod->node_name);
    for (const auto& address : pod->addresses) {
      PodEndpoint& entry = entries.emplace_back();
      entry.pod = pod->key;
      entry.address = address;
      if (node == cluster.nodes.end()) continue;
      const auto other = address.is_v4() ? IpFamily::v6 : IpFamily::v4;
      entry.host_address = node->second.internal_ip(address.family());
      if (!entry.host_address) entry.host_address = node->second.internal_ip(other);
    }
  }
  sort_unique(entries);
  return entries;
}

// The lists of a policy or of a part, before they are cut.
struct Whole {
  const NetworkPolicy* policy = nullptr;
  std::string part;  // after the '#'; empty: the policy itself
  bool isolates_ingress = false;
  bool isolates_egress = false;
  std::vector<PodEndpoint> pods;
  std::vector<EndpointInfo> ingress;
  std::vector<EndpointInfo> egress;
};

template <typename T>
std::vector<T> chunk_of(const std::vector<T>& list, std::size_t size, std::size_t index) {
  const std::size_t begin = std::min(list.size(), size * index);
  const std::size_t end = std::min(list.size(), begin + size);
  return {list.begin() + static_cast<std::ptrdiff_t>(begin), list.begin() + static_cast<std::ptrdiff_t>(end)};
}

class Slicer {
 public:
  explicit Slicer(const ToEndpointsOptions& options) : options_(options) {}

  void add(const Whole& whole) {
    const std::size_t size = std::max<std::size_t>(options_.chunk_size, 1);
    const std::size_t longest = std::max({whole.pods.size(), whole.ingress.size(), whole.egress.size()});
    const std::size_t count = std::max<std::size_t>((longest + size - 1) / size, 1);
    for (std::size_t index = 0; index < count; ++index) {
      PolicyEndpoint& slice = slices_.emplace_back();
      slice.policy = whole.policy->key;
      if (!whole.part.empty()) slice.policy.name += "#" + whole.part;
      slice.key = {whole.policy->key.ns, name_of(whole.policy->key.name, slice.policy, index)};
      slice.pod_selector = whole.policy->pod_selector;
      slice.isolates_ingress = whole.isolates_ingress;
      slice.isolates_egress = whole.isolates_egress;
      slice.pods = chunk_of(whole.pods, size, index);
      slice.ingress = chunk_of(whole.ingress, size, index);
      slice.egress = chunk_of(whole.egress, size, index);
      slice.last_change_trigger_time = options_.last_change_trigger_time;
    }
  }

  std::vector<PolicyEndpoint> finish() {
    std::sort(slices_.begin(), slices_.end(),
              [](const PolicyEndpoint& a, const PolicyEndpoint& b) { return a.key < b.key; });
    return std::move(slices_);
  }

 private:
  // "<policy>-<hash>". The Amazon agent takes what stands before the last '-' for the policy.
  std::string name_of(const std::string& policy, const NamespacedName& ref, std::size_t index) {
    std::string base = policy.substr(0, kLongestName - kHashDigits - 1);
    while (base.back() == '.' || base.back() == '-') base.pop_back();  // where it was cut
    std::string seed = ref.to_string() + " " + std::to_string(index);
    while (true) {
      std::string name = base + "-" + hash_of(seed);
      if (taken_.insert({ref.ns, name}).second) return name;
      seed += " again";
    }
  }

  const ToEndpointsOptions& options_;
  std::vector<PolicyEndpoint> slices_;
  std::set<NamespacedName> taken_;
};

void add_parts(const ClusterSnapshot& cluster, const PlainPolicy& policy, Direction direction,
               const EndpointPlan& plan, Slicer& slicer) {
  for (const auto& part : plan.parts) {
    Whole whole;
    whole.policy = policy.policy;
    whole.part = std::string(to_string(direction)) + "-" + hash_of(text_of(part.infos));
    whole.isolates_ingress = direction == Direction::ingress;
    whole.isolates_egress = direction == Direction::egress;
    whole.pods = entries_of(cluster, part.pods);
    (direction == Direction::ingress ? whole.ingress : whole.egress) = part.infos;
    slicer.add(whole);
  }
}

}  // namespace

Result<std::vector<PolicyEndpoint>> to_policy_endpoints(const ClusterSnapshot& cluster,
                                                        const ToEndpointsOptions& options) {
  for (const auto& [key, policy] : cluster.network_policies) {
    if (!policy.audit) continue;
    return fail(ErrorCode::unsupported,
                "NetworkPolicy " + key.to_string() + " is in audit, which a PolicyEndpoint cannot say");
  }
  const auto policies = plain_policies(cluster);
  if (!policies) return fail_as(policies);
  const ReachableServices services(cluster, *policies);
  Slicer slicer(options);
  for (std::size_t i = 0; i < policies->size(); ++i) {
    const PlainPolicy& policy = (*policies)[i];
    EndpointPlan ingress;
    EndpointPlan egress;
    if (policy.isolates(Direction::ingress)) ingress = plan_ingress(policy);
    if (policy.isolates(Direction::egress)) {
      egress = plan_egress(policy, services, services.share_of(i), options.service_ip_blocks);
    }
    Whole whole;
    whole.policy = policy.policy;
    whole.isolates_ingress = policy.isolates(Direction::ingress);
    whole.isolates_egress = policy.isolates(Direction::egress);
    whole.pods = entries_of(cluster, policy.subjects);
    whole.ingress = std::move(ingress.infos);
    whole.egress = std::move(egress.infos);
    slicer.add(whole);
    add_parts(cluster, policy, Direction::ingress, ingress, slicer);
    add_parts(cluster, policy, Direction::egress, egress, slicer);
  }
  return slicer.finish();
}

}  // namespace postern
