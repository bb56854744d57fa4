// The smallest program on the library: one question, one answer. minimal MODEL
//
// Test: tests/examples/minimal_test.sh.
#include <dgemma/engine.h>
#include <dgemma/session.h>

#include <iostream>

namespace {

dgemma::Result<void> ask(const char* model) {
  dgemma::EngineOptions options;
  options.model_path = model;
  DG_TRY_ASSIGN(const dgemma::Engine engine, dgemma::Engine::open(options));
  DG_TRY_ASSIGN(dgemma::Session session, engine.new_session({}));
  DG_TRY(session.sync_chat(R"({"messages": [{"role": "user", "content": "What is a canvas?"}]})"));
  dgemma::GenerateOptions how;
  how.seed = 7;
  DG_TRY(session.generate(how, [](const dgemma::Event& event) {
    if (const auto* committed = std::get_if<dgemma::Committed>(&event)) std::cout << committed->text << std::flush;
  }));
  std::cout << '\n';
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: minimal MODEL\n";
    return 2;
  }
  const auto asked = ask(argv[1]);
  if (asked) return 0;
  std::cerr << asked.error().message << '\n';
  return exit_status(asked.error().code);
}
