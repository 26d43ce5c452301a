// SPDX-License-Identifier: Apache-2.0
// The two checksums of the protocols that packets are built for.
#pragma once

#include <cstdint>
#include <span>

namespace postern::packet {

// The Internet checksum's running sum (RFC 1071) over 16-bit big-endian words; an odd last byte
// counts as the high half of a word, so only the last span of a sum may be odd.
std::uint32_t add_to_sum(std::uint32_t sum, std::span<const std::uint8_t> bytes);
// Folds the carries in and complements: the value as it stands in a header, host order.
std::uint16_t finish_sum(std::uint32_t sum);

// CRC32c (RFC 3309, Castagnoli polynomial), as SCTP puts it in its common header: the result is
// stored least significant byte first.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes);

}  // namespace postern::packet
