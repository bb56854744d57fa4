// The smallest program on the library: one question, one answer. minimal MODEL QUESTION
//
// The README shows ask() (tests/house/house_test.cc compares). Test: tests/examples/minimal_test.sh.
#include <dgemma/engine.h>

#include <iostream>

dgemma::Result<void> ask(const char* model, const char* question) {
  DG_TRY_ASSIGN(const dgemma::Engine engine, dgemma::Engine::open({.model_path = model}));
  DG_TRY_ASSIGN(dgemma::Session session, engine.new_session({}));
  DG_TRY(session.sync_chat({.messages = {{dgemma::ChatRole::kUser, question}}}));
  const auto on_event = [](const dgemma::Event& event) {  // drafts too, step by step
    if (const auto* final = std::get_if<dgemma::Committed>(&event)) std::cout << final->text << std::flush;
  };
  DG_TRY_ASSIGN(const dgemma::Answer answer, session.generate({.seed = 7}, on_event));
  std::cout << "\n(" << answer.tokens.size() << " tokens, " << answer.summary.denoising_steps << " steps)\n";
  return {};
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: minimal MODEL QUESTION\n";
    return 2;
  }
  const auto asked = ask(argv[1], argv[2]);
  if (asked) return 0;
  std::cerr << asked.error().message << '\n';
  return exit_status(asked.error().code);
}
