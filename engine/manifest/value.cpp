// SPDX-License-Identifier: Apache-2.0
#include "engine/manifest/value.h"

#include <algorithm>
#include <initializer_list>
#include <set>

#include "engine/manifest/value_builder.h"

namespace postern::manifest {

const Value* Value::find(std::string_view name) const {
  if (kind != Kind::mapping) return nullptr;
  for (std::size_t i = 0; i < size(); ++i) {
    if (key(i).text == name) return member(i).is_null() ? nullptr : &member(i);
  }
  return nullptr;
}

namespace {

// A message is one line of text, whatever the value would do to a terminal.
std::string printable(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (is_control(c)) {
      out += "\\x";
      out += kHex[code >> 4];
      out += kHex[code & 15];
    } else {
      out += c;
    }
  }
  return out;
}

// Long values make unreadable messages, and may be megabytes.
std::string shortened(const std::string& text) {
  constexpr std::size_t kShown = 60;
  if (text.size() <= kShown) return printable(text);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return printable(std::string_view(text).substr(0, end)) + "…";
}

}  // namespace

std::string describe(const Value& value) {
  switch (value.kind) {
    case Kind::null: return "nothing";
    case Kind::boolean: return "the boolean " + shortened(value.text);
    case Kind::integer:
    case Kind::real: return "the number " + shortened(value.text);
    case Kind::string: return "\"" + shortened(value.text) + "\"";
    case Kind::sequence: return value.items.empty() ? "an empty list" : "a list";
    case Kind::mapping: return value.items.empty() ? "an empty mapping" : "a mapping";
  }
  return "nothing";
}

Syntax syntax_of(std::string_view file_name) {
  return file_name.size() > 5 && file_name.substr(file_name.size() - 5) == ".json" ? Syntax::json
                                                                                   : Syntax::yaml;
}

namespace {

bool all_of(std::string_view text, bool (*accept)(char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), accept);
}

bool digit(char c) { return c >= '0' && c <= '9'; }
bool octal_digit(char c) { return c >= '0' && c <= '7'; }
bool hex_digit(char c) { return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return text;
}

bool is_integer(std::string_view text) {
  if (text.substr(0, 2) == "0o") return all_of(text.substr(2), octal_digit);
  if (text.substr(0, 2) == "0x") return all_of(text.substr(2), hex_digit);
  return all_of(without_sign(text), digit);
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
bool is_real(std::string_view text) {
  text = without_sign(text);
  if (one_of(text, {".inf", ".Inf", ".INF"})) return true;
  const auto exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos) {
    if (!all_of(without_sign(text.substr(exponent + 1)), digit)) return false;
    text = text.substr(0, exponent);
  }
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) return all_of(text, digit);
  const auto before = text.substr(0, dot);
  const auto after = text.substr(dot + 1);
  if (before.empty()) return all_of(after, digit);
  return all_of(before, digit) && (after.empty() || all_of(after, digit));
}

}  // namespace

Kind core_kind(std::string_view plain) {
  if (one_of(plain, {"", "~", "null", "Null", "NULL"})) return Kind::null;
  if (one_of(plain, {"true", "True", "TRUE", "false", "False", "FALSE"})) return Kind::boolean;
  if (is_integer(plain)) return Kind::integer;
  if (is_real(plain) || one_of(plain, {".nan", ".NaN", ".NAN"})) return Kind::real;
  return Kind::string;
}

namespace {

// Length of the UTF-8 character at the start of `text`, 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong forms, surrogates, and what is above U+10FFFF.
  if (first == 0xe0 && byte(1) < 0xa0) return 0;
  if (first == 0xed && byte(1) > 0x9f) return 0;
  if (first == 0xf0 && byte(1) < 0x90) return 0;
  if (first == 0xf4 && byte(1) > 0x8f) return 0;
  return length;
}

// yaml-cpp takes the byte 4 for the end of its input, so a control character could hide the rest of
// a file; YAML and JSON allow none of them.
bool forbidden_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t' && c != '\n' && c != '\r') || byte == 0x7f;
}

std::string hex_byte(char c) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  return {'0', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

}  // namespace

Result<void> check_text(std::string_view text, const std::string& file, const ParseLimits& limits) {
  const bool json = syntax_of(file) == Syntax::json;
  const std::size_t most = json ? limits.json_bytes : limits.yaml_bytes;
  if (text.size() > most) {
    return fail(ErrorCode::invalid_input,
                "the file has " + std::to_string(text.size()) + " bytes, expected at most " +
                    std::to_string(most) + (json ? " of JSON" : " of YAML"),
                {file, 0, 0});
  }
  std::size_t line = 1;
  std::size_t line_start = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at, 4));
    if (length == 0) {
      return fail(ErrorCode::invalid_input, "found the byte " + hex_byte(text[at]) + ", expected UTF-8 text",
                  {file, line, at - line_start + 1});
    }
    if (length == 1 && forbidden_control(text[at])) {
      return fail(ErrorCode::invalid_input,
                  "found the control character " + hex_byte(text[at]) + ", expected text",
                  {file, line, at - line_start + 1});
    }
    if (text[at] == '\n') {
      ++line;
      line_start = at + 1;
    }
    at += length;
  }
  return {};
}

