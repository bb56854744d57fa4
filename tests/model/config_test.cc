#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "base/new_file.h"
#include "formats/gguf_writer.h"
#include "golden.h"

namespace dgemma::model {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json tiny() { return json::parse(base::read_text_file(golden::folder() + "tiny-a/config.json", 1 << 20).value()); }

Result<Config> read(const json& config, const std::string& generation = "") {
  return config_from_json(config.dump(), "config.json", generation, "generation_config.json");
}

TEST(ConfigJson, reads_a_file_of_new_transformers) {
  const Config c = read(tiny()).value();
  EXPECT_EQ(c.layers, 3);
  EXPECT_EQ(c.width, 64);
  EXPECT_EQ(c.canvas_length, 16);
  EXPECT_TRUE(c.layer[0].sliding);
  EXPECT_FALSE(c.layer[2].sliding);
  EXPECT_EQ(c.layer[0].head_dim, 16);
  EXPECT_EQ(c.layer[2].head_dim, 32);
  EXPECT_EQ(c.layer[2].kv_heads, 1);
  EXPECT_EQ(c.softcap, 30.0);
  EXPECT_EQ(c.full_rope.partial_rotary_factor, 0.25);
  EXPECT_EQ(c.eos_ids, std::vector<int32_t>{1});
}

TEST(ConfigJson, reads_the_same_from_the_names_of_old_transformers) {
  json old = tiny();
  old["text_config"].erase("per_layer_config");
  old["text_config"]["global_head_dim"] = 32;
  old["text_config"]["num_global_key_value_heads"] = 1;
  old["text_config"]["final_logit_softcapping"] = 25.0;
  const Config c = read(old).value();
  EXPECT_EQ(c.layer[2].head_dim, 32);
  EXPECT_EQ(c.layer[2].kv_heads, 1);
  EXPECT_EQ(c.layer[1].kv_heads, 2);
  EXPECT_EQ(c.softcap, 25.0);
}

TEST(ConfigJson, reads_padded_keys_of_per_layer_config) {  // transformers pads them where a key has two digits
  json config = tiny();
  config["text_config"].erase("layer_types");
  config["text_config"]["num_hidden_layers"] = 12;
  const json own = {{"head_dim", 32}, {"num_key_value_heads", 1}};
  config["text_config"]["per_layer_config"] = {{"05", own}, {"11", own}};
  const Config c = read(config).value();
  for (const size_t i : {5u, 11u}) {
    EXPECT_EQ(c.layer[i].head_dim, 32) << i;
    EXPECT_EQ(c.layer[i].kv_heads, 1) << i;
  }
  EXPECT_EQ(c.layer[4].head_dim, 16);
  EXPECT_EQ(c.layer[4].kv_heads, 2);
}

TEST(ConfigJson, reads_rope_parameters_by_the_rules_of_transformers) {
  json config = tiny();
  json& rope = config["text_config"]["rope_parameters"];
  rope["full_attention"] = {{"rope_type", "proportional"}, {"rope_theta", 5e5}, {"factor", 8.0}};
  rope["sliding_attention"] = {{"rope_type", "linear"}, {"rope_theta", 1e4}, {"factor", 4.0}};
  const Config scaled = read(config).value();
  EXPECT_EQ(scaled.full_rope.partial_rotary_factor, 1.0);  // not the published quarter
  EXPECT_EQ(scaled.full_rope.factor, 8.0);
  EXPECT_EQ(scaled.sliding_rope.factor, 4.0);
  rope["full_attention"] = {{"rope_theta", 5e5}, {"factor", 8.0}};  // no type: default, which has no factor
  rope["sliding_attention"] = {{"rope_type", "proportional"}, {"rope_theta", 1e4}, {"partial_rotary_factor", 0.75}};
  const Config plain = read(config).value();
  EXPECT_EQ(plain.full_rope.partial_rotary_factor, 1.0);
  EXPECT_EQ(plain.full_rope.factor, 1.0);
  EXPECT_EQ(plain.sliding_rope.partial_rotary_factor, 0.75);
}

TEST(ConfigJson, derives_the_layer_kinds_and_makes_the_last_layer_full) {
  json config = tiny();
  config["text_config"].erase("layer_types");
  config["text_config"].erase("per_layer_config");
  config["text_config"]["num_hidden_layers"] = 8;
  std::string kinds;
  const Config c = read(config).value();
  for (const LayerConfig& layer : c.layer) kinds += layer.sliding ? 's' : 'F';
  EXPECT_EQ(kinds, "sssssFsF");
}

TEST(ConfigJson, takes_nulls_as_defaults_and_the_nested_sampler_config) {
  const Config c = read(tiny(), R"({"max_denoising_steps": null, "t_min": 0.3, "sampler_config":
      {"entropy_bound": 0.2, "_cls_name": "EntropyBoundSamplerConfig"}, "eos_token_id": [1, 106, 50]})")
                       .value();
  EXPECT_FALSE(c.sampler.max_denoising_steps);
  EXPECT_EQ(c.sampler.t_min, 0.3);
  EXPECT_EQ(c.sampler.entropy_bound, 0.2);
  EXPECT_EQ(c.eos_ids, (std::vector<int32_t>{1, 106, 50}));
}

