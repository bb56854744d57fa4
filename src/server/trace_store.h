// TraceStore: the traces of answers in one folder, each written whole or not at all, also where the power fails.
//
// A trace grows under a temporary name and gets its own when the answer is finished; what a killed service left behind
// is removed at the next start. So a folder has one service at a time: a second one would remove what the first is
// writing. Names are made of the response's id only, so no other file can be reached.
// Test: tests/server/service_test.cc, killed_service_test.cc.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/file_descriptor.h"
#include "dgemma/trace.h"

namespace dgemma::server {

class TraceStore {
 public:
  /// Errors: kUsage (no such folder, not writable, in use by another service).
  static Result<TraceStore> open(const std::string& folder);

  /// A trace while its answer is made: it is found once it is finished.
  Result<TraceWriter> record(const std::string& id) const;

  /// The trace of a response, by its id with or without the prefix; nullopt where there is none.
  std::optional<std::string> read(const std::string& id) const;

 private:
  TraceStore(std::string folder, base::FileDescriptor lock) : folder_(std::move(folder)), lock_(std::move(lock)) {}
  std::string folder_;
  base::FileDescriptor lock_;  ///< the folder: closing it gives up the lock on it
};

}  // namespace dgemma::server
