// SPDX-License-Identifier: Apache-2.0
// Keeps the agent's view (node_view.h) and the objects it goes by as files of the run folder. The view is
// written a moment after something has changed. The objects can be many: they are written at most every ten
// seconds, and so seldom that it takes a hundredth of the loop's time. What cannot be written is said once,
// and enforcement goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "agent/loop/event_loop.h"
#include "agent/node/node_agent.h"
#include "agent/source/policy_source.h"
#include "agent/view/node_view.h"
#include "engine/enforce/node_enforcer.h"

namespace postern::agent {

struct ViewWriterOptions {
  std::string folder;
  std::string node_name;
  // The objects of a snapshot as text; none: they are not kept.
  std::function<Result<std::string>(const ClusterSnapshot& cluster)> objects_text{};
  Duration view_after = milliseconds(200);   // of a change; what comes meanwhile is in the same file
  Duration objects_every = seconds(10);      // at most
};

inline constexpr const char* kObjectsFile = "objects.json";

class ViewWriter {
 public:
  // All of them outlive the writer.
  ViewWriter(EventLoop& loop, const NodeAgent& node, const PolicySource& source, const NodeEnforcer& enforcer,
             ViewWriterOptions options)
      : loop_(loop), node_(node), source_(source), enforcer_(enforcer), options_(std::move(options)) {}
  ~ViewWriter();
  ViewWriter(const ViewWriter&) = delete;
  ViewWriter& operator=(const ViewWriter&) = delete;

  // After each attempt to put policy in force, whatever came of it.
  void told();

 private:
  [[nodiscard]] NodeView view() const;
  void write_view();
  void write_objects();
  void say(const std::string& failure);
  void put(const char* file, const std::string& text);

  EventLoop& loop_;
  const NodeAgent& node_;
  const PolicySource& source_;
  const NodeEnforcer& enforcer_;
  ViewWriterOptions options_;
  std::uint64_t reconciles_ = 0;  // that were told of
  std::optional<NodeView> written_;
  std::size_t objects_ = 0;  // digest of those that were written last
  Instant next_objects_;
  EventLoop::TimerId view_timer_ = 0;
  EventLoop::TimerId objects_timer_ = 0;
  std::string failure_;  // that was logged
};

}  // namespace postern::agent