struct Broken {
  const char* field;
  json value;
  const char* message;
};

TEST(ConfigJson, names_the_field_the_expected_and_the_given_value) {
  const Broken cases[] = {
      {"hidden_size", nullptr, "hidden_size: expected an integer from 1 to 16777216, got 'nothing'"},
      {"hidden_size", -64, "hidden_size"},
      {"hidden_size", 64.5, "hidden_size: expected an integer from 1 to 16777216, got '64.5'"},
      {"hidden_size", "64", "hidden_size"},
      {"hidden_size", 1e300, "hidden_size"},
      {"vocab_size", 18446744073709551615u, "vocab_size"},
      {"num_hidden_layers", 1000000000, "num_hidden_layers"},
      {"layer_types", json::array({"full_attention"}), "layer_types: expected a list of 3 kinds"},
      {"layer_types", json::array({"a", "b", "c"}), "layer_types: expected sliding_attention or full_attention"},
      {"top_k_experts", 5, "experts used per token: expected at most 4, got 5"},
      {"num_key_value_heads", 3, "layer 0: expected a number of key/value heads that divides 4, got 3"},
      {"hidden_activation", "silu", "hidden_activation: expected gelu_pytorch_tanh"},
      {"attention_bias", true, "attention_bias"},
      {"use_bidirectional_attention", "some", "use_bidirectional_attention: expected vision or null"},
      {"rms_norm_eps", -1, "rms_norm_eps"},
      {"per_layer_config", json::array(), "per_layer_config: expected an object"},
      {"per_layer_config", {{"3", json::object()}}, "per_layer_config: expected layers from 0 to 2, got '3'"},
      {"per_layer_config", {{"2", {{"sliding_window", 4}}}}, "objects with head_dim and num_key_value_heads"},
      {"per_layer_config", {{"2", json::array()}}, "objects with head_dim and num_key_value_heads, got '[]'"},
      {"per_layer_config",
       {{"2", json::object()}, {"02", json::object()}},
       "per_layer_config: expected each layer once"},
      {"rope_parameters", {{"full_attention", {{"rope_type", "yarn"}}}}, "rope_type: expected default, linear or"},
      {"rope_parameters", {{"rope_theta", 1e4}}, "rope_parameters: expected an object with the object full_attention"},
      {"rope_parameters",
       {{"full_attention", {{"partial_rotary_factor", 0.5}}}},
       "1 with rope_type default, got '0.5'"},
      {"rope_parameters", {{"full_attention", {{"rope_type", "linear"}}}}, "factor: expected a number"},
  };
  for (const Broken& b : cases) {
    json config = tiny();
    config["text_config"][b.field] = b.value;
    const auto result = read(config);
    ASSERT_FALSE(result) << b.field << " = " << b.value;
    EXPECT_EQ(result.error().code, ErrorCode::kModelFile);
    EXPECT_THAT(result.error().message, HasSubstr(b.message));
    EXPECT_THAT(result.error().message, HasSubstr("config.json"));
  }
}

