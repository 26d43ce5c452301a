// SPDX-License-Identifier: Apache-2.0
// What text becomes as a tree: scalars of YAML 1.2, places, streams, aliases, JSON.
#include <gtest/gtest.h>

#include "engine/manifest/value.h"

namespace postern::manifest::value_test {
namespace {

// A tree on one line: the first letter of a scalar's kind before its text.
std::string shown(const Value& value) {
  if (value.is_scalar()) {
    return std::string(1, "nbirs"[static_cast<int>(value.kind)]) + "'" + value.text + "'";
  }
  std::string text = value.kind == Kind::mapping ? "{" : "[";
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (i > 0) text += ", ";
    if (value.kind == Kind::mapping) {
      text += value.key(i).text + ": " + shown(value.member(i));
    } else {
      text += shown(value.items[i]);
    }
  }
  return text + (value.kind == Kind::mapping ? "}" : "]");
}

// Every document, then the error if there was one.
std::string parsed(std::string_view text, const std::string& file = "f.yaml") {
  std::string out;
  const auto result = parse_documents(
      text, file, [&](const Value& document) { out += (out.empty() ? "" : " | ") + shown(document); });
  if (!result) out += (out.empty() ? "" : " | ") + result.error().to_string();
  return out;
}

struct Row {
  const char* name;
  const char* text;
  const char* tree;
};

TEST(Yaml, scalars_follow_the_core_schema_of_yaml_1_2) {
  const Row rows[] = {
      {"true", "- true", "[b'true']"},
      {"False", "- False", "[b'False']"},
      {"yes is no boolean", "- yes", "[s'yes']"},
      {"on is no boolean", "- on", "[s'on']"},
      {"y is no boolean", "- y", "[s'y']"},
      {"tRUE is no boolean", "- tRUE", "[s'tRUE']"},
      {"tilde is null", "- ~", "[n'']"},
      {"Null is null", "- Null", "[n'']"},
      {"nothing is null", "-", "[n'']"},
      {"an integer", "- 80", "[i'80']"},
      {"a leading zero means nothing", "- 010", "[i'010']"},
      {"octal", "- 0o17", "[i'0o17']"},
      {"hexadecimal", "- 0x1F", "[i'0x1F']"},
      {"a sign", "- -12", "[i'-12']"},
      {"underscores make a string", "- 1_000", "[s'1_000']"},
      {"binary is YAML 1.1", "- 0b1", "[s'0b1']"},
      {"sexagesimal is YAML 1.1", "- 1:30", "[s'1:30']"},
      {"a real number", "- 1.5", "[r'1.5']"},
      {"a real number with an exponent", "- 1e3", "[r'1e3']"},
      {"infinity", "- -.inf", "[r'-.inf']"},
      {"not a number", "- .nan", "[r'.nan']"},
      {"a version is a real number", "- 1.0", "[r'1.0']"},
      {"two dots make a string", "- 1.2.3", "[s'1.2.3']"},
      {"a quoted number is a string", "- \"80\"", "[s'80']"},
      {"a quoted boolean is a string", "- 'true'", "[s'true']"},
      {"a quoted empty text is a string", "- \"\"", "[s'']"},
      {"a block text is a string", "- |\n  80\n", "[s'80\n']"},
      {"the tag str makes a string", "- !!str 80", "[s'80']"},
      {"the tag int needs a number", "- !!int x",
       "f.yaml:1:3: found the tag tag:yaml.org,2002:int, expected none, or one of the core schema that fits"},
      {"a tag of one's own is refused", "- !mine x",
       "f.yaml:1:3: found the tag !mine, expected none, or one of the core schema that fits"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(parsed(row.text), row.tree);
  }
}

TEST(Yaml, streams_and_structure) {
  const Row rows[] = {
      {"two documents", "a: b\n---\nc: d\n", "{a: s'b'} | {c: s'd'}"},
      {"empty documents are left out", "---\n---\na: b\n---\n", "{a: s'b'}"},
      {"an ended document and another", "a: b\n...\nc: d\n", "{a: s'b'} | {c: s'd'}"},
      {"a directive before a document", "%YAML 1.2\n---\na: b\n", "{a: s'b'}"},
      {"a byte order mark",
       "\xef\xbb\xbf"
       "a: b\n",
       "{a: s'b'}"},
      {"carriage returns", "a: b\r\nc: d\r\n", "{a: s'b', c: s'd'}"},
      {"no newline at the end", "a:\nb:", "{a: n'', b: n''}"},
      {"flow style", "{a: [b, {c: d}], e: }", "{a: [s'b', {c: s'd'}], e: n''}"},
      {"an alias is a copy", "a: &x {b: 1}\nc: *x\n", "{a: {b: i'1'}, c: {b: i'1'}}"},
      {"an alias of a scalar", "a: &x 1\nb: *x\n", "{a: i'1', b: i'1'}"},
      {"the newest anchor counts", "a: &x 1\nb: &x 2\nc: *x\n", "{a: i'1', b: i'2', c: i'2'}"},
      {"an included mapping", "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\n",
       "{a: {p: i'1', q: i'2'}, b: {q: i'3', p: i'1'}}"},
      {"two included mappings, the first wins", "b: {<<: [{p: 1}, {p: 2, q: 3}]}\n",
       "{b: {p: i'1', q: i'3'}}"},
      {"quotes inside quotes", "a: \"b\\\"\\\\\"\n", "{a: s'b\"\\'}"},
      {"doubled quotes", "a: 'b'''\n", "{a: s'b''}"},
      {"an anchor before quotes", "a: &x \"b\"\n", "{a: s'b'}"},
      {"a block text with quotes in it", "a: |\n  \"b\n", "{a: s'\"b\n'}"},
      {"quotes inside a plain text", "a: b \"c\n", "{a: s'b \"c'}"},
      {"a quoted number as a key", "\"80\": x\n", "{80: s'x'}"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(parsed(row.text), row.tree);
  }
}

TEST(Yaml, refuses_with_a_place) {
  const Row rows[] = {
      {"a duplicate key", "a: 1\nb: 2\na: 3\n",
       "f.yaml:3:1: found the key \"a\" twice in one mapping, expected once"},
      {"a duplicate key, one of them quoted", "{a: 1, \"a\": 2}",
       "f.yaml:1:8: found the key \"a\" twice in one mapping, expected once"},
      {"the first of many duplicates", "{b: 1, a: 1, a: 2, b: 2}",
       "f.yaml:1:14: found the key \"a\" twice in one mapping, expected once"},
      {"an empty key", "~: x\n", "f.yaml:1:1: found an empty key, expected a name"},
      {"a list as a key", "? [a]\n: b\n",
       "f.yaml:1:3: found a list that is a key or is not closed, expected a scalar as key"},
      {"a list that is not closed", "a: [b, c\nd: e\n",
       "f.yaml:2:2: not YAML 1.2: end of sequence flow not found"},
      {"a mapping that is not closed", "{a: b\n",
       "f.yaml:1:1: found a mapping that is a key or is not closed, expected a scalar as key"},
      {"a key without a colon", "a: b\nc\n",
       "f.yaml:2:1: found \"c\" without a colon, expected a key and a value"},
      {"text after a list", "- a\nb: c\n",
       "[s'a'] | f.yaml:2:1: found more text after the end of a document, expected --- before another"},
      {"text after a mapping in flow style", "{a: b}\nc: d\n",
       "{a: s'b'} | f.yaml:2:1: found more text after the end of a document, expected --- before another"},
      {"a directive without a document start", "%x\na: b\n",
       "f.yaml:2:1: found more text after the end of a document, expected --- before another"},
      {"indentation that fits nothing", "a:\n  b: 1\n c: 2\n",
       "f.yaml:3:2: not YAML 1.2: end of map not found"},
      {"a tab as indentation", "a:\n\tb: c\n", "f.yaml:2:3: not YAML 1.2: found a tab as indentation, expected spaces"},
      {"a text in double quotes that is not closed", "a: \"b\nc: d\n",
       "{a: s'b c: d '} | f.yaml:1:4: found a text in quotes that is not closed, expected it to end"},
      {"a text in single quotes that is not closed", "a: 'b ''c''\nd: e\n",
       "{a: s'b 'c' d: e '} | f.yaml:1:4: found a text in quotes that is not closed, expected it to end"},
      {"a text that is not closed behind an anchor", "a: &x \"b\\\"\n",
       "{a: s'b\" '} | f.yaml:1:4: found a text in quotes that is not closed, expected it to end"},
      {"an unknown alias", "a: *b\n", "f.yaml:1:4: not YAML 1.2: the referenced anchor is not defined"},
      {"an alias inside its own value", "a: &x [1, *x]\n",
       "f.yaml:1:11: found an alias inside the value it stands for, expected it after"},
      {"including what is no mapping", "<<: [1]\n", "f.yaml:1:6: <<: found the number 1, expected a mapping"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(parsed(row.text), row.tree);
  }
}

TEST(Yaml, refuses_text_that_is_not_utf_8_or_holds_control_characters) {
  EXPECT_EQ(parsed("a: \xff"), "f.yaml:1:4: found the byte 0xff, expected UTF-8 text");
  EXPECT_EQ(parsed("a: b\nc: \xc3\x28"), "f.yaml:2:4: found the byte 0xc3, expected UTF-8 text");
  EXPECT_EQ(parsed("a: \xed\xa0\x80"), "f.yaml:1:4: found the byte 0xed, expected UTF-8 text");
  EXPECT_EQ(parsed("a: \xc0\xaf"), "f.yaml:1:4: found the byte 0xc0, expected UTF-8 text");
  EXPECT_EQ(parsed("a: \xe2\x82"), "f.yaml:1:4: found the byte 0xe2, expected UTF-8 text");
  EXPECT_EQ(parsed(std::string_view("\xff\xfe"
                                    "a\0",
                                    4)),
            "f.yaml:1:1: found the byte 0xff, expected UTF-8 text");
  EXPECT_EQ(parsed(std::string_view("a: b\0c", 6)),
            "f.yaml:1:5: found the control character 0x00, expected text");
  // yaml-cpp would take this byte for the end of the file.
  EXPECT_EQ(parsed("a: b\n\x04\nc: d"), "f.yaml:2:1: found the control character 0x04, expected text");
  EXPECT_EQ(parsed("a: \xc3\xa9\xf0\x9f\x98\x80"), "{a: s'\xc3\xa9\xf0\x9f\x98\x80'}");
}

TEST(Yaml, places_count_from_one) {
  const auto result = parse_documents("# x\na:\n  - b: c\n", "f.yaml", [](const Value& document) {
    EXPECT_EQ(document.line, 2u);
    const Value& list = document.member(0);
    EXPECT_EQ(list.line, 3u);
    EXPECT_EQ(list.column, 3u);
    const Value& c = list.items[0].member(0);
    EXPECT_EQ(c.line, 3u);
    EXPECT_EQ(c.column, 8u);
  });
  EXPECT_TRUE(result.has_value());
}

TEST(Yaml, a_null_value_is_not_found) {
  std::size_t documents = 0;
  const auto result = parse_documents("a: null\nb: 1\n", "f.yaml", [&](const Value& document) {
    ++documents;
    EXPECT_EQ(document.find("a"), nullptr);
    ASSERT_NE(document.find("b"), nullptr);
    EXPECT_EQ(document.find("c"), nullptr);
    EXPECT_EQ(document.find("b")->find("x"), nullptr);
  });
  EXPECT_TRUE(result.has_value());
  EXPECT_EQ(documents, 1u);
}

TEST(Json, is_chosen_by_the_ending_of_the_name) {
  EXPECT_EQ(syntax_of("a/b.json"), Syntax::json);
  EXPECT_EQ(syntax_of("a/b.yaml"), Syntax::yaml);
  EXPECT_EQ(syntax_of("json"), Syntax::yaml);
}

TEST(Json, reads_values_and_refuses_what_is_no_json) {
  const Row rows[] = {
      {"every kind", R"({"a": [1, -2, 1.5, true, null, "x"], "b": {}})",
       "{a: [i'1', i'-2', r'1.5', b'true', n'', s'x'], b: {}}"},
      {"a character beyond 16 bits", R"(["\ud83d\ude00"])", "[s'\xf0\x9f\x98\x80']"},
      {"YAML is no JSON", "a: b",
       "f.json:1:1: not JSON: syntax error while parsing value - invalid literal; last read: 'a'"},
      {"a comma too many", "{\"a\": 1,\n}",
       "f.json:2:1: not JSON: syntax error while parsing object key - unexpected '}'; expected string "
       "literal"},
      {"text after the end", "{} {}",
       "f.json:1:4: not JSON: syntax error while parsing value - unexpected '{'; expected end of input"},
      {"a duplicate key", "{\"a\": 1,\n \"a\": 2}",
       "f.json:2:2: found the key \"a\" twice in one mapping, expected once"},
      {"an include is an ordinary key", R"({"<<": {"a": 1}})", "{<<: {a: i'1'}}"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(parsed(row.text, "f.json"), row.tree);
  }
}

TEST(Json, places_are_those_of_the_tokens) {
  const std::string text = "{\n  \"a\": [10 ,\n    \"x\\n\", {\"b\" :\n true}],\n  \"c\": 12}";
  std::vector<std::string> places;
  const std::function<void(const Value&)> walk = [&](const Value& value) {
    places.push_back(value.text + "@" + std::to_string(value.line) + ":" + std::to_string(value.column));
    for (const auto& item : value.items) walk(item);
  };
  EXPECT_TRUE(parse_documents(text, "f.json", walk).has_value());
  const std::vector<std::string> expected{"@1:1",  "a@2:3",  "@2:8",     "10@2:9", "x\n@3:5",
                                          "@3:12", "b@3:13", "true@4:2", "c@5:3",  "12@5:8"};
  EXPECT_EQ(places, expected);
}

}  // namespace
}  // namespace postern::manifest::value_test
