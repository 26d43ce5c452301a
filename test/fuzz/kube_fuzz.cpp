// SPDX-License-Identifier: Apache-2.0
// Any bytes at all as the answer of an API server: nothing crashes, bytes cut differently mean the same,
// what is held after an answer that is none is what was held before, and a text that both JSON readers
// take is the same tree. The first byte picks the shape, the second how the bytes are cut.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kube/field_mask.h"
#include "agent/kube/reflector.h"

namespace {

using namespace postern;
using namespace postern::agent::kube;

void require(bool holds) {
  if (!holds) std::abort();
}

class CheckingSink : public ResourceSink {
 public:
  void changed(ResourceKind /*resource*/, const Changes& changes) override {
    require(!changes.changed.empty() || !changes.deleted.empty());
    for (const auto& object : changes.changed)
      told += "+" + object->key.to_string() + "@" + object->resource_version;
    for (const auto& key : changes.deleted) told += "-" + key.to_string();
  }
  void rejected(ResourceKind /*resource*/, const NamespacedName& key,
                const std::vector<Error>& errors) override {
    require(!errors.empty() && !errors.front().message.empty());
    told += "!" + key.to_string();
  }
  void accepted(ResourceKind /*resource*/, const NamespacedName& key) override {
    told += "ok" + key.to_string();
  }
  void state(ResourceKind /*resource*/, const ResourceState& state) override {
    require(state.state == WatchState::synced || !state.detail.empty());
  }
  std::string told;
};

struct Outcome {
  std::string held;
  std::string asks;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

constexpr std::string_view kFirstList =
    R"({"kind":"PodList","metadata":{"resourceVersion":"10"},"items":[{"metadata":{"name":"a","namespace":"b"}}]})";

// One answer to a list (the second, so that something is held) or to a watch.
Outcome run(ResourceKind kind, bool watch, std::string_view text, std::size_t step) {
  CheckingSink sink;
  ObjectStore store(kind, sink);
  Reflector reflector(resource_of(kind), store, sink, Prng(1));
  Instant now{};
  reflector.start(now);
  if (kind == ResourceKind::pods) {
    reflector.on_head({200, {}}, now);
    reflector.on_bytes(kFirstList, now);
    reflector.on_end(now);
    require(store.objects().size() == 1);
    if (!watch) {
      reflector.on_head({410, {}}, now);
      reflector.on_end(now);
      now = reflector.want().wake;
      reflector.on_time(now);
    }
  }
  const auto request = reflector.want().request;
  const Objects before = store.objects();
  reflector.on_head({200, {}}, now);
  for (std::size_t at = 0; at < text.size() && reflector.want().request == request; at += step) {
    reflector.on_bytes(text.substr(at, step), now);
  }
  now = now + seconds(2);
  if (reflector.want().request == request) reflector.on_end(now);
  if (reflector.state().state == WatchState::failing && !watch) require(store.objects() == before);
  Outcome outcome;
  for (const auto& [key, object] : store.objects())
    outcome.held += key.to_string() + "@" + object->resource_version + " ";
  outcome.asks = reflector.want().target;
  return outcome;
}

bool same(const manifest::Value& a, const manifest::Value& b) {
  if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!same(a.items[i], b.items[i])) return false;
  }
  return true;
}

void check_readers(std::string_view text) {
  const auto masked = read_masked(text, FieldMask::everything());
  const auto parsed = manifest::parse_documents(text, "fuzz.json", [&](const manifest::Value& document) {
    require(masked.has_value());
    if (masked->refusal.empty()) require(same(masked->tree, document));
  });
  if (parsed) require(masked.has_value() && masked->refusal.empty());
  const FieldMask some{{"metadata", "name"}, {"spec", "a*"}};
  require(read_masked(text, some).has_value() == masked.has_value());
  read_beginning(text, some);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t step = 1 + data[1] % 64;
  switch (data[0] % 4) {
    case 0:
      require(run(ResourceKind::pods, false, text, step) ==
              run(ResourceKind::pods, false, text, text.size() + 1));
      break;
    case 1:
      require(run(ResourceKind::pods, true, text, step) ==
              run(ResourceKind::pods, true, text, text.size() + 1));
      break;
    case 2:
      run(static_cast<ResourceKind>(data[1] % kResourceKinds), false, text, step);
      break;
    case 3:
      check_readers(text);
      break;
  }
  return 0;
}
