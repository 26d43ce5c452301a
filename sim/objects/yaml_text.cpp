// SPDX-License-Identifier: Apache-2.0
#include "sim/objects/yaml_text.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace postern::sim {

namespace {

using Json = nlohmann::ordered_json;

// Whether every reader of YAML, 1.1 ones too, takes this plain text for a string.
bool is_plain_word(std::string_view text) {
  static constexpr std::array<std::string_view, 9> kWords{"true", "false", "yes", "no", "on",
                                                          "off",  "null",  "y",   "n"};
  std::string lower(text);
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto inside = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '/' || c == '.'; };
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return !text.empty() && letter(text.front()) && std::all_of(text.begin(), text.end(), inside) &&
         std::find(kWords.begin(), kWords.end(), lower) == kWords.end();
}

void emit_text(const std::string& text, YAML::Emitter& out) {
  if (is_plain_word(text)) {
    out << text;
  } else {
    out << YAML::DoubleQuoted << text;
  }
}

// Mappings of nothing but scalars stand on one line.
bool is_short(const Json& value) {
  if (value.size() > 4) return false;
  return std::all_of(value.begin(), value.end(), [](const Json& member) { return member.is_primitive(); });
}

void emit(const Json& value, YAML::Emitter& out) {
  if (value.is_object()) {
    if (is_short(value)) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key;
      emit_text(key, out);
      out << YAML::Value;
      emit(member, out);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (is_short(value)) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const auto& member : value) emit(member, out);
    out << YAML::EndSeq;
  } else if (value.is_boolean()) {
    out << value.get<bool>();
  } else if (value.is_number()) {
    out << value.get<std::int64_t>();
  } else {
    emit_text(value.get<std::string>(), out);
  }
}

}  // namespace

std::string yaml_text(const nlohmann::ordered_json& value) {
  YAML::Emitter out;
  emit(value, out);
  return std::string(out.c_str()) + "\n";
}

}  // namespace postern::sim
