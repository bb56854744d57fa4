// See compare_report.h.
#include "cli/compare_report.h"

#include <algorithm>

#include "base/format.h"
#include "cli/reports.h"
#include "cli/terminal_text.h"
#include "cli/text_columns.h"

namespace dgemma::cli {
namespace {

std::string nats(double value) { return number_text(value, "%.2g"); }
std::string percent(double share) { return number_text(100 * share, "%.1f %%"); }

Json model_json(const ComparedModel& m) {
  return {{"path", m.path}, {"kernels", m.kernels}, {"compute", m.compute}, {"parameters", m.parameters}};
}

Json kl_json(const DistanceSummary& s) {
  return {{"mean", s.mean_kl}, {"median", s.median_kl}, {"p99", s.p99_kl}, {"max", s.max_kl}};
}

std::string model_line(const char* name, const ComparedModel& m) {
  return base::concat("  ", name, "  ", m.path, ", kernels ", m.kernels, ", compute ", m.compute, "\n");
}

/// All prompts' rows at one step of their canvases.
std::string step_table(const CompareReport& r) {
  int last = 0;
  for (const ComparedStep& s : r.steps) last = std::max(last, s.step);
  std::vector<std::vector<std::string>> rows = {{"step", "prompts", "mean KL", "largest KL", "best token agrees"}};
  for (int step = 0; step <= last; ++step) {
    double mean = 0, most = 0, agreement = 0;
    int prompts = 0;
    for (const ComparedStep& s : r.steps) {
      if (s.step != step) continue;
      mean += s.summary.mean_kl, agreement += s.summary.argmax_agreement, ++prompts;
      most = std::max(most, s.summary.max_kl);
    }
    rows.push_back({std::to_string(step + 1), std::to_string(prompts), nats(mean / prompts), nats(most),
                    percent(agreement / prompts)});
  }
  return "\nBy step of the canvas\n" + text_columns(rows);
}

std::string worst_table(const CompareReport& r) {
  if (r.worst.empty()) return "";
  std::vector<std::vector<std::string>> rows = {{"KL", "prompt", "step", "row", "best of A and of B"}};
  const auto token = [](int32_t id, const std::string& text, double p) {
    return base::concat(text.empty() ? std::to_string(id) : "'" + safe_on_one_line(text) + "'", " ",
                        number_text(p, "%.3f"));
  };
  for (const ComparedRow& w : r.worst)
    rows.push_back({nats(w.kl), std::to_string(w.prompt + 1), std::to_string(w.step + 1), std::to_string(w.row + 1),
                    token(w.best_a, w.text_a, w.p_a) + ", " + token(w.best_b, w.text_b, w.p_b)});
  return "\nRows that differ most\n" + text_columns(rows, true);
}

}  // namespace

Json compare_json(const CompareReport& r) {
  Json steps = Json::array(), worst = Json::array();
  for (const ComparedStep& s : r.steps)
    steps.push_back({{"prompt", s.prompt},
                     {"step", s.step},
                     {"temperature", s.temperature},
                     {"mean_kl", s.summary.mean_kl},
                     {"max_kl", s.summary.max_kl},
                     {"argmax_agreement", s.summary.argmax_agreement},
                     {"kl", s.kl}});
  for (const ComparedRow& w : r.worst)
    worst.push_back({{"prompt", w.prompt},
                     {"step", w.step},
                     {"row", w.row},
                     {"kl", w.kl},
                     {"best_a", w.best_a},
                     {"best_b", w.best_b},
                     {"p_a", w.p_a},
                     {"p_b", w.p_b},
                     {"text_a", w.text_a},
                     {"text_b", w.text_b}});
  return {{"a", model_json(r.a)},      {"b", model_json(r.b)},
          {"prompts", r.prompts},      {"rows", r.rows},
          {"kl", kl_json(r.summary)},  {"argmax_agreement", r.summary.argmax_agreement},
          {"steps", std::move(steps)}, {"worst", std::move(worst)}};
}

std::string compare_text(const CompareReport& r) {
  const DistanceSummary& s = r.summary;
  return model_line("A", r.a) + model_line("B", r.b) +
         base::concat("\n  ", counted(r.prompts, "prompt", "prompts"), ", ",
                      counted(static_cast<long long>(r.steps.size()), "step", "steps"), ", ",
                      counted(r.rows, "row", "rows"), "\n  KL(A || B)         mean ", nats(s.mean_kl), ", median ",
                      nats(s.median_kl), ", 99 % below ", nats(s.p99_kl), ", largest ", nats(s.max_kl),
                      " nats\n  best token agrees  ", percent(s.argmax_agreement), "\n") +
         step_table(r) + worst_table(r);
}

}  // namespace dgemma::cli
