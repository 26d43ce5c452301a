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

// The lines of a text, asked for in rising order.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}

  // yaml-cpp goes on after the end of a document as if another had begun: `- a` and then `b: c`, or
  // `{a: b} c`. A document needs --- before it, except the first, and one that follows "...".
  bool may_start_document(int line, int column) {
    while (line_ < line && start_ < text_.size()) {
      const auto end = text_.find('\n', start_);
      const auto next = end == std::string_view::npos ? text_.size() : end + 1;
      note(text_.substr(start_, next - start_));
      start_ = next;
      ++line_;
    }
    const bool marked = text_.substr(start_, 3) == "---" && column == 0;
    const bool may = marked || (!content_ && column_is_first(column));
    content_ = true;
    return may;
  }

 private:
  // Whether a line leaves a document open.
  void note(std::string_view line) {
    if (line_ == 0 && line.substr(0, 3) == "\xef\xbb\xbf") line.remove_prefix(3);
    if (line.substr(0, 3) == "...") {
      content_ = false;
      return;
    }
    const auto first = line.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && line[first] != '#') content_ = true;
  }

  [[nodiscard]] bool column_is_first(int column) const {
    std::string_view before = text_.substr(start_, static_cast<std::size_t>(column));
    if (before.substr(0, 3) == "\xef\xbb\xbf") before.remove_prefix(3);
    return before.find_first_not_of(" \t") == std::string_view::npos;
  }

  std::string_view text_;
  std::size_t start_ = 0;  // of line_
  int line_ = 0;
  bool content_ = false;  // text that no "..." has closed stands before
};

Result<void> check_marks(std::string_view text, const std::string& file, const ParseLimits& limits) {
  static constexpr std::string_view kMarks = ",[{:?&*!";
  std::size_t marks = 0;
  std::size_t line = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      ++line;
    } else if (kMarks.find(c) != std::string_view::npos && ++marks > limits.marks) {
      return fail(ErrorCode::invalid_input,
                  "the file has more than " + std::to_string(limits.marks) +
                      " brackets, braces, commas, colons and other marks of YAML",
                  {file, line, 0});
    }
  }
  return {};
}

std::size_t line_start(std::string_view text, int line) {
  std::size_t start = 0;
  for (int i = 0; i < line; ++i) {
    const auto end = text.find('\n', start);
    if (end == std::string_view::npos) return text.size();
    start = end + 1;
  }
  return start;
}

// Whether a text in quotes that starts at the mark, or behind its anchor and tag, has an end. What is
// not in quotes has one.
bool closes_quotes(std::string_view text, const YAML::Mark& mark) {
  auto rest = text.substr(std::min(text.size(), line_start(text, mark.line)));
  if (mark.line == 0 && rest.substr(0, 3) == "\xef\xbb\xbf") rest.remove_prefix(3);
  rest.remove_prefix(std::min(rest.size(), static_cast<std::size_t>(std::max(mark.column, 0))));
  while (!rest.empty() && (rest[0] == '&' || rest[0] == '!')) {
    rest.remove_prefix(std::min(rest.size(), rest.find_first_of(" \t\n\"'")));
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(" \t\n")));
  }
  if (rest.empty() || (rest[0] != '"' && rest[0] != '\'')) return true;
  const char quote = rest[0];
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '\\' && quote == '"') {
      ++i;
    } else if (rest[i] == quote && quote == '\'' && rest.substr(i + 1, 1) == "'") {
      ++i;
    } else if (rest[i] == quote) {
      return true;
    }
  }
  return false;
}

