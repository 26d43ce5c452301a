// SPDX-License-Identifier: Apache-2.0
#include "agent/aws/xml.h"

#include <gtest/gtest.h>

namespace postern::agent::aws {
namespace {

TEST(Xml, elements_are_found_by_name_whatever_their_prefix) {
  const auto root = parse_xml(
      "<?xml version='1.0'?><a:r xmlns:a='urn:x'><s><v> one&amp; </v><v>two</v></s>"
      "<!-- a comment --><e/><t>x<u>y</u>z</t></a:r>");
  ASSERT_TRUE(root) << root.error().message;
  EXPECT_EQ(root->name, "r");
  EXPECT_EQ(root->text_of({"s", "v"}), "one&");
  EXPECT_EQ(root->text_of({"e"}), "");
  EXPECT_EQ(root->text_of({"t"}), "xz");
  EXPECT_EQ(root->text_of({"t", "u"}), "y");
  EXPECT_EQ(root->find({"s", "w"}), nullptr);
  EXPECT_EQ(root->text_of({"nothing", "here"}), "");
  EXPECT_EQ(root->find({"s"})->children.size(), 2u);
}

TEST(Xml, what_is_no_short_harmless_answer_is_refused) {
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "<a>";
  for (int i = 0; i < 33; ++i) deep += "</a>";
  const struct {
    const char* name;
    std::string text;
    const char* message;
  } rows[] = {
      {"nothing", "", "line 1, column 1: found no element found, expected XML"},
      {"JSON", "{\"a\":1}", "line 1, column 1: found not well-formed (invalid token), expected XML"},
      {"cut off", "<a>\n<b>", "line 2, column 4: found no element found, expected XML"},
      {"crossed", "<a><b></a></b>", "line 1, column 9: found mismatched tag, expected XML"},
      {"entities of its own", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
       "line 1, column 13: found a document type, expected XML"},
      {"deep", deep, "line 1, column 100: found elements nested more than 32 deep, expected XML"},
      {"long", std::string((1u << 20) + 1, ' '), "found more than 1 MiB, expected a short XML answer"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    const auto root = parse_xml(row.text);
    ASSERT_FALSE(root);
    EXPECT_EQ(root.error().message, row.message);
  }
}

}  // namespace
}  // namespace postern::agent::aws