TEST(ConfigJson, refuses_other_models_and_texts_that_are_no_config) {
  json config = tiny();
  config["model_type"] = "llama";
  EXPECT_THAT(read(config).error().message, HasSubstr("model_type: expected diffusion_gemma"));
  for (const char* text : {"", "[]", "{", "null", "{\"text_config\": 5}"})
    EXPECT_FALSE(config_from_json(text, "config.json", "", "")) << text;
  EXPECT_FALSE(read(tiny(), "[1]"));
  EXPECT_FALSE(read(tiny(), R"({"t_min": -1})"));
  EXPECT_THAT(read(tiny(), R"({"t_min": 0.9, "t_max": 0.1})").error().message,
              HasSubstr("generation_config.json: temperatures: expected 0 <= t_min <= t_max"));
  EXPECT_FALSE(read(tiny(), R"({"t_min": 0, "t_max": 1e-11})"));
  EXPECT_FALSE(read(tiny(), R"({"eos_token_id": [1.5]})"));
  EXPECT_FALSE(read(tiny(), R"({"sampler_config": 0.1})"));
  config = tiny();
  config["text_config"] = {1, 2};
  EXPECT_THAT(read(config).error().message, HasSubstr("text_config: expected an object, got '[1,2]'"));
  config = tiny();
  config["tie_word_embeddings"] = "yes";
  EXPECT_THAT(read(config).error().message, HasSubstr("tie_word_embeddings: expected true or false"));
}

TEST(ConfigJson, names_what_generation_config_sets_in_vain) {
  const auto ignored = [](const std::string& generation) { return read(tiny(), generation)->ignored; };
  EXPECT_EQ(ignored(R"({"transformers_version": "5.24.0", "_from_model_config": true, "max_new_tokens": 256,
      "max_length": 9, "return_dict_in_generate": true, "cache_implementation": "static", "disable_compile": true,
      "cache_config": {}, "bos_token_id": 2, "pad_token_id": 0, "eos_token_id": 1, "top_k": null, "t_min": 0.3,
      "t_max": 0.8, "max_denoising_steps": 4, "stability_threshold": 1, "confidence_threshold": 0.1})"),
            "");
  EXPECT_EQ(ignored(R"({"top_p": 0.9, "do_sample": false})"), "generation_config.json: 'do_sample', 'top_p'");
  const Config flat = read(tiny(), R"({"entropy_bound": 0.7})").value();
  EXPECT_EQ(flat.ignored, "generation_config.json: 'entropy_bound'") << "it stands in sampler_config, or nowhere";
  EXPECT_FALSE(flat.sampler.entropy_bound);
  json many = json::object();
  for (int i = 0; i < 100; ++i) many["key" + std::to_string(i)] = 1;
  EXPECT_THAT(ignored(many.dump()), testing::EndsWith("'key15' and 92 more"));
  const Config config = read(tiny(), R"({"top_p": 0.9})").value();
  EXPECT_EQ(describe(config).back().second, "generation_config.json: 'top_p'");
}

TEST(ConfigJson, gives_its_values_to_programs) {
  const Config config = read(tiny(), R"({"t_min": 0.3, "eos_token_id": [1, 106]})").value();
  std::map<std::string, ConfigValue> values;
  for (const auto& [name, value] : config_values(config)) values[name] = value;
  EXPECT_EQ(values.size(), config_values(config).size()) << "each name once";
  EXPECT_EQ(values["layers"], ConfigValue(int64_t{3}));
  EXPECT_EQ(values["layer_kinds"], ConfigValue(std::vector<std::string>{"sliding", "sliding", "full"}));
  EXPECT_EQ(values["kv_heads"], ConfigValue(std::vector<int64_t>{2, 2, 1}));
  EXPECT_EQ(values["head_widths"], ConfigValue(std::vector<int64_t>{16, 16, 32}));
  EXPECT_EQ(values["end_tokens"], ConfigValue(std::vector<int64_t>{1, 106}));
  EXPECT_EQ(values["full_rope_turning_share"], ConfigValue(0.25));
  EXPECT_EQ(values["t_min"], ConfigValue(0.3));
  EXPECT_EQ(values["t_max"], ConfigValue());
}

