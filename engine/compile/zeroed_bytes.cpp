// SPDX-License-Identifier: Apache-2.0
#include "engine/compile/zeroed_bytes.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

namespace postern {

namespace {

constexpr std::size_t kPage = 4096;

bool is_zero(const std::byte* data, std::size_t size) {
  static constexpr std::array<std::byte, kPage> kZeros{};
  return std::memcmp(data, kZeros.data(), size) == 0;
}

}  // namespace

ZeroedBytes::ZeroedBytes(std::size_t size) : size_(size) {
  if (size == 0) return;
  // calloc hands out large runs as fresh pages, which the kernel zeroes on first touch.
  data_.reset(static_cast<std::byte*>(std::calloc(size, 1)));
  if (!data_) throw std::bad_alloc();
}

ZeroedBytes::ZeroedBytes(const ZeroedBytes& other) : ZeroedBytes(other.size_) {
  for (std::size_t at = 0; at < size_; at += kPage) {
    const std::size_t length = std::min(kPage, size_ - at);
    const std::byte* source = other.data_.get() + at;
    if (!is_zero(source, length)) std::memcpy(data_.get() + at, source, length);
  }
}

ZeroedBytes& ZeroedBytes::operator=(const ZeroedBytes& other) {
  if (this != &other) *this = ZeroedBytes(other);
  return *this;
}

ZeroedBytes::ZeroedBytes(ZeroedBytes&& other) noexcept
    : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

ZeroedBytes& ZeroedBytes::operator=(ZeroedBytes&& other) noexcept {
  data_ = std::move(other.data_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

bool operator==(const ZeroedBytes& a, const ZeroedBytes& b) {
  return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data_.get(), b.data_.get(), a.size_) == 0);
}

}  // namespace postern
