// See trace_store.h.
#include "server/trace_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/format.h"
#include "base/new_file.h"

namespace dgemma::server {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".trace.jsonl";
constexpr size_t kIdDigits = 24;  // random_id.h

bool is_id(const std::string& text) {
  return text.size() == kIdDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace

Result<TraceStore> TraceStore::open(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error) || ::access(folder.c_str(), R_OK | W_OK | X_OK) != 0)
    return Unexpected(ErrorCode::kUsage,
                      base::concat("--trace-dir: expected a folder that can be written, got ", base::quoted(folder)));
  base::FileDescriptor lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some network file systems know no locks: a service there may have to be told apart from others by hand.
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return Unexpected(ErrorCode::kUsage,
                      base::concat("--trace-dir: expected a folder of this service's own, but another one uses ",
                                   base::quoted(folder)));
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const size_t id_end = name.find(base::concat(kSuffix, base::kUnfinished));
    if (id_end != name.npos && is_id(name.substr(0, id_end))) fs::remove(entry.path(), error);
  }
  return TraceStore(folder, std::move(lock));
}

Result<TraceWriter> TraceStore::record(const std::string& id) const {
  return TraceWriter::open(folder_ + "/" + id + kSuffix);
}

std::optional<std::string> TraceStore::read(const std::string& id) const {
  const std::string digits = id.substr(id.find_last_of("-_") + 1);  // "chatcmpl-", "msg_"
  if (!is_id(digits)) return std::nullopt;
  std::ifstream file(folder_ + "/" + digits + kSuffix, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace dgemma::server
