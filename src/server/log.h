// Log: one line an event on standard error, as text or JSON. Never what users or the model said.
//
//     2026-11-24T20:42:30.123Z request method=POST path=/v1/chat/completions status=200 ms=81.2
//
// Test: tests/server/log_test.cc.
#pragma once

#include <string>

#include "dgemma/engine.h"
#include "server/json.h"
#include "server/options.h"

namespace dgemma::server {

class Log {
 public:
  explicit Log(LogFormat format) : format_(format) {}
  /// `fields` is an object of plain values. Any thread; a line is written whole.
  void event(const std::string& name, const Json& fields) const;

 private:
  LogFormat format_;
};

/// Says that a model is ready, with a warning where its weights do not fit into the machine's `memory_bytes`, where
/// a setting of its own has no effect, and where it cannot chat.
void log_ready(const Log& log, const ModelInfo& info, uint64_t memory_bytes);

}  // namespace dgemma::server