class TreeHandler : public YAML::EventHandler {
 public:
  TreeHandler(std::string_view text, const std::string& file, const ParseLimits& limits)
      : lines_(text), file_(file), limits_(limits), builder_(file, limits, true) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!lines_.may_start_document(mark.line, mark.column)) {
      stop("found more text after the end of a document, expected --- before another", mark);
    }
    anchors_.clear();
    open_anchors_.clear();
    anchored_values_ = 0;
    block_mappings_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // yaml-cpp takes a last line without ": " for a key; its null value then stands where the key does.
    const Value* key = builder_.pending_key();
    if (key != nullptr && block_mappings_.back() && key->line == from_zero(mark.line) &&
        key->column == from_zero(mark.column)) {
      stop("found " + describe(*key) + " without a colon, expected a key and a value", mark);
    }
    Value value = place(mark);
    remember(anchor, value);
    check(builder_.scalar(std::move(value)));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      stop("found an alias inside the value it stands for, expected it after", mark);
    }
    const Anchored& anchored = found->second;
    if (builder_.depth() + anchored.depth > limits_.depth) {
      stop("nested deeper than " + std::to_string(limits_.depth) + " lists and mappings", mark);
    }
    check(builder_.copy(anchored.value, anchored.weight, from_zero(mark.line), from_zero(mark.column)));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    Value value = place(mark);
    value.text = text;
    value.kind = kind_of(tag, value);
    if (tag != "?" && value.kind == Kind::string) last_string_ = mark;
    if (value.is_null() && !builder_.expects_key()) value.text.clear();
    remember(anchor, value);
    check(builder_.scalar(std::move(value)));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    check_tag(mark, tag, "tag:yaml.org,2002:seq");
    begin(Kind::sequence, mark, anchor);
    block_mappings_.push_back(false);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    check_tag(mark, tag, "tag:yaml.org,2002:map");
    begin(Kind::mapping, mark, anchor);
    block_mappings_.push_back(style != YAML::EmitterStyle::Flow);
  }
  void OnMapEnd() override { end(); }

  Value take() { return builder_.take(); }

  // yaml-cpp takes the end of the file for the end of a quoted text, which then has swallowed all that
  // was to come. Only the last one can be so.
  [[nodiscard]] Result<void> check_last_string(std::string_view text) const {
    if (last_string_.is_null() || closes_quotes(text, last_string_)) return {};
    return fail(ErrorCode::invalid_input, "found a text in quotes that is not closed, expected it to end",
                {file_, from_zero(last_string_.line), from_zero(last_string_.column)});
  }

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

  [[noreturn]] void stop(std::string message, const YAML::Mark& mark) const {
    throw Stop{{ErrorCode::invalid_input,
                std::move(message),
                {file_, from_zero(mark.line), from_zero(mark.column)}}};
  }

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
    if (tag == "tag:yaml.org,2002:float" && (plain == Kind::real || plain == Kind::integer)) {
      return Kind::real;
    }
    throw Stop{{ErrorCode::invalid_input,
                "found the tag " + tag + ", expected none, or one of the core schema that fits",
                {file_, value.line, value.column}}};
  }

  void check_tag(const YAML::Mark& mark, const std::string& tag, std::string_view allowed) const {
    if (tag.empty() || tag == "?" || tag == "!" || tag == allowed) return;
    stop("found the tag " + tag + ", expected none", mark);
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
    block_mappings_.pop_back();
    const auto value = builder_.end();
    if (!value) throw Stop{value.error()};
    if (open.anchor == YAML::NullAnchor) return;
    anchors_[open.anchor] = {**value, builder_.values() - open.values_before, depth_of(**value)};
    spend_anchored(anchors_[open.anchor]);
  }

  // The copy that is kept for aliases takes memory too, also if no alias ever comes.
  void spend_anchored(const Anchored& anchored) {
    const std::size_t most = limits_.values / 4;
    anchored_values_ += anchored.weight;
    if (anchored_values_ <= most) return;
    throw Stop{{ErrorCode::invalid_input,
                "the anchors of the document stand for more than " + std::to_string(most) + " values",
                {file_, anchored.value.line, anchored.value.column}}};
  }

  static std::size_t depth_of(const Value& value) {
    if (value.is_scalar()) return 0;
    std::size_t deepest = 0;
    for (const auto& item : value.items) deepest = std::max(deepest, depth_of(item));
    return deepest + 1;
  }

  void remember(YAML::anchor_t anchor, const Value& value) {
    if (anchor == YAML::NullAnchor) return;
    anchors_[anchor] = {value, 1, 0};
    spend_anchored(anchors_[anchor]);
  }

  Lines lines_;
  std::string file_;
  ParseLimits limits_;
  ValueBuilder builder_;
  std::vector<bool> block_mappings_;  // of what is open: a mapping in block style
  std::map<YAML::anchor_t, Anchored> anchors_;
  std::vector<OpenAnchor> open_anchors_;
  std::size_t anchored_values_ = 0;
  YAML::Mark last_string_ = YAML::Mark::null_mark();
};

// Whoever indents by a tab is told so, and not what yaml-cpp made of it.
std::string words_of(const YAML::Exception& exception, std::string_view text) {
  const std::string_view before = text.substr(line_start(text, exception.mark.line));
  const auto indentation = before.substr(0, before.find_first_not_of(" \t"));
  return indentation.find('\t') == std::string_view::npos
             ? "not YAML 1.2: " + exception.msg
             : "not YAML 1.2: found a tab as indentation, expected spaces";
}

}  // namespace

Result<void> parse_yaml(std::string_view text, const std::string& file, const EachDocument& each,
                        const ParseLimits& limits) {
  if (const auto checked = check_marks(text, file, limits); !checked) return checked;
  // Without a newline at the very end yaml-cpp gives an empty last value the place of its key.
  if (!text.empty() && text.back() != '\n') return parse_yaml(std::string(text) + '\n', file, each, limits);
  try {
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    TreeHandler handler(text, file, limits);
    while (parser.HandleNextDocument(handler)) {
      const Value document = handler.take();
      if (!document.is_null()) each(document);
    }
    return handler.check_last_string(text);
  } catch (const Stop& stop) {
    return tl::unexpected<Error>(stop.error);
  } catch (const YAML::Exception& exception) {
    return fail(ErrorCode::invalid_input, words_of(exception, text),
                {file, from_zero(exception.mark.line), from_zero(exception.mark.column)});
  }
}

}  // namespace postern::manifest
