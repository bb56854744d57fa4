// ModelSource: a model on disk, opened but not bound: its files, config, tokenizer and chat template.
//
// What Engine::open, Tokenizer::open and inspect_model have in common. Test: tests/engine/engine_test.cc.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "formats/checkpoint.h"
#include "model/config.h"
#include "text/tokenizer.h"

namespace dgemma::engine {

// Keys of a packed file (model/packed_file.h) that was made from safetensors: the folder's files as texts.
inline constexpr const char* kConfigKey = "dgemma.config.json";
inline constexpr const char* kGenerationConfigKey = "dgemma.generation_config.json";
inline constexpr const char* kTokenizerKey = "dgemma.tokenizer.json";

/// The texts of a folder for these keys, and its chat template under GGUF's. Errors: kModelFile, kIo.
Result<std::vector<std::pair<std::string, std::string>>> folder_texts(const formats::Checkpoint& checkpoint);

/// A tokenizer and where it was found.
struct FoundTokenizer {
  text::Tokenizer tokenizer;
  std::string path;
};

/// Reads config.json (and generation_config.json) beside safetensors, or GGUF metadata.
/// Errors: kModelFile, kNotFound (no config.json), kIo.
Result<model::Config> read_config(const formats::Checkpoint& checkpoint);

/// tokenizer.json in a folder, or the tokenizer inside a GGUF; nullopt where there is none. Errors: kModelFile, kIo.
Result<std::optional<FoundTokenizer>> find_tokenizer(const formats::Checkpoint& checkpoint);
/// From a tokenizer.json, a folder or a .gguf. Errors: kNotFound, kIo, kModelFile.
Result<FoundTokenizer> open_tokenizer(const std::string& path);

/// What to tell of a tokenizer with tokens that text or the chat format may become and that the model's embedding has
/// no row for; "" where there is none. As in transformers such a model opens: a prompt that has one is refused.
std::string rows_note(const std::optional<FoundTokenizer>& tokenizer, const model::Config& config);

/// The chat template: its text and where it was found.
struct FoundTemplate {
  std::string text;
  std::string path;
};
/// chat_template.jinja, the field of tokenizer_config.json, or GGUF metadata; nullopt where there is none.
Result<std::optional<FoundTemplate>> find_chat_template(const formats::Checkpoint& checkpoint);

/// Whether the model can chat: the one format known here is Gemma 4's, which is applied where a file has no template
/// too. Errors: kUnsupported (no tokenizer, a template of another format).
Result<void> check_chat(const std::optional<FoundTokenizer>& tokenizer,
                        const std::optional<FoundTemplate>& chat_template);

/// End tokens of the checkpoint: those of its generation_config.json and no others, or, where that names none,
/// config.json's or GGUF's with the chat format's own, as far as the tokenizer knows them.
std::vector<int32_t> end_tokens(const model::Config& config, const std::optional<FoundTokenizer>& tokenizer);

}  // namespace dgemma::engine
