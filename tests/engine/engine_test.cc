#include "dgemma/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/format.h"
#include "dgemma/inspect.h"
#include "dgemma/text.h"
#include "golden.h"
#include "rewritten.h"

namespace dgemma {
namespace {

using testing::HasSubstr;

std::string open_error(EngineOptions options) {
  const auto r = Engine::open(options);
  return r ? std::string("opened") : r.error().message;
}

EngineOptions tiny() {
  EngineOptions o;
  o.model_path = golden::folder() + "tiny-a";
  return o;
}

TEST(Engine, tells_what_it_loaded) {
  for (const char* compute : {"f32", "auto"}) {
    EngineOptions o = tiny();
    o.compute = compute;
    uint64_t last = 0, total = 0;
    o.progress = [&](const LoadProgress& p) {
      EXPECT_GE(p.done_bytes, last);
      last = p.done_bytes, total = p.total_bytes;
    };
    const auto engine = Engine::open(o);
    ASSERT_TRUE(engine) << engine.error().message;
    EXPECT_EQ(engine->info().canvas_length, 16);
    EXPECT_EQ(engine->info().vocab_size, 512);
    EXPECT_EQ(engine->info().layers, 3);
    EXPECT_FALSE(engine->info().has_tokenizer);
    EXPECT_EQ(last, total);
    if (compute == std::string("f32"))
      EXPECT_GT(last, 400000u) << "of the file";
    else
      EXPECT_EQ(last, engine->info().weight_bytes) << "of what is packed";
  }
}

TEST(Engine, computes_in_int8_where_nothing_else_is_asked_for) {
  for (const char* file : {"tiny-a", "tiny-a.gguf", "tiny-b", "tiny-b.gguf", "tiny-c"}) {  // packed: quantize_test.cc
    EngineOptions o = tiny();
    o.model_path = golden::folder() + file;
    const auto engine = Engine::open(o);
    ASSERT_TRUE(engine) << engine.error().message;
    EXPECT_EQ(engine->info().compute, "int8") << file;
  }
}

TEST(Engine, weights_that_int8_cannot_hold_are_named_and_taken_in_f32) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  const std::string name = "model.decoder.layers.1.mlp.up_proj.weight";
  const auto opened_with = [&](const char* bf16, const char* compute) {
    tensors[name].bytes.replace(2 * 5, 2, bf16, 2);
    EngineOptions o;
    o.model_path = golden::write_folder("beyond_int8", "tiny-c", tensors), o.compute = compute;
    return open_error(o);
  };
  EXPECT_THAT(opened_with("\x80\x7F", "int8"),  // infinity
              HasSubstr("beyond_int8/model.safetensors: " + name + ": expected finite values, got inf as number 5"));
  EXPECT_THAT(opened_with("\x18\x4B", "int8"),  // 9,961,472
              testing::EndsWith("beyond_int8: blk.1.ffn_gate_up.weight: expected values below 8e6 in magnitude, as "
                                "int8 can hold, got 9.96147e+06. --compute f32 or bf16 takes them"));
  EXPECT_EQ(opened_with("\x18\x4B", "f32"), "opened");
  EXPECT_EQ(opened_with("\x18\x4B", "bf16"), "opened");
}

TEST(Engine, refuses_options_that_cannot_be_used) {
  EngineOptions o = tiny();
  o.threads = -1;
  EXPECT_THAT(open_error(o), HasSubstr("threads: expected 1 to 1024, got -1"));
  o = tiny(), o.kernels = "quantum";
  EXPECT_THAT(open_error(o), HasSubstr("scalar"));
  o = tiny(), o.compute = "f8";
  EXPECT_THAT(open_error(o), HasSubstr("compute: expected"));
  o.model_path = "/nonexistent";
  o.compute = "f32";
  EXPECT_THAT(open_error(o), HasSubstr("/nonexistent"));
}

TEST(Engine, a_folder_without_config_is_named) {
  const std::string folder = testing::TempDir() + "no_config";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(golden::folder() + "tiny-a/model.safetensors", folder + "/model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  EngineOptions o;
  o.model_path = folder;
  EXPECT_THAT(open_error(o), HasSubstr("config.json"));
}

TEST(Engine, an_empty_file_is_not_taken_for_a_missing_one) {
  for (const char* name : {"generation_config.json", "chat_template.jinja"}) {
    const std::string folder = golden::write_folder("empty_file", "tiny-c", golden::tensors_of("tiny-c"));
    std::filesystem::remove(folder + "/generation_config.json");
    const std::ofstream empty(folder + "/" + name);
    EngineOptions o;
    o.model_path = folder;
    EXPECT_THAT(open_error(o), HasSubstr(std::string(name) + ": expected text, got an empty file")) << name;
  }
}

TEST(Engine, what_is_no_file_is_not_taken_for_a_missing_one) {
  namespace fs = std::filesystem;
  for (const char* name : {"generation_config.json", "tokenizer.json", "chat_template.jinja", "tokenizer_config.json",
                           "model.safetensors.index.json"}) {
    const std::string folder = golden::write_folder("no_file", "tiny-c", golden::tensors_of("tiny-c"));
    const std::string path = folder + "/" + name;
    if (path.ends_with("index.json")) fs::rename(folder + "/model.safetensors", folder + "/other.safetensors");
    EngineOptions o;
    o.model_path = folder;
    fs::create_symlink("nowhere", path);
    EXPECT_EQ(open_error(o), path + ": expected a file, got a link that leads nowhere");
    fs::remove(path);
    fs::create_directory(path);
    EXPECT_EQ(open_error(o), path + ": expected a file, got a folder");
    EXPECT_EQ(Engine::open(o).error().code, ErrorCode::kModelFile);
    fs::remove(path);
    EXPECT_EQ(open_error(o), "opened") << name;
    fs::remove_all(folder);
  }
}

/// tiny-c, whose embedding has 320 rows, with a tokenizer of `words` words and one control token behind them.
std::string folder_with_tokenizer(int words, const std::string& control) {
  const std::string folder = golden::write_folder("tokenizer_of_another", "tiny-c", golden::tensors_of("tiny-c"));
  nlohmann::json tokenizer = nlohmann::json::parse(R"({"decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}]},
      "model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": [{"special": true}]})");
  for (int i = 0; i < words; ++i) tokenizer["model"]["vocab"]["w" + std::to_string(i)] = i;
  tokenizer["added_tokens"][0]["id"] = words, tokenizer["added_tokens"][0]["content"] = control;
  std::ofstream(folder + "/tokenizer.json") << tokenizer;
  return folder;
}

