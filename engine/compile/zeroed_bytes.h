// SPDX-License-Identifier: Apache-2.0
// A fixed run of bytes that starts as zeros and costs memory only where it is written: the policy
// tables of hundreds of simulated nodes are almost empty. Copies keep the untouched parts untouched.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>

namespace postern {

class ZeroedBytes {
 public:
  ZeroedBytes() = default;
  explicit ZeroedBytes(std::size_t size);
  ZeroedBytes(const ZeroedBytes& other);
  ZeroedBytes& operator=(const ZeroedBytes& other);
  ZeroedBytes(ZeroedBytes&& other) noexcept;
  ZeroedBytes& operator=(ZeroedBytes&& other) noexcept;
  ~ZeroedBytes() = default;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_.get(), size_}; }
  [[nodiscard]] std::span<std::byte> bytes() { return {data_.get(), size_}; }
  friend bool operator==(const ZeroedBytes& a, const ZeroedBytes& b);

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte[], Free> data_;
  std::size_t size_ = 0;
};

}  // namespace postern
