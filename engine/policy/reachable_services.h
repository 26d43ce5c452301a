// SPDX-License-Identifier: Apache-2.0
// Which ports of which ClusterIPs a policy has to name so that its subjects reach what they may and
// nothing else (R7), where nobody knows Services any more.
//
// An offer is a port of a ClusterIP. A subject may take it if each of its ready backends is allowed: by some
// policy that isolates the subject's egress, or as its own pod (R1) or own node (R2). What holds is the
// same for subjects of the same policies, but for the few that are, or sit on, a backend themselves.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "engine/policy/plain_rules.h"

namespace postern {

struct Offer {
  IpAddress address;
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;
  std::vector<ResolvedBackend> backends;
};

using OfferIndex = std::uint32_t;
using Offers = std::vector<OfferIndex>;  // sorted, unique

class ReachableServices {
 public:
  // What one policy says of ClusterIPs.
  struct Share {
    Offers allowed_to_all;  // each subject may take it, by whatever policy
    Offers common;          // of these, what this policy has to name
    ByPod<Offers> more;     // what it has to name for some subjects only; none empty
  };

  // `policies` must outlive it.
  ReachableServices(const ClusterSnapshot& cluster, const std::vector<PlainPolicy>& policies);

  [[nodiscard]] const std::vector<Offer>& offers() const { return offers_; }  // by address, protocol, port
  // Every ClusterIP, also of Services without ports; sorted.
  [[nodiscard]] const std::vector<IpAddress>& cluster_ips() const { return cluster_ips_; }
  // Of a policy that isolates egress, by its place in `policies`.
  [[nodiscard]] Share share_of(std::size_t policy) const;

 private:
  // Subjects to whom the same holds.
  struct Class {
    std::vector<std::size_t> policies;  // that isolate their egress, ascending
    bool everything = false;            // some of them admits everything
    Offers allowed;
    std::vector<const Pod*> pods;
  };

  void collect_offers(const ClusterSnapshot& cluster);
  void judge(const ClusterSnapshot& cluster, const std::vector<std::size_t>& policies,
             const std::vector<const Pod*>& pods);
  [[nodiscard]] bool admits(std::size_t policy, OfferIndex offer, std::size_t backend) const;
  [[nodiscard]] bool carries(std::size_t policy, const Class& subjects, OfferIndex offer) const;
  [[nodiscard]] std::vector<std::size_t> denied(const std::vector<std::size_t>& policies, OfferIndex offer) const;

  const std::vector<PlainPolicy>& policies_;
  std::vector<Offer> offers_;
  std::vector<IpAddress> cluster_ips_;
  // By policy: the backends that it admits, of offers of which it admits any.
  std::vector<std::map<OfferIndex, std::vector<bool>>> admitted_;
  std::vector<Class> classes_;
};

}  // namespace postern
