// Implements dgemma/compare.h: record what A does, replay it in B, measure every row (row_distance.h).
//
// The sampler runs with A behind the Denoiser seam; the recorder keeps each step's input and A's hidden states, which
// are small beside logits (L x D instead of L x V). One model works at a time, so that two large files take turns in
// the page cache by prompt, not by step. Test: tests/engine/compare_test.cc.
#include "dgemma/compare.h"

#include <algorithm>
#include <filesystem>

#include "base/check.h"
#include "base/format.h"
#include "base/philox.h"
#include "diffusion/canvas_loop.h"
#include "diffusion/sampler.h"
#include "engine/model_run.h"
#include "engine/model_source.h"
#include "engine/row_distance.h"
#include "engine/sampler_values.h"
#include "text/chat.h"

namespace dgemma {
namespace {

using engine::LoadedModel;
using engine::ModelRun;

constexpr uint32_t kPromptCanvas = 1u << 20;  // a canvas number that no answer reaches: random prompts are drawn there

Unexpected differ(const std::string& what, const std::string& a, const std::string& b) {
  return {ErrorCode::kInvalidRequest, base::concat("compare: expected two models with the same ", what, ", got ", a,
                                                   " and ", b, ". Rows of different models cannot be compared")};
}

/// One step of A's run: what went in, and what came out before the LM head.
struct RecordedStep {
  std::vector<int32_t> canvas;
  std::vector<double> uniform;
  double temperature = 1;
  bool first = false, keep_soft = true;
  tensor::BlockMatrix hidden;  // [L, D]
};

/// The row group of a step for one model.
model::RowGroup group_of(const RecordedStep& step, model::KvCache& cache, model::SelfConditioning& conditioning,
                         std::span<ops::RowPrediction> predictions) {
  if (step.first) conditioning.present = false;
  model::RowGroup group;
  group.cache = &cache, group.tokens = step.canvas, group.denoise = true;
  group.temperature = step.temperature, group.uniform = step.uniform;
  group.conditioning = &conditioning, group.keep_soft = step.keep_soft, group.predictions = predictions;
  return group;
}

/// Model A behind the diffusion loop: predicts, and keeps every step.
class Recorder : public diffusion::Denoiser {
 public:
  Recorder(ModelRun& run, model::KvCache& cache) : run_(run), cache_(cache) {}

  Result<void> predict(const diffusion::StepInput& input, std::span<diffusion::RowDecision> decisions) override {
    DG_CHECK(input.append.empty(), "one canvas has no canvas before it");
    RecordedStep step;
    step.canvas.assign(input.canvas.begin(), input.canvas.end());
    step.uniform.assign(input.uniform.begin(), input.uniform.end());
    step.temperature = input.temperature, step.first = input.first;
    step.keep_soft = input.soft != diffusion::Soft::kDiscard;
    predictions_.resize(decisions.size());
    DG_TRY(run_.denoise(group_of(step, cache_, conditioning_, predictions_), nullptr, &step.hidden));
    for (size_t row = 0; row < decisions.size(); ++row) {
      const ops::RowPrediction& p = predictions_[row];
      decisions[row] = {p.best, p.sample, p.entropy, p.best_logprob};
    }
    steps_.push_back(std::move(step));
    return {};
  }

  std::vector<RecordedStep> take_steps() { return std::move(steps_); }

 private:
  ModelRun& run_;
  model::KvCache& cache_;
  model::SelfConditioning conditioning_;
  std::vector<ops::RowPrediction> predictions_;
  std::vector<RecordedStep> steps_;
};

/// One model ready to run, with its tokenizer.
struct Side {
  LoadedModel loaded;
  std::optional<engine::FoundTokenizer> tokenizer;

