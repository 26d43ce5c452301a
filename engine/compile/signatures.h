// SPDX-License-Identifier: Apache-2.0
// Terms, bundles and signatures as numbers. The signature of an address is the set of bundles (see
// bundles.h) it is in; equal signatures cannot be told apart by any rule, so they make one class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

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

class SignaturePool {
 public:
  SignaturePool();
  // `bundles`: sorted, unique.
  SignatureId id_of(std::span<const BundleId> bundles);
  [[nodiscard]] std::span<const BundleId> bundles_of(SignatureId id) const { return signatures_[id]; }
  [[nodiscard]] bool has_own_node(SignatureId id) const {
    const auto& bundles = signatures_[id];
    return !bundles.empty() && bundles.front() == kOwnNode;
  }
  [[nodiscard]] std::size_t size() const { return signatures_.size(); }

 private:
  std::deque<std::vector<BundleId>> signatures_;
  std::unordered_multimap<std::size_t, SignatureId> by_hash_;
};

}  // namespace postern
