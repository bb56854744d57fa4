// Engine: a loaded model, immutable, to be shared between threads. The way in for every program outside: includes what
// its members give, sessions and the tokenizer. How it is used: examples/minimal/main.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dgemma/events.h"
#include "dgemma/options.h"
#include "dgemma/result.h"
#include "dgemma/session.h"
#include "dgemma/text.h"

namespace dgemma {

struct EngineState;

/// What a loaded model is.
struct ModelInfo {
  std::string path;
  std::string architecture;  ///< "diffusion-gemma"
  int canvas_length = 0;     ///< L
  int vocab_size = 0;        ///< V
  int context_length = 0;    ///< the most tokens that the model was made for
  int layers = 0;
  uint64_t parameters = 0;
  uint64_t weight_bytes = 0;       ///< resident weights
  std::vector<int32_t> eos_ids;    ///< of the checkpoint
  int32_t bos_id = -1;             ///< -1: none
  SamplerValues sampler;           ///< the checkpoint's values, else the published ones
  std::vector<std::string> notes;  ///< what its user should know: settings without effect, tokens without a row
  bool has_tokenizer = false;
  bool has_chat_template = false;  ///< the Gemma 4 one; where there is none that format is applied all the same
  std::string no_chat;             ///< why encode_chat() refuses every request; "" where it does not
  int threads = 0;                 ///< in force
  std::string kernels;             ///< in force
  std::string compute;             ///< in force
  double load_s = 0;
};

/// Whether Engine::open, run_bench and compare_models could use these threads, kernels and precision on this machine.
/// Looks at no model. Errors: kUsage, kUnsupported.
Result<void> check_engine_options(const EngineOptions& options);

class Engine {
 public:
  /// Loads a model. Plans its memory first. Errors: kNotFound, kIo, kModelFile, kOutOfMemory, kUnsupported (kernels,
  /// compute, EngineOptions::chat), kUsage (threads).
  static Result<Engine> open(const EngineOptions& options);
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  const ModelInfo& info() const;
  /// The tokenizer, or null where the model has none.
  const Tokenizer* tokenizer() const;
  /// The prompt of a chat request: what Session::sync_chat makes the timeline. Errors: kInvalidRequest (the field is
  /// named), kUnsupported (no tokenizer, a template of another format), kModelFile (a marker is missing).
  Result<std::vector<int32_t>> encode_chat(const ChatRequest& request) const;
  /// The same for a request in OpenAI form as JSON text.
  Result<std::vector<int32_t>> encode_chat(std::string_view request_json) const;
  /// A new conversation with an empty cache. Errors: kUsage (context beyond the model's), kOutOfMemory.
  Result<Session> new_session(const SessionOptions& options) const;

 private:
  explicit Engine(std::shared_ptr<const EngineState> state);
  std::shared_ptr<const EngineState> state_;
};

}  // namespace dgemma
