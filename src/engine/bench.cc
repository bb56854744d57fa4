// Implements dgemma/bench.h: rounds of the same work, timed, compared with each other and with a reference.
//
// A round encodes the prompt to each context in turn and takes two denoising steps there (the second one, with
// self-conditioning, is timed); at the first context it also decodes autoregressively and encodes a canvas. The steps
// read everything that was encoded before them, so equal decisions, soft embeddings and decoded tokens in every round
// mean that all of it repeats. The reference is f32 by another kernel table on one lane block. Limits: bench_work.h.
// Test: tests/engine/bench_test.cc.
#include "dgemma/bench.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/format.h"
#include "base/memory.h"
#include "base/philox.h"
#include "base/stopwatch.h"
#include "dgemma/inspect.h"
#include "diffusion/sampler.h"
#include "engine/bench_work.h"
#include "engine/machine_rates.h"
#include "engine/model_run.h"
#include "engine/model_source.h"
#include "engine/row_distance.h"
#include "engine/sampler_values.h"

namespace dgemma {
namespace {

using base::Stopwatch;
using engine::ModelRun;

constexpr int kFirstContext = 512, kLargestContext = 4096;
constexpr int kMostRounds = 1000;
constexpr double kMostRateSeconds = 60;
constexpr int kDecodedTokens = 16;
constexpr uint64_t kSeed = 20260;  // of the canvas and of a prompt that is not given
// Rows of the reference's canvas and prompt: one lane block, so that scalar kernels stay bearable.
constexpr int kReferenceRows = 16;
// Above this many parameters the reference runs on the next table instead of on scalar code.
constexpr uint64_t kMostScalarParameters = 1'000'000'000;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Steps per canvas for which tokens per second are reported: few, more, and the sampler's most.
std::vector<int> reported_steps(int cap) {
  std::vector<int> steps;
  for (const int count : {8, 16})
    if (count < cap) steps.push_back(count);
  steps.push_back(cap);
  return steps;
}

/// Mean KL to the reference below which an output counts as right. f32 is for the same arithmetic by other kernels.
double allowed_kl(const std::string& compute) { return compute == "f32" ? 1e-3 : 0.3; }

// One canvas and its two steps ----------------------------------------------------------------------------------------

/// The rows of one measured canvas. Two steps on the same tokens: the second one is conditioned on the first.
struct Canvas {
  std::vector<int32_t> tokens;
  std::vector<double> uniform;
  std::vector<ops::RowPrediction> predictions;
  model::SelfConditioning conditioning;
  SamplerValues sampler;

  Canvas(const model::Config& config, const SamplerValues& values, int rows)
      : tokens(diffusion::initial_canvas(kSeed, 0, rows, config.vocab)),
        uniform(static_cast<size_t>(rows)),
        predictions(static_cast<size_t>(rows)),
        sampler(values) {}

