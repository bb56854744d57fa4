// Loads one of the tiny golden models for the tests of the model room.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/mapped_file.h"
#include "formats/checkpoint.h"
#include "golden.h"
#include "model/model.h"

namespace dgemma::model {

struct TinyModel {
  formats::Checkpoint checkpoint;
  Model model;

  static TinyModel open(const std::string& name, tensor::DType cache_type = tensor::DType::kF32) {
    const std::string folder = golden::folder() + name;
    auto checkpoint = formats::Checkpoint::open(folder);
    EXPECT_TRUE(checkpoint) << checkpoint.error().message;
    const std::string text = base::read_text_file(folder + "/config.json", 1 << 20).value();
    Config config = config_from_json(text, folder + "/config.json", "", "").value();
    Weights weights = bind_weights(*checkpoint, config, {}).value();
    return {std::move(*checkpoint), Model(std::move(config), std::move(weights), cache_type)};
  }
};

}  // namespace dgemma::model
