// Answers of a program that is running already: one on a new session for each line of standard input, timed.
//
//     answers_bench MODEL THREADS COMPUTE <<<"SEED ID,ID,..."
//
// The ids are the whole prompt. Each answer is a line of JSON: {"tokens": [..], "steps": n, "seconds": s}, the time
// that of prompt and denoising, without loading. For bench/against_transformers.py, which gives the lines.
#include <chrono>
#include <cstdint>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "dgemma/engine.h"
#include "dgemma/session.h"

namespace {

dgemma::Result<void> answer(const dgemma::Engine& engine, const std::string& line) {
  std::istringstream in(line);
  dgemma::GenerateOptions options;
  std::vector<int32_t> prompt;
  uint64_t seed = 0;
  in >> seed;
  options.seed = seed;
  for (int32_t id = 0; in >> id; in.ignore(1)) prompt.push_back(id);

  DG_TRY_ASSIGN(dgemma::Session session, engine.new_session({}));
  const auto start = std::chrono::steady_clock::now();
  DG_TRY(session.sync_tokens(prompt));
  DG_TRY_ASSIGN(const dgemma::Answer answer, session.generate(options));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cout << "{\"tokens\": [";
  for (size_t i = 0; i < answer.tokens.size(); ++i) std::cout << (i > 0 ? ", " : "") << answer.tokens[i];
  std::cout << "], \"steps\": " << answer.summary.denoising_steps << ", \"seconds\": " << seconds.count() << "}"
            << std::endl;
  return {};
}

dgemma::Result<void> run(const dgemma::EngineOptions& options) {
  DG_TRY_ASSIGN(const dgemma::Engine engine, dgemma::Engine::open(options));
  for (std::string line; std::getline(std::cin, line);) DG_TRY(answer(engine, line));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: answers_bench MODEL THREADS COMPUTE\n";
    return 2;
  }
  dgemma::EngineOptions options;
  options.model_path = argv[1], options.threads = std::stoi(argv[2]), options.compute = argv[3];
  const auto done = run(options);
  if (!done) std::cerr << "answers_bench: " << done.error().message << "\n";
  return done ? 0 : 1;
}
