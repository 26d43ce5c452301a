// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/field_mask.h"

#include <gtest/gtest.h>

namespace postern::agent::kube::field_mask_test {
namespace {

using manifest::Kind;
using manifest::Value;

std::string shown(const Value& value) {
  std::string text;
  switch (value.kind) {
    case Kind::mapping:
      for (std::size_t i = 0; i < value.size(); ++i) {
        text += (i == 0 ? "" : ",") + value.key(i).text + ":" + shown(value.member(i));
      }
      return "{" + text + "}";
    case Kind::sequence:
      for (std::size_t i = 0; i < value.size(); ++i) text += (i == 0 ? "" : ",") + shown(value.items[i]);
      return "[" + text + "]";
    case Kind::string:
      return "'" + value.text + "'";
    case Kind::null:
      return "null";
    default:
      return value.text;
  }
}

struct Row {
  const char* name;
  FieldMask mask;
  const char* json;
  const char* kept;
};

TEST(FieldMask, KeepsWhatItsPathsName) {
  const Row rows[] = {
      {"a path keeps its value whole",
       {{"a", "b"}},
       R"({"a":{"b":{"c":[1,"x",null,true]},"d":1},"b":2})",
       "{a:{b:{c:[1,'x',null,true]}}}"},
      {"lists are passed through",
       {{"a", "b"}},
       R"({"a":[{"b":1,"c":2},[{"b":3}],{"c":4}]})",
       "{a:[{b:1},[{b:3}],{}]}"},
      {"two paths below one key", {{"a", "b"}, {"a", "c"}}, R"({"a":{"c":1,"d":2,"b":3}})", "{a:{c:1,b:3}}"},
      {"a whole value wins over a part of it", {{"a", "b"}, {"a"}}, R"({"a":{"c":1}})", "{a:{c:1}}"},
      {"a beginning of keys",
       {{"a", "x/*"}},
       R"({"a":{"x/1":"p","y/1":"q","x/":"r","x":"s"}})",
       "{a:{x/1:'p',x/:'r'}}"},
      {"a scalar where more was expected stays", {{"a", "b"}}, R"({"a":7})", "{a:7}"},
      {"nothing of it", {{"x"}}, R"({"a":{"x":1},"b":[{"x":2}]})", "{}"},
      {"scalars keep what they are", FieldMask::everything(),
       R"([0,-1,18446744073709551615,1.5,"é\u0041",false,null,{}])",
       "[0,-1,18446744073709551615,1.5,'éA',false,null,{}]"},
  };
  for (const auto& row : rows) {
    const auto read = read_masked(row.json, row.mask);
    ASSERT_TRUE(read) << row.name << ": " << read.error().message;
    EXPECT_EQ(read->refusal, "") << row.name;
    EXPECT_EQ(shown(read->tree), row.kept) << row.name;
  }
}

TEST(FieldMask, TakesInAnotherUnderAKey) {
  FieldMask mask{{"type"}};
  mask.add("object", FieldMask{{"a", "b"}});
  EXPECT_EQ(shown(read_masked(R"({"type":"T","object":{"a":{"b":1,"c":2},"d":3},"a":{"b":4}})", mask)->tree),
            "{type:'T',object:{a:{b:1}}}");
}

TEST(FieldMask, TextThatIsNotJsonIsAnErrorWhatEverTheMaskSays) {
  for (const char* text : {"", "{", "[1,]", R"({"a":01})", "{\"a\":\"\x01\"}", "{\"a\":\"\xff\"}", "{} {}",
                           R"({"a" 1})", R"({"a":"\ud800"})", "nul"}) {
    EXPECT_FALSE(read_masked(text, FieldMask{{"x"}})) << text;
    EXPECT_FALSE(read_masked(text, FieldMask::everything())) << text;
  }
}

TEST(FieldMask, OnlyWhatIsKeptCountsForTheLimits) {
  std::string deep = "1";
  for (int i = 0; i < 100; ++i) deep = "[" + deep + "]";
  const std::string text = R"({"a":)" + deep + R"(,"b":[1,2,3],"c":{"d":1,"d":2}})";
  struct Limit {
    FieldMask mask;
    MaskLimits limits;
    const char* refusal;
  };
  const Limit rows[] = {
      {{{"a"}}, {101, 1000}, ""},
      {{{"a"}}, {100, 1000}, "nested deeper than 100 lists and mappings"},
      {{{"b"}}, {2, 5}, ""},
      {{{"b"}}, {2, 4}, "more than 4 values"},
      {{{"c"}}, {2, 100}, "a key stands twice in one mapping, expected once"},
      {{{"x"}}, {1, 1}, ""},
  };
  for (const auto& row : rows) {
    const auto read = read_masked(text, row.mask, row.limits);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->refusal, row.refusal);
    EXPECT_EQ(read->tree.is_null(), row.refusal[0] != '\0');
  }
}

TEST(FieldMask, KeepsWhatCameOfATextThatBreaksOff) {
  const std::string text = R"({"metadata":{"name":"web","labels":{"a":"b"}},"spec":[1)";
  const FieldMask mask{{"metadata", "name"}, {"spec"}};
  EXPECT_EQ(shown(read_beginning(text, mask)), "{metadata:{name:'web'},spec:[1]}");
  EXPECT_EQ(shown(read_beginning(text.substr(0, 24), mask)), "{metadata:{}}");
  EXPECT_EQ(shown(read_beginning("", mask)), "null");
  for (std::size_t size = 0; size < text.size(); ++size) read_beginning(text.substr(0, size), mask);
}

}  // namespace
}  // namespace postern::agent::kube::field_mask_test
