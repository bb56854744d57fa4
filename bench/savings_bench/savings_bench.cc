// What each saving of SweepOptions is worth: one answer with all of them, and with each one left out, side by side.
//
//     savings_bench MODEL COMPUTE [prompt [tokens [steps [rounds]]]]
//
// Every round runs each variant in turn, so that a busy machine is busy for all of them; medians are compared, of wall
// clock and of processor time, which other programs disturb less. Every answer must be the same: savings are exact.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "dgemma/engine.h"
#include "dgemma/session.h"
#include "engine/savings.h"

namespace {

struct Variant {
  std::string left_out;  // a saving's name; empty: none
  std::vector<double> seconds = {}, cpu_seconds = {};
};

struct Settings {
  int prompt = 512, tokens = 512, steps = 4, rounds = 3;
};

dgemma::Answer answer(const dgemma::Engine& engine, const Settings& s, const std::string& left_out) {
  dgemma::Session session = engine.new_session({}).value();
  std::vector<int32_t> ids(static_cast<size_t>(s.prompt));
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>(i * 31 % static_cast<size_t>(engine.info().vocab_size));
  session.sync_tokens(ids).value();
  dgemma::GenerateOptions o;
  o.seed = 1, o.max_new_tokens = s.tokens, o.eos_ids = std::vector<int32_t>{};
  o.sampler.max_denoising_steps = s.steps;
  o.sweeps = dgemma::savings_without(left_out);
  return session.generate(o).value();
}

void measure(const dgemma::Engine& engine, const Settings& s, Variant& variant, std::vector<int32_t>& expected) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu_start = std::clock();
  const dgemma::Answer a = answer(engine, s, variant.left_out);
  variant.cpu_seconds.push_back(static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
  variant.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (expected.empty()) expected = a.tokens;
  if (a.tokens != expected) {
    std::fprintf(stderr, "without %s: another answer\n", variant.left_out.c_str());
    std::exit(1);
  }
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  Settings s;
  int* const fields[] = {&s.prompt, &s.tokens, &s.steps, &s.rounds};
  if (argc < 3 || argc > 7) {
    std::fprintf(stderr, "usage: savings_bench MODEL COMPUTE [prompt [tokens [steps [rounds]]]]\n");
    return 2;
  }
  for (int i = 3; i < argc; ++i) *fields[i - 3] = std::stoi(argv[i]);
  dgemma::EngineOptions options;
  options.model_path = argv[1], options.compute = argv[2];
  const auto engine = dgemma::Engine::open(options);
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().message.c_str());
    return 1;
  }
  std::vector<Variant> variants = {{""}};
  for (const auto& [saving, field] : dgemma::kSavings) variants.push_back({saving});
  std::vector<int32_t> expected;
  for (int round = 0; round < s.rounds; ++round)
    for (Variant& variant : variants) measure(*engine, s, variant, expected);
  std::printf("%s, %s kernels, %s, %d threads; prompt %d, %d tokens, %d steps a canvas\n", argv[1],
              engine->info().kernels.c_str(), engine->info().compute.c_str(), engine->info().threads, s.prompt,
              s.tokens, s.steps);
  const double seconds = median(variants[0].seconds), cpu = median(variants[0].cpu_seconds);
  for (const Variant& v : variants)
    std::printf("%-26s %8.3f s, %.3f times; %8.3f s of CPU, %.3f times\n",
                (v.left_out.empty() ? "with all savings" : "without " + v.left_out).c_str(), median(v.seconds),
                median(v.seconds) / seconds, median(v.cpu_seconds), median(v.cpu_seconds) / cpu);
  return 0;
}
