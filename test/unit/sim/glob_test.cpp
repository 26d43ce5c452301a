// SPDX-License-Identifier: Apache-2.0
#include "sim/runner/glob.h"

#include <gtest/gtest.h>

namespace postern::sim::glob_test {
namespace {

struct Row {
  const char* pattern;
  const char* text;
  bool matches;
};

TEST(Glob, AStarIsAnyRunOfCharactersButASlash) {
  const Row rows[] = {
      {"*", "", true},          {"*", "abc", true},      {"*", "a/b", false},      {"a*c", "abbc", true},
      {"a*c", "ac", true},      {"a*c", "ab", false},    {"*a*b*", "xaxbx", true}, {"*ab*ab", "abab", true},
      {"*ab*ab", "ab", false},  {"**", "x", true},       {"", "", true},           {"", "x", false},
      {"a.b", "axb", false},    {"[ab]", "a", false},    {"?", "x", false},        {"*-1", "web-11-1", true},
      {"x/*", "x/a", true},     {"*/a", "x/a", true},    {"x*a", "x/a", false},    {"a*", "a/b", false},
      {"web-*", "web-0", true}, {"web-*", "web", false},
  };
  for (const Row& row : rows)
    EXPECT_EQ(glob_matches(row.pattern, row.text), row.matches) << row.pattern << " on " << row.text;
}

TEST(Glob, ManyStarsTakeNoLongTime) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_FALSE(glob_matches(pattern + "b", std::string(5000, 'a')));
}

}  // namespace
}  // namespace postern::sim::glob_test
