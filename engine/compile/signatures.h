// SPDX-License-Identifier: Apache-2.0
// Terms, bundles and signatures as numbers. The signature of an address is the set of bundles (see
// bundles.h) it is in; equal signatures cannot be told apart by any rule, so they make one class. The
// signature of a ClusterIP says besides what stands behind its ports: egress asks for that alone (R7),
// ingress for its bundles alone, as of any address (R8).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/ip.h"

namespace postern {

using TermId = std::uint32_t;
using BundleId = std::uint32_t;
using SignatureId = std::uint32_t;
using ClassId = std::uint32_t;

inline constexpr BundleId kOwnNode = 0;            // the node the endpoints run on (R2)
inline constexpr SignatureId kEmptySignature = 0;  // in no bundle
inline constexpr SignatureId kNoSignature = 0xffffffffu;
inline constexpr ClassId kNoTermClass = 0;  // the class of the empty signature

// Numbers of terms by key, the same from update to update as long as the term is in use.
class TermPool {
 public:
  TermId id_of(const std::string& key);
  // Forgets every term that is not in `used` (sorted), once enough of them have piled up.
  void keep_only(const std::vector<TermId>& used);

 private:
  std::unordered_map<std::string, TermId> ids_;
  TermId next_ = 0;
};

// Numbers of bundles by their terms, the same for as long as the terms stand together.
class BundlePool {
 public:
  // `terms`: sorted.
  BundleId id_of(std::vector<TermId> terms);
  // As TermPool::keep_only.
  void keep_only(const std::vector<BundleId>& used);

 private:
  std::map<std::vector<TermId>, BundleId> ids_;
  BundleId next_ = kOwnNode + 1;
};

// One or more backends that no rule tells apart.
struct ServiceTarget {
  SignatureId backend = kEmptySignature;  // of its address
  std::uint16_t port = 0;
  std::uint32_t endpoint = 0;  // EndpointId, if this endpoint may meet itself there (R1); else 0
  friend auto operator<=>(const ServiceTarget&, const ServiceTarget&) = default;
};

struct ServicePortTargets {
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
  std::vector<ServiceTarget> targets;  // sorted, unique
  friend auto operator<=>(const ServicePortTargets&, const ServicePortTargets&) = default;
};

// Sorted by protocol and port.
using ServiceSignature = std::vector<ServicePortTargets>;

class SignaturePool {
 public:
  SignaturePool();
  // `bundles`: sorted, unique.
  SignatureId id_of(std::span<const BundleId> bundles);
  // `plain`: of the ClusterIP as an address like any other.
  SignatureId id_of(const ServiceSignature& service, SignatureId plain);
  // Null: not the signature of a ClusterIP.
  [[nodiscard]] const ServiceSignature* service_of(SignatureId id) const;
  [[nodiscard]] std::span<const BundleId> bundles_of(SignatureId id) const { return signatures_[id]; }
  [[nodiscard]] bool has_own_node(SignatureId id) const {
    const auto& bundles = signatures_[id];
    return !bundles.empty() && bundles.front() == kOwnNode;
  }
  [[nodiscard]] std::size_t size() const { return signatures_.size(); }

 private:
  std::deque<std::vector<BundleId>> signatures_;
  std::unordered_multimap<std::size_t, SignatureId> by_hash_;
  // Of ClusterIPs, by what stands behind them and their plain signature.
  std::map<std::pair<ServiceSignature, SignatureId>, SignatureId> services_;
  std::unordered_map<SignatureId, ServiceSignature> service_of_;
};

}  // namespace postern
