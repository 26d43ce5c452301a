// SPDX-License-Identifier: Apache-2.0
// Terms and signatures as numbers. The signature of an address is the set of terms it is in; equal
// signatures cannot be told apart by any rule, so they make one class.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace postern {

using TermId = std::uint32_t;
using SignatureId = std::uint32_t;
using ClassId = std::uint32_t;

inline constexpr TermId kOwnNodeTerm = 0;          // the node the endpoints run on (R2)
inline constexpr SignatureId kEmptySignature = 0;  // in no term
inline constexpr SignatureId kNoSignature = 0xffffffffu;
inline constexpr ClassId kNoTermClass = 0;  // the class of the empty signature

// Numbers of terms by key, the same from update to update as long as the term is in use.
class TermPool {
 public:
  TermId id_of(const std::string& key);
  // Forgets every term that is not in `used`, once enough of them have piled up.
  void keep_only(const std::set<TermId>& used);

 private:
  std::map<std::string, TermId> ids_;
  TermId next_ = kOwnNodeTerm + 1;
};

class SignaturePool {
 public:
  SignaturePool();
  // `terms`: sorted, unique.
  SignatureId id_of(std::span<const TermId> terms);
  [[nodiscard]] std::span<const TermId> terms_of(SignatureId id) const { return signatures_[id]; }
  [[nodiscard]] bool has_own_node(SignatureId id) const {
    const auto& terms = signatures_[id];
    return !terms.empty() && terms.front() == kOwnNodeTerm;
  }
  [[nodiscard]] std::size_t size() const { return signatures_.size(); }

 private:
  std::deque<std::vector<TermId>> signatures_;
  std::unordered_multimap<std::size_t, SignatureId> by_hash_;
};

}  // namespace postern
