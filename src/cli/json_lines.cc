// See json_lines.h.
#include "cli/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file_descriptor.h"
#include "base/format.h"

namespace dgemma::cli {
namespace {

Result<void> each_line(LineReader& reader, const std::string& name, Output& out,
                       const std::function<Result<std::string>(const std::string&)>& work) {
  for (size_t number = 1;; ++number) {
    DG_TRY_ASSIGN(const std::optional<std::string> line, reader.next());
    if (!line) return {};
    auto result = work(*line);
    if (!result)
      return Unexpected(result.error().code, base::concat(name, ": line ", number, ": ", result.error().message));
    out.write(*result);
    if (out.failed()) return out.result();
  }
}

}  // namespace

Result<void> for_each_line(const std::string& path, Output& out,
                           const std::function<Result<std::string>(const std::string&)>& work) {
  if (path == "-") {
    LineReader reader(STDIN_FILENO);
    return each_line(reader, "standard input", out, work);
  }
  const base::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return Unexpected(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                      base::concat(path, ": cannot open the file: ", std::strerror(errno)));
  LineReader reader(file.get());
  return each_line(reader, path, out, work);
}

}  // namespace dgemma::cli
