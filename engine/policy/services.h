// SPDX-License-Identifier: Apache-2.0
// Which backends stand behind the ports of a Service (R7): the pods of its selector, or the end
// points of its EndpointSlices where it has none.
#pragma once

#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/model/snapshot.h"

namespace postern {

// Where one connection to a Service may be taken.
struct ServiceBackend {
  IpAddress address;
  std::uint16_t port = 0;    // the target port
  const Pod* pod = nullptr;  // into the snapshot; null: an end point that is no pod of it
};

// The ready backends of one port in one family, sorted by address and port, unique. Pods: of the
// Service's namespace, live, ready, with a port of the name that targetPort gives (the first one,
// R35). "If empty or not present, the service is assumed to have an external process managing its
// endpoints" (core/v1 ServiceSpec.selector).
std::vector<ServiceBackend> backends_of(const ClusterSnapshot& cluster, const Service& service,
                                        const ServicePort& port, IpFamily family);

// The same for every Service of a cluster: it looks through the pods once and not for each of them.
class BackendIndex {
 public:
  // The snapshot must outlive the index.
  explicit BackendIndex(const ClusterSnapshot& cluster);
  // `service` is one of the snapshot's.
  [[nodiscard]] std::vector<ServiceBackend> backends_of(const Service& service, const ServicePort& port,
                                                        IpFamily family) const;

 private:
  using Label = std::tuple<std::string_view, std::string_view, std::string_view>;  // namespace, key, value

  std::map<Label, std::vector<const Pod*>> pods_;  // by the first label of each selector
  std::map<std::pair<std::string_view, std::string_view>, std::vector<const EndpointSlice*>> slices_;
  std::map<IpAddress, const Pod*> pods_by_address_;
};

}  // namespace postern
