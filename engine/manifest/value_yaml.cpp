// SPDX-License-Identifier: Apache-2.0
// YAML through yaml-cpp's events. Its node graph is not used: it keeps duplicate keys, follows
// cyclic aliases for ever and costs many times the memory. yaml-cpp reports errors by exceptions;
// none leaves this file.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <map>
#include <streambuf>

#include "engine/manifest/value_builder.h"

namespace postern::manifest {

namespace {

// Carries an Error out of yaml-cpp's call stack.
struct Stop {
  Error error;
};

std::uint32_t from_zero(int position) { return static_cast<std::uint32_t>(position < 0 ? 0 : position + 1); }

// A stream over the caller's text, without a copy of it.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());
    setg(begin, begin, begin + text.size());
  }
};

class TreeHandler : public YAML::EventHandler {
 public:
  TreeHandler(const std::string& file, const ParseLimits& limits) : file_(file), limits_(limits), builder_(file, limits, true) {}

  void OnDocumentStart(const YAML::Mark& /*mark*/) override {
    anchors_.clear();
    open_anchors_.clear();
    anchored_values_ = 0;
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Value value = place(mark);
    remember(anchor, value);
    check(builder_.scalar(std::move(value)));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw Stop{{ErrorCode::invalid_input, "found an alias inside the value it stands for",
                  {file_, from_zero(mark.line), from_zero(mark.column)}}};
    }
    const Anchored& anchored = found->second;
    if (builder_.depth() + anchored.depth > limits_.depth) {
      throw Stop{{ErrorCode::invalid_input,
                  "nested deeper than " + std::to_string(limits_.depth) + " lists and mappings",
                  {file_, from_zero(mark.line), from_zero(mark.column)}}};
    }
    check(builder_.copy(anchored.value, anchored.weight, from_zero(mark.line), from_zero(mark.column)));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    Value value = place(mark);
    value.text = text;
    value.kind = kind_of(tag, value);
    if (value.is_null() && !builder_.expects_key()) value.text.clear();
    remember(anchor, value);
    check(builder_.scalar(std::move(value)));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    check_tag(mark, tag, "tag:yaml.org,2002:seq");
    begin(Kind::sequence, mark, anchor);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    check_tag(mark, tag, "tag:yaml.org,2002:map");
    begin(Kind::mapping, mark, anchor);
  }
  void OnMapEnd() override { end(); }

  Value take() { return builder_.take(); }

 private:
  struct Anchored {
    Value value;
    std::size_t weight = 1;  // values in it
    std::size_t depth = 0;   // of lists and mappings in it
  };
  struct OpenAnchor {
    YAML::anchor_t anchor = YAML::NullAnchor;
    std::size_t values_before = 0;
  };

  static void check(const Result<void>& result) {
    if (!result) throw Stop{result.error()};
  }

  static Value place(const YAML::Mark& mark) {
    Value value;
    value.line = from_zero(mark.line);
    value.column = from_zero(mark.column);
    return value;
  }

  // "?" is a plain scalar, "!" a quoted one; other tags are written in the text.
  Kind kind_of(const std::string& tag, const Value& value) const {
    if (tag == "?" || tag.empty()) return core_kind(value.text);
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return Kind::string;
    const Kind plain = core_kind(value.text);
    if (tag == "tag:yaml.org,2002:null" && plain == Kind::null) return plain;
    if (tag == "tag:yaml.org,2002:bool" && plain == Kind::boolean) return plain;
    if (tag == "tag:yaml.org,2002:int" && plain == Kind::integer) return plain;
    if (tag == "tag:yaml.org,2002:float" && (plain == Kind::real || plain == Kind::integer)) return Kind::real;
    throw Stop{{ErrorCode::invalid_input, "found the tag " + tag + " on " + describe(value) +
                                              ", expected no tag or one of the core schema that fits",
                {file_, value.line, value.column}}};
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag, std::string_view allowed) const {
    if (tag.empty() || tag == "?" || tag == "!" || tag == allowed) return;
    throw Stop{{ErrorCode::invalid_input, "found the tag " + tag + ", expected none",
                {file_, from_zero(mark.line), from_zero(mark.column)}}};
  }

  void begin(Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    // A name that is used again means its newest value, also while that value is being read.
    if (anchor != YAML::NullAnchor) anchors_.erase(anchor);
    open_anchors_.push_back({anchor, builder_.values()});
    check(builder_.begin(kind, from_zero(mark.line), from_zero(mark.column)));
  }

  void end() {
    const OpenAnchor open = open_anchors_.back();
    open_anchors_.pop_back();
    const auto value = builder_.end();
    if (!value) throw Stop{value.error()};
    if (open.anchor == YAML::NullAnchor) return;
    const std::size_t weight = builder_.values() - open.values_before;
    // The copy that is kept for aliases takes memory too, also if no alias ever comes.
    anchored_values_ += weight;
    if (anchored_values_ > limits_.values) {
      throw Stop{{ErrorCode::invalid_input,
                  "the anchors of the document hold more than " + std::to_string(limits_.values) + " values",
                  {file_, (*value)->line, (*value)->column}}};
    }
    anchors_[open.anchor] = {**value, weight, depth_of(**value)};
  }

  static std::size_t depth_of(const Value& value) {
    if (value.is_scalar()) return 0;
    std::size_t deepest = 0;
    for (const auto& item : value.items) deepest = std::max(deepest, depth_of(item));
    return deepest + 1;
  }

  void remember(YAML::anchor_t anchor, const Value& value) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {value, 1, 0};
  }

  std::string file_;
  ParseLimits limits_;
  ValueBuilder builder_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::vector<OpenAnchor> open_anchors_;
  std::size_t anchored_values_ = 0;
};

}  // namespace

Result<void> parse_yaml(std::string_view text, const std::string& file, const EachDocument& each,
                        const ParseLimits& limits) {
  try {
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    TreeHandler handler(file, limits);
    while (parser.HandleNextDocument(handler)) {
      const Value document = handler.take();
      if (!document.is_null()) each(document);
    }
  } catch (const Stop& stop) {
    return tl::unexpected<Error>(stop.error);
  } catch (const YAML::Exception& exception) {
    return fail(ErrorCode::invalid_input, "not YAML 1.2: " + exception.msg,
                {file, from_zero(exception.mark.line), from_zero(exception.mark.column)});
  }
  return {};
}

}  // namespace postern::manifest
