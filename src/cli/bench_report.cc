// See bench_report.h.
#include "cli/bench_report.h"

#include <cmath>
#include <vector>

#include "base/format.h"
#include "cli/reports.h"
#include "cli/text_columns.h"

namespace dgemma::cli {
namespace {

/// Three significant digits without an exponent.
std::string three_digits(double value) {
  const double size = std::abs(value);
  return number_text(value, size >= 99.95 ? "%.0f" : size >= 9.995 ? "%.1f" : "%.2f");
}

std::string percent(double limit_s, double seconds) { return number_text(100 * limit_s / seconds, "%.0f %%"); }

std::string line(const std::string& name, const std::string& value) {
  constexpr size_t kNameWidth = 16;
  return "  " + name + std::string(kNameWidth - std::min(kNameWidth, name.size()), ' ') + value + "\n";
}

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json parts_json(const SweepParts& values) {
  Json json;
  for (const BenchPart& part : kBenchParts) json[part.name] = values.*part.value;
  return json;
}

const char* routing_name(BenchRouting routing) { return routing == BenchRouting::kEven ? "even" : "model"; }

Json experts_json(const BenchExperts& e) {
  return {{"experts", e.experts},
          {"mean", e.mean},
          {"least", e.least},
          {"most", e.most},
          {"independent", e.independent},
          {"collapsed", e.collapsed()}};
}

std::string experts_line(const BenchReport& r, const BenchStep& step) {
  const BenchExperts& e = step.experts_touched;
  std::string text =
      line("experts touched", base::concat(three_digits(e.mean), " of ", e.experts, " in a layer (", e.least, " to ",
                                           e.most, "), routing ", routing_name(r.routing)));
  if (r.routing == BenchRouting::kModel && e.collapsed())
    text +=
        line("note",
             "this file's router sends all rows to few experts, a trained one's spreads them: --routing even does so");
  return text;
}

Json step_json(const BenchStep& step) {
  Json percents;
  for (const BenchPart& part : kBenchParts)
    percents[part.name] = 100 * step.work.limit_s.*part.value / step.parts.*part.value;
  percents["all"] = 100 * step.work.limit_s.total() / step.seconds;
  return {{"context", step.context},
          {"seconds", step.seconds},
          {"best_s", step.best_s},
          {"parts", parts_json(step.parts)},
          {"bytes", parts_json(step.work.bytes)},
          {"operations", parts_json(step.work.operations)},
          {"limit_s", parts_json(step.work.limit_s)},
          {"percent_of_limit", std::move(percents)},
          {"experts_touched", experts_json(step.experts_touched)}};
}

std::string machine_lines(const BenchReport& r) {
  std::string peaks = decimal_text(r.f32_ops_per_s, "FLOP/s") + " f32";
  if (r.bf16_ops_per_s) peaks += ", " + decimal_text(*r.bf16_ops_per_s, "FLOP/s") + " bf16";
  if (r.int8_ops_per_s) peaks += ", " + decimal_text(*r.int8_ops_per_s, "OP/s") + " int8";
  return "\nMachine\n" + line("cpu", r.cpu) +
         line("settings", base::concat("kernels ", r.kernels, ", compute ", r.compute, ", ",
                                       counted(r.threads, "thread", "threads"))) +
         line("memory read", decimal_text(r.read_bytes_per_s, "B/s")) + line("peak", peaks);
}

std::string model_lines(const BenchReport& r) {
  std::string text = "\nModel\n" + line("load", seconds_text(r.load_s)) +
                     line("one step reads", decimal_text(r.weight_bytes, "B") + " of weights") +
                     line("peak memory", decimal_text(static_cast<double>(r.peak_rss_bytes), "B"));
  for (const BenchPrefill& p : r.prefill)
    text += line("prompt",
                 base::concat(p.tokens, " tokens in ", seconds_text(p.seconds), ", ", three_digits(p.tokens_per_s),
                              " tokens/s, ", percent(p.limit_s, p.seconds), " of the limit"));
  return text;
}

std::string step_table(const BenchReport& r, const BenchStep& step) {
  std::vector<std::vector<std::string>> rows = {{"part", "time", "share", "reads", "computes", "limit", "reached"}};
  const auto add = [&](const std::string& name, double seconds, double bytes, double operations, double limit) {
    rows.push_back({name, seconds_text(seconds), number_text(100 * seconds / step.seconds, "%.0f %%"),
                    decimal_text(bytes, "B"), decimal_text(operations, "OP"), seconds_text(limit),
                    percent(limit, seconds)});
  };
  for (const BenchPart& part : kBenchParts)
    add(part.name, step.parts.*part.value, step.work.bytes.*part.value, step.work.operations.*part.value,
        step.work.limit_s.*part.value);
  add("all", step.seconds, step.work.bytes.total(), step.work.operations.total(), step.work.limit_s.total());
  return base::concat("\nDenoising step of ", r.canvas_length, " rows at ", step.context,
                      " tokens: ", seconds_text(step.seconds), " (best ", seconds_text(step.best_s), ")\n") +
         text_columns(rows) + experts_line(r, step);
}

std::string comparison_lines(const BenchReport& r) {
  std::string speeds;
  for (const BenchDiffusion& d : r.diffusion)
    speeds += base::concat(speeds.empty() ? "" : ", ", three_digits(d.tokens_per_s), speeds.empty() ? " tokens/s" : "",
                           " at ", d.steps_per_canvas, speeds.empty() ? " steps per canvas" : "");
  return base::concat("\nDiffusion and autoregressive decoding, at ", r.steps.front().context, " tokens\n") +
         line("canvas", base::concat(r.canvas_length, " tokens, commit ", seconds_text(r.commit_s))) +
         line("diffusion", speeds + " (the most)") +
         line("autoregressive", base::concat(three_digits(r.decode.tokens_per_s), " tokens/s, limit ",
                                             three_digits(r.decode.limit_tokens_per_s), " (one token reads ",
                                             decimal_text(r.decode.weight_bytes, "B"), ")")) +
         line("break even",
              r.break_even_steps > 0
                  ? three_digits(r.break_even_steps) + " steps per canvas: with fewer, diffusion is faster"
                  : "none: committing a canvas alone takes as long as its tokens one by one");
}

std::string check_lines(const BenchReport& r) {
  const BenchCheck& c = r.check;
  return "\nChecked\n" + line("rounds", base::concat(r.rounds, ", the same bits in each")) +
         line("reference",
              base::concat("kernels ", c.kernels, ", compute ", c.compute, ", ", counted(c.rows, "row", "rows"),
                           ": mean KL ", number_text(c.mean_kl, "%.2g"), " nats (bound ", c.bound,
                           "), best token agrees in ", number_text(100 * c.argmax_agreement, "%.0f %%")));
}

}  // namespace

std::string decimal_text(double value, const std::string& unit) {
  static constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T", "P"};
  size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < std::size(kPrefixes)) value /= 1000, ++prefix;
  return (prefix == 0 ? number_text(value, "%.0f") : three_digits(value)) + " " + kPrefixes[prefix] + unit;
}

