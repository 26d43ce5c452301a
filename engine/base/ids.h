// SPDX-License-Identifier: Apache-2.0
// Ids are strong types: an EndpointId is never taken for a RuleId.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace postern {

template <typename Tag>
struct StrongId {
  std::uint32_t value = 0;
  friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
};

using EndpointId = StrongId<struct EndpointTag>;    // one pod interface; 24 bits, 0 = none
inline constexpr std::uint32_t kMaxEndpoint = 0xffffff;
using RuleId = StrongId<struct RuleTag>;            // 24 bits, 0 = by default
using Generation = StrongId<struct GenerationTag>;  // counts complete policies

}  // namespace postern

template <typename Tag>
struct std::hash<postern::StrongId<Tag>> {
  std::size_t operator()(postern::StrongId<Tag> id) const noexcept {
    return static_cast<std::size_t>(id.value) * 0x9e3779b97f4a7c15ull;
  }
};
