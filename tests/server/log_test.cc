// src/server/log.h: what stands on standard error.
#include "server/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tiny_service.h"

namespace dgemma::server {
namespace {

using testing::HasSubstr;
constexpr uint64_t kGiB = uint64_t{1} << 30;

/// The lines about a model with 50 GiB of weights, without their times in the text form.
std::vector<std::string> lines_of(LogFormat format, uint64_t memory_bytes) {
  ModelInfo info;
  info.path = "big.gguf", info.weight_bytes = 50 * kGiB;
  testing::internal::CaptureStderr();
  log_ready(Log(format), info, memory_bytes);
  std::istringstream text(testing::internal::GetCapturedStderr());
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);)
    lines.push_back(format == LogFormat::kText ? line.substr(line.find(' ') + 1) : line);
  return lines;
}

TEST(Log, says_once_that_a_model_does_not_fit_into_memory_as_text) {
  const auto lines = lines_of(LogFormat::kText, 24 * kGiB);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], testing::StartsWith("ready "));
  EXPECT_THAT(lines[1], testing::StartsWith("warning message='the weights take 50.0 GiB, this machine has 24.0 GiB"));
  EXPECT_THAT(lines[1], testing::EndsWith("writes a smaller file'"));
}

TEST(Log, says_once_that_a_model_does_not_fit_into_memory_as_json) {
  const auto lines = lines_of(LogFormat::kJson, 24 * kGiB);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(Json::parse(lines[0])["event"], "ready");
  const Json warning = Json::parse(lines[1]);
  EXPECT_EQ(warning["event"], "warning");
  EXPECT_THAT(warning["message"], HasSubstr("the weights take 50.0 GiB, this machine has 24.0 GiB"));
}

TEST(Log, says_at_the_start_that_a_model_cannot_chat) {
  const std::string folder = testing::TempDir() + "foreign_template";
  std::filesystem::remove_all(folder);
  std::filesystem::copy(testing_service::tiny_model(), folder);
  std::ofstream(folder + "/chat_template.jinja") << "[INST] {{ messages[0].content }} [/INST]";
  EngineOptions options;
  options.model_path = folder, options.threads = 1;
  const auto engine = Engine::open(options);
  ASSERT_TRUE(engine) << engine.error().message;
  testing::internal::CaptureStderr();
  log_ready(Log(LogFormat::kText), engine->info(), kGiB);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr(" warning message='every chat is refused, text completions are not: chat_template.jinja: "
                        "expected the Gemma 4 chat format"));
}

TEST(Log, says_at_the_start_what_a_model_sets_in_vain) {
  ModelInfo info;
  info.notes = {"generation_config.json: 'top_p': not known here, without effect"};
  testing::internal::CaptureStderr();
  log_ready(Log(LogFormat::kJson), info, kGiB);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("\"warning\",\"message\":\"generation_config.json: 'top_p': not known here, without effect"));
}

TEST(Log, is_silent_about_a_model_that_fits_and_chats) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) EXPECT_EQ(lines_of(format, 50 * kGiB).size(), 1u);
}

}  // namespace
}  // namespace dgemma::server