TEST(ConfigJson, refuses_samplers_that_are_not_the_entropy_bounded_one) {
  const auto error = [](const std::string& sampler) {
    const auto config = read(tiny(), "{\"sampler_config\": " + sampler + "}");
    return config ? "" : config.error().message;
  };
  EXPECT_THAT(error(R"({"_cls_name": "OtherSamplerConfig", "entropy_bound": 0.1})"),
              HasSubstr("generation_config.json: sampler_config: _cls_name: expected EntropyBoundSamplerConfig"));
  EXPECT_THAT(error(R"({"entropy_bound": 0.1, "top_p": 0.9})"),
              HasSubstr("sampler_config: expected entropy_bound and nothing else, got 'top_p'"));
  EXPECT_EQ(error(R"({"entropy_bound": 0.1})"), "");
}

TEST(ConfigJson, takes_the_new_spelling_of_head_sizes_where_both_are_there) {  // as transformers does
  json config = tiny();
  config["text_config"]["global_head_dim"] = 64;
  config["text_config"]["num_global_key_value_heads"] = 4;
  config["text_config"]["per_layer_config"] = {{"2", {{"head_dim", 32}}}};
  const Config c = read(config).value();
  EXPECT_EQ(c.layer[2].head_dim, 32);
  EXPECT_EQ(c.layer[2].kv_heads, 2);
}

TEST(ConfigGguf, says_the_same_as_config_json) {
  const auto file = formats::GgufFile::open(golden::folder() + "tiny-a.gguf");
  ASSERT_TRUE(file) << file.error().message;
  const Config a = config_from_gguf(*file).value(), b = read(tiny()).value();
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.vocab, b.vocab);
  EXPECT_EQ(a.window, b.window);
  EXPECT_EQ(a.context_length, b.context_length);
  EXPECT_EQ(a.experts_used, b.experts_used);
  for (size_t i = 0; i < a.layer.size(); ++i) {
    EXPECT_EQ(a.layer[i].sliding, b.layer[i].sliding);
    EXPECT_EQ(a.layer[i].head_dim, b.layer[i].head_dim);
    EXPECT_EQ(a.layer[i].kv_heads, b.layer[i].kv_heads);
  }
}

TEST(ConfigGguf, refuses_metadata_that_contradicts_other_metadata_or_asks_for_what_is_not_there) {
  const std::pair<const char*, const char*> cases[] = {
      {"attention.value_length", "expected 32, got 7"},
      {"attention.value_length_swa", "expected 16, got 7"},
      {"rope.dimension_count", "expected 32, got 7"},
      {"rope.dimension_count_swa", "expected 16, got 7"},
      {"embedding_length_per_layer_input", "expected 0, got 7"},
      {"attention.causal", "expected false, got true"},
  };
  const std::string whole = base::read_text_file(golden::folder() + "tiny-a.gguf", 1 << 20).value();
  for (const auto& [name, message] : cases) {
    // A key of the metadata: its length in 8 bytes, itself, its type in 4, its value.
    const std::string key = std::string("diffusion-gemma.") + name;
    const std::string start = std::string(1, static_cast<char>(key.size())) + std::string(7, '\0') + key;
    std::string bytes = whole;
    const size_t at = bytes.find(start);
    ASSERT_NE(at, std::string::npos) << key;
    bytes[at + start.size() + 4] = key.ends_with("causal") ? 1 : 7;
    const std::string path = testing::TempDir() + "contradiction.gguf";
    std::ofstream(path, std::ios::binary) << bytes;
    const auto file = formats::GgufFile::open(path);
    ASSERT_TRUE(file) << file.error().message;
    const auto config = config_from_gguf(*file);
    ASSERT_FALSE(config) << key;
    EXPECT_EQ(config.error().code, ErrorCode::kModelFile);
    EXPECT_THAT(config.error().message, HasSubstr(key + ": " + message));
    EXPECT_THAT(config.error().message, HasSubstr("contradiction.gguf"));
  }
}

