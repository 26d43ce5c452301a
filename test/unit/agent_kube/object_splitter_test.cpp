// SPDX-License-Identifier: Apache-2.0
// Bytes cut anywhere give the same objects.
#include "agent/kube/object_splitter.h"

#include <gtest/gtest.h>

#include "test/unit/agent_kube/api_texts.h"

namespace postern::agent::kube {
namespace {

struct Cut {
  std::vector<std::string> objects;
  std::string envelope;
  bool boundary = false;
  std::string error;
};

// In pieces that end at `ends` (ascending); what is left after the last is one more.
Cut cut(ObjectSplitter::Shape shape, std::string_view text, const std::vector<std::size_t>& ends,
        std::size_t limit = ObjectSplitter::kMaxObjectBytes) {
  ObjectSplitter splitter(shape, limit);
  Cut result;
  const auto each = [&](const Piece& piece) -> Result<void> {
    result.objects.push_back(std::string(piece.text) +
                             (piece.whole ? "" : "... of " + std::to_string(piece.bytes)));
    return {};
  };
  std::size_t start = 0;
  for (std::size_t i = 0; i <= ends.size(); ++i) {
    const std::size_t end = i < ends.size() ? ends[i] : text.size();
    if (const auto taken = splitter.take(text.substr(start, end - start), each); !taken) {
      result.error = taken.error().message;
      break;
    }
    start = end;
  }
  result.boundary = splitter.at_boundary();
  result.envelope = splitter.envelope();
  return result;
}

std::vector<std::size_t> every(std::size_t step, std::size_t size) {
  std::vector<std::size_t> ends;
  for (std::size_t at = step; at < size; at += step) ends.push_back(at);
  return ends;
}

const std::string kTricky = R"({"a":"}\"]{","b":[{"c":"\\"},[],{}],"items":[1],"d":"\u007d é"})";

TEST(ObjectSplitter, GivesTheObjectsOfAWatchWhereverTheBytesAreCut) {
  const std::string text = " \n" + kTricky + "\n{}" + kTricky + "\r\n";
  const std::vector<std::string> expected{kTricky, "{}", kTricky};
  for (std::size_t end = 0; end <= text.size(); ++end) {
    const auto result = cut(ObjectSplitter::Shape::watch, text, {end});
    EXPECT_EQ(result.objects, expected) << "cut at " << end << " " << result.error;
    EXPECT_TRUE(result.boundary);
  }
  for (const std::size_t step : {1u, 2u, 3u, 7u}) {
    EXPECT_EQ(cut(ObjectSplitter::Shape::watch, text, every(step, text.size())).objects, expected) << step;
  }
}

TEST(ObjectSplitter, GivesTheItemsOfAListAndWhatIsAroundThemWhereverTheBytesAreCut) {
  const std::string head =
      R"({"kind":"PodList","items_":["items"],"metadata":{"items":[{"x":1}],"continue":"\"items\":["},"items" : [)";
  const std::string tail = R"(],"after":"items"})";
  const std::string text = head + "\n " + kTricky + " , {},\n" + kTricky + " " + tail + "\n";
  const std::vector<std::string> expected{kTricky, "{}", kTricky};
  for (std::size_t end = 0; end <= text.size(); ++end) {
    const auto result = cut(ObjectSplitter::Shape::list, text, {end});
    EXPECT_EQ(result.objects, expected) << "cut at " << end << " " << result.error;
    EXPECT_EQ(result.envelope, head + tail);
    EXPECT_TRUE(result.boundary);
  }
  EXPECT_EQ(cut(ObjectSplitter::Shape::list, text, every(1, text.size())).envelope, head + tail);
}

TEST(ObjectSplitter, KnowsThatBytesBreakOffWhereverTheyDo) {
  const std::string list = list_json("Pod", "7", {pod_json("a", "b", "1"), pod_json("a", "c", "2")});
  for (std::size_t size = 0; size + 1 < list.size(); ++size) {
    const auto result = cut(ObjectSplitter::Shape::list, std::string_view(list).substr(0, size), {});
    EXPECT_FALSE(result.boundary) << size;
    EXPECT_EQ(result.error, "") << size;
  }
  const std::string event = event_json("ADDED", pod_json("a", "b", "1"));
  for (std::size_t size = 1; size + 1 < event.size(); ++size) {
    EXPECT_FALSE(cut(ObjectSplitter::Shape::watch, std::string_view(event).substr(0, size), {}).boundary)
        << size;
  }
}

