// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/signatures.h"

#include <algorithm>
#include <utility>

namespace postern {

TermId TermPool::id_of(const std::string& key) {
  const auto [found, inserted] = ids_.try_emplace(key, next_);
  if (inserted) ++next_;
  return found->second;
}

BundleId BundlePool::id_of(std::vector<TermId> terms) {
  const auto [found, inserted] = ids_.try_emplace(std::move(terms), next_);
  if (inserted) ++next_;
  return found->second;
}

namespace {

template <typename Ids>
void keep_used(Ids& ids, const std::vector<std::uint32_t>& used) {
  constexpr std::size_t kSlack = 256;
  if (ids.size() <= 2 * used.size() + kSlack) return;
  std::erase_if(
      ids, [&](const auto& entry) { return !std::binary_search(used.begin(), used.end(), entry.second); });
}

}  // namespace

void TermPool::keep_only(const std::vector<TermId>& used) { keep_used(ids_, used); }
void BundlePool::keep_only(const std::vector<BundleId>& used) { keep_used(ids_, used); }

namespace {

std::size_t hash_of(std::span<const BundleId> bundles) {
  std::uint64_t hash = bundles.size();
  for (const BundleId bundle : bundles) {
    hash = (hash ^ bundle) * 0x9e3779b97f4a7c15ull;
    hash ^= hash >> 32;
  }
  return hash;
}

}  // namespace

SignaturePool::SignaturePool() { id_of(std::span<const BundleId>{}); }

SignatureId SignaturePool::id_of(std::span<const BundleId> bundles) {
  const std::size_t hash = hash_of(bundles);
  const auto [begin, end] = by_hash_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const auto& known = signatures_[it->second];
    if (std::equal(known.begin(), known.end(), bundles.begin(), bundles.end())) return it->second;
  }
  const auto id = static_cast<SignatureId>(signatures_.size());
  signatures_.emplace_back(bundles.begin(), bundles.end());
  by_hash_.emplace(hash, id);
  return id;
}

SignatureId SignaturePool::id_of(const ServiceSignature& service, SignatureId plain) {
  const auto [found, inserted] =
      services_.try_emplace({service, plain}, static_cast<SignatureId>(signatures_.size()));
  if (inserted) {
    std::vector<BundleId> bundles = signatures_[plain];
    signatures_.push_back(std::move(bundles));
    service_of_.emplace(found->second, service);
  }
  return found->second;
}

const ServiceSignature* SignaturePool::service_of(SignatureId id) const {
  const auto found = service_of_.find(id);
  return found == service_of_.end() ? nullptr : &found->second;
}

}  // namespace postern