  static Result<Side> open(const EngineOptions& options) {
    DG_TRY_ASSIGN(LoadedModel loaded, engine::load_model(options));
    DG_TRY_ASSIGN(auto tokenizer, engine::find_tokenizer(loaded.checkpoint));
    return Side{std::move(loaded), std::move(tokenizer)};
  }
  const model::Config& config() const { return loaded.model.config(); }
  ComparedModel description(const std::string& path) const {
    return {path, loaded.settings.table->name, loaded.settings.compute, loaded.model.weights().parameters};
  }
};

Result<void> check_alike(const Side& a, const Side& b) {
  const auto tokens = [](int count) { return base::concat(count, " tokens"); };
  if (a.config().vocab != b.config().vocab)
    return differ("vocabulary", tokens(a.config().vocab), tokens(b.config().vocab));
  if (a.config().canvas_length != b.config().canvas_length)
    return differ("canvas length", tokens(a.config().canvas_length), tokens(b.config().canvas_length));
  if (!a.tokenizer || !b.tokenizer) return {};
  const text::Tokenizer &one = a.tokenizer->tokenizer, &other = b.tokenizer->tokenizer;
  if (one.vocab_size() != other.vocab_size())
    return differ("tokenizer", tokens(one.vocab_size()), tokens(other.vocab_size()));
  for (int32_t id = 0; id < one.vocab_size(); ++id)
    if (one.token_text(id) != other.token_text(id))
      return differ(base::concat("tokenizer, token ", id), base::quoted(one.token_text(id)),
                    base::quoted(other.token_text(id)));
  return {};
}

// Prompts ----------------------------------------------------------------------------------------------------------

std::vector<int32_t> random_prompt(const CompareOptions& options, int prompt, int vocab) {
  std::vector<int32_t> ids(static_cast<size_t>(options.random_tokens));
  for (size_t i = 0; i < ids.size(); ++i) {
    const uint64_t bits = base::draw_bits(options.seed, base::DrawPurpose::kInitialCanvas, kPromptCanvas,
                                          static_cast<uint32_t>(prompt), static_cast<uint32_t>(i));
    ids[i] = static_cast<int32_t>(base::uniform_below(bits, static_cast<uint32_t>(vocab)));
  }
  return ids;
}

Result<std::vector<std::vector<int32_t>>> all_prompts(const CompareOptions& options, const Side& side) {
  std::vector<std::vector<int32_t>> prompts;
  if (!options.chat_requests.empty()) {
    DG_TRY_ASSIGN(const auto chat_template, engine::find_chat_template(side.loaded.checkpoint));
    DG_TRY(engine::check_chat(side.tokenizer, chat_template));
  }
  for (const std::string& request_json : options.chat_requests) {
    DG_TRY_ASSIGN(const text::ChatRequest request, text::ChatRequest::parse(request_json));
    DG_TRY_ASSIGN(auto ids, text::encode_chat(request, side.tokenizer->tokenizer));
    prompts.push_back(std::move(ids));
  }
  prompts.insert(prompts.end(), options.prompt_ids.begin(), options.prompt_ids.end());
  if (!prompts.empty()) return prompts;
  const int room = side.config().context_length - side.config().canvas_length;
  if (options.random_tokens > room)
    return Unexpected(ErrorCode::kContextFull,
                      base::concat("random prompts: expected at most ", room, " tokens, got ", options.random_tokens));
  for (int i = 0; i < options.random_prompts; ++i) prompts.push_back(random_prompt(options, i, side.config().vocab));
  return prompts;
}

Result<void> check_prompts(const std::vector<std::vector<int32_t>>& prompts, const model::Config& a,
                           const model::Config& b) {
  const int room = std::min(a.context_length, b.context_length) - a.canvas_length;
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].empty())
      return Unexpected(ErrorCode::kInvalidRequest, base::concat("prompt ", i + 1, ": expected tokens, got none"));
    for (const int32_t id : prompts[i])
      if (id < 0 || id >= a.vocab)
        return Unexpected(ErrorCode::kInvalidRequest,
                          base::concat("prompt ", i + 1, ": expected ids from 0 to ", a.vocab - 1, ", got ", id));
    if (static_cast<int64_t>(prompts[i].size()) > room)
      return Unexpected(ErrorCode::kContextFull,
                        base::concat("prompt ", i + 1, ": expected at most ", room, " tokens beside a canvas of ",
                                     a.canvas_length, ", got ", prompts[i].size(), ". Shorten it"));
  }
  return {};
}

