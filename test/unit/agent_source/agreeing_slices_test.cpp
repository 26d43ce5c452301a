// SPDX-License-Identifier: Apache-2.0
// Slices of a policy that disagree: what stays in force, what goes on, what is said and how often.
#include "agent/source/agreeing_slices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SlicePtr slice(const std::string& name, const std::string& policy, const std::string& directions,
               const std::string& pod = "pod") {
  auto made = std::make_shared<PolicyEndpoint>();
  made->key = {"x", name};
  made->policy = {"x", policy};
  made->isolates_ingress = directions.find('i') != std::string::npos;
  made->isolates_egress = directions.find('e') != std::string::npos;
  made->pods.push_back({{"x", pod}, std::nullopt, std::nullopt});
  made->ingress.resize(1);
  made->egress.resize(1);
  return made;
}

class AgreeingSlicesTest : public ::testing::Test {
 protected:
  // "a-1 of a: ie, 2 rules": what is in force, by name.
  std::vector<std::string> settled() {
    slices.settle(in_force);
    std::vector<std::string> lines;
    for (const auto& [key, one] : in_force) {
      lines.push_back(key.name + " of " + one.policy.name + ": " + (one.isolates_ingress ? "i" : "") +
                      (one.isolates_egress ? "e" : "") + ", " +
                      std::to_string(one.ingress.size() + one.egress.size()) + " rules");
    }
    return lines;
  }

  AgreeingSlices slices;
  PolicyEndpoints in_force;
};

TEST_F(AgreeingSlicesTest, the_last_that_agreed_stay_while_other_policies_go_on) {
  slices.put(slice("a-1", "a", "i"));
  slices.put(slice("a-2", "a", "i"));
  slices.put(slice("b-1", "b", "i"));
  EXPECT_THAT(settled(), ElementsAre("a-1 of a: i, 2 rules", "a-2 of a: i, 2 rules", "b-1 of b: i, 2 rules"));
  slices.put(slice("a-2", "a", "ie"));
  slices.put(slice("a-3", "a", "ie"));
  slices.put(slice("b-1", "b", "e"));
  EXPECT_THAT(settled(), ElementsAre("a-1#a of a: i, 2 rules", "a-2#a of a: i, 2 rules", "b-1 of b: e, 2 rules"));
  EXPECT_EQ(slices.disagreeing(), 1u);
  EXPECT_THAT(slices.take_news().errors,
              ElementsAre("PolicyEndpoints x/a-1 and x/a-2 of x/a disagree on podIsolation: found [Ingress] and "
                          "[Ingress, Egress], expected one of them in both; its last slices that agreed stay in force"));
  EXPECT_TRUE(inconsistent_policies(in_force).empty());
  // A slice that is deleted meanwhile is still part of the version that agreed.
  slices.remove({"x", "a-3"});
  EXPECT_THAT(settled(), ElementsAre("a-1#a of a: i, 2 rules", "a-2#a of a: i, 2 rules", "b-1 of b: e, 2 rules"));
  EXPECT_THAT(slices.take_news().errors, IsEmpty()) << "the same is said once";
  slices.put(slice("a-1", "a", "ie"));
  EXPECT_THAT(settled(), ElementsAre("a-1 of a: ie, 2 rules", "a-2 of a: ie, 2 rules", "b-1 of b: e, 2 rules"));
  EXPECT_THAT(slices.take_news().notices, ElementsAre("the PolicyEndpoints of x/a no longer disagree"));
  EXPECT_EQ(slices.disagreeing(), 0u);
  EXPECT_EQ(slices.disagreements(), 1u);
}

TEST_F(AgreeingSlicesTest, a_policy_that_never_agreed_is_closed_for_whom_it_lists) {
  slices.put(slice("a-1", "a", "i", "one"));
  slices.put(slice("a-2", "a", "e", "two"));
  EXPECT_THAT(settled(), ElementsAre("a-1#a of a: ie, 0 rules", "a-2#a of a: ie, 0 rules"));
  EXPECT_EQ(in_force.at({"x", "a-2#a"}).pods.front().pod.name, "two");
  EXPECT_TRUE(inconsistent_policies(in_force).empty());
  EXPECT_THAT(slices.take_news().errors, ElementsAre(HasSubstr("its pods are isolated and no rule of it is in force")));
  slices.put(slice("a-3", "a", "i", "three"));
  EXPECT_EQ(settled().size(), 3u) << "who is listed later is closed too";
  slices.remove({"x", "a-2"});
  EXPECT_THAT(settled(), ElementsAre("a-1 of a: i, 2 rules", "a-3 of a: i, 2 rules"));
}

