// See mapped_file.h.
#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/file_descriptor.h"
#include "base/format.h"

namespace dgemma::base {
namespace {

Unexpected system_error(const std::string& path, const char* what) {
  const int error = errno;
  const ErrorCode code = error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
  return {code, concat(path, ": ", what, ": ", std::strerror(error))};
}

struct OpenFile {
  FileDescriptor descriptor;
  size_t size;
  bool regular;  // has bytes that can be mapped: no pipe, no device
};

/// `flags` beyond reading: O_NONBLOCK does not wait for the other end of a pipe.
Result<OpenFile> open_file(const std::string& path, int flags) {
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
  if (!file) return system_error(path, "cannot open the file");
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error(path, "cannot look at the file");
  if (S_ISDIR(info.st_mode)) return Unexpected(ErrorCode::kIo, path + ": expected a file, got a folder");
  return OpenFile{std::move(file), static_cast<size_t>(info.st_size), S_ISREG(info.st_mode)};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  DG_TRY_ASSIGN(OpenFile file, open_file(path, O_NONBLOCK));
  if (!file.regular) return Unexpected(ErrorCode::kIo, path + ": expected a file, got a pipe or a device");
  if (file.size == 0) return MappedFile(path, nullptr, 0);
  void* data = ::mmap(nullptr, file.size, PROT_READ, MAP_SHARED, file.descriptor.get(), 0);
  if (data == MAP_FAILED && errno == ENOMEM)
    return Unexpected(ErrorCode::kOutOfMemory, concat(path, ": expected address space for ", bytes_text(file.size),
                                                      ", got less. Raise ulimit -v, or use a smaller file"));
  if (data == MAP_FAILED) return system_error(path, "cannot map the file into memory");
  return MappedFile(path, static_cast<const std::byte*>(data), file.size);
}

MappedFile::MappedFile(std::string path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

Result<std::string> read_text_file(const std::string& path, size_t limit) {
  DG_TRY_ASSIGN(OpenFile file, open_file(path, 0));
  std::string text;
  char buffer[1 << 16];
  while (true) {  // not by the size that fstat gave: pipes and /proc have none
    const ssize_t got = ::read(file.descriptor.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path, "cannot read the file");
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > limit)
      return Unexpected(ErrorCode::kIo, concat(path, ": expected at most ", bytes_text(limit), ", got more"));
  }
}

}  // namespace dgemma::base