// The comparison -----------------------------------------------------------------------------------------------------

class Comparison {
 public:
  Comparison(const Side& a, const Side& b, const CompareOptions& options, const SamplerValues& sampler,
             CompareReport& report)
      : a_(a), b_(b), run_a_(a.loaded), run_b_(b.loaded), options_(options), sampler_(sampler), report_(report) {}

  Result<void> run(const std::vector<std::vector<int32_t>>& prompts) {
    size_t longest = 0;
    for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
    for (ModelRun* run : {&run_a_, &run_b_})
      DG_TRY(run->plan_memory(static_cast<int64_t>(longest) + run->config().canvas_length));
    for (size_t i = 0; i < prompts.size(); ++i) {
      tell(base::concat("prompt ", i + 1, " of ", prompts.size(), ", A"));
      DG_TRY_ASSIGN(const auto steps, record(prompts[i], i));
      tell(base::concat("prompt ", i + 1, " of ", prompts.size(), ", B"));
      DG_TRY(replay(prompts[i], i, steps));
    }
    finish();
    return {};
  }

 private:
  void tell(const std::string& what) const {
    if (options_.progress) options_.progress(what);
  }

  Result<std::vector<RecordedStep>> record(const std::vector<int32_t>& prompt, size_t index) {
    model::KvCache cache = run_a_.new_cache(static_cast<int64_t>(prompt.size()));
    DG_TRY(run_a_.encode(cache, prompt));
    diffusion::LoopOptions loop;
    loop.sampler = sampler_, loop.seed = options_.seed + index;
    loop.canvas_length = a_.config().canvas_length, loop.vocab_size = a_.config().vocab;
    loop.max_new_tokens = loop.canvas_length, loop.max_canvases = 1;
    Recorder recorder(run_a_, cache);
    DG_TRY(diffusion::run_canvases(loop, recorder, {}));
    return recorder.take_steps();
  }

  Result<void> replay(const std::vector<int32_t>& prompt, size_t index, const std::vector<RecordedStep>& steps) {
    model::KvCache cache = run_b_.new_cache(static_cast<int64_t>(prompt.size()));
    DG_TRY(run_b_.encode(cache, prompt));
    model::SelfConditioning conditioning;
    std::vector<ops::RowPrediction> predictions(static_cast<size_t>(b_.config().canvas_length));
    tensor::BlockMatrix hidden;
    for (size_t i = 0; i < steps.size(); ++i) {
      DG_TRY(run_b_.denoise(group_of(steps[i], cache, conditioning, predictions), nullptr, &hidden));
      add(static_cast<int>(index), static_cast<int>(i), steps[i].temperature,
          engine::row_distances({run_a_.exec(), run_a_.vocabulary(), steps[i].hidden.view()},
                                {run_b_.exec(), run_b_.vocabulary(), hidden.view()}, steps[i].temperature,
                                predictions.size()));
    }
    return {};
  }

  void add(int prompt, int step, double temperature, const std::vector<engine::RowDistance>& rows) {
    ComparedStep compared{prompt, step, temperature, {}, engine::summarise(rows)};
    for (size_t row = 0; row < rows.size(); ++row) {
      const engine::RowDistance& d = rows[row];
      compared.kl.push_back(d.kl);
      candidates_.push_back({prompt, step, static_cast<int>(row), d.kl, d.best_a, d.best_b, d.p_a, d.p_b, "", ""});
    }
    all_.insert(all_.end(), rows.begin(), rows.end());
    report_.steps.push_back(std::move(compared));
    keep_worst();
  }

