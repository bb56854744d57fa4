#include "model/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "model/packing.h"
#include "model/tiny_model.h"
#include "rewritten.h"

namespace dgemma::model {
namespace {

using testing::HasSubstr;

std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Replaces text of the same length in the header of tiny-a's file: the offsets stay right.
std::string edited(const std::string& from, const std::string& to) {
  EXPECT_EQ(from.size(), to.size());
  std::string bytes = file_bytes(golden::folder() + "tiny-a/model.safetensors");
  const size_t at = bytes.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  bytes.replace(at, from.size(), to);
  return bytes;
}

Result<Weights> bind_bytes(const std::string& bytes) {
  const std::string path = testing::TempDir() + "edited.safetensors";
  std::ofstream(path, std::ios::binary) << bytes;
  static std::vector<formats::Checkpoint> open;  // weights view the mapped file
  DG_TRY_ASSIGN(formats::Checkpoint checkpoint, formats::Checkpoint::open(path));
  open.push_back(std::move(checkpoint));
  return bind_weights(open.back(), TinyModel::open("tiny-a").model.config(), {});
}

TEST(Weights, bf16_matrices_stay_in_the_mapped_file_and_vectors_are_expanded) {
  const TinyModel tiny = TinyModel::open("tiny-a");
  const Weights& w = tiny.model.weights();
  EXPECT_EQ(w.vocabulary.embedding.dtype, tensor::DType::kBF16);
  EXPECT_EQ(w.vocabulary.embedding.rows, 512u);
  EXPECT_EQ(w.vocabulary.head.data, w.vocabulary.embedding.data) << "the head is tied to the embedding";
  EXPECT_FALSE(w.layer[2].v) << "full layers have no v_proj";
  EXPECT_NE(w.layer[0].encoder_scalar, w.layer[0].decoder_scalar);
  EXPECT_GT(w.parameters, 200000u);
}

TEST(Weights, a_missing_tensor_is_named) {
  const auto r =
      bind_bytes(edited("model.decoder.layers.1.mlp.up_proj.weight", "model.decoder.layers.1.mlp.up_pr_j.weight"));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ErrorCode::kModelFile);
  EXPECT_THAT(r.error().message, HasSubstr("expected tensor model.decoder.layers.1.mlp.up_proj.weight, got none"));
}

TEST(Weights, a_wrong_shape_is_named_with_both_shapes) {
  const std::string name = "\"model.decoder.layers.0.mlp.up_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[";
  const auto r = bind_bytes(edited(name + "96,64]", name + "64,96]"));
  ASSERT_FALSE(r);
  EXPECT_THAT(r.error().message, HasSubstr("up_proj.weight: expected shape [96, 64], got [64, 96]"));
}

TEST(Weights, a_tensor_of_a_layer_that_the_config_lacks_is_refused) {
  const std::string from = "model.encoder.vision_tower.encoder.layers.0.input_layernorm.weight";
  std::string to = "model.decoder.layers.3.";  // of 3
  to.resize(from.size(), 'x');
  const auto r = bind_bytes(edited(from, to));
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ErrorCode::kModelFile);
  EXPECT_THAT(r.error().message, HasSubstr(to + ": expected layers from 0 to 2"));
}

TEST(Weights, an_integer_tensor_is_refused) {
  const std::string name = "\"model.decoder.norm.weight\":{\"dtype\":\"";
  const auto r = bind_bytes(edited(name + "BF16\"", name + "I16\" "));
  if (!r) {
    EXPECT_THAT(r.error().message, HasSubstr("model.decoder.norm.weight"));
  } else {
    ADD_FAILURE() << "I16 was accepted";
  }
}

TEST(Weights, names_of_the_encoder_alone_are_accepted) {
  std::string bytes = file_bytes(golden::folder() + "tiny-a/model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  std::string header = bytes.substr(8, length);
  const std::string from = "model.decoder.layers.0.mlp.up_proj.weight";
  header.replace(header.find(from), from.size(), "model.encoder.language_model.layers.0.mlp.up_proj.weight");
  const uint64_t grown = header.size();
  std::string rebuilt(8, '\0');
  std::memcpy(rebuilt.data(), &grown, sizeof grown);
  const auto r = bind_bytes(rebuilt + header + bytes.substr(8 + length));
  EXPECT_TRUE(r) << r.error().message;
}

Result<Weights> bind_folder(const std::string& name, const golden::Tensors& tensors, bool tied = true) {
  const std::string path = golden::write_folder(name, "tiny-c", tensors);
  static std::vector<formats::Checkpoint> open;  // weights view the mapped file
  DG_TRY_ASSIGN(formats::Checkpoint checkpoint, formats::Checkpoint::open(path));
  open.push_back(std::move(checkpoint));
  Config config = TinyModel::open("tiny-c").model.config();
  config.tied = tied;
  return bind_weights(open.back(), config, {});
}

TEST(Weights, a_tied_copy_may_have_another_type_but_no_other_values) {
  const std::string name = "layers.0.mlp.up_proj.weight", copy = "model.encoder.language_model." + name;
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  golden::Stored& up = tensors["model.decoder." + name];
  std::vector<float> values = up.values();
  tensors[copy] = golden::stored(tensor::DType::kF32, up.shape, values);
  const auto same = bind_folder("copy", tensors);
  EXPECT_TRUE(same) << same.error().message;
  values.back() += 1;
  tensors[copy] = golden::stored(tensor::DType::kF32, up.shape, values);
  const auto other = bind_folder("other_copy", tensors);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr(copy + ": expected the same values as model.decoder." + name));
}