  model::RowGroup group(model::KvCache& cache, int step) {
    diffusion::draw_uniforms({kSeed, 0, step}, uniform);
    if (step == 0) conditioning.present = false;
    model::RowGroup g;
    g.cache = &cache, g.tokens = tokens, g.denoise = true;
    g.temperature = diffusion::step_temperature(sampler, std::min(step, sampler.max_denoising_steps - 1));
    g.uniform = uniform, g.conditioning = &conditioning, g.predictions = predictions;
    return g;
  }
};

/// FNV-1a over everything that has to repeat.
class Fingerprint {
 public:
  void add(const void* bytes, size_t count) {
    for (size_t i = 0; i < count; ++i) hash_ = (hash_ ^ static_cast<const uint8_t*>(bytes)[i]) * 0x100000001b3;
  }
  void add(const Canvas& canvas) {
    add(canvas.predictions.data(), canvas.predictions.size() * sizeof canvas.predictions[0]);
    const tensor::Blocks soft = canvas.conditioning.soft.view();
    for (size_t row = 0; row < canvas.tokens.size(); ++row)
      for (size_t d = 0; d < soft.features; ++d) add(&soft.at(row, d), sizeof(float));
  }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325;
};

// What is measured -----------------------------------------------------------------------------------------------

struct Plan {
  std::vector<int> contexts;    // ascending; the first one is the default
  std::vector<int32_t> tokens;  // [largest context + 1]: the last one starts the decoding
  SamplerValues sampler;
};

template <class Number>
Unexpected wrong(const std::string& what, const std::string& expected, Number got) {
  return {ErrorCode::kUsage, base::concat(what, ": expected ", expected, ", got ", got)};
}

Result<std::vector<int>> plan_contexts(const BenchOptions& options, const model::Config& config) {
  const int room = config.context_length - config.canvas_length;
  const std::string beside =
      base::concat(" tokens beside a canvas of ", config.canvas_length, " in the model's ", config.context_length);
  if (room < 1) return wrong("context", "room for a prompt", config.context_length);
  if (options.context < 0 || options.context > room)
    return wrong("context", base::concat("1 to ", room, beside), options.context);
  const int most = options.context > 0 ? options.context : std::min(room, kLargestContext);
  int first = std::min(kFirstContext, most);
  if (options.prompt_ids) {
    const auto given = static_cast<int64_t>(options.prompt_ids->size());
    if (given < 1 || given > room) return wrong("prompt_ids", base::concat("1 to ", room, beside), given);
    if (options.context > 0 && given > most)
      return wrong("prompt_ids", base::concat("at most the context's ", most, " tokens"), given);
    first = static_cast<int>(given);
  }
  std::vector<int> contexts = {first};
  for (const int more : {kLargestContext, most})
    if (more > contexts.back() && more <= most) contexts.push_back(more);
  return contexts;
}

Result<Plan> make_plan(const BenchOptions& options, const model::Config& config) {
  Plan plan;
  DG_TRY_ASSIGN(plan.sampler, engine::resolve_sampler(options.sampler, config.sampler));
  DG_TRY_ASSIGN(plan.contexts, plan_contexts(options, config));
  if (options.prompt_ids)
    for (const int32_t id : *options.prompt_ids)
      if (id < 0 || id >= config.vocab)
        return wrong("prompt_ids", base::concat("ids from 0 to ", config.vocab - 1), id);
  const auto count = static_cast<size_t>(plan.contexts.back()) + 1;
  plan.tokens = diffusion::initial_canvas(kSeed, 1, static_cast<int>(count), config.vocab);
  if (options.prompt_ids)
    for (size_t i = 0; i < count; ++i) plan.tokens[i] = (*options.prompt_ids)[i % options.prompt_ids->size()];
  return plan;
}

// Rounds ---------------------------------------------------------------------------------------------------------

struct Round {
  std::vector<double> prefill_s;  // by context, from the first token on
  std::vector<double> step_s;     // by context
  std::vector<SweepParts> parts;  // by context
  double decode_s = 0, commit_s = 0;
  std::vector<std::vector<engine::SweptRows>> prefill_sweeps;  // by context, from the context before on
  std::vector<engine::SweptRows> steps;                        // by context
  std::vector<engine::SweptRows> decode_sweeps;
  std::vector<std::pair<std::string, uint64_t>> prints;  // what has to repeat, by name
};

class RoundRun {
 public:
  RoundRun(ModelRun& run, const Plan& plan, const std::function<void(std::string_view)>& progress)
      : run_(run),
        plan_(plan),
        progress_(progress),
        cache_(run.new_cache(plan.contexts.back() + run.config().canvas_length)) {}