namespace {

// The second of two equal keys that stands first in the text.
const Value* duplicate_key(const Value& mapping) {
  if (mapping.size() < 2) return nullptr;
  std::vector<const Value*> keys;
  keys.reserve(mapping.size());
  for (std::size_t i = 0; i < mapping.size(); ++i) keys.push_back(&mapping.key(i));
  std::stable_sort(keys.begin(), keys.end(),
                   [](const Value* a, const Value* b) { return a->text < b->text; });
  const Value* found = nullptr;
  for (std::size_t i = 1; i < keys.size(); ++i) {
    if (keys[i]->text != keys[i - 1]->text) continue;
    if (found == nullptr || keys[i] < found) found = keys[i];
  }
  return found;
}

bool any_key_is(const Value& mapping, std::string_view key) {
  for (std::size_t i = 0; i < mapping.size(); ++i) {
    if (mapping.key(i).text == key) return true;
  }
  return false;
}

}  // namespace

Location ValueBuilder::at(const Value& value) const { return {file_, value.line, value.column}; }

Result<void> ValueBuilder::count(std::size_t values, const Value& place) {
  values_ += values;
  if (values_ <= limits_.values) return {};
  return fail(ErrorCode::invalid_input,
              "the document has more than " + std::to_string(limits_.values) +
                  " values, aliases counted as what they stand for",
              at(place));
}

Result<void> ValueBuilder::begin(Kind kind, std::uint32_t line, std::uint32_t column) {
  Value value;
  value.kind = kind;
  value.line = line;
  value.column = column;
  if (kind == Kind::mapping && expects_key()) {
    return fail(ErrorCode::invalid_input,
                "found a mapping that is a key or is not closed, expected a scalar as key", at(value));
  }
  if (kind == Kind::sequence && expects_key()) {
    return fail(ErrorCode::invalid_input,
                "found a list that is a key or is not closed, expected a scalar as key", at(value));
  }
  if (open_.size() >= limits_.depth) {
    return fail(ErrorCode::invalid_input,
                "nested deeper than " + std::to_string(limits_.depth) + " lists and mappings", at(value));
  }
  if (const auto counted = count(1, value); !counted) return counted;
  open_.push_back(std::move(value));
  return {};
}

bool ValueBuilder::expects_key() const {
  return !open_.empty() && open_.back().kind == Kind::mapping && open_.back().items.size() % 2 == 0;
}

const Value* ValueBuilder::pending_key() const {
  if (open_.empty() || open_.back().kind != Kind::mapping || expects_key()) return nullptr;
  return &open_.back().items.back();
}

Result<void> ValueBuilder::scalar(Value value) {
  if (const auto counted = count(1, value); !counted) return counted;
  if (expects_key() && value.is_null()) {
    return fail(ErrorCode::invalid_input, "found an empty key, expected a name", at(value));
  }
  add(std::move(value));
  return {};
}

Result<void> ValueBuilder::copy(const Value& original, std::size_t weight, std::uint32_t line,
                                std::uint32_t column) {
  Value place;
  place.line = line;
  place.column = column;
  if (const auto counted = count(weight, place); !counted) return counted;
  if (expects_key() && (!original.is_scalar() || original.is_null())) {
    return fail(ErrorCode::invalid_input, "found " + describe(original) + " as a key, expected a scalar",
                at(place));
  }
  add(original);
  return {};
}

void ValueBuilder::add(Value value) {
  if (open_.empty()) {
    root_ = std::move(value);
  } else {
    open_.back().items.push_back(std::move(value));
  }
}

// `<<: *base` is how YAML 1.1 includes one mapping in another, and what kubectl takes. A key written
// out wins over an included one, an earlier included mapping over a later one.
Result<void> ValueBuilder::merge_includes(Value& mapping) {
  std::vector<Value> sources;
  std::vector<Value> own;
  std::set<std::string> keys;
  for (std::size_t i = 0; i < mapping.size(); ++i) {
    Value& value = mapping.items[2 * i + 1];
    if (mapping.key(i).text != "<<") {
      keys.insert(mapping.key(i).text);
      own.push_back(std::move(mapping.items[2 * i]));
      own.push_back(std::move(value));
    } else if (value.kind == Kind::sequence) {
      for (auto& element : value.items) sources.push_back(std::move(element));
    } else {
      sources.push_back(std::move(value));
    }
  }
  mapping.items = std::move(own);
  for (auto& source : sources) {
    if (source.kind != Kind::mapping) {
      return fail(ErrorCode::invalid_input, "<<: found " + describe(source) + ", expected a mapping",
                  at(source));
    }
    for (std::size_t i = 0; i < source.size(); ++i) {
      if (!keys.insert(source.key(i).text).second) continue;
      mapping.items.push_back(std::move(source.items[2 * i]));
      mapping.items.push_back(std::move(source.items[2 * i + 1]));
    }
  }
  return {};
}

Result<const Value*> ValueBuilder::end() {
  Value value = std::move(open_.back());
  open_.pop_back();
  if (value.kind == Kind::mapping) {
    if (const Value* twice = duplicate_key(value)) {
      return fail(ErrorCode::invalid_input,
                  "found the key \"" + twice->text + "\" twice in one mapping, expected once", at(*twice));
    }
    if (merges_ && any_key_is(value, "<<")) {
      if (auto merged = merge_includes(value); !merged) return fail_as(merged);
    }
  }
  add(std::move(value));
  return open_.empty() ? &root_ : &open_.back().items.back();
}

Value ValueBuilder::take() {
  values_ = 0;
  return std::exchange(root_, Value{});
}

Result<void> parse_documents(std::string_view text, const std::string& file,
                             const std::function<void(const Value&)>& each, const ParseLimits& limits) {
  if (const auto checked = check_text(text, file, limits); !checked) return checked;
  return syntax_of(file) == Syntax::json ? parse_json(text, file, each, limits)
                                         : parse_yaml(text, file, each, limits);
}

}  // namespace postern::manifest
