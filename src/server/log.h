// Log: one line an event on standard error, as text or JSON. Never what users or the model said.
//
//     2026-11-24T20:42:30.123Z request method=POST path=/v1/chat/completions status=200 ms=81.2
#pragma once

#include <string>

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

}  // namespace dgemma::server
