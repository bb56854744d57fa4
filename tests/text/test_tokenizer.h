// Tokenizers for the tests of this room: the two cut out of Gemma's (tools/make_tokenizer_fixture.py) and one of a few
// tokens.
#pragma once

#include <fstream>
#include <iterator>
#include <string>

#include "base/check.h"
#include "text/tokenizer.h"

namespace dgemma::text {

inline std::string test_data(const std::string& name) {
  std::ifstream file(std::string(DGEMMA_SOURCE_DIR) + "/tests/data/text/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Tokenizer test_tokenizer(const std::string& name) {
  auto tokenizer = Tokenizer::from_json(test_data(name + ".json"), name);
  return std::move(tokenizer).value();
}
inline Tokenizer gemma3_test_tokenizer() { return test_tokenizer("gemma3_small"); }
inline Tokenizer gemma4_test_tokenizer() { return test_tokenizer("gemma4_small"); }

/// A whole tokenizer.json around `model` members and `rest` members.
inline std::string tokenizer_json(const std::string& model, const std::string& rest = "") {
  return R"({"model": {"type": "BPE", "byte_fallback": true, )" + model +
         R"(}, "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]})" + rest + "}";
}

inline Tokenizer tiny_test_tokenizer() {
  auto tokenizer =
      Tokenizer::from_json(tokenizer_json(R"("vocab": {"<bos>": 0, "a": 1, "b": 2, "ab": 3}, "merges": [["a", "b"]])",
                                          R"(, "added_tokens": [{"id": 0, "content": "<bos>", "special": true}])"),
                           "tiny");
  return std::move(tokenizer).value();
}

}  // namespace dgemma::text
