// FileDescriptor: the owner of an open file, folder, pipe or socket; closes it at its end.
//
// An error of close() is not told: who has to know that bytes arrived asks fsync() (new_file.h).
// Test: tests/base/file_descriptor_test.cc.
#pragma once

#include <unistd.h>

#include <string_view>
#include <utility>

namespace dgemma::base {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  /// Takes what open() and its like return, -1 included.
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

/// Writes all of it, also where signals interrupt and where the descriptor was left in non-blocking mode; gives errno
/// of a failure, or 0.
int write_all(int fd, std::string_view bytes);

}  // namespace dgemma::base
