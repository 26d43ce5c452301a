// SPDX-License-Identifier: Apache-2.0
// What the YAML and the JSON reader share: a stack of open lists and mappings, the caps, and the
// check for keys that stand twice. Private to engine/manifest.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/manifest/value.h"

namespace postern::manifest {

// What a plain scalar is by the core schema of YAML 1.2.
Kind core_kind(std::string_view plain);

using EachDocument = std::function<void(const Value&)>;
Result<void> parse_yaml(std::string_view text, const std::string& file, const EachDocument& each,
                        const ParseLimits& limits);
Result<void> parse_json(std::string_view text, const std::string& file, const EachDocument& each,
                        const ParseLimits& limits);

// Size, UTF-8 and control characters of a whole text.
Result<void> check_text(std::string_view text, const std::string& file, const ParseLimits& limits);

class ValueBuilder {
 public:
  ValueBuilder(std::string file, const ParseLimits& limits, bool merges)
      : file_(std::move(file)), limits_(limits), merges_(merges) {}

  Result<void> begin(Kind kind, std::uint32_t line, std::uint32_t column);
  Result<void> scalar(Value value);
  // A copy of a value with `weight` values in it, in place of an alias.
  Result<void> copy(const Value& original, std::size_t weight, std::uint32_t line, std::uint32_t column);
  // Ends the innermost list or mapping; what it became, valid until the next call.
  Result<const Value*> end();

  [[nodiscard]] bool expects_key() const;
  // The key whose value comes next, null if none does.
  [[nodiscard]] const Value* pending_key() const;
  [[nodiscard]] std::size_t depth() const { return open_.size(); }
  // Values of the document so far; the difference of two moments is the weight of an alias.
  [[nodiscard]] std::size_t values() const { return values_; }
  // The finished document; the builder is ready for the next.
  Value take();

 private:
  void add(Value value);
  Result<void> count(std::size_t values, const Value& place);
  Result<void> merge_includes(Value& mapping);
  [[nodiscard]] Location at(const Value& value) const;

  std::string file_;
  ParseLimits limits_;
  bool merges_;
  std::vector<Value> open_;
  Value root_;
  std::size_t values_ = 0;
};

}  // namespace postern::manifest
