// SPDX-License-Identifier: Apache-2.0
// A reflector with its store, a sink that writes down, and a clock that stands until it is moved.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/kube/reflector.h"
#include "test/unit/agent_kube/api_texts.h"
#include "test/unit/agent_kube/recording_sink.h"

namespace postern::agent::kube {

using Lines = std::vector<std::string>;

class Driver {
 public:
  explicit Driver(ResourceKind kind = ResourceKind::pods, std::uint64_t seed = 1)
      : store(kind, sink), reflector(resource_of(kind), store, sink, Prng(seed)) {
    reflector.start(now);
  }

  // What is asked now, without the path and the random timeout; "" while waiting.
  [[nodiscard]] std::string asks() const {
    const auto& want = reflector.want();
    if (want.request == 0) return "";
    std::string text =
        want.target.substr(want.target.find('?') == std::string::npos ? 0 : want.target.find('?'));
    const auto timeout = text.find("&timeoutSeconds=");
    if (timeout != std::string::npos) text = text.substr(0, timeout);
    return text == "?watch=1&allowWatchBookmarks=true&resourceVersion=" + last_version(text)
               ? "watch " + last_version(text)
               : text;
  }
  static std::string last_version(const std::string& text) { return text.substr(text.rfind('=') + 1); }

  void head(int status, std::optional<Duration> retry_after = {}) {
    reflector.on_head({status, retry_after}, now);
  }
  void bytes(std::string_view text) { reflector.on_bytes(text, now); }
  void end() { reflector.on_end(now); }
  // A whole answer.
  void answer(int status, const std::string& body, std::optional<Duration> retry_after = {}) {
    const auto request = reflector.want().request;
    head(status, retry_after);
    bytes(body);
    if (reflector.want().request == request) end();
  }
  void fails(bool refused, const std::string& message = "broken") {
    reflector.on_failure({refused ? HttpFailure::Kind::refused : HttpFailure::Kind::broken, message}, now);
  }
  void pass(Duration time) {
    now = now + time;
    reflector.on_time(now);
  }
  // The wait that it wants; then lets it pass.
  Duration wait() {
    EXPECT_EQ(reflector.want().request, 0u) << "it does not wait, it asks " << asks();
    const Duration time = reflector.want().wake - now;
    reflector.on_time(reflector.want().wake + Duration{-1});
    EXPECT_EQ(reflector.want().request, 0u) << "it did not wait as long as it said";
    pass(time);
    return time;
  }
  // To a watch from version 10 with pod a/one held.
  void sync() {
    answer(200, list_json("Pod", "10", {pod_json("a", "one", "5")}));
    sink.take();
  }
  void sync_and_watch() {
    sync();
    head(200);
    now = now + seconds(2);
  }
  [[nodiscard]] std::string held() const {
    std::string names;
    for (const auto& entry : store.objects()) names += (names.empty() ? "" : " ") + entry.first.name;
    return names;
  }

  Instant now{seconds(1000).ns};
  RecordingSink sink;
  ObjectStore store;
  Reflector reflector;
};

inline testing::AssertionResult is_backoff(Duration wait, std::int64_t base_ms) {
  if (wait >= milliseconds(base_ms) && wait <= milliseconds(2 * base_ms)) return testing::AssertionSuccess();
  return testing::AssertionFailure() << wait.ns / 1'000'000 << " ms, expected " << base_ms << " to "
                                     << 2 * base_ms;
}

}  // namespace postern::agent::kube
