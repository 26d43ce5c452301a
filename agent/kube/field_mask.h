// SPDX-License-Identifier: Apache-2.0
// JSON -> tree, with only the fields that somebody asked for. A pod is some ten kilobytes of JSON, of
// which policy needs a few hundred bytes; what the mask does not name is read past and never stored.
//
// A mask is a list of paths of keys. A path keeps its value whole; lists are passed through, so that
// {"spec", "containers", "ports"} means the ports of every container. A last key that ends in * stands
// for all keys that begin so.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"
#include "engine/manifest/value.h"

namespace postern::agent::kube {

class FieldMask {
 public:
  using Path = std::initializer_list<std::string_view>;

  FieldMask(std::initializer_list<Path> paths);
  // A mask that keeps everything.
  static const FieldMask& everything();
  FieldMask& add(Path path);
  // What `inner` keeps, of the value of a key that this mask does not have yet.
  FieldMask& add(std::string_view key, const FieldMask& inner);

  // What to keep of the value of a key; null pointer: nothing, not even the key.
  [[nodiscard]] const FieldMask* below(std::string_view key) const;

 private:
  struct Key {
    std::string text;
    bool prefix = false;
    friend bool operator==(const Key&, const Key&) = default;
  };

  bool whole_ = false;
  // Side by side; so few that looking at each is the fastest way.
  std::vector<Key> keys_;
  std::vector<FieldMask> masks_;
};

// What a kept tree may be at most; more is refused, not cut.
struct MaskLimits {
  std::size_t depth = 64;
  std::size_t values = 1'000'000;
};

struct MaskedJson {
  manifest::Value tree;  // without places (line 0), since nobody reads these texts
  // Set when the text is JSON but what is to be kept of it breaks a limit or has a key twice; then the
  // tree has nothing.
  std::string refusal;
};

// Errors: invalid_input, the text is not JSON.
Result<MaskedJson> read_masked(std::string_view json, const FieldMask& mask, const MaskLimits& limits = {});

// The same of a text that may break off: what could be kept of its beginning.
manifest::Value read_beginning(std::string_view json, const FieldMask& mask);

}  // namespace postern::agent::kube