TEST_F(AgreeingSlicesTest, what_agrees_again_before_anybody_asks_is_never_said) {
  slices.put(slice("a-1", "a", "i"));
  slices.put(slice("a-2", "a", "i"));
  settled();
  slices.put(slice("a-1", "a", "ie"));
  settled();
  slices.put(slice("a-2", "a", "ie"));
  EXPECT_THAT(settled(), ElementsAre("a-1 of a: ie, 2 rules", "a-2 of a: ie, 2 rules"));
  const auto news = slices.take_news();
  EXPECT_THAT(news.errors, IsEmpty());
  EXPECT_THAT(news.notices, IsEmpty());
}

TEST_F(AgreeingSlicesTest, a_slice_that_passes_to_another_policy_takes_nothing_from_the_one_that_is_held) {
  for (const std::string other : {"0", "z"}) {
    SCOPED_TRACE("the other policy comes " + std::string(other < "a" ? "before" : "after"));
    slices.clear();
    settled();
    slices.put(slice("s-1", "a", "i"));
    slices.put(slice("s-2", "a", "i"));
    slices.put(slice("s-3", "a", "i"));
    settled();
    slices.put(slice("s-1", other, "e"));
    slices.put(slice("s-2", "a", "e"));
    auto lines = settled();
    EXPECT_THAT(lines, ElementsAre("s-1 of " + other + ": e, 2 rules", "s-1#a of a: i, 2 rules",
                                   "s-2#a of a: i, 2 rules", "s-3#a of a: i, 2 rules"));
  }
}

TEST_F(AgreeingSlicesTest, a_slice_that_cannot_be_read_holds_its_policys_other_slices_back) {
  slices.put(slice("a-1", "a", "i"));
  slices.put(slice("a-2", "a", "i"));
  slices.put(slice("b-1", "b", "i"));
  settled();
  slices.put(slice("a-2", "a", "i", "another"));
  slices.put(slice("b-1", "b", "e"));
  slices.refuse({{"x", "a-1"}, {"x", "never-read"}});
  const auto held = ElementsAre("a-1#a of a: i, 2 rules", "a-2#a of a: i, 2 rules", "b-1 of b: e, 2 rules");
  EXPECT_THAT(settled(), held);
  EXPECT_EQ(in_force.at({"x", "a-2#a"}).pods.front().pod.name, "pod");
  EXPECT_EQ(slices.disagreeing(), 0u) << "it is refused, and counts as such";
  EXPECT_THAT(slices.take_news().errors, IsEmpty());
  slices.remove({"x", "a-2"});
  EXPECT_THAT(settled(), held);
  slices.put(slice("a-2", "a", "i", "another"));
  slices.refuse({});  // without a new version: the one before was right
  EXPECT_THAT(settled(), ElementsAre("a-1 of a: i, 2 rules", "a-2 of a: i, 2 rules", "b-1 of b: e, 2 rules"));
  EXPECT_EQ(in_force.at({"x", "a-2"}).pods.front().pod.name, "another");
  slices.refuse({{"x", "a-1"}});
  slices.remove({"x", "a-1"});
  slices.remove({"x", "a-2"});
  EXPECT_THAT(settled(), ElementsAre("b-1 of b: e, 2 rules"));
}

TEST_F(AgreeingSlicesTest, a_policy_that_is_gone_leaves_nothing_whether_it_agreed_or_not) {
  slices.put(slice("a-1", "a", "i"));
  slices.put(slice("b-1", "b", "i"));
  slices.put(slice("b-2", "b", "e"));
  settled();
  slices.take_news();
  for (const char* name : {"a-1", "b-1", "b-2", "never-there"}) slices.remove({"x", name});
  EXPECT_THAT(settled(), IsEmpty());
  EXPECT_EQ(slices.disagreeing(), 0u);
  EXPECT_THAT(slices.take_news().notices, ElementsAre(HasSubstr("x/b")));
}

}  // namespace
}  // namespace postern::agent
