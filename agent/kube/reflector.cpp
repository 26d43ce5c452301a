// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/reflector.h"

#include <utility>

namespace postern::agent::kube {

namespace {

bool expired(const ApiStatus& status) {
  return status.code == 410 || status.reason == "Expired" || status.reason == "Gone";
}

// client-go's transport sends a request again where the server says when.
bool again_later(const ApiStatus& status) {
  return status.code == 429 || status.reason == "TooManyRequests" ||
         (status.code >= 500 && status.code < 600 && status.retry_after);
}

// Versions are opaque but for this: those of one server that are numbers grow.
bool is_before(const std::string& version, const std::string& other) {
  const auto is_number = [](const std::string& text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (!is_number(version) || !is_number(other)) return false;
  return version.size() != other.size() ? version.size() < other.size() : version < other;
}

Duration at_least(const ApiStatus& status) {
  return std::min(status.retry_after.value_or(Duration{0}), Reflector::kMostRetryAfter);
}

}  // namespace

void Reflector::start(Instant now) {
  state_.since = now;
  begin_list(relist_version(), now);
}

std::string Reflector::relist_version() const {
  if (version_unavailable_) return "";
  return version_.empty() ? "0" : version_;
}

void Reflector::send(std::string query, Instant wake) {
  answer_ = {};
  splitter_.reset();
  want_.request = ++requests_;
  if (!field_selector_.empty()) {
    query += (query.empty() ? "" : "&") + std::string("fieldSelector=") + url_escaped(field_selector_);
  }
  want_.target = resource_.path() + (query.empty() ? "" : "?" + query);
  want_.new_credentials = refused_credentials_;
  want_.new_connection = std::exchange(connection_seems_dead_, false);
  want_.wake = wake;
}

void Reflector::begin_list(std::string version, Instant now) {
  ++lists_;
  list_ = {};
  // A cache answers a list of a certain version only when it is asked for in one piece. A list with "0" is
  // answered by the cache whatever it says; without one, pages spare the server.
  list_.limited = paginated_ || version.empty() || version == "0";
  list_.version = std::move(version);
  send_page(now);
}

void Reflector::send_page(Instant now) {
  std::string query = list_.limited ? "limit=" + std::to_string(kPageSize) : "";
  const auto add = [&](std::string_view name, const std::string& value) {
    query += (query.empty() ? "" : "&") + std::string(name) + "=" + url_escaped(value);
  };
  if (!list_.token.empty()) {
    add("continue", list_.token);  // the version is in the token
  } else if (!list_.version.empty()) {
    add("resourceVersion", list_.version);
  }
  phase_ = Phase::listing;
  send(query, now + kListStall);
}

void Reflector::begin_check(Instant now) {
  phase_ = Phase::checking;
  send("limit=1", now + kListStall);
}

void Reflector::finish_check(Instant now) {
  const auto meta = splitter_->at_boundary()
                        ? decode_list_meta(resource_, splitter_->envelope())
                        : fail(ErrorCode::invalid_input, "it breaks off, expected its end");
  if (!meta) return fail_and_list("the list cannot be read: " + meta.error().message, now);
  if (!is_before(meta->resource_version, version_)) return begin_watch(now);
  version_unavailable_ = true;
  begin_list(relist_version(), now);
}

void Reflector::begin_watch(Instant now) {
  const auto timeout = kLeastWatchSeconds + static_cast<std::int64_t>(prng_.below(kLeastWatchSeconds + 1));
  phase_ = Phase::watching;
  list_ = {};
  watch_began_ = now;
  events_ = 0;
  error_event_.reset();
  send("watch=1&allowWatchBookmarks=true&resourceVersion=" + url_escaped(version_) +
           "&timeoutSeconds=" + std::to_string(timeout),
       now + seconds(timeout) + kWatchMargin);
}

void Reflector::on_head(const HttpHead& head, Instant now) {
  last_heard_ = now;
  answer_.head = head;
  if (head.status != 401) refused_credentials_ = false;
  if (head.status != 200) return;
  if (phase_ != Phase::watching) {
    splitter_.emplace(ObjectSplitter::Shape::list);
    want_.wake = now + kListStall;
  } else {
    splitter_.emplace(ObjectSplitter::Shape::watch);
    watch_forbidden_ = false;
    set_state(WatchState::synced, "", now);
  }
}

void Reflector::on_bytes(std::string_view bytes, Instant now) {
  last_heard_ = now;
  if (!splitter_) {
    answer_.body.append(bytes.substr(0, kMaxErrorBody - std::min(kMaxErrorBody, answer_.body.size())));
  } else if (phase_ == Phase::watching) {
    take_watch(bytes, now);
  } else {
    take_list(bytes, now);
  }
}

void Reflector::take_list(std::string_view bytes, Instant now) {
  want_.wake = now + kListStall;
  const auto taken = splitter_->take(bytes, [&](const Piece& piece) -> Result<void> {
    auto decoded = decode_object(resource_, piece);
    if (!decoded) return fail_as(decoded);
    if (auto* rejection = std::get_if<Rejection>(&*decoded)) {
      list_.rejections.push_back(std::move(*rejection));
    } else {
      list_.objects.push_back(store_.intern(std::move(std::get<WatchedObject>(*decoded))));
    }
    return {};
  });
  if (!taken) fail_and_list("the list cannot be read: " + taken.error().message, now);
}

void Reflector::finish_page(Instant now) {
  if (!splitter_->at_boundary()) return fail_and_list("the list breaks off, expected its end", now);
  const auto meta = decode_list_meta(resource_, splitter_->envelope());
  if (!meta) return fail_and_list("the list cannot be read: " + meta.error().message, now);
  if (list_.found_version.empty()) list_.found_version = meta->resource_version;
  if (meta->continue_token.empty()) return finish_list(list_.found_version, now);
  if (meta->continue_token == list_.token) {
    return fail_and_list("the list goes on with the page that it just sent, expected the next", now);
  }
  paginated_ = paginated_ || list_.version == "0";
  list_.token = meta->continue_token;
  send_page(now);
}

void Reflector::finish_list(std::string version, Instant now) {
  store_.replace(std::move(list_.objects), list_.rejections);
  store_.flush();
  version_ = std::move(version);
  version_unavailable_ = false;
  absent_wait_ = kAbsentFirst;
  state_.listed = true;
  // Who may list and not watch is told so all the time, not only between two lists.
  if (watch_forbidden_) {
    set_state(state_.state, state_.detail, now);
  } else {
    set_state(WatchState::synced, "", now);
  }
  begin_watch(now);
}

void Reflector::take_watch(std::string_view bytes, Instant now) {
  const auto taken = splitter_->take(bytes, [&](const Piece& piece) -> Result<void> {
    auto event = decode_event(resource_, piece);
    if (!event) return fail_as(event);
    return on_event(std::move(*event));
  });
  store_.flush();
  if (error_event_) return watch_failed(*error_event_, now);
  if (!taken) fail_and_list("the watch cannot be read: " + taken.error().message, now);
}

Result<void> Reflector::on_event(WatchEvent event) {
  ++events_;
  if (event.type == WatchEvent::Type::error) {
    error_event_ = std::move(event.status);
    return fail(ErrorCode::io, "an ERROR event");
  }
  if (event.object) {
    auto* rejection = std::get_if<Rejection>(&*event.object);
    auto* object = std::get_if<WatchedObject>(&*event.object);
    const NamespacedName& key = rejection != nullptr ? rejection->key : object->key;
    if (event.type == WatchEvent::Type::deleted) {
      store_.erase(key);
    } else if (rejection != nullptr) {
      store_.reject(*rejection);
    } else {
      store_.put(store_.intern(std::move(*object)));
    }
  }
  if (!event.resource_version.empty()) version_ = std::move(event.resource_version);
  return {};
}

void Reflector::watch_failed(const ApiStatus& status, Instant now) {
  // History is kept for some minutes only: a watch that is too old is nothing out of the ordinary.
  if (expired(status)) return back_off(Next::list, {}, now);
  if (again_later(status)) {
    set_state(WatchState::failing, "the watch ended with " + to_string(status), now);
    return back_off(Next::watch, at_least(status), now);
  }
  fail_and_list("the watch ended with " + to_string(status), now);
}

void Reflector::watch_ended(bool in_order, Instant now) {
  const Duration lasted = now - watch_began_;
  if (lasted >= seconds(kLeastWatchSeconds) && events_ == 0) return begin_list(relist_version(), now);
  if (lasted >= seconds(1)) return in_order ? begin_watch(now) : begin_check(now);
  // A watch that ends at once: something in between may not let watches through, so lists have to do.
  const Next same = in_order ? Next::watch : Next::check;
  back_off(events_ == 0 ? Next::list : same, {}, now);
}

void Reflector::on_end(Instant now) {
  if (answer_.head.status != 200) {
    ApiStatus status = decode_status(answer_.body);
    status.code = answer_.head.status;
    if (answer_.head.retry_after) status.retry_after = answer_.head.retry_after;
    return refused(std::move(status), now);
  }
  if (phase_ == Phase::listing) return finish_page(now);
  if (phase_ == Phase::checking) return finish_check(now);
  // Half an event that nothing follows comes again: its version has not been taken.
  watch_ended(true, now);
}

void Reflector::on_failure(const HttpFailure& failure, Instant now) {
  if (answer_.head.status != 0 && answer_.head.status != 200) return on_end(now);
  if (phase_ == Phase::watching && answer_.head.status == 200) return watch_ended(false, now);
  set_state(WatchState::failing, failure.message, now);
  // A server that is not there will come back with the history that it had.
  const bool refused_connection = failure.kind == HttpFailure::Kind::refused;
  back_off(phase_ != Phase::listing && refused_connection ? Next::check : Next::list, {}, now);
}

void Reflector::refused(ApiStatus status, Instant now) {
  switch (status.code) {
    case 401:
      return unauthorized(status, now);
    case 403:
      watch_forbidden_ = phase_ == Phase::watching;
      set_state(WatchState::forbidden, forbidden_detail(status), now);
      return wait(Next::list, stretched(kForbiddenRetry, 0.2, prng_), now);
    case 404:
      if (phase_ == Phase::listing) return absent(now);
      return back_off(Next::list, {}, now);
    default:
      break;
  }
  const bool version_gone = expired(status) || status.too_large_resource_version;
  if (version_gone && phase_ == Phase::listing) return list_expired(status, now);
  if (version_gone) return back_off(Next::list, {}, now);
  const std::string detail = std::string(phase_ == Phase::listing ? "the list" : "the watch") +
                             " was answered with " + to_string(status);
  if (!again_later(status)) return fail_and_list(detail, now);
  set_state(WatchState::failing, detail, now);
  back_off(same_again(), at_least(status), now);
}

void Reflector::unauthorized(const ApiStatus& status, Instant now) {
  const bool tried_anew = std::exchange(refused_credentials_, true);
  if (!tried_anew) return ask_again(now);
  set_state(WatchState::failing,
            "the API server does not accept the credentials (" + to_string(status) +
                "), expected a token or client certificate that is valid now",
            now);
  back_off(same_again(), {}, now);
}

Reflector::Next Reflector::same_again() const {
  if (phase_ == Phase::listing) return Next::page;
  return phase_ == Phase::checking ? Next::check : Next::watch;
}

void Reflector::ask_again(Instant now) {
  next_ = same_again();
  go_on(now);
}

void Reflector::go_on(Instant now) {
  switch (next_) {
    case Next::list:
      return begin_list(relist_version(), now);
    case Next::page:
      return send_page(now);
    case Next::check:
      return begin_check(now);
    case Next::watch:
      return begin_watch(now);
  }
}

std::string Reflector::forbidden_detail(const ApiStatus& status) const {
  std::string detail = std::string("cannot ") + (phase_ == Phase::watching ? "watch" : "list") +
                       " resource " + std::string(resource_.plural) + " in ";
  detail += resource_.group.empty() ? "the core API group" : "API group " + std::string(resource_.group);
  detail += ": the ClusterRole needs get, list, watch";
  return status.message.empty() ? detail : detail + " (" + to_string(status) + ")";
}

void Reflector::absent(Instant now) {
  set_state(WatchState::absent,
            "the API server has no " + std::string(resource_.plural) + " of " + resource_.api_version() +
                (resource_.custom ? "; its CustomResourceDefinition is not installed" : ""),
            now);
  // A kind that every API server has is not gone, whatever somebody on the way answers.
  if (resource_.custom && now - state_.since >= kAbsentClears && !store_.objects().empty()) {
    store_.replace({}, {});
    store_.flush();
  }
  const Duration most = store_.objects().empty() ? kAbsentMost : kAbsentMostHeld;
  const Duration delay = std::min(absent_wait_, most);
  absent_wait_ = std::min(Duration{absent_wait_.ns * 2}, kAbsentMost);
  wait(Next::list, stretched(delay, 0.2, prng_), now);
}

void Reflector::list_expired(const ApiStatus& status, Instant now) {
  if (!list_.token.empty()) {
    // The pages took longer than the server keeps what they are pages of.
    List whole;
    whole.version = list_.version;
    whole.limited = false;
    whole.after_expiry = list_.after_expiry;
    list_ = std::move(whole);
    return send_page(now);
  }
  version_unavailable_ = true;
  if (list_.after_expiry) return fail_and_list("the list was answered with " + to_string(status), now);
  begin_list(relist_version(), now);
  list_.after_expiry = true;
}

void Reflector::fail_and_list(std::string detail, Instant now) {
  set_state(WatchState::failing, std::move(detail), now);
  back_off(Next::list, {}, now);
}

void Reflector::back_off(Next next, Duration least, Instant now) {
  wait(next, std::max(backoff_.next(now, prng_), least), now);
}

void Reflector::wait(Next next, Duration delay, Instant now) {
  phase_ = Phase::waiting;
  next_ = next;
  splitter_.reset();
  if (next != Next::page) list_ = {};
  want_ = {};
  want_.wake = now + delay;
}

void Reflector::on_time(Instant now) {
  if (now < want_.wake) return;
  switch (phase_) {
    case Phase::waiting:
      return go_on(now);
    case Phase::listing:
    case Phase::checking:
      connection_seems_dead_ = true;
      return fail_and_list("nothing more of the list came for " +
                               std::to_string(kListStall.ns / 1'000'000'000) + " s, expected its end",
                           now);
    case Phase::watching:
      connection_seems_dead_ = true;
      set_state(WatchState::failing, "the watch did not end when it should have; the connection seems dead",
                now);
      return begin_watch(now);
  }
}

void Reflector::set_state(WatchState state, std::string detail, Instant now) {
  if (state == told_.state && detail == told_.detail && state_.listed == told_.listed) return;
  if (state != state_.state) state_.since = now;
  state_.state = state;
  state_.detail = std::move(detail);
  told_ = state_;
  sink_.state(resource_.id, state_);
}

}  // namespace postern::agent::kube