  Result<Round> measure() {
    double encoded_s = 0;
    int encoded = 0;
    for (const int context : plan_.contexts) {
      tell(base::concat("prompt of ", context, " tokens"));
      run_.record(&round_.prefill_sweeps.emplace_back());
      const Stopwatch watch;
      DG_TRY(run_.encode(cache_, std::span(plan_.tokens).subspan(encoded, context - encoded)));
      encoded_s += watch.seconds(), encoded = context;
      run_.record(nullptr);
      round_.prefill_s.push_back(encoded_s);
      tell(base::concat("denoising steps at ", context, " tokens"));
      DG_TRY(steps(context));
      if (context != plan_.contexts.front()) continue;
      DG_TRY(decode(context));
      DG_TRY(commit(context));
    }
    return std::move(round_);
  }

 private:
  void tell(const std::string& what) const {
    if (progress_) progress_(what);
  }

  Result<void> steps(int context) {
    Canvas canvas(run_.config(), plan_.sampler, run_.config().canvas_length);
    DG_TRY(run_.denoise(canvas.group(cache_, 0), nullptr, nullptr));
    const model::RowGroup second = canvas.group(cache_, 1);
    SweepParts times;
    run_.record(&round_.steps);
    const Stopwatch watch;
    DG_TRY(run_.denoise(second, &times, nullptr));
    round_.step_s.push_back(watch.seconds());
    run_.record(nullptr);
    round_.parts.push_back(times);
    Fingerprint print;
    print.add(canvas);
    round_.prints.emplace_back(base::concat("denoising steps at ", context, " tokens"), print.value());
    return {};
  }

  Result<void> decode(int context) {
    tell("autoregressive decoding");
    int32_t token = plan_.tokens[static_cast<size_t>(context)];
    Fingerprint print;
    const int count = std::min(kDecodedTokens, run_.config().canvas_length);
    run_.record(&round_.decode_sweeps);
    const Stopwatch watch;
    for (int i = 0; i < count; ++i) {
      DG_TRY_ASSIGN(const ops::RowPrediction next, run_.decode(cache_, token));
      print.add(&next, sizeof next);
      token = next.best;
    }
    round_.decode_s = watch.seconds() / count;
    run_.record(nullptr);
    round_.prints.emplace_back("autoregressive decoding", print.value());
    DG_CHECK(cache_.truncate(context) == context, "decoding must leave the cache's window");
    return {};
  }

  Result<void> commit(int context) {
    const std::vector<int32_t> canvas =
        diffusion::initial_canvas(kSeed, 0, run_.config().canvas_length, run_.config().vocab);
    const Stopwatch watch;
    DG_TRY(run_.encode(cache_, canvas));
    round_.commit_s = watch.seconds();
    DG_CHECK(cache_.truncate(context) == context, "a commit must leave the cache's window");
    return {};
  }

