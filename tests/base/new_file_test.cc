#include "base/new_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>

#include "base/mapped_file.h"

namespace {

std::function<void(int)> g_on_fsync;

}  // namespace

/// Stands in the way of the C library's, so that a test sees what goes to the disk and when.
extern "C" int fsync(int fd) {
  if (g_on_fsync) g_on_fsync(fd);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace dgemma::base {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

class NewFileTest : public testing::Test {
 protected:
  NewFileTest() { fs::remove_all(folder_), fs::create_directory(folder_); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  const std::string folder_ = testing::TempDir() + "new_file";
  const std::string path_ = folder_ + "/out";
};

TEST_F(NewFileTest, has_its_name_only_when_it_is_whole) {
  auto file = NewFile::create(path_);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->write(bytes_of("hello")));
  ASSERT_TRUE(file->pad_to(8));
  ASSERT_TRUE(file->pad_to(8));
  EXPECT_EQ(file->size(), 8u);
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(read_text_file(path_, 100).value(), std::string("hello\0\0\0", 8));
  EXPECT_EQ(files(), 1u);
}

TEST_F(NewFileTest, its_bytes_are_on_the_disk_before_its_name_and_then_the_name) {
  std::vector<std::string> synced;
  g_on_fsync = [&](int fd) {
    struct stat status {};
    ::fstat(fd, &status);
    synced.emplace_back(S_ISDIR(status.st_mode) ? "folder" : "file");
    synced.back() += fs::exists(path_) ? " with the name" : " without the name";
  };
  auto file = NewFile::create(path_);
  ASSERT_TRUE(file->write(bytes_of("hello")));
  ASSERT_TRUE(file->commit());
  g_on_fsync = nullptr;
  EXPECT_EQ(synced, (std::vector<std::string>{"file without the name", "folder with the name"}));
}

TEST_F(NewFileTest, what_is_not_there_cannot_be_put_in_place) {
  const auto put = put_in_place(folder_ + "/none", path_);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, ErrorCode::kIo);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(NewFileTest, what_is_not_committed_leaves_no_trace_and_what_was_there_stays) {
  {
    auto old = NewFile::create(path_);
    ASSERT_TRUE(old->write(bytes_of("old")));
    ASSERT_TRUE(old->commit());
    auto file = NewFile::create(path_);
    ASSERT_TRUE(file->write(bytes_of("new")));
  }
  EXPECT_EQ(read_text_file(path_, 100).value(), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(NewFileTest, a_folder_that_is_not_there_is_an_error) {
  const auto file = NewFile::create(folder_ + "/none/out");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kIo);
}

TEST_F(NewFileTest, a_device_a_pipe_or_a_folder_stays_what_it_is) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  for (const std::string& name : {path_, folder_, std::string("/dev/full")}) {
    const auto file = NewFile::create(name);
    ASSERT_FALSE(file) << name;
    EXPECT_EQ(file.error().code, ErrorCode::kIo);
  }
  EXPECT_TRUE(fs::is_fifo(path_));
}

TEST_F(NewFileTest, has_the_permissions_of_what_it_replaces_or_the_usual_ones) {
  const auto permissions = [&] { return static_cast<unsigned>(fs::status(path_).permissions()); };
  const mode_t mask = ::umask(0027);
  ASSERT_TRUE(NewFile::create(path_)->commit());
  ::umask(mask);
  EXPECT_EQ(permissions(), 0640u);
  ASSERT_EQ(::chmod(path_.c_str(), 0600), 0);
  ASSERT_TRUE(NewFile::create(path_)->commit());
  EXPECT_EQ(permissions(), 0600u);
}

TEST_F(NewFileTest, a_link_stays_a_link) {
  fs::create_symlink("target", path_);
  ASSERT_TRUE(NewFile::create(folder_ + "/target")->commit());
  auto file = NewFile::create(path_);
  ASSERT_TRUE(file->write(bytes_of("new")));
  ASSERT_TRUE(file->commit());
  EXPECT_TRUE(fs::is_symlink(path_));
  EXPECT_EQ(read_text_file(folder_ + "/target", 100).value(), "new");
}

}  // namespace
}  // namespace dgemma::base
