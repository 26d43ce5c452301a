// SPDX-License-Identifier: Apache-2.0
// Cuts what an API server sends into single JSON objects, as the bytes come and wherever they are cut.
//
// Two shapes: a watch is one object after another; a list is one object whose member "items" is an array
// of objects. Only ends are looked for (strings, brackets); whether a piece is JSON its reader finds out.
// At most one object is held at a time. An object that is too large is read past and handed on with its
// beginning alone, so that it can be named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace postern::agent::kube {

// One object. `text` is valid during the call only.
struct Piece {
  std::string_view text;
  std::size_t bytes = 0;  // of the whole object
  bool whole = true;      // else `text` is its beginning
};

class ObjectSplitter {
 public:
  enum class Shape : std::uint8_t { watch, list };
  // An error of the receiver ends the splitting.
  using Each = std::function<Result<void>(const Piece&)>;

  // JSON of an object can be several times its size in etcd (1.5 MB), as < > & are written in six bytes:
  // whoever may write a pod must not be able to make it unreadable.
  static constexpr std::size_t kMaxObjectBytes = 32u << 20;
  static constexpr std::size_t kMaxEnvelopeBytes = 1u << 20;
  static constexpr std::size_t kBeginningBytes = 64u << 10;

  explicit ObjectSplitter(Shape shape, std::size_t max_object_bytes = kMaxObjectBytes)
      : shape_(shape), max_object_bytes_(max_object_bytes) {}

  // Takes the next bytes and hands on each object that ends in them. Errors: invalid_input for what
  // cannot be an answer, with the position; the error of `each`. After an error nothing more is taken.
  Result<void> take(std::string_view bytes, const Each& each);

  // Between two objects, or after the end of the list: nothing is cut off if the bytes end here.
  [[nodiscard]] bool at_boundary() const;
  // The list without its items ("items":[]), once at_boundary().
  [[nodiscard]] const std::string& envelope() const { return envelope_; }

 private:
  enum class State : std::uint8_t { outside, envelope, items, object, after };

  Result<void> step(std::string_view bytes, std::size_t& at, const Each& each);
  Result<void> step_outside(std::string_view bytes, std::size_t& at);
  Result<void> step_envelope(std::string_view bytes, std::size_t& at);
  Result<void> step_items(std::string_view bytes, std::size_t& at);
  Result<void> step_object(std::string_view bytes, std::size_t& at, const Each& each);
  void begin_object();
  void keep(std::string_view part);
  [[nodiscard]] tl::unexpected<Error> unexpected(char found, std::size_t at, const char* expected) const;

  Shape shape_;
  std::size_t max_object_bytes_;
  State state_ = State::outside;
  std::size_t taken_ = 0;  // bytes before the current call, for messages
  bool failed_ = false;
  // Inside an object or the envelope.
  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  // The envelope: the string read last, and whether it was the key "items" that a value follows.
  std::string last_string_;
  bool after_items_key_ = false;
  std::string envelope_;
  bool items_seen_ = false;
  bool needs_comma_ = false;  // in items
  // The object so far.
  std::string object_;
  std::size_t object_bytes_ = 0;
};

}  // namespace postern::agent::kube
