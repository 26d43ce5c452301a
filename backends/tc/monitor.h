// SPDX-License-Identifier: Apache-2.0
// Live verdicts of every judged packet, whatever the agent logs: two words of the node's table switch the
// program's second ring on, for a few seconds at a time. Whoever watches renews them; when it ends, however
// it ends, the kernel goes back by itself to what it did before.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "backends/tc/pinned_node.h"
#include "net/fd.h"

struct ring_buffer;

namespace postern::tc {

class Monitor {
 public:
  using OnEvent = std::function<void(const pn_event& event)>;

  // Of one interface, or of all with 0. Events that an earlier watcher left in the ring are dropped. Errors:
  // PinnedNode's, and invalid_input: somebody else is watching, who would get half of the events.
  static Result<std::unique_ptr<Monitor>> start(const std::string& pin_path, std::uint32_t ifindex);
  ~Monitor();  // off
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // Call it every second or so: keeps the ring on, also where a new agent's tables have taken over.
  Result<void> renew();
  // Waits at most so long and hands on what there is. Errors: io.
  Result<void> poll(int timeout_ms, const OnEvent& on_event);
  [[nodiscard]] int event_fd() const;  // readable when there is something; another one after renew()
  // Events that found the ring full since the start. Errors: io.
  [[nodiscard]] Result<std::uint64_t> lost() const;

 private:
  Monitor(std::string pin_path, std::uint32_t ifindex) : pin_path_(std::move(pin_path)), ifindex_(ifindex) {}
  Result<void> open_tables();
  void close_tables();
  [[nodiscard]] Result<std::uint64_t> count_lost() const;
  static int on_sample(void* context, void* data, std::size_t size);

  std::string pin_path_;
  std::uint32_t ifindex_;
  UniqueFd lock_;  // of the version's folder: one watcher at a time
  std::unique_ptr<PinnedNode> node_;
  pn_node* memory_ = nullptr;  // the node's table, mapped
  ring_buffer* ring_ = nullptr;
  std::uint64_t lost_before_ = 0;
  const OnEvent* on_event_ = nullptr;  // while events are handed on
};

}  // namespace postern::tc
