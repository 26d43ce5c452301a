// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/object_splitter.h"

#include <algorithm>

namespace postern::agent::kube {

namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

std::string shown(char c) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  if (byte > 0x20 && byte < 0x7f) return std::string("'") + c + "'";
  return std::string("the byte 0x") + kDigits[byte >> 4] + kDigits[byte & 15];
}

// Where the string that `at` is inside of ends, or the end of the bytes. Leaves `at` behind the quote.
void skip_string(std::string_view bytes, std::size_t& at, bool& in_string, bool& escaped) {
  while (at < bytes.size()) {
    if (escaped) {
      escaped = false;
      ++at;
      continue;
    }
    const char c = bytes[at++];
    if (c == '\\') {
      escaped = true;
    } else if (c == '"') {
      in_string = false;
      return;
    }
  }
}

}  // namespace

tl::unexpected<Error> ObjectSplitter::unexpected(char found, std::size_t at, const char* expected) const {
  return fail(ErrorCode::invalid_input, "found " + shown(found) + " at byte " +
                                            std::to_string(taken_ + at + 1) + " of the answer, expected " +
                                            expected);
}

bool ObjectSplitter::at_boundary() const {
  return !failed_ && (shape_ == Shape::watch ? state_ == State::outside : state_ == State::after);
}

Result<void> ObjectSplitter::take(std::string_view bytes, const Each& each) {
  if (failed_) return fail(ErrorCode::internal, "bytes after an error");
  for (std::size_t at = 0; at < bytes.size();) {
    if (auto done = step(bytes, at, each); !done) {
      failed_ = true;
      return done;
    }
  }
  taken_ += bytes.size();
  return {};
}

// Each step takes at least one byte, or changes the state to one that does.
Result<void> ObjectSplitter::step(std::string_view bytes, std::size_t& at, const Each& each) {
  switch (state_) {
    case State::outside:
      return step_outside(bytes, at);
    case State::envelope:
      return step_envelope(bytes, at);
    case State::items:
      return step_items(bytes, at);
    case State::object:
      return step_object(bytes, at, each);
    case State::after:
      break;
  }
  if (!is_space(bytes[at])) return unexpected(bytes[at], at, "nothing after the list");
  ++at;
  return {};
}

Result<void> ObjectSplitter::step_outside(std::string_view bytes, std::size_t& at) {
  const char c = bytes[at];
  if (c == '{' && shape_ == Shape::watch) {
    begin_object();
  } else if (c == '{') {
    state_ = State::envelope;
    envelope_ = "{";
    depth_ = 1;
    ++at;
  } else if (is_space(c)) {
    ++at;
  } else {
    return unexpected(c, at, shape_ == Shape::watch ? "the { of an event" : "the { of a list");
  }
  return {};
}

Result<void> ObjectSplitter::step_envelope(std::string_view bytes, std::size_t& at) {
  const std::size_t start = at;
  const char c = bytes[at];
  if (in_string_) {
    skip_string(bytes, at, in_string_, escaped_);
    if (depth_ == 1) last_string_.append(bytes.substr(start, at - start));
  } else {
    ++at;
    if (c == '"') {
      in_string_ = true;
      last_string_.clear();
    } else if (c == ':' && depth_ == 1) {
      after_items_key_ = last_string_ == "items\"";
    } else if (c == '[' && depth_ == 1 && after_items_key_) {
      if (items_seen_) return unexpected(c, start, "items once");
      items_seen_ = true;
      needs_comma_ = false;
      state_ = State::items;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      if (--depth_ == 0) state_ = State::after;
    }
  }
  if (envelope_.size() + (at - start) > kMaxEnvelopeBytes) {
    return fail(ErrorCode::invalid_input,
                "the list has more than " + std::to_string(kMaxEnvelopeBytes) + " bytes beside its items");
  }
  envelope_.append(bytes.substr(start, at - start));
  return {};
}

Result<void> ObjectSplitter::step_items(std::string_view bytes, std::size_t& at) {
  const char c = bytes[at];
  if (c == '{' && !needs_comma_) {
    begin_object();
  } else if (c == ']') {
    envelope_ += ']';
    state_ = State::envelope;
    ++at;
  } else if (c == ',' && needs_comma_) {
    needs_comma_ = false;
    ++at;
  } else if (is_space(c)) {
    ++at;
  } else {
    return unexpected(c, at, "an object, a comma or the end of items");
  }
  return {};
}

void ObjectSplitter::begin_object() {
  state_ = State::object;
  depth_ = 0;
  object_.clear();
  object_bytes_ = 0;
}

void ObjectSplitter::keep(std::string_view part) {
  object_bytes_ += part.size();
  if (object_bytes_ <= max_object_bytes_) {
    object_.append(part);
    return;
  }
  const std::size_t beginning = std::min(kBeginningBytes, max_object_bytes_);
  if (object_.size() < beginning) object_.append(part.substr(0, beginning - object_.size()));
  if (object_.size() > beginning) {
    object_.resize(beginning);
    object_.shrink_to_fit();
  }
}

Result<void> ObjectSplitter::step_object(std::string_view bytes, std::size_t& at, const Each& each) {
  const std::size_t start = at;
  bool ended = false;
  while (at < bytes.size() && !ended) {
    if (in_string_) {
      skip_string(bytes, at, in_string_, escaped_);
      continue;
    }
    switch (bytes[at++]) {
      case '"':
        in_string_ = true;
        break;
      case '{':
      case '[':
        ++depth_;
        break;
      case '}':
      case ']':
        ended = --depth_ == 0;
        break;
    }
  }
  keep(bytes.substr(start, at - start));
  if (!ended) return {};
  state_ = shape_ == Shape::watch ? State::outside : State::items;
  needs_comma_ = true;
  depth_ = 1;
  auto done = each({object_, object_bytes_, object_bytes_ <= max_object_bytes_});
  // What one large object took is not held for the rest of a watch.
  if (object_.capacity() > (std::size_t{1} << 20)) std::string().swap(object_);
  object_.clear();
  return done;
}

}  // namespace postern::agent::kube
