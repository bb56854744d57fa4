// Packed files: what is written and mapped again is what packing in memory gives, and broken ones are refused.
#include "model/packed_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "model/packing.h"
#include "model/tiny_model.h"

namespace dgemma::model {
namespace {

using testing::HasSubstr;

class PackedFile : public testing::Test {
 protected:
  PackedFile() : config_(TinyModel::open("tiny-a").model.config()) {}

  std::string write(const std::string& model) {
    const std::string path = testing::TempDir() + "model.packed.gguf";
    const auto source = formats::Checkpoint::open(golden::folder() + model);
    EXPECT_TRUE(source) << source.error().message;
    const auto done = write_packed_file(*source, config_, {{"test.note", "tiny"}}, path, {}, 2, {});
    EXPECT_TRUE(done) << done.error().message;
    return path;
  }

  std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// Opens and binds a file of these bytes.
  Result<void> bind(const std::string& bytes) {
    const std::string path = testing::TempDir() + "edited.packed.gguf";
    std::ofstream(path, std::ios::binary) << bytes;
    DG_TRY_ASSIGN(const formats::Checkpoint file, formats::Checkpoint::open(path));
    DG_TRY_ASSIGN(const Weights weights, bind_weights(file, config_, {}));
    return {};
  }

  const Config config_;
};

void expect_same_matrix(const tensor::Weight& a, const tensor::Weight& b, const std::string& what) {
  ASSERT_EQ(a.dtype, b.dtype) << what;
  ASSERT_EQ(a.rows, b.rows) << what;
  ASSERT_EQ(a.cols, b.cols) << what;
  std::vector<float> left(a.cols), right(b.cols);
  for (size_t row = 0; row < a.rows; ++row) {
    tensor::unpack_row(a, row, left.data());
    tensor::unpack_row(b, row, right.data());
    ASSERT_EQ(left, right) << what << " row " << row;
  }
}

TEST_F(PackedFile, holds_what_packing_in_memory_gives) {
  for (const char* model : {"tiny-a", "tiny-a.gguf"}) {
    const auto source = formats::Checkpoint::open(golden::folder() + model);
    Weights packed = bind_weights(*source, config_, {}).value();
    ASSERT_TRUE(pack_weights(packed, 1, {}));
    const auto file = formats::Checkpoint::open(write(model));
    ASSERT_TRUE(file) << file.error().message;
    const auto bound = bind_weights(*file, config_, {});
    ASSERT_TRUE(bound) << bound.error().message;
    Weights& mutable_bound = const_cast<Weights&>(*bound);
    ASSERT_TRUE(pack_weights(mutable_bound, 1, {})) << "packed weights stay as they are";
    EXPECT_EQ(bound->packed.size(), 0u);
    EXPECT_EQ(bound->parameters, packed.parameters);
    EXPECT_EQ(bound->vocabulary.head.data, bound->vocabulary.embedding.data);
    expect_same_matrix(bound->vocabulary.embedding, packed.vocabulary.embedding, "embedding");
    expect_same_matrix(bound->self_conditioning.up, packed.self_conditioning.up, "self-conditioning");
    for (size_t i = 0; i < packed.layer.size(); ++i) {
      const LayerWeights &a = bound->layer[i], &b = packed.layer[i];
      expect_same_matrix(a.q, b.q, "q");
      expect_same_matrix(a.down, b.down, "down");
      expect_same_matrix(a.experts.gate, b.experts.gate, "experts' gate");
      expect_same_matrix(a.experts.up, b.experts.up, "experts' up");
      expect_same_matrix(a.experts.down, b.experts.down, "experts' down");
      EXPECT_EQ(a.experts.stride, b.experts.stride);
      EXPECT_EQ(a.experts.down_stride, b.experts.down_stride);
      EXPECT_EQ(a.decoder_scalar, b.decoder_scalar);
      EXPECT_EQ(a.encoder_scalar, b.encoder_scalar);
      EXPECT_TRUE(std::equal(a.input_norm, a.input_norm + config_.width, b.input_norm));
      EXPECT_FALSE(a.router.packed());
      EXPECT_EQ(bool(a.v), bool(b.v));
    }
  }
}

TEST_F(PackedFile, has_no_other_tensors_and_no_problems) {
  const auto file = formats::Checkpoint::open(write("tiny-a"));
  const BindingReport report = examine_weights(*file, config_);
  EXPECT_THAT(report.problems, testing::IsEmpty());
  EXPECT_THAT(report.missing, testing::IsEmpty());
  for (const TensorReport& t : report.tensors) EXPECT_EQ(t.role, "model") << t.name;
}

TEST_F(PackedFile, another_layout_is_refused_with_what_to_do) {
  std::string bytes = bytes_of(write("tiny-a"));
  const size_t at = bytes.find(kPackedLayoutKey) + std::strlen(kPackedLayoutKey) + sizeof(uint32_t);
  bytes[at] = 9;
  const auto r = bind(bytes);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ErrorCode::kModelFile);
  EXPECT_THAT(r.error().message, HasSubstr("expected 1, got 9, the layout of another version. Make the file again"));
}

TEST_F(PackedFile, a_renamed_tensor_a_wrong_type_and_a_wrong_shape_are_named) {
  const std::string bytes = bytes_of(write("tiny-a"));
  const std::string name = "blk.1.ffn_down_exps.weight";
  const size_t info = bytes.find(name) + name.size();
  std::string renamed = bytes;
  renamed[info - 1] = 'x';
  auto r = bind(renamed);
  ASSERT_FALSE(r);
  EXPECT_THAT(r.error().message, HasSubstr(name + ": expected a packed tensor, got none of that name"));

  std::string typed = bytes;  // u32 dimensions, three u64, then the type
  const uint32_t q4_0 = 2;
  std::memcpy(&typed[info + 4 + 3 * 8], &q4_0, sizeof q4_0);
  r = bind(typed);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ErrorCode::kModelFile);
  EXPECT_THAT(r.error().message, HasSubstr(name + ": expected a packed type, got Q4_0"));

  std::string shaped = bytes;
  uint64_t panels = 0;
  std::memcpy(&panels, &shaped[info + 4 + 2 * 8], sizeof panels);
  --panels;
  std::memcpy(&shaped[info + 4 + 2 * 8], &panels, sizeof panels);
  r = bind(shaped);
  ASSERT_FALSE(r);
  EXPECT_THAT(r.error().message, HasSubstr(name + ": expected shape "));
}

TEST_F(PackedFile, truncated_anywhere_it_is_refused) {
  const std::string bytes = bytes_of(write("tiny-a"));
  for (size_t length = 0; length < bytes.size(); length += length < 2000 ? 41 : bytes.size() / 31) {
    const auto r = bind(bytes.substr(0, length));
    ASSERT_FALSE(r) << length;
    EXPECT_EQ(r.error().code, ErrorCode::kModelFile) << length << ": " << r.error().message;
  }
}

TEST_F(PackedFile, a_source_that_cannot_be_packed_leaves_nothing) {
  const std::string folder = testing::TempDir() + "nothing_left";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  const auto packed = formats::Checkpoint::open(write("tiny-a"));
  const auto r = write_packed_file(*packed, config_, {}, folder + "/out.gguf", {}, 1, {});
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ErrorCode::kUsage);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

}  // namespace
}  // namespace dgemma::model
