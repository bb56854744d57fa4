// What commands print (src/cli/reports.h): the JSON fields are a contract.
#include "cli/reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dgemma::cli {
namespace {

using ::testing::HasSubstr;

Answer some_answer() {
  Answer answer;
  answer.tokens = {5, 6, 7};
  answer.seed = 18446744073709551615u;
  Finished& summary = answer.summary;
  summary.reason = FinishReason::kStop;
  summary.prompt_tokens = 10;
  summary.cached_tokens = 4;
  summary.completion_tokens = 12;
  summary.steps_per_canvas = {3, 5};
  summary.denoising_steps = 8;
  summary.tokens_per_forward = 1.5;
  summary.timing = {0.25, 0.5, 0.25, 1.0};
  return answer;
}

TEST(Reports, an_answer_as_json_has_the_fields_that_scripts_rely_on) {
  const Json json = answer_json(some_answer(), "Hi", "", 0.5);
  EXPECT_EQ(json["text"], "Hi");
  EXPECT_EQ(json["tokens"], Json({5, 6, 7}));
  EXPECT_EQ(json["finish_reason"], "stop");
  EXPECT_EQ(json["seed"], 18446744073709551615u);
  EXPECT_EQ(json["usage"]["prompt_tokens"], 10);
  EXPECT_EQ(json["usage"]["cached_tokens"], 4);
  EXPECT_EQ(json["usage"]["completion_tokens"], 12);
  EXPECT_EQ(json["usage"]["canvases"], 2);
  EXPECT_EQ(json["usage"]["denoising_steps"], 8);
  EXPECT_EQ(json["usage"]["tokens_per_forward"], 1.5);
  EXPECT_EQ(json["timing"]["load_s"], 0.5);
  EXPECT_EQ(json["timing"]["prompt_s"], 0.25);
  EXPECT_EQ(json["timing"]["step_s"], 0.0625);
  EXPECT_EQ(json["timing"]["total_s"], 1.5);
  EXPECT_FALSE(json.contains("reasoning"));
  EXPECT_EQ(answer_json(some_answer(), "Hi", "Hm", 0)["reasoning"], "Hm");
}

TEST(Reports, invalid_utf8_does_not_break_the_json) {
  const std::string line = json_line(answer_json(some_answer(), "a\xFF", "", 0));
  EXPECT_EQ(Json::parse(line)["text"], "a\uFFFD");
  EXPECT_THAT(line, testing::EndsWith("}\n"));
}

TEST(Reports, the_summary_never_shows_a_speed_without_steps) {
  EXPECT_EQ(answer_summary(some_answer(), 1000),
            "12 tokens · 2 canvases · 4.0 steps per canvas · 1.5 tokens per forward · 16 tokens/s · prompt 10 tokens "
            "(4 cached) 250 ms · step 62 ms · seed 18446744073709551615 · stop");
}

TEST(Reports, the_summary_breaks_between_facts) {
  EXPECT_EQ(answer_summary(some_answer(), 60),
            "12 tokens · 2 canvases · 4.0 steps per canvas\n"
            "1.5 tokens per forward · 16 tokens/s\n"
            "prompt 10 tokens (4 cached) 250 ms · step 62 ms\n"
            "seed 18446744073709551615 · stop");
}

TEST(Reports, a_cancelled_answer_shows_nothing_that_is_zero) {
  Answer answer;
  answer.summary.reason = FinishReason::kCancelled;
  answer.summary.prompt_tokens = 3, answer.summary.denoising_steps = 2;
  answer.summary.timing.denoise_s = 0.5;
  EXPECT_EQ(answer_summary(answer, 80), "prompt 3 tokens · step 250 ms · seed 0 · cancelled");
}

TEST(Reports, a_file_says_what_is_missing) {
  FileReport file;
  file.path = "model.gguf";
  file.format = "gguf";
  file.tensors = {{"a.weight", "BF16", {2, 3}, 12, "model"}, {"v.weight", "F32", {1}, 4, "vision"}};
  file.missing = {"b.weight"};
  file.problems = {"model.gguf: tensor b.weight is missing"};
  const std::string text = file_text(file);
  for (const char* part : {"BF16 [2, 3]  12 B", "(vision)", "Missing tensors\n  b.weight", "Why it cannot be loaded",
                           "tokenizer       none"})
    EXPECT_THAT(text, HasSubstr(part));
  const Json json = file_json(file);
  EXPECT_EQ(json["tensors"][1]["role"], "vision");
  EXPECT_EQ(json["missing"][0], "b.weight");
}

TEST(Reports, programs_get_a_config_of_numbers_and_lists) {
  FileReport file;
  file.config = {{"layers", "6"}};
  file.values = {{"layers", int64_t{6}},
                 {"softcap", 30.0},
                 {"kinds", std::vector<std::string>{"sliding", "full"}},
                 {"kv_heads", std::vector<int64_t>{2, 1}},
                 {"t_min", {}}};
  EXPECT_EQ(file_json(file)["config"].dump(),
            R"({"layers":6,"softcap":30.0,"kinds":["sliding","full"],"kv_heads":[2,1],"t_min":null})");
  EXPECT_THAT(file_text(file), HasSubstr("  layers  6\n"));
  MachineReport machine;
  machine.features = "avx2 fma";
  EXPECT_EQ(machine_json(machine)["features"].dump(), R"(["avx2","fma"])");
}

TEST(Reports, times_have_units) {
  EXPECT_EQ(seconds_text(0.00025), "250 us");
  EXPECT_EQ(seconds_text(0.0042), "4.2 ms");
  EXPECT_EQ(seconds_text(0.25), "250 ms");
  EXPECT_EQ(seconds_text(1.234), "1.23 s");
}

}  // namespace
}  // namespace dgemma::cli
