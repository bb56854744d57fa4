// Conversations as requests and as files (src/cli/conversation.h).
#include "cli/conversation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace dgemma::cli {
namespace {

using ::testing::HasSubstr;

class ConversationFile : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const char* name) const { return folder_ / name; }
  std::string error_of(const std::string& text) const {
    std::ofstream(path("in.json")) << text;
    auto loaded = Conversation::load(path("in.json"));
    return loaded ? "" : loaded.error().message;
  }
  const std::filesystem::path folder_ = testing::TempDir() + "conversation";
};

TEST(Conversation, is_a_request_without_its_thoughts) {
  Conversation conversation;
  conversation.system = "Be brief.";
  conversation.think = true;
  conversation.add(ChatRole::kUser, "Hello \"you\"\n");
  conversation.add(ChatRole::kAssistant, "Hi.", "A greeting.");
  const ChatRequest request = conversation.request();
  EXPECT_TRUE(request.think);
  ASSERT_EQ(request.messages.size(), 3u);
  EXPECT_EQ(request.messages[0].role, ChatRole::kSystem);
  EXPECT_EQ(request.messages[0].content, "Be brief.");
  EXPECT_EQ(request.messages[1].role, ChatRole::kUser);
  EXPECT_EQ(request.messages[1].content, "Hello \"you\"\n");
  EXPECT_EQ(request.messages[2].role, ChatRole::kAssistant);
  EXPECT_EQ(request.messages[2].content, "Hi.") << "without what was thought";
}

TEST_F(ConversationFile, has_no_invalid_utf8) {
  Conversation conversation;
  conversation.add(ChatRole::kUser, "a\xFF\xE6\x97z");
  ASSERT_TRUE(conversation.save(path("a.json")));
  EXPECT_EQ(Conversation::load(path("a.json"))->messages[0].content, "a\uFFFD\uFFFDz");
}

TEST_F(ConversationFile, comes_back_as_it_was_saved) {
  Conversation conversation;
  conversation.system = "Sys";
  conversation.add(ChatRole::kUser, "Hello 日本");
  conversation.add(ChatRole::kAssistant, "Hi.", "Hm.");
  ASSERT_TRUE(conversation.save(path("a.json")));
  ASSERT_TRUE(conversation.save(path("a.json"))) << "over an earlier one";
  const auto loaded = Conversation::load(path("a.json"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->system, "Sys");
  EXPECT_FALSE(loaded->think);
  ASSERT_EQ(loaded->messages.size(), 2u);
  EXPECT_EQ(loaded->messages[0].content, "Hello 日本");
  EXPECT_EQ(loaded->messages[1].reasoning, "Hm.");
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++files;
  EXPECT_EQ(files, 1u) << "no temporary file is left";
}

TEST_F(ConversationFile, where_it_cannot_be_written_nothing_is_lost) {
  Conversation conversation;
  EXPECT_EQ(conversation.save(path("no/folder.json")).error().code, ErrorCode::kIo);
}

TEST_F(ConversationFile, wrong_files_are_refused_with_the_place) {
  EXPECT_THAT(error_of("{"), HasSubstr("in.json: expected a JSON object with messages"));
  EXPECT_THAT(error_of("[]"), HasSubstr("a JSON object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("messages: expected an array"));
  EXPECT_THAT(error_of(R"({"messages": [1]})"), HasSubstr("messages[0]: expected an object"));
  EXPECT_THAT(error_of(R"({"messages": [{"role": "user"}]})"), HasSubstr("messages[0].content: expected text"));
  EXPECT_THAT(error_of(R"({"messages": [{"role": "king", "content": "x"}]})"), HasSubstr("messages[0].role"));
  EXPECT_THAT(error_of(R"({"messages": [{"role": "user", "content": [1]}]})"), HasSubstr("messages[0].content"));
  EXPECT_THAT(error_of(R"({"messages": [], "chat_template_kwargs": {"enable_thinking": 1}})"),
              HasSubstr("enable_thinking: expected true or false"));
  EXPECT_EQ(Conversation::load(path("missing.json")).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace dgemma::cli
