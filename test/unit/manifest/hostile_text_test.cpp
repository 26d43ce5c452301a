// SPDX-License-Identifier: Apache-2.0
// Text that was written to take memory or time. Each row ends with a message, and soon: the test's
// own time limit is far above what any of them needs.
#include <gtest/gtest.h>

#include "engine/manifest/reader.h"

namespace postern::manifest {
namespace {

std::string repeated(const std::string& text, std::size_t times) {
  std::string all;
  all.reserve(text.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string first_message(const std::string& text, const std::string& file = "f.yaml") {
  const auto read = read_manifest(text, file);
  return read ? "" : read.error().front().to_string();
}

TEST(HostileText, nesting_is_capped_in_yaml) {
  EXPECT_EQ(first_message(repeated("[", 10000) + repeated("]", 10000)),
            "f.yaml:1:65: nested deeper than 64 lists and mappings");
  EXPECT_EQ(first_message(repeated("{a: ", 10000) + repeated("}", 10000)),
            "f.yaml:1:257: nested deeper than 64 lists and mappings");
  EXPECT_EQ(first_message(repeated("- ", 10000) + "a"),
            "f.yaml:1:129: nested deeper than 64 lists and mappings");
  EXPECT_NE(first_message(repeated("[", 10000)), "");
}

TEST(HostileText, nesting_is_capped_in_json) {
  EXPECT_EQ(first_message(repeated("[", 10000), "f.json"),
            "f.json:1:65: nested deeper than 64 lists and mappings");
}

TEST(HostileText, aliases_count_as_what_they_stand_for) {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char name = 'b'; name <= 'z'; ++name) {
    const std::string before(1, static_cast<char>(name - 1));
    text +=
        std::string(1, name) + ": &" + name + " [" + repeated("*" + before + ", ", 8) + "*" + before + "]\n";
  }
  EXPECT_EQ(first_message(text), "f.yaml:6:4: the anchors of the document stand for more than 250000 values");
}

TEST(HostileText, aliases_cannot_nest_deeper_than_text) {
  std::string text = "a0: &a0 [x]\n";
  for (int i = 1; i < 1000; ++i) {
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  }
  EXPECT_EQ(first_message(text), "f.yaml:64:12: nested deeper than 64 lists and mappings");
}

TEST(HostileText, what_yaml_cpp_reads_ahead_is_capped) {
  EXPECT_EQ(first_message("[" + repeated("a,", 800'000) + "]"),
            "f.yaml:1: the file has more than 700000 brackets, braces, commas, colons and other marks of YAML");
  for (const char* token : {"? ", ": ", "a: ", "*a ", "&a ", "!a "}) {
    SCOPED_TRACE(token);
    EXPECT_EQ(first_message("[" + repeated(token, 800'000) + "]"),
              "f.yaml:1: the file has more than 700000 brackets, braces, commas, colons and other marks of "
              "YAML");
  }
}

TEST(HostileText, values_are_those_of_one_document_and_marks_those_of_the_file) {
  ParseLimits limits;
  limits.marks = 801;
  limits.values = 12;
  const std::string document = "---\n[[a, b], [c, d], [e]]\n";  // 8 marks, 9 values
  std::size_t documents = 0;
  const auto count = [&](const Value& /*document*/) { ++documents; };
  EXPECT_TRUE(parse_documents(repeated(document, 100), "f.yaml", count, limits).has_value());
  EXPECT_EQ(documents, 100u);
  EXPECT_EQ(parse_documents(repeated(document, 101), "f.yaml", count, limits).error().to_string(),
            "f.yaml:202: the file has more than 801 brackets, braces, commas, colons and other marks of YAML");
  limits.marks = 10;
  EXPECT_EQ(parse_documents("[[a, b], [c, d], [e, f, g, h]]\n", "f.yaml", count, limits).error().to_string(),
            "f.yaml:1: the file has more than 10 brackets, braces, commas, colons and other marks of YAML");
  EXPECT_EQ(parse_documents(repeated("- a\n", 12), "f.yaml", count, limits).error().to_string(),
            "f.yaml:12:3: the document has more than 12 values, aliases counted as what they stand for");
}

TEST(HostileText, size_is_capped) {
  EXPECT_EQ(first_message(std::string((6u << 20) + 1, ' ')),
            "f.yaml: the file has 6291457 bytes, expected at most 6291456 of YAML");
  EXPECT_EQ(first_message(std::string((16u << 20) + 1, ' '), "f.json"),
            "f.json: the file has 16777217 bytes, expected at most 16777216 of JSON");
}

TEST(HostileText, one_line_of_megabytes_is_read) {
  const std::string text =
      "{apiVersion: v1, kind: ConfigMap, data: {a: \"" + std::string(5u << 20, 'x') + "\"}}\n";
  EXPECT_EQ(first_message(text), "");
}

TEST(HostileText, a_long_value_is_cut_in_messages) {
  const std::string text =
      "{apiVersion: v1, kind: Pod, metadata: {name: \"" + std::string(1u << 20, '!') + "\"}}\n";
  EXPECT_LT(first_message(text).size(), 300u);
  const std::string port = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: \"" +
                           std::string(1u << 20, '!') + "\"}]}\n";
  EXPECT_LT(first_message(port).size(), 300u);
}

TEST(HostileText, an_include_of_a_large_mapping_takes_no_square_of_time) {
  std::string text = "a: &a {";
  for (int i = 0; i < 100'000; ++i) text += "k" + std::to_string(i) + ": v, ";
  text += "}\nb: {<<: *a, x: y}\napiVersion: v1\nkind: ConfigMap\n";
  EXPECT_EQ(first_message(text), "");
}

}  // namespace
}  // namespace postern::manifest