TEST(Engine, of_a_tokenizer_with_more_tokens_than_the_embedding_has_rows_its_user_is_told) {
  constexpr int kRows = 320;
  const auto note = [](int words, const char* control) {
    EngineOptions o;
    o.model_path = folder_with_tokenizer(words, control);
    const auto engine = Engine::open(o);
    EXPECT_TRUE(engine) << engine.error().message;
    const std::string told = engine->info().notes.empty() ? "" : engine->info().notes.front();
    const auto report = inspect_model(o.model_path);
    EXPECT_TRUE(report && report->problems.empty());
    EXPECT_EQ(report->tokenizer == told, !told.empty()) << report->tokenizer;
    return told;
  };
  EXPECT_THAT(note(kRows + 1, "<mask>"),
              HasSubstr(base::concat("tokenizer.json: ", kRows + 2, " tokens, of which the model has ", kRows,
                                     "; a prompt with one of the others, such as 'w", kRows, "', is refused")));
  EXPECT_THAT(note(kRows, "<|turn>"), HasSubstr("such as '<|turn>'"));
  EXPECT_EQ(note(kRows, "<image_soft_token>"), "") << "Gemma 3's text-only models are so";
  EXPECT_EQ(note(kRows - 1, "<|turn>"), "");
  EXPECT_EQ(note(3, "<|turn>"), "") << "rows without a token are padding";
}

