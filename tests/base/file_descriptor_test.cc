#include "base/file_descriptor.h"

#include <fcntl.h>
#include <gtest/gtest.h>

namespace dgemma::base {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

TEST(FileDescriptor, closes_what_it_owns_once) {
  int fd = -1;
  {
    FileDescriptor first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    fd = first.get();
    ASSERT_TRUE(first && is_open(fd));
    const FileDescriptor second(std::move(first));
    EXPECT_EQ(second.get(), fd);
    EXPECT_FALSE(first);  // NOLINT: what is left of it
  }
  EXPECT_FALSE(is_open(fd));
  EXPECT_FALSE(FileDescriptor(-1));
}

TEST(FileDescriptor, an_assignment_closes_what_was_there) {
  FileDescriptor file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int fd = file.get();
  file = FileDescriptor();
  EXPECT_FALSE(is_open(fd));
  EXPECT_FALSE(file);
}

}  // namespace
}  // namespace dgemma::base
