// SPDX-License-Identifier: Apache-2.0
// A document as a tree of values that remember where they stand, read from YAML or JSON.
//
// Text is hostile until it proves otherwise: depth, number of values and size are capped, aliases
// count as the values they stand for, and a key that stands twice in one mapping is an error.
// Scalars follow the core schema of YAML 1.2: `yes` and `0644` are not what YAML 1.1 made of them,
// and a quoted scalar is always a string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace postern::manifest {

enum class Kind : std::uint8_t { null, boolean, integer, real, string, sequence, mapping };

// One value. A mapping keeps key and value by turns in `items`, in the order written.
struct Value {
  Kind kind = Kind::null;
  std::uint32_t line = 0;  // from 1
  std::uint32_t column = 0;
  std::string text;  // a scalar as written, without quotes
  std::vector<Value> items;

  [[nodiscard]] bool is_null() const { return kind == Kind::null; }
  [[nodiscard]] bool is_scalar() const { return kind < Kind::sequence; }
  // Members of a mapping, elements of a sequence.
  [[nodiscard]] std::size_t size() const { return kind == Kind::mapping ? items.size() / 2 : items.size(); }
  [[nodiscard]] const Value& key(std::size_t member) const { return items[2 * member]; }
  [[nodiscard]] const Value& member(std::size_t member) const { return items[2 * member + 1]; }
  // The value of a key, null pointer when this is no mapping or has no such key. A key whose value
  // is null counts as absent, as it does for the API server.
  [[nodiscard]] const Value* find(std::string_view name) const;
  [[nodiscard]] bool boolean() const { return text[0] == 't' || text[0] == 'T'; }
};

// Moves the cursor, colours, or ends the line: nothing that a name or a message may do.
inline bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// "the string "a"", "the number 80", "a list", … for messages: one line, control characters as \xNN.
std::string describe(const Value& value);

enum class Syntax : std::uint8_t { yaml, json };

// json for names that end in .json, else yaml.
Syntax syntax_of(std::string_view file_name);

// Together they bound what one text takes to a quarter of a gigabyte and a second or two; the figures
// are measured with texts that were written to take much.
struct ParseLimits {
  std::size_t yaml_bytes = 6u << 20;   // of one file
  std::size_t json_bytes = 16u << 20;  // of one file; JSON is read several times as fast
  std::size_t depth = 64;              // of nested lists and mappings
  std::size_t values = 1'000'000;      // in one document, aliases counted as what they stand for
  // Characters of a YAML file that may start a token: yaml-cpp reads a whole flow collection, and the
  // whole line of what may be a key, ahead before it hands on the first event, so this is what bounds
  // its memory. Of the file and not of a document, because --- does not end an open collection.
  std::size_t marks = 700'000;
};

// Reads every document of a stream, one after the other, and hands each on; a document is freed
// before the next is read. Empty documents are left out. `file` only names the place in messages.
// Returns the error that ended the reading; the documents before it have been handed on.
Result<void> parse_documents(std::string_view text, const std::string& file,
                             const std::function<void(const Value&)>& each, const ParseLimits& limits = {});

}  // namespace postern::manifest