  ModelRun& run_;
  const Plan& plan_;
  const std::function<void(std::string_view)>& progress_;
  model::KvCache cache_;
  Round round_;
};

Result<void> expect_same(const Round& first, const Round& other) {
  for (size_t i = 0; i < first.prints.size(); ++i)
    if (first.prints[i] != other.prints[i])
      return Unexpected(ErrorCode::kInternal, base::concat("bench: ", first.prints[i].first,
                                                           ": expected the same bits in every round, got others"));
  return {};
}

// The reference ----------------------------------------------------------------------------------------------------

/// Hidden states of a short canvas's second step behind a short prompt.
Result<tensor::BlockMatrix> reference_rows(ModelRun& run, const Plan& plan, int rows) {
  const int prompt = std::min(kReferenceRows, plan.contexts.front());
  model::KvCache cache = run.new_cache(prompt);
  DG_TRY(run.encode(cache, std::span(plan.tokens).first(static_cast<size_t>(prompt))));
  Canvas canvas(run.config(), plan.sampler, rows);
  DG_TRY(run.denoise(canvas.group(cache, 0), nullptr, nullptr));
  tensor::BlockMatrix hidden;
  DG_TRY(run.denoise(canvas.group(cache, 1), nullptr, &hidden));
  return hidden;
}

/// Another table than the measured one where the arithmetic is the same; the best one where it is not.
const kernels::KernelTable& reference_table(const engine::Settings& settings, const std::string& compute,
                                            uint64_t parameters) {
  const auto tables = kernels::available();
  if (settings.compute != compute || settings.table == tables.front()) return *tables.back();
  if (parameters <= kMostScalarParameters) return *tables.front();
  return **(std::find(tables.begin(), tables.end(), settings.table) - 1);
}

/// The model in f32, or where its file has no f32 (it was quantised for integer products) in its own precision.
Result<engine::LoadedModel> load_reference(const EngineOptions& options, const engine::LoadedModel& measured) {
  EngineOptions other = options;
  other.threads = measured.settings.threads, other.progress = {};
  const uint64_t parameters = measured.model.weights().parameters;
  other.compute = "f32", other.kernels = reference_table(measured.settings, "f32", parameters).name;
  auto loaded = engine::load_model(other);
  if (loaded || loaded.error().code != ErrorCode::kUnsupported) return loaded;
  other.compute = measured.settings.compute;
  other.kernels = reference_table(measured.settings, other.compute, parameters).name;
  return engine::load_model(other);
}

Result<BenchCheck> check_against_reference(const EngineOptions& options, const engine::LoadedModel& measured,
                                           ModelRun& run, const Plan& plan, bool even_routing) {
  DG_TRY_ASSIGN(const engine::LoadedModel loaded, load_reference(options, measured));
  BenchCheck check;
  check.kernels = loaded.settings.table->name, check.compute = loaded.settings.compute;
  check.rows = std::min(kReferenceRows, run.config().canvas_length);
  check.bound = allowed_kl(check.compute == measured.settings.compute ? "f32" : measured.settings.compute);
  ModelRun reference(loaded, even_routing);
  DG_TRY_ASSIGN(const tensor::BlockMatrix expected, reference_rows(reference, plan, check.rows));
  DG_TRY_ASSIGN(const tensor::BlockMatrix got, reference_rows(run, plan, check.rows));
  const auto distances = engine::row_distances({reference.exec(), reference.vocabulary(), expected.view()},
                                               {run.exec(), run.vocabulary(), got.view()},
                                               diffusion::step_temperature(plan.sampler, 0), size_t(check.rows));
  const DistanceSummary summary = engine::summarise(distances);
  check.mean_kl = summary.mean_kl, check.max_kl = summary.max_kl, check.argmax_agreement = summary.argmax_agreement;
  const char* untrained = measured.settings.compute == check.compute
                              ? ""
                              : ". A model that was never trained may be that far off: give --compute f32";
  if (!(check.mean_kl <= check.bound))
    return Unexpected(
        ErrorCode::kInternal,
        base::concat("bench: kernels ", measured.settings.table->name, ", compute ", measured.settings.compute,
                     ": expected a mean KL of at most ", check.bound, " to ", check.kernels, " ", check.compute,
                     ", got ", check.mean_kl, ". No number of this run is shown", untrained));
  return check;
}

// The report ---------------------------------------------------------------------------------------------------------

class ReportBuilder {
 public:
  ReportBuilder(const model::Model& model, const Plan& plan, const std::vector<Round>& rounds, BenchReport& report)
      : model_(model), plan_(plan), rounds_(rounds), report_(report) {}

  void build() {
    for (size_t i = 0; i < plan_.contexts.size(); ++i) {
      report_.prefill.push_back(prefill(i));
      report_.steps.push_back(step(i));
    }
    report_.weight_bytes = without_attention(report_.steps.front().work.bytes);
    report_.commit_s = median_of([](const Round& r) { return r.commit_s; });
    report_.decode = decode();
    const double step_s = report_.steps.front().seconds;
    const double canvas = model_.config().canvas_length;
    report_.break_even_steps = (canvas / report_.decode.tokens_per_s - report_.commit_s) / step_s;
    report_.steps_per_canvas = plan_.sampler.max_denoising_steps;
    for (const int count : reported_steps(report_.steps_per_canvas))
      report_.diffusion.push_back({count, canvas / (count * step_s + report_.commit_s)});
    report_.tokens_per_s = report_.diffusion.back().tokens_per_s;
    report_.rounds = static_cast<int>(rounds_.size());
  }

