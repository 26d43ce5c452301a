// SPDX-License-Identifier: Apache-2.0
#include "agent/interfaces/interface_names.h"

#include <openssl/evp.h>

#include <array>

namespace postern::agent {
namespace {

constexpr std::size_t kLongestName = 15;  // IFNAMSIZ less its zero
constexpr std::size_t kHashDigits = 11;
constexpr std::array<std::string_view, 3> kPlaceholders{"{hash}", "{namespace}", "{pod}"};

std::string hash_of(const NamespacedName& pod) {
  const std::string text = pod.ns + "." + pod.name;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha1(), nullptr) != 1) return {};
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string digits;
  for (unsigned i = 0; i < length && digits.size() < kHashDigits; ++i) {
    digits += kHex[digest[i] >> 4];
    digits += kHex[digest[i] & 15];
  }
  digits.resize(kHashDigits);
  return digits;
}

// The placeholder at the beginning of `text`; empty: none that is known.
std::string_view placeholder_at(std::string_view text) {
  for (const auto placeholder : kPlaceholders) {
    if (text.substr(0, placeholder.size()) == placeholder) return placeholder;
  }
  return {};
}

}  // namespace

Result<NameTemplate> NameTemplate::parse(std::string_view text) {
  const auto refuse = [text](const std::string& why) {
    return fail(ErrorCode::invalid_input, "interface name \"" + std::string(text) + "\": " + why);
  };
  std::size_t shortest = 0;
  bool names_the_pod = false;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] != '{' && text[at] != '}') {
      ++shortest;
      ++at;
      continue;
    }
    const auto placeholder = placeholder_at(text.substr(at));
    if (placeholder.empty()) return refuse("a brace must begin {hash}, {namespace} or {pod}");
    shortest += placeholder == "{hash}" ? kHashDigits : 1;
    names_the_pod = names_the_pod || placeholder != "{namespace}";
    at += placeholder.size();
  }
  if (!names_the_pod) return refuse("needs {hash} or {pod}, else every pod's interface has one name");
  if (shortest > kLongestName) return refuse("is longer than 15 bytes for every pod");
  return NameTemplate(std::string(text));
}

std::optional<std::string> NameTemplate::name_of(const NamespacedName& pod) const {
  std::string name;
  const std::string_view text = text_;
  for (std::size_t at = 0; at < text.size();) {
    const auto placeholder = placeholder_at(text.substr(at));
    if (placeholder.empty()) {
      name += text[at++];
      continue;
    }
    if (placeholder == "{hash}") {
      const std::string hash = hash_of(pod);
      if (hash.empty()) return std::nullopt;  // the library refuses SHA-1
      name += hash;
    } else {
      name += placeholder == "{pod}" ? pod.name : pod.ns;
    }
    at += placeholder.size();
  }
  if (name.size() > kLongestName) return std::nullopt;
  return name;
}

std::vector<NameTemplate> known_name_templates() {
  std::vector<NameTemplate> known;
  for (const char* const text : {"eni{hash}", "vlan{hash}", "cali{hash}"}) {
    if (auto parsed = NameTemplate::parse(text)) known.push_back(std::move(*parsed));
  }
  return known;
}

}  // namespace postern::agent
