// SPDX-License-Identifier: Apache-2.0
// JSON through nlohmann's SAX interface, which tells no places. They follow from how far the lexer
// has read: between the end of one token and the start of the next stand only spaces, commas and
// colons, and the lexer reads at most one such character ahead.
#include <iterator>
#include <nlohmann/json.hpp>

#include "engine/manifest/value_builder.h"

namespace postern::manifest {

namespace {

// Walks the text and leaves in `read` how far it has come.
class CountingIterator {
 public:
  using difference_type = std::ptrdiff_t;
  using value_type = char;
  using pointer = const char*;
  using reference = const char&;
  using iterator_category = std::input_iterator_tag;

  CountingIterator(const char* at, const char** read) : at_(at), read_(read) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *read_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator!=(const CountingIterator& a, const CountingIterator& b) { return a.at_ != b.at_; }

 private:
  const char* at_;
  const char** read_;
};

class TreeSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeSax(std::string_view text, const std::string& file, const ParseLimits& limits)
      : text_(text),
        read_(text.data()),
        counted_(text.data()),
        line_start_(text.data()),
        file_(file),
        builder_(file, limits, false) {}

  const char** read_position() { return &read_; }
  [[nodiscard]] const Result<void>& result() const { return result_; }
  Value take() { return builder_.take(); }

  bool null() override { return scalar(Kind::null, ""); }
  bool boolean(bool value) override { return scalar(Kind::boolean, value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override {
    return scalar(Kind::integer, std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return scalar(Kind::integer, std::to_string(value));
  }
  bool number_float(number_float_t /*value*/, const string_t& text) override {
    return scalar(Kind::real, text);
  }
  bool string(string_t& value) override { return scalar(Kind::string, value); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool key(string_t& value) override { return scalar(Kind::string, value); }
  bool start_object(std::size_t /*elements*/) override { return start(Kind::mapping); }
  bool end_object() override { return end(); }
  bool start_array(std::size_t /*elements*/) override { return start(Kind::sequence); }
  bool end_array() override { return end(); }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: what is wrong"
    std::string what = error.what();
    const auto colon = what.find(": ");
    if (colon != std::string::npos) what = what.substr(colon + 2);
    const std::size_t offset = position == 0 ? 0 : std::min(position - 1, text_.size());
    count_lines(std::max(text_.data() + offset, counted_));
    result_ =
        fail(ErrorCode::invalid_input, "not JSON: " + what, {file_, line_, column(text_.data() + offset)});
    return false;
  }

 private:
  bool take_over(const Result<void>& done) {
    if (!done) result_ = tl::unexpected<Error>(done.error());
    token_end_ = read_;
    return done.has_value();
  }

  // Moves the line count up to a place further on.
  void count_lines(const char* place) {
    for (; counted_ < place; ++counted_) {
      if (*counted_ != '\n') continue;
      ++line_;
      line_start_ = counted_ + 1;
    }
  }

  [[nodiscard]] std::size_t column(const char* place) const {
    return place < line_start_ ? 1 : static_cast<std::size_t>(place - line_start_) + 1;
  }

  // Where the token that was just read starts.
  Value place() {
    const char* at = token_end_ == nullptr ? text_.data() : token_end_;
    const char* end = text_.data() + text_.size();
    if (token_end_ == nullptr && text_.substr(0, 3) == "\xef\xbb\xbf") at += 3;
    while (at < end &&
           (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n' || *at == ',' || *at == ':')) {
      ++at;
    }
    count_lines(at);
    Value value;
    value.line = static_cast<std::uint32_t>(line_);
    value.column = static_cast<std::uint32_t>(column(at));
    return value;
  }

  bool scalar(Kind kind, std::string text) {
    Value value = place();
    value.kind = kind;
    value.text = std::move(text);
    return take_over(builder_.scalar(std::move(value)));
  }

  bool start(Kind kind) {
    const Value value = place();
    return take_over(builder_.begin(kind, value.line, value.column));
  }

  bool end() {
    const auto ended = builder_.end();
    if (!ended) return take_over(tl::unexpected<Error>(ended.error()));
    return take_over({});
  }

  std::string_view text_;
  const char* read_;
  const char* token_end_ = nullptr;
  const char* counted_;
  const char* line_start_;
  std::size_t line_ = 1;
  std::string file_;
  ValueBuilder builder_;
  Result<void> result_;
};

}  // namespace

Result<void> parse_json(std::string_view text, const std::string& file, const EachDocument& each,
                        const ParseLimits& limits) {
  TreeSax sax(text, file, limits);
  const CountingIterator begin(text.data(), sax.read_position());
  const CountingIterator end(text.data() + text.size(), sax.read_position());
  if (!nlohmann::json::sax_parse(begin, end, &sax)) {
    if (!sax.result()) return sax.result();
    return fail(ErrorCode::invalid_input, "not JSON", {file, 1, 1});
  }
  const Value document = sax.take();
  if (!document.is_null()) each(document);
  return {};
}

}  // namespace postern::manifest
