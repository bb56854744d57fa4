// What company costs: equal users at the same time on one loaded model against one user alone, side by side.
//
//     sessions_bench MODEL [--users 1,2,4] [--prompt 64] [--tokens 256] [--steps 4] [--rounds 3]
//                    [--threads 0] [--compute auto]
//
// Every round runs each number of users in turn, so that a busy machine is busy for all of them; the medians of the
// rounds are compared, and the processor's time beside them, which other programs disturb less. Each user's answer is
// checked against the one made alone: a number from a wrong answer is not printed. Weights may be synthetic: the number
// of steps is fixed, nothing converges early.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "dgemma/engine.h"
#include "dgemma/session.h"

namespace {

using dgemma::Answer;
using dgemma::Engine;

struct Settings {
  std::string model, compute = "auto";
  std::vector<int> users = {1, 2, 4};
  int prompt = 64, tokens = 256, steps = 4, rounds = 3, threads = 0;
};

std::vector<int> numbers(const std::string& text) {
  std::vector<int> list;
  for (size_t at = 0; at < text.size();) {
    size_t used = 0;
    list.push_back(std::stoi(text.substr(at), &used));
    at += used + 1;
  }
  return list;
}

bool parse(int argc, char** argv, Settings& s) {
  if (argc < 2 || argc % 2 != 0) return false;
  s.model = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--users")
      s.users = numbers(value);
    else if (name == "--prompt")
      s.prompt = std::stoi(value);
    else if (name == "--tokens")
      s.tokens = std::stoi(value);
    else if (name == "--steps")
      s.steps = std::stoi(value);
    else if (name == "--rounds")
      s.rounds = std::stoi(value);
    else if (name == "--compute")
      s.compute = value;
    else if (name == "--threads")
      s.threads = std::stoi(value);
    else
      return false;
  }
  return true;
}

/// One user's whole request, from an empty cache. Users differ by prompt and seed.
Answer ask(const Engine& engine, const Settings& s, int user) {
  dgemma::Session session = engine.new_session({}).value();
  std::vector<int32_t> ids(static_cast<size_t>(s.prompt));
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>((static_cast<size_t>(user) * 977 + i * 31) %
                                  static_cast<size_t>(engine.info().vocab_size));
  session.sync_tokens(ids).value();
  dgemma::GenerateOptions o;
  o.seed = static_cast<uint64_t>(user), o.max_new_tokens = s.tokens, o.eos_ids = std::vector<int32_t>{};
  o.sampler.max_denoising_steps = s.steps;
  o.sampler.confidence_threshold = 0.0;  // never sure: every canvas takes all its steps
  return session.generate(o).value();
}

/// What one round of one number of users took.
struct Cost {
  double seconds = 0;      // wall clock, until all have their answers
  double cpu_seconds = 0;  // of all threads
};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Runs `users` at once; false where an answer is not what it was alone.
bool serve(const Engine& engine, const Settings& s, int users, const std::vector<Answer>& alone, Cost& cost) {
  std::vector<Answer> answers(static_cast<size_t>(users));
  const auto start = std::chrono::steady_clock::now();
  const double cpu_start = cpu_seconds();
  std::vector<std::thread> threads;
  for (int user = 0; user < users; ++user)
    threads.emplace_back([&, user] { answers[static_cast<size_t>(user)] = ask(engine, s, user); });
  for (std::thread& thread : threads) thread.join();
  cost.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  cost.cpu_seconds = cpu_seconds() - cpu_start;
  for (size_t user = 0; user < answers.size(); ++user)
    if (alone[user].tokens != answers[user].tokens) return false;
  return true;
}

double median(const std::vector<Cost>& costs, double Cost::*field) {
  std::vector<double> values;
  for (const Cost& cost : costs) values.push_back(cost.*field);
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void report(const Settings& s, const std::vector<std::vector<Cost>>& costs) {
  for (size_t i = 0; i < costs.size(); ++i) {
    const double time = median(costs[i], &Cost::seconds), cpu = median(costs[i], &Cost::cpu_seconds);
    const double work = static_cast<double>(s.users[i]) / s.users[0];
    const auto [least, most] = std::minmax_element(costs[i].begin(), costs[i].end(),
                                                   [](const Cost& a, const Cost& b) { return a.seconds < b.seconds; });
    std::printf("users %d: %.3f s (%.3f to %.3f), %.1f tokens/s together, %.2f times the first; %.3f s of CPU, %.2f\n",
                s.users[i], time, least->seconds, most->seconds, s.users[i] * s.tokens / time,
                work * median(costs[0], &Cost::seconds) / time, cpu, work * median(costs[0], &Cost::cpu_seconds) / cpu);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Settings s;
  if (!parse(argc, argv, s)) {
    std::fprintf(stderr,
                 "usage: sessions_bench MODEL [--users 1,2,4] [--prompt N] [--tokens N] [--steps N] "
                 "[--rounds N] [--threads N] [--compute NAME]\n");
    return 2;
  }
  dgemma::EngineOptions options;
  options.model_path = s.model, options.threads = s.threads, options.compute = s.compute;
  const auto engine = Engine::open(options);
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().message.c_str());
    return 1;
  }
  std::printf("%s, %s kernels, %s, %d threads; prompt %d, %d tokens, %d steps a canvas\n", s.model.c_str(),
              engine->info().kernels.c_str(), engine->info().compute.c_str(), engine->info().threads, s.prompt,
              s.tokens, s.steps);
  std::vector<Answer> alone;  // made before any clock runs, so that a mapped file is in memory then
  for (int user = 0; user < *std::max_element(s.users.begin(), s.users.end()); ++user)
    alone.push_back(ask(*engine, s, user));
  std::vector<std::vector<Cost>> costs(s.users.size());
  for (int round = 0; round < s.rounds; ++round)
    for (size_t i = 0; i < s.users.size(); ++i)
      if (!serve(*engine, s, s.users[i], alone, costs[i].emplace_back())) {
        std::fprintf(stderr, "an answer of %d users differs from the one made alone\n", s.users[i]);
        return 1;
      }
  report(s, costs);
  return 0;
}
