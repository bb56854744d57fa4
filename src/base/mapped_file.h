// A file mapped read-only into memory, closed when the object goes.
//
// Model files are larger than memory allows to copy; pages come from the page cache when they are touched. A file that
// another program truncates while it is mapped ends this process by a signal, as with every program that maps files.
// Test: tests/base/mapped_file_test.cc.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "dgemma/result.h"

namespace dgemma::base {

class MappedFile {
 public:
  /// Errors: kNotFound, kIo (permission, a directory, the system's own words), kOutOfMemory (address space). An empty
  /// file maps to an empty span.
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  /// Tells the system that the pages need not stay resident: they are read again where they are used again.
  void release_pages() const;

 private:
  MappedFile(std::string path, const std::byte* data, size_t size);
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// The whole of a small file as text; refuses more than `limit` bytes. Errors: kNotFound, kIo.
Result<std::string> read_text_file(const std::string& path, size_t limit);

}  // namespace dgemma::base
