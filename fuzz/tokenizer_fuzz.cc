// Fuzzes tokenizer.json and what a tokenizer does with text.
//
// An input is a tokenizer.json, a zero byte, and a text (without the zero byte the file is its own text). Whatever
// loads must keep the tokenizer's promises: ids inside the vocabulary, no control token from plain text, valid UTF-8
// out, the same text in one go and id by id. Seeds: fuzz/corpus/tokenizer.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

using dgemma::text::ControlText;
using dgemma::text::Detokenizer;
using dgemma::text::Tokenizer;

namespace {

void check_decoding(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  for (const ControlText control : {ControlText::kKeep, ControlText::kDropSpecial, ControlText::kKeepMarkers}) {
    const auto whole = tokenizer.decode(ids, control);
    DG_CHECK(whole, "decode refused its own ids");
    DG_CHECK(dgemma::base::utf8_is_valid(*whole), "decode gave invalid UTF-8");
    Detokenizer stream(tokenizer, control);
    std::string text;
    for (const int32_t id : ids) text += stream.push(id);
    text += stream.finish();
    DG_CHECK(text == *whole, "one by one gave another text");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\0');
  const std::string_view json = input.substr(0, end);
  const std::string_view text = end == std::string_view::npos ? input : input.substr(end + 1);
  const auto tokenizer = Tokenizer::from_json(json, "fuzz");
  if (!tokenizer) {
    DG_CHECK(tokenizer.error().code == dgemma::ErrorCode::kModelFile && !tokenizer.error().message.empty());
    return 0;
  }
  const auto ids = tokenizer->encode(text);
  for (const int32_t id : ids) DG_CHECK(id >= 0 && id < tokenizer->vocab_size(), "id ", id);
  const auto plain = tokenizer->encode_plain(text);
  for (const int32_t id : plain)
    DG_CHECK(!tokenizer->is_control(id) || id == tokenizer->unk_id(), "plain text gave control id ", id);
  check_decoding(*tokenizer, ids);
  check_decoding(*tokenizer, plain);
  for (int32_t id = -1; id <= std::min(tokenizer->vocab_size(), 64); ++id) (void)tokenizer->piece(id);
  return 0;
}