TEST(Engine, answers_end_at_the_chat_formats_tokens_unless_the_generation_config_lists_others) {
  const auto end_tokens = [](const char* generation) {
    const std::string folder = folder_with_tokenizer(300, "<turn|>"), path = folder + "/generation_config.json";
    if (generation != nullptr) std::ofstream(path) << generation;
    EngineOptions o;
    o.model_path = folder;
    const auto engine = Engine::open(o);
    const auto values = inspect_model(folder)->values;
    std::filesystem::remove(path);
    const std::vector<int64_t> ids(engine->info().eos_ids.begin(), engine->info().eos_ids.end());
    EXPECT_THAT(values, testing::Contains(std::pair<std::string, ConfigValue>("end_tokens", ids)));
    return engine->info().eos_ids;
  };
  EXPECT_THAT(end_tokens(nullptr), testing::ElementsAre(1, 300));
  EXPECT_THAT(end_tokens(R"({"t_min": 0.3})"), testing::ElementsAre(1, 300));
  EXPECT_THAT(end_tokens(R"({"eos_token_id": [1, 7]})"), testing::ElementsAre(1, 7));
  EXPECT_THAT(end_tokens(R"({"eos_token_id": 7})"), testing::ElementsAre(7));
}

TEST(InspectModel, lists_config_tensors_and_nothing_missing) {
  for (const char* suffix : {"tiny-a", "tiny-a.gguf"}) {
    const auto report = inspect_model(golden::folder() + suffix);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(report->missing.empty());
    EXPECT_TRUE(report->problems.empty());
    EXPECT_GT(report->tensors.size(), 60u);
    EXPECT_GT(report->config.size(), 15u);
    EXPECT_GT(report->parameters, 200000u);
    EngineOptions o;
    o.model_path = report->path;
    EXPECT_GT(report->load_bytes, Engine::open(o)->info().weight_bytes) << "vectors beside what is packed";
  }
}

TEST(InspectModel, says_what_is_missing_without_failing) {
  const std::string folder = testing::TempDir() + "other_config";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(golden::folder() + "tiny-b/model.safetensors", folder + "/model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(golden::folder() + "tiny-a/config.json", folder + "/config.json",
                             std::filesystem::copy_options::overwrite_existing);
  const auto report = inspect_model(folder);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_FALSE(report->problems.empty());
}

TEST(InspectModel, a_missing_tensor_is_a_problem_in_the_words_of_loading) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  tensors.erase("model.decoder.norm.weight");
  const std::string folder = golden::write_folder("without_a_norm", "tiny-c", tensors);
  const auto report = inspect_model(folder);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->missing, testing::ElementsAre("model.decoder.norm.weight"));
  EngineOptions o;
  o.model_path = folder;
  EXPECT_THAT(report->problems, testing::ElementsAre(open_error(o)));
}

TEST(InspectModel, a_tokenizer_or_a_template_that_cannot_be_used_is_a_problem) {
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    const std::string folder =
        golden::write_folder("broken_" + std::string(name), "tiny-c", golden::tensors_of("tiny-c"));
    std::ofstream(folder + "/" + name) << "{";
    const auto report = inspect_model(folder);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_THAT(report->problems, testing::ElementsAre(HasSubstr(name)));
    EngineOptions o;
    o.model_path = folder;
    EXPECT_EQ(report->problems.front(), open_error(o));
  }
}

TEST(InspectMachine, knows_its_kernels) {
  const MachineReport m = inspect_machine();
  ASSERT_FALSE(m.kernels.empty());
  EXPECT_EQ(m.kernels.front(), "scalar");
  EXPECT_GT(m.memory_bytes, 0u);
  EXPECT_GE(m.threads, 1);
}

TEST(MemoryNote, is_for_weights_that_do_not_fit) {
  constexpr uint64_t kGiB = uint64_t{1} << 30;
  EXPECT_EQ(memory_note(24 * kGiB, 24 * kGiB), "");
  const std::string note = memory_note(50 * kGiB, 24 * kGiB);
  EXPECT_THAT(note, HasSubstr("the weights take 50.0 GiB, this machine has 24.0 GiB"));
  EXPECT_THAT(note, testing::EndsWith("writes a smaller file"));
}

}  // namespace
}  // namespace dgemma
