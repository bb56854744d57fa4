// NewFile: a file that is written whole or not at all.
//
// Bytes go to a temporary file beside the target; commit() makes it take the target's name once everything is on the
// disk. Without it (an error, a cancel) the temporary file goes and what had the name before stays. A crash or a power
// loss leaves the temporary file behind, never half a target. Test: tests/base/new_file_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/file_descriptor.h"
#include "dgemma/result.h"

namespace dgemma::base {

/// Gives a complete file its final name, in the same folder, in place of what had it. Its bytes are on the disk before,
/// the name afterwards. Errors: kIo.
Result<void> put_in_place(const std::string& temporary, const std::string& path);

/// Between the name of a file that is being written and a few random letters: what a killed program leaves behind.
inline constexpr const char* kUnfinished = ".partial-";

class NewFile {
 public:
  /// `name` is a new name, an ordinary file (whose permissions stay), or a link to one (which stays a link).
  /// Errors: kIo (no such folder, permission, a device, a pipe, a folder).
  static Result<NewFile> create(const std::string& name);
  NewFile(NewFile&& other) noexcept = default;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  /// Appends. Errors: kIo (a full disk).
  Result<void> write(std::span<const std::byte> bytes);
  /// Appends zeros up to a multiple of `alignment`.
  Result<void> pad_to(uint64_t alignment);
  uint64_t size() const { return size_; }
  /// Puts the file in its place. Nothing may be written afterwards. Errors: kIo.
  Result<void> commit();

 private:
  NewFile(std::string path, std::string temporary, FileDescriptor file);
  std::string path_, temporary_;
  FileDescriptor file_;  ///< none once committed, or moved from
  uint64_t size_ = 0;
};

}  // namespace dgemma::base
