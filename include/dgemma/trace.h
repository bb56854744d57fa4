// TraceWriter: the record of an answer as JSON lines (docs/MODEL.md, "Trace"), fed with the events of a session.
#pragma once

#include <memory>
#include <string>

#include "dgemma/events.h"
#include "dgemma/result.h"

namespace dgemma {

class TraceWriter {
 public:
  /// Opens the file for writing, so that a path that cannot be written is known before work starts. "-" is standard
  /// output. A pipe, a device or a file that this process was given open is written to line by line; any other name
  /// gets a file by finish(), whole or not at all. Errors: kIo.
  static Result<TraceWriter> open(const std::string& path);
  TraceWriter(TraceWriter&&) noexcept;
  TraceWriter& operator=(TraceWriter&&) noexcept;
  ~TraceWriter();

  /// Writes what the event adds to the record. After a failure (a full disk) it writes nothing more; finish() tells.
  void on_event(const Event& event);
  /// The reader of the pipe has gone: what is written from then on nobody sees, which is no failure.
  bool reader_gone() const;
  /// Gives the file its name, in place of what had it; nothing may be written afterwards. Errors: kIo, the first
  /// failure of any write (but that the reader of a pipe has gone).
  Result<void> finish();

 private:
  struct Impl;
  explicit TraceWriter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace dgemma