/// tiny-a.gguf with one more key, or another value for one.
Result<Config> with_key(const std::string& name, formats::GgufType type, bool array, const std::string& raw,
                        uint64_t count = 1) {
  const std::string path = testing::TempDir() + "with_key.gguf";
  const auto source = formats::GgufFile::open(golden::folder() + "tiny-a.gguf").value();
  formats::GgufWriter writer;
  for (const formats::GgufKey& key : source.keys())
    if (key.name != name) writer.copy(key);
  writer.copy({name, formats::GgufValue(type, array, count, std::as_bytes(std::span(raw)))});
  for (const formats::TensorEntry& t : source.tensors()) writer.add_tensor(t.name, t.dtype, t.shape, t.data.size());
  DG_TRY_ASSIGN(base::NewFile out, base::NewFile::create(path));
  DG_TRY(writer.write_header(out));
  for (const formats::TensorEntry& t : source.tensors()) DG_TRY(writer.write_tensor(out, t.data));
  DG_TRY(out.commit());
  DG_TRY_ASSIGN(const formats::GgufFile file, formats::GgufFile::open(path));
  return config_from_gguf(file);
}

std::string text_value(const std::string& text) {
  std::string raw(sizeof(uint64_t), '\0');
  raw[0] = static_cast<char>(text.size());
  return raw + text;
}

TEST(ConfigGguf, takes_the_end_of_turn_token_beside_the_end_token) {
  const std::string end_of_turn("\x6A\0\0\0", 4);
  const auto config = with_key("tokenizer.ggml.eot_token_id", formats::GgufType::kU32, false, end_of_turn);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->eos_ids, (std::vector<int32_t>{1, 106}));
}

TEST(ConfigGguf, refuses_keys_of_another_type_or_meaning) {
  using formats::GgufType;
  const std::string six("\x06\0\0\0", 4), minus_one(4, '\xFF'), two("\0\0\0\x40", 4);  // two: as f32
  const struct {
    const char* key;
    GgufType type;
    bool array;
    std::string raw;
    const char* message;
  } cases[] = {
      {"tokenizer.ggml.eot_token_id", GgufType::kString, false, text_value("106"),
       "integer of 64 bits, got string '106'"},
      {"tokenizer.ggml.eot_token_id", GgufType::kI32, false, minus_one,
       "expected an integer from 0 to 2147483647, got -1"},
      {"tokenizer.ggml.eot_token_id", GgufType::kI32, true, six, "expected an integer of 64 bits, got i32[] [6]"},
      {"tokenizer.ggml.eos_token_id", GgufType::kF32, false, two, "expected an integer of 64 bits, got f32 2"},
      {"diffusion.eb_t_min", GgufType::kString, false, text_value("0.4"), "expected a number, got string '0.4'"},
      {"diffusion.eb_max_steps", GgufType::kF32, false, two, "expected an integer of 64 bits, got f32 2"},
      {"diffusion-gemma.attention.causal", GgufType::kU32, false, six, "expected a boolean, got u32 6"},
      {"diffusion-gemma.attention.sliding_window_pattern", GgufType::kU32, false, six,
       "true or false for each layer, got 6"},
      {"diffusion-gemma.rope.scaling.type", GgufType::kString, false, text_value("yarn"), "expected none, got 'yarn'"},
      {"diffusion-gemma.rope.scaling.factor", GgufType::kF32, false, two, "expected a number from 1 to 1, got 2"},
      {"split.count", GgufType::kU32, false, six, "expected a model in one file, got one of 6 parts"},
  };
  for (const auto& c : cases) {
    const auto config = with_key(c.key, c.type, c.array, c.raw);
    ASSERT_FALSE(config) << c.key;
    EXPECT_EQ(config.error().code, ErrorCode::kModelFile);
    EXPECT_THAT(config.error().message,
                AllOf(HasSubstr(std::string("with_key.gguf: ") + c.key + ": "), HasSubstr(c.message)));
  }
}

}  // namespace
}  // namespace dgemma::model
