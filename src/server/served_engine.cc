// See served_engine.h.
#include "server/served_engine.h"

#include <algorithm>
#include <utility>

#include "base/format.h"

namespace dgemma::server {
namespace {

/// "pocket" of "models/pocket/", "model" of "dir/model.gguf".
std::string file_stem(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  path = path.substr(path.rfind('/') + 1);
  for (const std::string suffix : {".gguf", ".safetensors"})
    if (path.ends_with(suffix) && path.size() > suffix.size()) path.resize(path.size() - suffix.size());
  return path.empty() ? "model" : path;
}

ServedModel served_model(const ServerOptions& options, const ModelInfo& info) {
  ServedModel model;
  const std::string stem = file_stem(info.path);
  model.name = options.alias.empty() ? stem : options.alias;
  model.names = {model.name, stem};
  model.info = info;
  model.sampler = options.sampler;
  const auto pick = [](const auto& own, auto checkpoint) { return own.value_or(checkpoint); };
  const SamplerOptions& own = options.sampler;
  const SamplerValues& checkpoint = info.sampler;
  model.defaults = {pick(own.max_denoising_steps, checkpoint.max_denoising_steps),
                    pick(own.t_min, checkpoint.t_min),
                    pick(own.t_max, checkpoint.t_max),
                    pick(own.entropy_bound, checkpoint.entropy_bound),
                    pick(own.stability_threshold, checkpoint.stability_threshold),
                    pick(own.confidence_threshold, checkpoint.confidence_threshold)};
  model.limits = options.limits;
  return model;
}

}  // namespace

ServedEngine::ServedEngine(Engine e, const ServerOptions& options)
    : engine(std::move(e)),
      model(served_model(options, engine.info())),
      context_tokens(options.session.context),
      pool(engine, options.session, options.cache_bytes),
      scheduler(options.parallel, options.max_queue) {}

Result<void> ServedEngine::check_options(const SessionOptions& session) const {
  const SamplerValues& s = model.defaults;
  if (s.t_min > s.t_max)
    return Unexpected(ErrorCode::kUsage, base::concat("--t-min: expected at most t_max, ", s.t_max, ", got ", s.t_min));
  if (context() <= model.info.canvas_length)
    return Unexpected(ErrorCode::kUsage, base::concat("--context: expected more than a canvas of ",
                                                      model.info.canvas_length, " tokens, got ", context()));
  const auto first = engine.new_session(session);
  return first ? Result<void>() : Unexpected(first.error());
}

bool ServedEngine::has_name(const std::string& name) const {
  return std::find(model.names.begin(), model.names.end(), name) != model.names.end();
}

Result<void> ServedEngine::make_prompt(ChatRequest& request) const {
  AnswerRequest& answer = request.answer;
  DG_TRY_ASSIGN(std::vector<int32_t> ids, engine.encode_chat(request.chat));
  if (!request.forced_call.empty()) {
    answer.forced = tokenizer().encode("<|tool_call>");
    for (const int32_t id : tokenizer().encode_plain(request.forced_call)) answer.forced.push_back(id);
    ids.insert(ids.end(), answer.forced.begin(), answer.forced.end());
  }
  DG_TRY(check_length(ids, "messages"));
  answer.prompts = {std::move(ids)};
  return {};
}

Result<void> ServedEngine::make_prompt(CompletionRequest& request) const {
  const int32_t bos = tokenizer().bos_id();
  for (CompletionPrompt& prompt : request.prompts) {
    std::vector<int32_t> ids = std::move(prompt.ids);
    if (ids.empty()) {
      ids = tokenizer().encode(prompt.text);
      if (bos >= 0 && (ids.empty() || ids.front() != bos)) ids.insert(ids.begin(), bos);
    }
    for (size_t i = 0; i < ids.size(); ++i)
      if (ids[i] >= model.info.vocab_size)
        return Unexpected(ErrorCode::kInvalidRequest, base::concat(prompt.field, "[", i, "]: expected an id from 0 to ",
                                                                   model.info.vocab_size - 1, ", got ", ids[i]));
    DG_TRY(check_length(ids, prompt.field));
    request.answer.prompts.push_back(std::move(ids));
  }
  return {};
}

/// What would fail once the answer has a place is said before it waits for one.
Result<void> ServedEngine::check_length(std::span<const int32_t> prompt, const std::string& field) const {
  const int canvas = model.info.canvas_length, most = std::max(0, context() - canvas);
  if (prompt.size() <= static_cast<size_t>(most)) return {};
  return Unexpected(ErrorCode::kContextFull,
                    base::concat(field, ": expected a prompt of at most ", most, " tokens, which leaves a canvas of ",
                                 canvas, " in a context of ", context(), ", got ", prompt.size()));
}

}  // namespace dgemma::server