 private:
  template <class Get>
  double median_of(Get get) const {
    std::vector<double> values;
    for (const Round& round : rounds_) values.push_back(get(round));
    return median(std::move(values));
  }
  static double without_attention(const SweepParts& bytes) { return bytes.total() - bytes.attention; }

  enum class Wanted { kCache, kToken, kCanvas };
  SweepWork work(const engine::SweptRows& swept, Wanted wanted) const {
    SweepWork work =
        engine::sweep_work(model_, {swept.rows, swept.context, wanted == Wanted::kCanvas, wanted != Wanted::kCache,
                                    wanted == Wanted::kCache, swept.touched_experts});
    const double f32 = report_.f32_ops_per_s;
    const double attention = report_.compute == "f32" ? f32 : report_.bf16_ops_per_s.value_or(f32);
    engine::set_limits(work, {report_.read_bytes_per_s, peak(), attention, f32});
    return work;
  }
  /// The arithmetic that the products run in.
  double peak() const {
    if (report_.compute == "int8" && report_.int8_ops_per_s) return *report_.int8_ops_per_s;
    if (report_.compute == "bf16" && report_.bf16_ops_per_s) return *report_.bf16_ops_per_s;
    return report_.f32_ops_per_s;
  }

  BenchPrefill prefill(size_t index) const {
    BenchPrefill p;
    p.tokens = plan_.contexts[index];
    p.seconds = median_of([index](const Round& r) { return r.prefill_s[index]; });
    p.tokens_per_s = p.tokens / p.seconds;
    for (size_t i = 0; i <= index; ++i)
      for (const engine::SweptRows& chunk : rounds_.front().prefill_sweeps[i])
        p.limit_s += work(chunk, Wanted::kCache).limit_s.total();
    return p;
  }

  BenchStep step(size_t index) const {
    BenchStep s;
    s.context = plan_.contexts[index];
    std::vector<size_t> order(rounds_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return rounds_[a].step_s[index] < rounds_[b].step_s[index]; });
    // The two middle rounds, which are one where their number is odd.
    const Round &low = rounds_[order[(order.size() - 1) / 2]], &high = rounds_[order[order.size() / 2]];
    s.seconds = (low.step_s[index] + high.step_s[index]) / 2;
    for (const BenchPart& part : kBenchParts)
      s.parts.*part.value = (low.parts[index].*part.value + high.parts[index].*part.value) / 2;
    s.best_s = rounds_[order.front()].step_s[index];
    const engine::SweptRows& swept = rounds_.front().steps[index];
    s.work = work(swept, Wanted::kCanvas);
    s.experts_touched = experts_touched(swept);
    return s;
  }

  BenchExperts experts_touched(const engine::SweptRows& swept) const {
    const std::vector<int>& touched = swept.touched_experts;
    const double all = model_.config().experts, used = model_.config().experts_used;
    BenchExperts e;
    e.experts = model_.config().experts;
    e.mean = std::accumulate(touched.begin(), touched.end(), 0.0) / static_cast<double>(touched.size());
    e.least = *std::min_element(touched.begin(), touched.end());
    e.most = *std::max_element(touched.begin(), touched.end());
    e.independent = all * (1 - std::pow(1 - used / all, swept.rows));
    return e;
  }