TEST(Weights, a_tied_copy_is_not_compared_with_what_has_a_wrong_shape_or_type) {
  const std::string copy = "model.encoder.language_model.layers.0.mlp.up_proj.weight";
  const golden::Tensors sound = golden::tensors_of("tiny-c");
  const golden::Stored up = sound.at("model.decoder.layers.0.mlp.up_proj.weight");
  golden::Tensors tensors = sound;
  tensors[copy] = golden::stored(tensor::DType::kF32, up.shape, up.values());
  golden::Stored& first = tensors["model.decoder.layers.0.mlp.up_proj.weight"];
  first.shape[0] *= 2;
  first.bytes += first.bytes;  // the copy would be read past its end
  const auto larger = bind_folder("copy_of_a_larger_one", tensors);
  ASSERT_FALSE(larger);
  EXPECT_THAT(larger.error().message, HasSubstr("expected shape"));
  first = up;
  first.dtype = tensor::DType::kI32;
  first.bytes = std::string(4 * up.values().size(), '\0');
  const auto integers = bind_folder("copy_of_integers", tensors);
  ASSERT_FALSE(integers);
  EXPECT_THAT(integers.error().message, HasSubstr("expected a floating-point or quantised type, got I32"));
}

TEST(Weights, a_head_of_its_own_is_bound_beside_the_embedding) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  golden::Stored head = tensors["model.decoder.embed_tokens.weight"];
  head.bytes[0] = static_cast<char>(head.bytes[0] ^ 1);
  tensors["lm_head.weight"] = head;
  const auto own = bind_folder("own", tensors);
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_NE(own->vocabulary.head.data, own->vocabulary.embedding.data);
}

// transformers would draw what is missing at random.
TEST(Weights, an_untied_model_has_to_store_every_copy) {
  golden::Tensors tensors = golden::tensors_of("tiny-c");
  const auto without = bind_folder("untied", tensors, false);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, ErrorCode::kModelFile);
  EXPECT_THAT(without.error().message, HasSubstr("expected tensor model.encoder.language_model.embed_tokens.weight, as "
                                                 "the config says that tie_word_embeddings is false, got none"));
  const golden::Tensors stored = tensors;
  const std::string decoder = "model.decoder.";
  for (const auto& [name, tensor] : stored)
    if (name.starts_with(decoder) && !tensors.contains("model.encoder.language_model." + name.substr(decoder.size())))
      tensors["model.encoder.language_model." + name.substr(decoder.size())] = tensor;
  tensors["lm_head.weight"] = tensors["model.decoder.embed_tokens.weight"];
  const auto with = bind_folder("untied_whole", tensors, false);
  EXPECT_TRUE(with) << with.error().message;
}

TEST(Weights, divisors_of_frequencies_that_are_no_positive_numbers_are_refused) {
  const std::string bytes = file_bytes(golden::folder() + "tiny-a.gguf");
  const auto file = formats::GgufFile::parse(std::as_bytes(std::span(bytes)), "tiny-a.gguf").value();
  const formats::TensorEntry& divisors = *file.find_tensor("rope_freqs.weight");
  const size_t at = reinterpret_cast<const char*>(divisors.data.data()) - bytes.data() + sizeof(float);
  for (const float bad : {0.0f, -1.0f, 1e-7f, std::nanf("")}) {
    std::string edited = bytes;
    std::memcpy(edited.data() + at, &bad, sizeof bad);
    const auto r = bind_bytes(edited);
    ASSERT_FALSE(r) << bad;
    EXPECT_EQ(r.error().code, ErrorCode::kModelFile);
    EXPECT_THAT(r.error().message, HasSubstr("rope_freqs.weight: expected divisors of at least 1e-06, got "));
    EXPECT_THAT(r.error().message, HasSubstr(" as number 1"));
  }
}

TEST(Weights, examination_lists_every_tensor_with_its_role) {
  const TinyModel tiny = TinyModel::open("tiny-a");
  const BindingReport report = examine_weights(tiny.checkpoint, tiny.model.config());
  EXPECT_TRUE(report.missing.empty());
  EXPECT_TRUE(report.problems.empty());
  std::map<std::string, int> roles;
  for (const TensorReport& t : report.tensors) ++roles[t.role];
  EXPECT_GT(roles["model"], 70);
  EXPECT_GT(roles["vision"], 10);
  EXPECT_EQ(roles["unknown"], 0);
}

TEST(Weights, examination_tells_what_packing_takes) {
  for (const std::string name : {"tiny-a", "tiny-b", "tiny-c"}) {
    const Config config = TinyModel::open(name).model.config();
    for (const std::string& file : {name, name + ".gguf"}) {
      const formats::Checkpoint checkpoint = formats::Checkpoint::open(golden::folder() + file).value();
      const BindingReport report = examine_weights(checkpoint, config);
      Weights weights = bind_weights(checkpoint, config, {}).value();
      ASSERT_TRUE(pack_weights(weights, 1, {})) << file;
      EXPECT_EQ(report.packed_bytes, weights.packed.size()) << file;
    }
  }
}

}  // namespace
}  // namespace dgemma::model
