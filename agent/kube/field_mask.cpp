// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/field_mask.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace postern::agent::kube {

using manifest::Kind;
using manifest::Value;

FieldMask::FieldMask(std::initializer_list<Path> paths) {
  for (const Path& path : paths) add(path);
}

const FieldMask& FieldMask::everything() {
  static const FieldMask kEverything = [] {
    FieldMask mask({});
    mask.whole_ = true;
    return mask;
  }();
  return kEverything;
}

FieldMask& FieldMask::add(Path path) {
  FieldMask* at = this;
  for (std::string_view name : path) {
    const bool prefix = !name.empty() && name.back() == '*';
    if (prefix) name.remove_suffix(1);
    const Key key{std::string(name), prefix};
    const auto found = std::find(at->keys_.begin(), at->keys_.end(), key);
    const auto index = static_cast<std::size_t>(found - at->keys_.begin());
    if (found == at->keys_.end()) {
      at->keys_.push_back(key);
      at->masks_.push_back(FieldMask({}));
    }
    at = &at->masks_[index];
  }
  at->whole_ = true;
  return *this;
}

FieldMask& FieldMask::add(std::string_view key, const FieldMask& inner) {
  keys_.push_back({std::string(key), false});
  masks_.push_back(inner);
  return *this;
}

const FieldMask* FieldMask::below(std::string_view key) const {
  if (whole_) return this;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const std::string& text = keys_[i].text;
    if (keys_[i].prefix ? key.substr(0, text.size()) == text : key == text) return &masks_[i];
  }
  return nullptr;
}

namespace {

bool has_key_twice(const Value& mapping) {
  std::vector<std::string_view> keys;
  keys.reserve(mapping.size());
  for (std::size_t i = 0; i < mapping.size(); ++i) keys.push_back(mapping.key(i).text);
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) != keys.end();
}

class MaskSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  MaskSax(const FieldMask& mask, const MaskLimits& limits) : root_(mask), limits_(limits) {}

  // The tree; of a text that broke off, with what was open closed.
  Value take() {
    while (!open_.empty()) close();
    return std::move(tree_);
  }
  std::string take_refusal() { return std::move(refusal_); }
  [[nodiscard]] const std::string& error() const { return error_; }

  bool null() override { return scalar(Kind::null, {}); }
  bool boolean(bool value) override { return scalar(Kind::boolean, value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override {
    return !wanted() || scalar(Kind::integer, std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return !wanted() || scalar(Kind::integer, std::to_string(value));
  }
  bool number_float(number_float_t /*value*/, const string_t& text) override {
    return !wanted() || scalar(Kind::real, text);
  }
  bool string(string_t& value) override { return !wanted() || scalar(Kind::string, std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*elements*/) override { return start(Kind::mapping); }
  bool start_array(std::size_t /*elements*/) override { return start(Kind::sequence); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }

  bool key(string_t& name) override {
    if (skipped_ > 0) return true;
    next_ = open_.back().mask->below(name);
    if (next_ != nullptr) open_.back().value.items.push_back({Kind::string, 0, 0, std::move(name), {}});
    return true;
  }

  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: what is wrong"
    error_ = error.what();
    const auto place = error_.find("parse error");
    if (place != std::string::npos) error_ = error_.substr(place);
    return false;
  }

 private:
  struct Open {
    const FieldMask* mask;
    Value value;
  };

  // Whether the value that comes next is kept. Of a list every element is; of a mapping the key said.
  [[nodiscard]] bool wanted() const {
    if (skipped_ > 0) return false;
    return open_.empty() || open_.back().value.kind == Kind::sequence || next_ != nullptr;
  }

  [[nodiscard]] const FieldMask* mask_of_next() const {
    if (open_.empty()) return &root_;
    return open_.back().value.kind == Kind::sequence ? open_.back().mask : next_;
  }

  bool scalar(Kind kind, std::string text) {
    if (!wanted() || !count()) return true;
    put({kind, 0, 0, std::move(text), {}});
    return true;
  }

  bool start(Kind kind) {
    if (!wanted() || !count()) {
      ++skipped_;
      return true;
    }
    if (open_.size() >= limits_.depth) {
      refuse("nested deeper than " + std::to_string(limits_.depth) + " lists and mappings");
      ++skipped_;
      return true;
    }
    const FieldMask* mask = mask_of_next();
    open_.push_back({mask, Value{kind, 0, 0, {}, {}}});
    return true;
  }

  bool end() {
    if (skipped_ > 0) {
      --skipped_;
      return true;
    }
    if (open_.back().value.kind == Kind::mapping && has_key_twice(open_.back().value)) {
      refuse("a key stands twice in one mapping, expected once");
    }
    close();
    return true;
  }

  void close() {
    Value value = std::move(open_.back().value);
    open_.pop_back();
    // A key whose value has not come: the text broke off.
    if (value.kind == Kind::mapping && value.items.size() % 2 != 0) value.items.pop_back();
    put(std::move(value));
  }

  void put(Value value) {
    if (open_.empty()) {
      tree_ = std::move(value);
    } else {
      open_.back().value.items.push_back(std::move(value));
    }
  }

  bool count() {
    if (!refusal_.empty()) return false;
    if (++values_ <= limits_.values) return true;
    refuse("more than " + std::to_string(limits_.values) + " values");
    return false;
  }

  // The rest is only read to see whether it is JSON.
  void refuse(std::string why) {
    if (refusal_.empty()) refusal_ = std::move(why);
  }

  const FieldMask& root_;
  MaskLimits limits_;
  std::vector<Open> open_;
  const FieldMask* next_ = nullptr;
  std::size_t skipped_ = 0;  // open lists and mappings that are left out
  std::size_t values_ = 0;
  Value tree_;
  std::string refusal_;
  std::string error_;
};

}  // namespace

Result<MaskedJson> read_masked(std::string_view json, const FieldMask& mask, const MaskLimits& limits) {
  MaskSax sax(mask, limits);
  if (!nlohmann::json::sax_parse(json.data(), json.data() + json.size(), &sax)) {
    return fail(ErrorCode::invalid_input, "not JSON: " + (sax.error().empty() ? "unreadable" : sax.error()));
  }
  MaskedJson read;
  read.tree = sax.take();
  read.refusal = sax.take_refusal();
  if (!read.refusal.empty()) read.tree = {};
  return read;
}

Value read_beginning(std::string_view json, const FieldMask& mask) {
  MaskSax sax(mask, {});
  nlohmann::json::sax_parse(json.data(), json.data() + json.size(), &sax);
  return sax.take();
}

}  // namespace postern::agent::kube