TEST(ObjectSplitter, ReadsListsOfAnyForm) {
  struct Row {
    const char* text;
    std::vector<std::string> objects;
  };
  const Row rows[] = {
      {R"({"items":[]})", {}},
      {R"({"items":null,"kind":"PodList"})", {}},
      {R"({"kind":"PodList"})", {}},
      {R"({})", {}},
      {R"({"items":[{"a":1}],"metadata":{}})", {R"({"a":1})"}},
      {R"({"items":{"a":1}})", {}},
  };
  for (const auto& row : rows) {
    const auto result = cut(ObjectSplitter::Shape::list, row.text, {});
    EXPECT_EQ(result.objects, row.objects) << row.text;
    EXPECT_EQ(result.error, "") << row.text;
    EXPECT_TRUE(result.boundary) << row.text;
  }
}

TEST(ObjectSplitter, SaysWhereBytesAreNoAnswer) {
  struct Row {
    ObjectSplitter::Shape shape;
    std::string text;
    const char* error;
  };
  using enum ObjectSplitter::Shape;
  const Row rows[] = {
      {watch, "{}\n<html>", "found '<' at byte 4 of the answer, expected the { of an event"},
      {watch, "\x1f\x8b", "found the byte 0x1f at byte 1 of the answer, expected the { of an event"},
      {watch, "{}]", "found ']' at byte 3 of the answer, expected the { of an event"},
      {list, "[{}]", "found '[' at byte 1 of the answer, expected the { of a list"},
      {list, R"({"items":[1]})",
       "found '1' at byte 11 of the answer, expected an object, a comma or the end of items"},
      {list, R"({"items":[{}{}]})",
       "found '{' at byte 13 of the answer, expected an object, a comma or the end of items"},
      {list, R"({"items":[,{}]})",
       "found ',' at byte 11 of the answer, expected an object, a comma or the end of items"},
      {list, R"({"items":[],"items":[]})", "found '[' at byte 21 of the answer, expected items once"},
      {list, R"({"items":[]}{)", "found '{' at byte 13 of the answer, expected nothing after the list"},
      {list, "{\"a\":\"" + std::string(ObjectSplitter::kMaxEnvelopeBytes, 'x'),
       "the list has more than 1048576 bytes beside its items"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(cut(row.shape, row.text, {}).error, row.error);
    const std::size_t step = row.text.size() < 100 ? 1 : 4097;
    EXPECT_EQ(cut(row.shape, row.text, every(step, row.text.size())).error, row.error);
    EXPECT_FALSE(cut(row.shape, row.text, {}).boundary);
  }
}

TEST(ObjectSplitter, ReadsPastAnObjectThatIsTooLargeAndKeepsItsBeginning) {
  const std::string large = R"({"name":"x","filler":")" + std::string(100, '}') + "\"}";
  const std::string expected = large.substr(0, 40) + "... of " + std::to_string(large.size());
  const std::string text = "{}" + large + R"({"a":1})";
  for (std::size_t end = 0; end <= text.size(); ++end) {
    const auto result = cut(ObjectSplitter::Shape::watch, text, {end}, 40);
    EXPECT_EQ(result.objects, (std::vector<std::string>{"{}", expected, R"({"a":1})"})) << end;
  }
}

TEST(ObjectSplitter, HandsOnTheErrorOfItsReceiverAndStops) {
  ObjectSplitter splitter(ObjectSplitter::Shape::watch);
  int calls = 0;
  const auto each = [&](const Piece&) -> Result<void> {
    ++calls;
    return fail(ErrorCode::internal, "enough");
  };
  const auto taken = splitter.take("{}{}", each);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().message, "enough");
  EXPECT_FALSE(splitter.take("{}", each));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace postern::agent::kube
