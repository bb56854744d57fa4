// Every layer of both passes against activations recorded from transformers: the first layer, row and feature that
// differ are printed. Made by the reference recorder (tests/data/golden/README.md).
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "formats/checkpoint.h"
#include "model/tiny_model.h"

namespace dgemma::model {
namespace {

// Measured: float32 of both sides differs by up to 3e-5 after the last layer; ten times that is still far below what
// any mistake in the arithmetic makes.
constexpr double kTolerance = 3e-4;

/// Compares a residual stream with a recorded [rows, D] tensor; says where they part.
void expect_equal(const formats::TensorEntry& recorded, tensor::ConstBlocks x, const std::string& what) {
  ASSERT_EQ(recorded.shape.size(), 2u);
  const size_t rows = recorded.shape[0], width = recorded.shape[1];
  for (size_t r = 0; r < rows; ++r)
    for (size_t d = 0; d < width; ++d) {
      float expected;
      std::memcpy(&expected, recorded.data.data() + (r * width + d) * sizeof(float), sizeof expected);
      ASSERT_NEAR(x.at(r, d), expected, kTolerance * std::max(1.0, std::abs(double{expected})))
          << what << ": first difference at row " << r << ", feature " << d;
    }
}

class ReferenceActivations : public testing::TestWithParam<golden::Case> {};

TEST_P(ReferenceActivations, agree_layer_by_layer) {
  const golden::Case c = GetParam();
  const auto lines = golden::trace(c);
  const auto prompt = lines[0]["prompt_ids"].get<std::vector<int32_t>>();
  const auto recorded =
      formats::Checkpoint::open(golden::folder() + c.model + "/" + c.name + ".activations.safetensors");
  ASSERT_TRUE(recorded) << recorded.error().message;
  const TinyModel tiny = TinyModel::open(c.model);
  const Config& config = tiny.model.config();
  ops::Exec exec(*kernels::available().back(), 2);
  const auto workspace = make_workspace();
  KvCache cache = tiny.model.new_cache();

  const auto check = [&](const std::string& prefix) {
    return [&, prefix](size_t layer, tensor::ConstBlocks x) {
      const formats::TensorEntry* entry = recorded->find(prefix + "layer" + std::to_string(layer));
      ASSERT_NE(entry, nullptr) << prefix << layer;
      expect_equal(*entry, x, prefix + "layer" + std::to_string(layer));
    };
  };
  RowGroup encode;
  encode.cache = &cache, encode.tokens = prompt;
  ASSERT_TRUE(tiny.model.sweep(exec, *workspace, {&encode, 1}, check("encoder.")));

  const auto length = static_cast<size_t>(config.canvas_length);
  SelfConditioning conditioning;
  const std::vector<double> uniform(length, 0.5);
  std::vector<ops::RowPrediction> predictions(length);
  for (int step = 0; step < 2 && !testing::Test::HasFatalFailure(); ++step) {
    const auto& line = lines[static_cast<size_t>(step) + 1];
    const auto input = line["input"].get<std::vector<int32_t>>();
    RowGroup denoise;
    denoise.cache = &cache, denoise.tokens = input, denoise.denoise = true;
    denoise.temperature = line["temperature"], denoise.uniform = uniform;
    denoise.conditioning = &conditioning, denoise.predictions = predictions;
    ASSERT_TRUE(tiny.model.sweep(exec, *workspace, {&denoise, 1}, check("step" + std::to_string(step) + ".decoder.")));
    for (size_t r = 0; r < length; ++r) {
      EXPECT_EQ(predictions[r].best, line["best"][r]) << "step " << step << " row " << r;
      EXPECT_NEAR(predictions[r].entropy, line["entropy"][r].get<double>(), 1e-3) << "step " << step << " row " << r;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, ReferenceActivations,
                         testing::Values(golden::Case{"tiny-a", "short"}, golden::Case{"tiny-a", "two-windows"},
                                         golden::Case{"tiny-b", "one-token"}));

}  // namespace
}  // namespace dgemma::model
