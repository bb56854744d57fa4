// Real files: the tiny models as PyPI gguf wrote them (tools/safetensors_to_gguf.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/checkpoint.h"

namespace dgemma::formats {
namespace {

using ::testing::ElementsAre;

const std::string kGolden = DGEMMA_SOURCE_DIR "/tests/data/golden/";

TEST(GoldenGguf, a_file_that_gguf_wrote_is_read) {
  const auto checkpoint = Checkpoint::open(kGolden + "tiny-a.gguf");
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  const GgufFile& gguf = *checkpoint->gguf();
  EXPECT_EQ(gguf.version(), 3u);
  EXPECT_EQ(gguf.get<std::string_view>("general.architecture").value(), "diffusion-gemma");
  EXPECT_THAT(gguf.get<std::vector<int32_t>>("diffusion-gemma.attention.head_count_kv").value(), ElementsAre(2, 2, 1));
  EXPECT_THAT(gguf.get<std::vector<int64_t>>("diffusion-gemma.attention.sliding_window_pattern").value(),
              ElementsAre(1, 1, 0));
  EXPECT_FLOAT_EQ(static_cast<float>(gguf.get<double>("diffusion-gemma.rope.freq_base").value()), 1e6f);
  const TensorEntry* embedding = checkpoint->find("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->dtype, tensor::DType::kBF16);
  EXPECT_EQ(embedding->shape, (std::vector<uint64_t>{512, 64}));
  EXPECT_EQ(checkpoint->find("blk.0.ffn_down_exps.weight")->shape, (std::vector<uint64_t>{4, 64, 32}));
}

TEST(GoldenGguf, all_tiny_models_open) {
  for (const char* name : {"tiny-a", "tiny-b", "tiny-c"}) {
    const auto checkpoint = Checkpoint::open(kGolden + name + ".gguf");
    ASSERT_TRUE(checkpoint) << checkpoint.error().message;
    for (const TensorEntry& tensor : checkpoint->tensors()) EXPECT_TRUE(tensor.aligned(32)) << tensor.name;
  }
}

}  // namespace
}  // namespace dgemma::formats