  BenchDecode decode() const {
    BenchDecode d;
    d.tokens = std::min(kDecodedTokens, model_.config().canvas_length);
    d.tokens_per_s = 1 / median_of([](const Round& r) { return r.decode_s; });
    double limit_s = 0;
    for (const engine::SweptRows& token : rounds_.front().decode_sweeps) {
      const SweepWork one = work(token, Wanted::kToken);
      d.weight_bytes += without_attention(one.bytes) / d.tokens;
      limit_s += one.limit_s.total() / d.tokens;
    }
    d.limit_tokens_per_s = 1 / limit_s;
    return d;
  }

  const model::Model& model_;
  const Plan& plan_;
  const std::vector<Round>& rounds_;
  BenchReport& report_;
};

Result<void> measure_machine(ModelRun& run, const BenchOptions& options, BenchReport& report) {
  if (options.progress) options.progress("this machine");
  report.cpu = inspect_machine().cpu;
  const double budget_s = options.rate_seconds;
  DG_TRY_ASSIGN(report.read_bytes_per_s, engine::measure_read_rate(run.exec(), budget_s, options.read_buffer_bytes));
  DG_TRY_ASSIGN(report.f32_ops_per_s, engine::measure_f32_peak(run.exec(), budget_s));
  DG_TRY_ASSIGN(report.bf16_ops_per_s, engine::measure_bf16_peak(run.exec(), budget_s));
  DG_TRY_ASSIGN(report.int8_ops_per_s, engine::measure_int8_peak(run.exec(), budget_s));
  return {};
}

Result<void> check_options(const BenchOptions& options) {
  constexpr uint64_t kSmallestBuffer = uint64_t{1} << 20, kLargestBuffer = uint64_t{1} << 40;
  if (options.repeat < 2 || options.repeat > kMostRounds)
    return wrong("repeat", base::concat("2 to ", kMostRounds, " rounds"), options.repeat);
  if (options.read_buffer_bytes < kSmallestBuffer || options.read_buffer_bytes > kLargestBuffer)
    return wrong("read_buffer_bytes", "1 MiB to 1 TiB", options.read_buffer_bytes);
  if (!(options.rate_seconds > 0 && options.rate_seconds <= kMostRateSeconds))
    return wrong("rate_seconds", base::concat("above 0, at most ", kMostRateSeconds), options.rate_seconds);
  return {};
}

}  // namespace

Result<BenchReport> run_bench(const EngineOptions& options, const BenchOptions& bench) {
  DG_TRY(check_options(bench));
  base::forget_peak_resident();
  const Stopwatch watch;
  DG_TRY_ASSIGN(const engine::LoadedModel loaded, engine::load_model(options));
  DG_TRY(engine::find_tokenizer(loaded.checkpoint));  // what a user waits for includes it
  BenchReport report;
  report.load_s = watch.seconds();
  report.model_path = options.model_path;
  report.parameters = loaded.model.weights().parameters;
  report.canvas_length = loaded.model.config().canvas_length;
  report.kernels = loaded.settings.table->name, report.compute = loaded.settings.compute;
  DG_TRY_ASSIGN(const Plan plan, make_plan(bench, loaded.model.config()));

  const bool even_routing = bench.routing == BenchRouting::kEven;
  report.routing = bench.routing;
  ModelRun run(loaded, even_routing);
  report.threads = run.exec().threads();
  DG_TRY(run.plan_memory(plan.contexts.back() + report.canvas_length));
  std::vector<Round> rounds;
  for (int i = 0; i < bench.repeat; ++i) {
    DG_TRY_ASSIGN(Round round, RoundRun(run, plan, bench.progress).measure());
    rounds.push_back(std::move(round));
    DG_TRY(expect_same(rounds.front(), rounds.back()));
  }
  report.peak_rss_bytes = base::peak_resident_bytes();  // before this program takes memory for its own purposes
  DG_TRY(measure_machine(run, bench, report));
  if (bench.progress) bench.progress("the reference");
  DG_TRY_ASSIGN(report.check, check_against_reference(options, loaded, run, plan, even_routing));
  ReportBuilder(loaded.model, plan, rounds, report).build();
  return report;
}

}  // namespace dgemma
