// SPDX-License-Identifier: Apache-2.0
// Keeps an ObjectStore equal to one resource of an API server: lists it, watches it from there, lists it
// again when the watch cannot go on. A pure state machine: answers and moments come in, what should be
// asked and until when to wait goes out; no socket, no clock.
//
// It asks what client-go's reflector asks, since API servers are built for that:
//   the first list with resourceVersion=0 (any cache may answer), later ones with the last version seen
//   (nothing older), without one when the server no longer has that version; pages of 500 where no cache
//   answers; the watch for 5 to 10 minutes; after a refused connection or 429 the same watch again, after
//   other failures a list, each after a back-off.
// In one thing it asks more. To a watch from a version that lies ahead a server says nothing at all, so a
// server that was restored from a backup, or came back empty, would never be noticed. Hence before a watch
// goes on at a server that was away or let the connection break, one element is listed to see the server's
// version; and after a watch in which not even a bookmark came there is a list.
// Whatever fails, what the store holds stays until a whole list says otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/kube/backoff.h"
#include "agent/kube/http_answer.h"
#include "agent/kube/object_decoder.h"
#include "agent/kube/object_splitter.h"
#include "agent/kube/object_store.h"
#include "engine/base/prng.h"

namespace postern::agent::kube {

class Reflector {
 public:
  static constexpr std::uint32_t kPageSize = 500;
  static constexpr std::int64_t kLeastWatchSeconds = 300;  // and up to twice as long
  // A watch that the server has not ended so long after it should have is dead.
  static constexpr Duration kWatchMargin = seconds(30);
  static constexpr Duration kListStall = seconds(60);  // without a byte
  // A CRD is mostly installed along with the agent or much later. Nodes times kinds that are not there is what
  // a server has to answer; what is still held is asked for more often.
  static constexpr Duration kAbsentFirst = seconds(2);
  static constexpr Duration kAbsentMost = seconds(120);
  static constexpr Duration kAbsentMostHeld = seconds(30);
  static constexpr Duration kForbiddenRetry = seconds(60);
  // An API server that is still starting may not know a CRD yet; what is held is believed for so long.
  static constexpr Duration kAbsentClears = seconds(300);
  static constexpr Duration kMostRetryAfter = seconds(120);
  static constexpr std::size_t kMaxErrorBody = 64u << 10;

  // What the owner of the connection is to do. It looks here after every call.
  struct Want {
    std::uint64_t request = 0;     // the request that is to run; another than before: end that one. 0: none
    std::string target;            // GET this: path and query
    bool new_credentials = false;  // what was used before has been refused
    bool new_connection = false;   // the old one seems dead
    Instant wake{};                // call on_time at or after this
  };

  // `field_selector` is what the API takes under that name, "spec.nodeName=node-1"; empty: everything.
  Reflector(const Resource& resource, ObjectStore& store, ResourceSink& sink, Prng prng,
            std::string field_selector = "")
      : resource_(resource),
        store_(store),
        sink_(sink),
        prng_(prng),
        field_selector_(std::move(field_selector)) {}

  void start(Instant now);
  [[nodiscard]] const Want& want() const { return want_; }
  [[nodiscard]] const ResourceState& state() const { return state_; }
  [[nodiscard]] Instant last_heard() const { return last_heard_; }

  // About the request that want() names; nothing more comes for one that it names no longer.
  void on_head(const HttpHead& head, Instant now);
  void on_bytes(std::string_view bytes, Instant now);
  void on_end(Instant now);                                  // the answer is complete
  void on_failure(const HttpFailure& failure, Instant now);  // it is not, and nothing more comes

  void on_time(Instant now);

  // Whole lists that were begun, the first one included.
  [[nodiscard]] std::uint64_t lists() const { return lists_; }

  // The newest version that the server has named for this resource; empty: none yet.
  [[nodiscard]] const std::string& version() const { return version_; }

 private:
  enum class Phase : std::uint8_t { waiting, listing, checking, watching };
  // What follows a wait: a list from its start, the page that was asked for last, the question whether the
  // server is as far as the watch, the watch.
  enum class Next : std::uint8_t { list, page, check, watch };

  struct List {
    std::string version;  // asked for: "" the newest, "0" any
    bool limited = true;
    bool after_expiry = false;  // a version was already found to be gone
    std::string token;          // of the page that is asked for; empty: the first
    std::string found_version;  // of the first page
    std::vector<ObjectPtr> objects;
    std::vector<Rejection> rejections;
  };
  struct Answer {
    HttpHead head;
    std::string body;  // of a refusal
  };

  void send(std::string query, Instant wake);
  void begin_list(std::string version, Instant now);
  void send_page(Instant now);
  void finish_page(Instant now);
  void finish_list(std::string version, Instant now);
  void begin_check(Instant now);
  void finish_check(Instant now);
  void begin_watch(Instant now);
  void take_list(std::string_view bytes, Instant now);
  void take_watch(std::string_view bytes, Instant now);
  Result<void> on_event(WatchEvent event);
  // `in_order`: the server ended it, so it has not gone away.
  void watch_ended(bool in_order, Instant now);
  void watch_failed(const ApiStatus& status, Instant now);
  void refused(ApiStatus status, Instant now);
  void unauthorized(const ApiStatus& status, Instant now);
  void absent(Instant now);
  void list_expired(const ApiStatus& status, Instant now);
  void fail_and_list(std::string detail, Instant now);
  void back_off(Next next, Duration at_least, Instant now);
  void wait(Next next, Duration delay, Instant now);
  void set_state(WatchState state, std::string detail, Instant now);
  [[nodiscard]] std::string relist_version() const;
  [[nodiscard]] std::string forbidden_detail(const ApiStatus& status) const;
  void ask_again(Instant now);
  void go_on(Instant now);
  [[nodiscard]] Next same_again() const;
  [[nodiscard]] const char* subject() const { return phase_ == Phase::watching ? "the watch" : "the list"; }

  const Resource& resource_;
  ObjectStore& store_;
  ResourceSink& sink_;
  Prng prng_;
  std::string field_selector_;
  Backoff backoff_;
  Want want_;
  ResourceState state_;
  ResourceState told_;  // what the sink knows
  Instant last_heard_{};
  std::uint64_t lists_ = 0;

  Phase phase_ = Phase::waiting;
  Next next_ = Next::list;
  Answer answer_;
  std::optional<ObjectSplitter> splitter_;
  std::uint64_t requests_ = 0;
  bool refused_credentials_ = false;  // the last answer was 401
  bool connection_seems_dead_ = false;
  bool watch_forbidden_ = false;
  Duration absent_wait_ = kAbsentFirst;

  std::string version_;               // newest that was seen; empty: none yet
  bool version_unavailable_ = false;  // the server no longer has it
  bool paginated_ = false;            // this server cuts even lists that a cache could answer
  List list_;
  Instant watch_began_{};
  std::uint64_t events_ = 0;  // of this watch
  std::optional<ApiStatus> error_event_;
};

}  // namespace postern::agent::kube
