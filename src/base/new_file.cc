// See new_file.h.
#include "base/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/format.h"

namespace dgemma::base {
namespace {

Unexpected system_error(const std::string& path, const char* what) {
  const int error = errno;
  return {ErrorCode::kIo, concat(path, ": ", what, ": ", std::strerror(error))};
}

/// A file that was not there, beside `path`; its name goes to `temporary`. Not mkstemp, which makes files for the user
/// alone: what the umask takes away of the usual mode, a thread cannot know without changing it for all.
FileDescriptor create_beside(const std::string& path, std::string& temporary) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz012345";
  while (true) {
    std::array<unsigned char, 8> random{};
    if (::getentropy(random.data(), random.size()) != 0) return {};
    temporary = path + kUnfinished;
    for (const unsigned char byte : random) temporary += kLetters[byte % kLetters.size()];
    FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file || errno != EEXIST) return file;
  }
}

/// What `path` leads to: the target of a link, so that the link stays one. The rename would put a file in the place of
/// a device or a pipe, so only what is not there yet and ordinary files will do.
Result<std::string> final_path(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return path;
  if (!S_ISREG(status.st_mode))
    return Unexpected(ErrorCode::kIo, concat(path, ": expected a file or a new name, got a folder, device or pipe"));
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

/// Waits until what is written of a file, or the names in a folder, are on the disk.
bool sync(const std::string& path, int flags) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (!file) return errno == EACCES;                   // a folder that may be written but not read
  return ::fsync(file.get()) == 0 || errno == EINVAL;  // a file system that cannot do it for folders
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

}  // namespace

Result<void> put_in_place(const std::string& temporary, const std::string& path) {
  if (!sync(temporary, 0)) return system_error(path, "cannot write the file to the disk");
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error(path, "cannot put the file in its place");
  if (!sync(folder_of(path), O_DIRECTORY)) return system_error(path, "cannot write the file's name to the disk");
  return {};
}

Result<NewFile> NewFile::create(const std::string& name) {
  DG_TRY_ASSIGN(std::string path, final_path(name));
  std::string temporary;
  FileDescriptor file = create_beside(path, temporary);
  if (!file) return system_error(path, "cannot create the file");
  struct stat replaced {};
  if (::stat(path.c_str(), &replaced) == 0) ::fchmod(file.get(), replaced.st_mode & 0777);  // a private one stays so
  return NewFile(std::move(path), std::move(temporary), std::move(file));
}

NewFile::NewFile(std::string path, std::string temporary, FileDescriptor file)
    : path_(std::move(path)), temporary_(std::move(temporary)), file_(std::move(file)) {}

NewFile::~NewFile() {
  if (file_) ::unlink(temporary_.c_str());
}

Result<void> NewFile::write(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (write_all(file_.get(), text) != 0) return system_error(path_, "cannot write the file");
  size_ += bytes.size();
  return {};
}

Result<void> NewFile::pad_to(uint64_t alignment) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  for (uint64_t missing = (alignment - size_ % alignment) % alignment; missing > 0;) {
    const size_t count = std::min<uint64_t>(missing, kZeros.size());
    DG_TRY(write(std::span(kZeros).first(count)));
    missing -= count;
  }
  return {};
}

Result<void> NewFile::commit() {
  DG_TRY(put_in_place(temporary_, path_));
  file_ = {};
  return {};
}

}  // namespace dgemma::base
