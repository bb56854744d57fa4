// See model_source.h.
#include "engine/model_source.h"

#include <algorithm>
#include <filesystem>

#include "base/format.h"
#include "base/mapped_file.h"
#include "formats/json.h"
#include "formats/tensor_table.h"
#include "text/chat.h"

namespace dgemma::engine {
namespace {

namespace fs = std::filesystem;

// The largest tokenizer.json known is 33 MB.
constexpr size_t kMostTokenizerBytes = size_t{256} << 20;
constexpr size_t kMostTemplateBytes = size_t{4} << 20;

std::string inside(const std::string& folder, const char* name) { return (fs::path(folder) / name).string(); }

/// The text of a file that may be absent: "" then. One that is there and empty was cut off.
Result<std::string> read_if_there(const std::string& path, size_t limit) {
  DG_TRY_ASSIGN(const bool there, formats::is_there(path));
  if (!there) return std::string();
  DG_TRY_ASSIGN(std::string text, base::read_text_file(path, limit));
  if (text.empty()) return formats::bad_file(path, "", "text", "an empty file. Copy it again");
  return text;
}

Result<FoundTokenizer> tokenizer_from_json(const std::string& path) {
  DG_TRY_ASSIGN(const base::MappedFile file, base::MappedFile::open(path));
  if (file.bytes().size() > kMostTokenizerBytes)
    return Unexpected(ErrorCode::kModelFile,
                      base::concat(path, ": expected at most ", base::bytes_text(kMostTokenizerBytes), ", got ",
                                   base::bytes_text(file.bytes().size())));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  DG_TRY_ASSIGN(text::Tokenizer tokenizer, text::Tokenizer::from_json(text, path));
  return FoundTokenizer{std::move(tokenizer), path};
}

Result<std::optional<FoundTokenizer>> tokenizer_from_gguf(const formats::GgufFile& file) {
  DG_TRY_ASSIGN(const auto json, file.get_optional<std::string_view>(kTokenizerKey));
  if (json) {
    const std::string path = base::concat(file.path(), ": ", kTokenizerKey);
    DG_TRY_ASSIGN(text::Tokenizer tokenizer, text::Tokenizer::from_json(*json, path));
    return std::optional(FoundTokenizer{std::move(tokenizer), file.path()});
  }
  if (file.find("tokenizer.ggml.tokens") == nullptr) return std::optional<FoundTokenizer>();
  text::GgufTokenizerParts parts;
  DG_TRY_ASSIGN(const std::string_view model, file.get<std::string_view>("tokenizer.ggml.model"));
  DG_TRY_ASSIGN(const auto tokens, file.get<std::vector<std::string_view>>("tokenizer.ggml.tokens"));
  DG_TRY_ASSIGN(const auto types, file.get_optional<std::vector<int32_t>>("tokenizer.ggml.token_type"));
  DG_TRY_ASSIGN(const auto merges, file.get_optional<std::vector<std::string_view>>("tokenizer.ggml.merges"));
  DG_TRY_ASSIGN(parts.bos_id, file.get_optional<int64_t>("tokenizer.ggml.bos_token_id"));
  DG_TRY_ASSIGN(parts.unk_id, file.get_optional<int64_t>("tokenizer.ggml.unknown_token_id"));
  DG_TRY_ASSIGN(const auto prefix, file.get_optional<bool>("tokenizer.ggml.add_space_prefix"));
  parts.model = model;
  parts.tokens = tokens;
  if (types) parts.token_types = *types;
  if (merges) parts.merges = *merges;
  parts.add_space_prefix = prefix.value_or(false);
  DG_TRY_ASSIGN(text::Tokenizer tokenizer, text::Tokenizer::from_gguf_parts(parts, file.path()));
  return std::optional(FoundTokenizer{std::move(tokenizer), file.path()});
}

/// The field chat_template: a text, or, as older tools wrote several, a list of {"name": ..., "template": ...}.
Result<std::string> template_text(const nlohmann::json& field, const std::string& path) {
  if (field.is_string()) return field.get<std::string>();
  const nlohmann::json none = nlohmann::json::array();
  for (const nlohmann::json& one : field.is_array() ? field : none)
    if (one.is_object() && one.value("name", nlohmann::json()) == "default" && one.contains("template") &&
        one["template"].is_string())
      return one["template"].get<std::string>();
  return formats::bad_file(path, "chat_template", "a text, or a list with a template of the name default",
                           field.is_array() ? "a list without one" : field.type_name());
}

}  // namespace

Result<model::Config> read_config(const formats::Checkpoint& checkpoint) {
  if (const formats::GgufFile* gguf = checkpoint.gguf(); gguf != nullptr && gguf->find(kConfigKey) != nullptr) {
    DG_TRY_ASSIGN(const std::string_view config, gguf->get<std::string_view>(kConfigKey));
    DG_TRY_ASSIGN(const auto generation, gguf->get_optional<std::string_view>(kGenerationConfigKey));
    return model::config_from_json(config, base::concat(gguf->path(), ": ", kConfigKey), generation.value_or(""),
                                   base::concat(gguf->path(), ": ", kGenerationConfigKey));
  }
  if (checkpoint.gguf() != nullptr) return model::config_from_gguf(*checkpoint.gguf());
  const std::string config_path = inside(checkpoint.folder(), "config.json");
  const std::string generation_path = inside(checkpoint.folder(), "generation_config.json");
  DG_TRY_ASSIGN(const bool there, formats::is_there(config_path));
  if (!there)
    return Unexpected(ErrorCode::kModelFile,
                      config_path + ": expected the model's config.json beside its safetensors, got no such file");
  DG_TRY_ASSIGN(const std::string config, base::read_text_file(config_path, formats::kMaxJsonBytes));
  DG_TRY_ASSIGN(const std::string generation, read_if_there(generation_path, formats::kMaxJsonBytes));
  return model::config_from_json(config, config_path, generation, generation_path);
}

Result<std::optional<FoundTokenizer>> find_tokenizer(const formats::Checkpoint& checkpoint) {
  if (checkpoint.gguf() != nullptr) return tokenizer_from_gguf(*checkpoint.gguf());
  const std::string path = inside(checkpoint.folder(), "tokenizer.json");
  DG_TRY_ASSIGN(const bool there, formats::is_there(path));
  if (!there) return std::optional<FoundTokenizer>();
  DG_TRY_ASSIGN(FoundTokenizer found, tokenizer_from_json(path));
  return std::optional(std::move(found));
}

Result<FoundTokenizer> open_tokenizer(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return tokenizer_from_json(inside(path, "tokenizer.json"));
  DG_TRY_ASSIGN(const base::MappedFile file, base::MappedFile::open(path));
  if (!formats::looks_like_gguf(file.bytes())) return tokenizer_from_json(path);
  DG_TRY_ASSIGN(const formats::GgufFile gguf, formats::GgufFile::open(path));
  DG_TRY_ASSIGN(std::optional<FoundTokenizer> found, tokenizer_from_gguf(gguf));
  if (!found) return Unexpected(ErrorCode::kModelFile, path + ": expected a tokenizer, got a GGUF file without one");
  return std::move(*found);
}

std::string rows_note(const std::optional<FoundTokenizer>& found, const model::Config& config) {
  if (!found) return {};
  const text::Tokenizer& tokenizer = found->tokenizer;
  for (int32_t id = config.vocab; id < tokenizer.vocab_size(); ++id) {
    const std::string_view token = tokenizer.token_text(id);
    // Gemma 3's tokenizer has a token for images that its text-only models have no row for.
    if (tokenizer.is_control(id) && id != tokenizer.bos_id() && !text::is_chat_marker(token)) continue;
    return base::concat(found->path, ": ", tokenizer.vocab_size(), " tokens, of which the model has ", config.vocab,
                        "; a prompt with one of the others, such as ", base::quoted(token), ", is refused");
  }
  return {};
}

Result<std::optional<FoundTemplate>> find_chat_template(const formats::Checkpoint& checkpoint) {
  if (const formats::GgufFile* gguf = checkpoint.gguf()) {
    DG_TRY_ASSIGN(const auto text, gguf->get_optional<std::string_view>("tokenizer.chat_template"));
    if (!text || text->empty()) return std::optional<FoundTemplate>();
    return std::optional(FoundTemplate{std::string(*text), gguf->path() + ": tokenizer.chat_template"});
  }
  const std::string own = inside(checkpoint.folder(), "chat_template.jinja");
  DG_TRY_ASSIGN(std::string text, read_if_there(own, kMostTemplateBytes));
  if (!text.empty()) return std::optional(FoundTemplate{std::move(text), own});
  const std::string config_path = inside(checkpoint.folder(), "tokenizer_config.json");
  DG_TRY_ASSIGN(const bool there, formats::is_there(config_path));
  if (!there) return std::optional<FoundTemplate>();
  DG_TRY_ASSIGN(const nlohmann::json config, formats::read_json_file(config_path));
  if (!config.is_object()) return formats::bad_file(config_path, "", "a JSON object", config.type_name());
  const auto field = config.find("chat_template");
  if (field == config.end() || field->is_null()) return std::optional<FoundTemplate>();
  DG_TRY_ASSIGN(std::string found, template_text(*field, config_path));
  return std::optional(FoundTemplate{std::move(found), config_path + " (chat_template)"});
}

Result<std::vector<std::pair<std::string, std::string>>> folder_texts(const formats::Checkpoint& checkpoint) {
  std::vector<std::pair<std::string, std::string>> texts = {{"general.architecture", "diffusion-gemma"}};
  const std::pair<const char*, const char*> files[] = {
      {kConfigKey, "config.json"}, {kGenerationConfigKey, "generation_config.json"}, {kTokenizerKey, "tokenizer.json"}};
  for (const auto& [key, name] : files) {
    DG_TRY_ASSIGN(std::string text, read_if_there(inside(checkpoint.folder(), name), kMostTokenizerBytes));
    if (!text.empty()) texts.emplace_back(key, std::move(text));
  }
  DG_TRY_ASSIGN(auto chat_template, find_chat_template(checkpoint));
  if (chat_template) texts.emplace_back("tokenizer.chat_template", std::move(chat_template->text));
  return texts;
}

Result<void> check_chat(const std::optional<FoundTokenizer>& tokenizer,
                        const std::optional<FoundTemplate>& chat_template) {
  if (!tokenizer)
    return Unexpected(ErrorCode::kUnsupported, "the model has no tokenizer: give token ids instead of text");
  if (!chat_template || text::is_gemma4_template(chat_template->text)) return {};
  // The file's name alone: the service says this to clients, who need not know its folders.
  return Unexpected(ErrorCode::kUnsupported,
                    base::concat(fs::path(chat_template->path).filename().string(),
                                 ": expected the Gemma 4 chat format, the one that is known here, "
                                 "got the template of another. Give the prompt as text in its own format, "
                                 "without a chat format, or as ids"));
}

std::vector<int32_t> end_tokens(const model::Config& config, const std::optional<FoundTokenizer>& tokenizer) {
  std::vector<int32_t> ids = config.eos_ids;
  if (config.eos_listed || !tokenizer) return ids;
  const auto add = [&](int64_t id) {
    const auto end = static_cast<int32_t>(id);
    if (id >= 0 && id < config.vocab && std::find(ids.begin(), ids.end(), end) == ids.end()) ids.push_back(end);
  };
  for (const char* name : {"<eos>", "<turn|>", "<|tool_response>"}) add(tokenizer->tokenizer.id_of(name));
  return ids;
}

}  // namespace dgemma::engine