  void keep_worst() {
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [](const ComparedRow& x, const ComparedRow& y) { return x.kl > y.kl; });
    candidates_.resize(std::min(candidates_.size(), static_cast<size_t>(options_.worst_rows)));
  }

  void finish() {
    report_.rows = static_cast<int64_t>(all_.size());
    report_.summary = engine::summarise(all_);
    report_.worst = std::move(candidates_);
    const auto& tokenizer = a_.tokenizer ? a_.tokenizer : b_.tokenizer;
    if (!tokenizer) return;
    for (ComparedRow& row : report_.worst) {
      row.text_a = tokenizer->tokenizer.token_text(row.best_a);
      row.text_b = tokenizer->tokenizer.token_text(row.best_b);
    }
  }

  const Side &a_, &b_;
  ModelRun run_a_, run_b_;
  const CompareOptions& options_;
  const SamplerValues& sampler_;
  CompareReport& report_;
  std::vector<engine::RowDistance> all_;
  std::vector<ComparedRow> candidates_;  // the worst so far
};

/// One model with one setting twice would be no distance from itself, and look like a result.
Result<void> check_two(const EngineOptions& a, const EngineOptions& b) {
  std::error_code error;
  if (!std::filesystem::equivalent(a.model_path, b.model_path, error)) return {};
  DG_TRY_ASSIGN(engine::Settings one, engine::resolve_settings(a));
  DG_TRY_ASSIGN(engine::Settings other, engine::resolve_settings(b));
  DG_TRY_ASSIGN(const formats::Checkpoint checkpoint, formats::Checkpoint::open(a.model_path));
  DG_TRY(engine::resolve_compute(one, checkpoint));
  DG_TRY(engine::resolve_compute(other, checkpoint));
  if (one.table != other.table || one.compute != other.compute) return {};
  return Unexpected(ErrorCode::kUsage, base::concat("compare: expected two models, or one with two settings, got ",
                                                    a.model_path, " with kernels ", one.table->name, " and compute ",
                                                    one.compute, " twice. Give another --compute or --kernels"));
}

Result<void> check_options(const CompareOptions& options) {
  const auto wrong = [](const char* field, const std::string& expected, int got) {
    return Unexpected(ErrorCode::kUsage, base::concat(field, ": expected ", expected, ", got ", got));
  };
  if (options.random_prompts < 1 || options.random_prompts > kMostPrompts)
    return wrong("random_prompts", base::concat("1 to ", kMostPrompts), options.random_prompts);
  if (options.random_tokens < 1) return wrong("random_tokens", "at least 1", options.random_tokens);
  if (options.worst_rows < 0) return wrong("worst_rows", "at least 0", options.worst_rows);
  return {};
}

}  // namespace

Result<CompareReport> compare_models(const EngineOptions& a, const EngineOptions& b, const CompareOptions& options) {
  DG_TRY(check_options(options));
  DG_TRY(check_two(a, b));
  if (options.progress) options.progress("loading");
  DG_TRY_ASSIGN(const Side side_a, Side::open(a));
  DG_TRY_ASSIGN(const Side side_b, Side::open(b));
  DG_TRY(check_alike(side_a, side_b));
  DG_TRY_ASSIGN(const SamplerValues sampler, engine::resolve_sampler(options.sampler, side_a.config().sampler));
  DG_TRY_ASSIGN(const auto prompts, all_prompts(options, side_a.tokenizer ? side_a : side_b));
  DG_TRY(check_prompts(prompts, side_a.config(), side_b.config()));
  CompareReport report;
  report.a = side_a.description(a.model_path), report.b = side_b.description(b.model_path);
  report.prompts = static_cast<int>(prompts.size());
  DG_TRY(Comparison(side_a, side_b, options, sampler, report).run(prompts));
  return report;
}

}  // namespace dgemma
