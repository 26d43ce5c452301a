// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/xml.h"

#include <expat.h>

#include <memory>

namespace postern::agent::aws {
namespace {

constexpr std::size_t kMostBytes = 1u << 20;
constexpr std::size_t kMostDepth = 32;

std::string_view without_prefix(std::string_view name) {
  const auto colon = name.rfind(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

struct Reading {
  XML_Parser parser = nullptr;
  std::vector<XmlElement> open;  // from the root down
  XmlElement root;
  const char* refused = nullptr;

  static void XMLCALL begin(void* self, const XML_Char* name, const XML_Char** /*attributes*/) {
    auto& reading = *static_cast<Reading*>(self);
    if (reading.open.size() == kMostDepth) return reading.refuse("elements nested more than 32 deep");
    reading.open.push_back({std::string(without_prefix(name)), {}, {}});
  }
  static void XMLCALL end(void* self, const XML_Char* /*name*/) {
    auto& reading = *static_cast<Reading*>(self);
    if (reading.open.empty()) return;
    XmlElement done = std::move(reading.open.back());
    reading.open.pop_back();
    if (reading.open.empty()) {
      reading.root = std::move(done);
    } else {
      reading.open.back().children.push_back(std::move(done));
    }
  }
  static void XMLCALL text(void* self, const XML_Char* data, int length) {
    auto& reading = *static_cast<Reading*>(self);
    if (!reading.open.empty()) reading.open.back().text.append(data, static_cast<std::size_t>(length));
  }
  static void XMLCALL doctype(void* self, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    static_cast<Reading*>(self)->refuse("a document type");
  }
  void refuse(const char* what) {
    refused = what;
    XML_StopParser(parser, XML_FALSE);
  }
};

}  // namespace

const XmlElement* XmlElement::find(std::initializer_list<std::string_view> path) const {
  const XmlElement* at = this;
  for (const auto wanted : path) {
    const XmlElement* next = nullptr;
    for (const auto& child : at->children) {
      if (child.name == wanted) {
        next = &child;
        break;
      }
    }
    if (next == nullptr) return nullptr;
    at = next;
  }
  return at;
}

std::string XmlElement::text_of(std::initializer_list<std::string_view> path) const {
  const XmlElement* found = find(path);
  if (found == nullptr) return "";
  constexpr const char* kBlanks = " \t\r\n";
  const auto first = found->text.find_first_not_of(kBlanks);
  if (first == std::string::npos) return "";
  return found->text.substr(first, found->text.find_last_not_of(kBlanks) - first + 1);
}

Result<XmlElement> parse_xml(std::string_view text) {
  if (text.size() > kMostBytes)
    return fail(ErrorCode::invalid_input, "found more than 1 MiB, expected a short XML answer");
  const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(XML_ParserCreate(nullptr),
                                                                            &XML_ParserFree);
  if (!parser) return fail(ErrorCode::internal, "expat does not start");
  Reading reading;
  reading.parser = parser.get();
  XML_SetUserData(parser.get(), &reading);
  XML_SetElementHandler(parser.get(), &Reading::begin, &Reading::end);
  XML_SetCharacterDataHandler(parser.get(), &Reading::text);
  XML_SetStartDoctypeDeclHandler(parser.get(), &Reading::doctype);
  if (XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE) == XML_STATUS_OK)
    return std::move(reading.root);
  const char* found =
      reading.refused != nullptr ? reading.refused : XML_ErrorString(XML_GetErrorCode(parser.get()));
  return fail(ErrorCode::invalid_input, "line " + std::to_string(XML_GetCurrentLineNumber(parser.get())) +
                                            ", column " +
                                            std::to_string(XML_GetCurrentColumnNumber(parser.get()) + 1) +
                                            ": found " + found + ", expected XML");
}

}  // namespace postern::agent::aws
