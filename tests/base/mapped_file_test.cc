#include "base/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace dgemma::base {
namespace {

std::string temporary(const std::string& name, const std::string& content) {
  const std::string path = testing::TempDir() + "" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

TEST(MappedFile, shows_the_bytes_of_the_file_and_survives_a_move) {
  auto file = MappedFile::open(temporary("mapped", std::string("a\0b", 3)));
  ASSERT_TRUE(file);
  const MappedFile moved = std::move(*file);
  ASSERT_EQ(moved.bytes().size(), 3u);
  EXPECT_EQ(static_cast<char>(moved.bytes()[2]), 'b');
}

TEST(MappedFile, an_empty_file_is_an_empty_span) {
  const auto file = MappedFile::open(temporary("empty", ""));
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFile, says_what_is_wrong_with_a_path) {
  EXPECT_EQ(MappedFile::open("/nonexistent/x").error().code, ErrorCode::kNotFound);
  const auto folder = MappedFile::open("/tmp");
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().message.find("/tmp: expected a file, got a folder"), std::string::npos);
}

TEST(MappedFile, refuses_a_pipe_without_waiting_for_its_other_end) {
  const std::string path = testing::TempDir() + "pipe";
  unlink(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(path).error().code, ErrorCode::kIo);
  EXPECT_EQ(MappedFile::open("/dev/null").error().code, ErrorCode::kIo);
}

TEST(MappedFile, a_file_larger_than_the_address_space_is_a_matter_of_memory) {
  const int sparse = memfd_create("sparse", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(sparse, off_t{1} << 60), 0);
  const auto file = MappedFile::open("/proc/self/fd/" + std::to_string(sparse));
  close(sparse);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kOutOfMemory) << file.error().message;
}

TEST(ReadTextFile, reads_all_and_refuses_more_than_the_limit) {
  const std::string path = temporary("text", "hello");
  EXPECT_EQ(*read_text_file(path, 5), "hello");
  EXPECT_EQ(read_text_file(path, 4).error().code, ErrorCode::kIo);
}

}  // namespace
}  // namespace dgemma::base
