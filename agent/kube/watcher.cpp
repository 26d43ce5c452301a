// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/watcher.h"

#include <optional>
#include <utility>

#include "agent/kube/api_client.h"
#include "agent/kube/object_store.h"
#include "agent/kube/reflector.h"

namespace postern::agent::kube {

// One resource: its reflector, and the transfer and the timer that do what the reflector wants.
struct Watcher::Channel : HttpReceiver {
  Channel(Watcher& owner, ResourceKind kind, Prng prng, std::string field_selector)
      : watcher(owner),
        store(kind, owner.sink_),
        reflector(resource_of(kind), store, owner.sink_, prng, std::move(field_selector)),
        resource(kind) {}
  ~Channel() override { stop(); }

  void stop() {
    if (transfer) watcher.api_.cancel(*transfer);
    transfer.reset();
    watcher.loop_.cancel(timer);
    timer = 0;
  }

  void head(const HttpHead& head) override {
    reflector.on_head(head, EventLoop::now());
    follow();
  }
  void bytes(std::string_view bytes) override {
    reflector.on_bytes(bytes, EventLoop::now());
    follow();
  }
  void finished() override {
    transfer.reset();
    reflector.on_end(EventLoop::now());
    follow();
  }
  void failed(const HttpFailure& failure) override {
    transfer.reset();
    reflector.on_failure({failure.kind, watcher.api_.describe(failure)}, EventLoop::now());
    follow();
  }

  // Makes what runs equal to what is wanted.
  void follow() {
    while (running != reflector.want().request) {
      if (transfer) watcher.api_.cancel(*transfer);
      transfer.reset();
      running = reflector.want().request;
      if (running != 0) ask();
    }
    wait_until(reflector.want().wake);
  }

  void ask() {
    const Reflector::Want& want = reflector.want();
    const ApiClient::StreamOptions options{want.new_credentials, want.new_connection};
    const auto started = watcher.api_.stream(want.target, options, *this);
    if (started) {
      transfer = *started;
    } else {
      reflector.on_failure({HttpFailure::Kind::broken, started.error().to_string()}, EventLoop::now());
    }
  }

  // A wish that moves on with every byte leaves the timer where it is; it looks again when it is due.
  void wait_until(Instant wake) {
    if (timer != 0 && timer_due <= wake) return;
    watcher.loop_.cancel(timer);
    timer_due = wake;
    timer = watcher.loop_.at(wake, [this] {
      timer = 0;
      reflector.on_time(EventLoop::now());
      follow();
    });
  }

  Watcher& watcher;
  ObjectStore store;
  Reflector reflector;
  ResourceKind resource;
  std::uint64_t running = 0;
  std::optional<HttpClient::TransferId> transfer;
  EventLoop::TimerId timer = 0;
  Instant timer_due{};
};

Watcher::Watcher(EventLoop& loop, ApiClient& api, ResourceSink& sink, Options options)
    : loop_(loop), api_(api), sink_(sink) {
  for (const ResourceKind kind : options.resources) {
    // Each its own numbers, so that no two resources come back together either.
    Prng seeds(options.seed + static_cast<std::uint64_t>(kind));
    channels_.push_back(
        std::make_unique<Channel>(*this, kind, Prng(seeds.next()), options.field_selectors[kind]));
  }
}

Watcher::~Watcher() = default;

void Watcher::start() {
  for (auto& channel : channels_) {
    channel->timer_due = EventLoop::now();
    channel->timer = loop_.at(channel->timer_due, [this_channel = channel.get()] {
      this_channel->timer = 0;
      this_channel->reflector.start(EventLoop::now());
      this_channel->follow();
    });
  }
}

const Watcher::Channel* Watcher::find(ResourceKind resource) const {
  for (const auto& channel : channels_) {
    if (channel->resource == resource) return channel.get();
  }
  return nullptr;
}

const Objects& Watcher::objects(ResourceKind resource) const {
  static const Objects kNone;
  const Channel* channel = find(resource);
  return channel == nullptr ? kNone : channel->store.objects();
}

const ResourceState& Watcher::state(ResourceKind resource) const {
  static const ResourceState kStarting;
  const Channel* channel = find(resource);
  return channel == nullptr ? kStarting : channel->reflector.state();
}

std::string Watcher::version(ResourceKind resource) const {
  const Channel* channel = find(resource);
  return channel == nullptr ? "" : channel->reflector.version();
}

std::uint64_t Watcher::lists(ResourceKind resource) const {
  const Channel* channel = find(resource);
  return channel == nullptr ? 0 : channel->reflector.lists();
}

Instant Watcher::last_heard(ResourceKind resource) const {
  const Channel* channel = find(resource);
  return channel == nullptr ? Instant{} : channel->reflector.last_heard();
}

}  // namespace postern::agent::kube
