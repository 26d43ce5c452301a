// SPDX-License-Identifier: Apache-2.0
// The fewest prefixes that say of every address what spans say of it, the longest match counting: so a
// block with a hole in it is two lines, and not one for each piece around the hole. (The construction of
// optimal routing tables by R. Draves and others, in two passes over a tree that is as deep as it must be.)
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/ip.h"
#include "engine/compile/address_space.h"

namespace postern {

// An answer that nobody asks for: those addresses may get any.
inline constexpr std::uint32_t kAnyAnswer = 0xffffffffu;

// From `first` up to the next span's, the answer of that number.
struct AnswerSpan {
  AddressNumber first = 0;
  std::uint32_t answer = 0;
  friend bool operator==(const AnswerSpan&, const AnswerSpan&) = default;
};

struct AnswerPrefix {
  Cidr prefix;
  std::uint32_t answer = 0;
  friend bool operator==(const AnswerPrefix&, const AnswerPrefix&) = default;
};

// `spans` are sorted and cover the family from its first address on. The result begins with the prefix of
// length 0 and goes on in the order of networks, a shorter prefix before a longer one.
std::vector<AnswerPrefix> prefixes_of(const std::vector<AnswerSpan>& spans, IpFamily family);

// The same number as an address: of IPv4 in its range, else of IPv6.
IpAddress address_of(AddressNumber number);

}  // namespace postern
