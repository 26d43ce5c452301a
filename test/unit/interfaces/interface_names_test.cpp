// SPDX-License-Identifier: Apache-2.0
// Names of interfaces made from names of pods. The digits were computed by sha1sum.
#include <gtest/gtest.h>

#include "agent/interfaces/interface_names.h"

namespace postern::agent {
namespace {

TEST(InterfaceNamesTest, a_template_makes_the_name_that_the_plug_in_makes) {
  struct Row {
    const char* text;
    NamespacedName pod;
    std::optional<std::string> name;
  };
  const std::vector<Row> rows{
      {"eni{hash}", {"shop", "web"}, "eni551b05c3e54"},
      {"vlan{hash}", {"shop", "web"}, "vlan551b05c3e54"},
      {"cali{hash}", {"kube-system", "coredns-5d78c9869d-abcde"}, "cali4d5f75c480c"},
      {"{hash}", {"default", "a"}, "acd53aa4120"},
      {"tap-{pod}", {"shop", "web"}, "tap-web"},
      {"{namespace}.{pod}", {"shop", "web"}, "shop.web"},
      {"{pod}", {"shop", "fifteen-letters"}, "fifteen-letters"},
      {"{pod}", {"shop", "sixteen--letters"}, std::nullopt},
      {"veth-{pod}", {"shop", "web-6d4cf56db6-x"}, std::nullopt},
  };
  for (const auto& row : rows) {
    const auto parsed = NameTemplate::parse(row.text);
    ASSERT_TRUE(parsed) << row.text << ": " << parsed.error().message;
    EXPECT_EQ(parsed->name_of(row.pod), row.name) << row.text << " for " << row.pod.to_string();
  }
}

TEST(InterfaceNamesTest, a_template_that_cannot_name_a_pod_is_refused_with_the_reason) {
  struct Row {
    const char* text;
    const char* reason;
  };
  const std::vector<Row> rows{
      {"", "needs {hash} or {pod}"},
      {"eth0", "needs {hash} or {pod}"},
      {"{namespace}", "needs {hash} or {pod}"},
      {"veth{uid}", "a brace must begin"},
      {"veth{hash", "a brace must begin"},
      {"veth}{hash}", "a brace must begin"},
      {"postern{hash}", "longer than 15 bytes"},
  };
  for (const auto& row : rows) {
    const auto parsed = NameTemplate::parse(row.text);
    ASSERT_FALSE(parsed) << row.text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_input) << row.text;
    EXPECT_NE(parsed.error().message.find(row.reason), std::string::npos) << parsed.error().message;
  }
}

TEST(InterfaceNamesTest, the_known_templates_are_those_of_amazon_and_calico) {
  std::vector<std::string> texts;
  for (const auto& known : known_name_templates()) texts.push_back(known.text());
  EXPECT_EQ(texts, (std::vector<std::string>{"eni{hash}", "vlan{hash}", "cali{hash}"}));
}

}  // namespace
}  // namespace postern::agent
