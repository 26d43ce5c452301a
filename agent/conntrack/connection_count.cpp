// SPDX-License-Identifier: Apache-2.0
#include "agent/conntrack/connection_count.h"

#include <algorithm>

namespace postern::agent {
namespace {
constexpr std::uint32_t kBucketsOfSlice = 256;  // as many as clean-up takes at a time
constexpr Duration kPause = milliseconds(1);
}  // namespace

ConnectionCount::ConnectionCount(EventLoop& loop, ConnectionTable& table, Duration every)
    : loop_(loop), table_(table), every_(every) {
  begin();
}

void ConnectionCount::ask() {
  if (timer_ == 0 && EventLoop::now() - ended_ >= every_) begin();
}

void ConnectionCount::begin() {
  next_ = 0;
  so_far_ = 0;
  timer_ = loop_.after(kPause, [this] { turn(); });
}

void ConnectionCount::turn() {
  timer_ = 0;
  read_.clear();
  const auto read = table_.read(next_, std::min(kBucketsOfSlice, table_.buckets() - next_), read_);
  so_far_ += read_.size();
  next_ += kBucketsOfSlice;
  ended_ = EventLoop::now();
  if (!read) return;  // clean-up says what is wrong, and the next to ask tries again
  if (next_ < table_.buckets()) {
    timer_ = loop_.after(kPause, [this] { turn(); });
    return;
  }
  entries_ = so_far_;
  ++counts_;
}

}  // namespace postern::agent