Json bench_json(const BenchReport& r) {
  Json prefill = Json::array(), steps = Json::array(), speeds = Json::array();
  for (const BenchPrefill& p : r.prefill)
    prefill.push_back(
        {{"tokens", p.tokens}, {"seconds", p.seconds}, {"tokens_per_s", p.tokens_per_s}, {"limit_s", p.limit_s}});
  for (const BenchStep& step : r.steps) steps.push_back(step_json(step));
  for (const BenchDiffusion& d : r.diffusion)
    speeds.push_back({{"steps_per_canvas", d.steps_per_canvas}, {"tokens_per_s", d.tokens_per_s}});
  return {{"model", {{"path", r.model_path}, {"parameters", r.parameters}, {"canvas_length", r.canvas_length}}},
          {"machine", {{"cpu", r.cpu}, {"cores", r.threads}, {"kernels", r.kernels}, {"compute", r.compute}}},
          {"routing", routing_name(r.routing)},
          {"weight_bytes", r.weight_bytes},
          {"read_bytes_per_s", r.read_bytes_per_s},
          {"peak",
           {{"int8_ops_per_s", optional_json(r.int8_ops_per_s)},
            {"bf16_ops_per_s", optional_json(r.bf16_ops_per_s)},
            {"f32_ops_per_s", r.f32_ops_per_s}}},
          {"load_s", r.load_s},
          {"prefill", std::move(prefill)},
          {"step_s", r.steps.front().seconds},
          {"steps", std::move(steps)},
          {"commit_s", r.commit_s},
          {"diffusion",
           {{"steps_per_canvas", r.steps_per_canvas}, {"tokens_per_s", r.tokens_per_s}, {"speeds", std::move(speeds)}}},
          {"autoregressive",
           {{"tokens", r.decode.tokens},
            {"tokens_per_s", r.decode.tokens_per_s},
            {"weight_bytes", r.decode.weight_bytes},
            {"limit_tokens_per_s", r.decode.limit_tokens_per_s}}},
          {"break_even_steps", r.break_even_steps > 0 ? Json(r.break_even_steps) : Json(nullptr)},
          {"peak_rss_bytes", r.peak_rss_bytes},
          {"checks",
           {{"rounds", r.rounds},
            {"reference",
             {{"kernels", r.check.kernels},
              {"compute", r.check.compute},
              {"rows", r.check.rows},
              {"mean_kl", r.check.mean_kl},
              {"max_kl", r.check.max_kl},
              {"bound", r.check.bound},
              {"argmax_agreement", r.check.argmax_agreement}}}}}};
}

std::string bench_text(const BenchReport& r) {
  std::string text = r.model_path + "\n" + machine_lines(r) + model_lines(r);
  for (const BenchStep& step : r.steps) text += step_table(r, step);
  return text + comparison_lines(r) + check_lines(r);
}

}  // namespace dgemma::cli
