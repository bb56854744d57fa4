// Lines, standard descriptors and lost readers (src/cli/streams.h).
#include "cli/streams.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace dgemma::cli {
namespace {

using ::testing::HasSubstr;

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() { EXPECT_EQ(::pipe(ends), 0); }
  ~Pipe() { close_end(0), close_end(1); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int which) {
    if (ends[which] >= 0) ::close(ends[which]);
    ends[which] = -1;
  }
};

/// What LineReader makes of a text that comes through a pipe.
std::vector<std::string> lines_of(const std::string& text) {
  Pipe pipe;
  std::thread writer([&] {
    for (size_t done = 0; done < text.size();) done += size_t(::write(pipe.ends[1], &text[done], text.size() - done));
    pipe.close_end(1);
  });
  LineReader reader(pipe.ends[0]);
  std::vector<std::string> lines;
  while (true) {
    auto line = reader.next();
    EXPECT_TRUE(line);
    if (!line || !*line) break;
    lines.push_back(std::move(**line));
  }
  writer.join();
  return lines;
}

TEST(LineReader, gives_lines_without_their_ends) {
  using Parts = std::vector<std::string>;
  EXPECT_EQ(lines_of(""), Parts());
  EXPECT_EQ(lines_of("a\nb\r\n\nc"), Parts({"a", "b", "", "c"}));
  EXPECT_EQ(lines_of("\n"), Parts({""}));
  EXPECT_EQ(lines_of("a\rb\n"), Parts({"a\rb"}));
}

TEST(LineReader, joins_lines_that_are_longer_than_one_read) {
  const std::string large(300'000, 'x');
  EXPECT_EQ(lines_of("a\n" + large + "\nb"), std::vector<std::string>({"a", large, "b"}));
}

TEST(LineReader, a_descriptor_that_cannot_be_read_is_an_error) {
  LineReader reader(-1);
  const auto line = reader.next();
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, ErrorCode::kIo);
}

TEST(StandardDescriptors, closed_ones_are_occupied_by_something_that_fails) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(0), ::close(1), ::close(2);
    occupy_standard_descriptors();
    char byte = 0;
    if (::read(0, &byte, 1) != -1) ::_exit(1);
    if (::write(1, &byte, 1) != -1 || ::write(2, &byte, 1) != -1) ::_exit(2);
    if (::open("/dev/null", O_RDONLY) < 3) ::_exit(3);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(StandardDescriptors, open_ones_are_left_alone) {
  const pid_t child = ::fork();
  if (child == 0) {
    Pipe pipe;
    ::dup2(pipe.ends[1], 1);
    occupy_standard_descriptors();
    ::_exit(::write(1, "x", 1) == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Output, a_reader_that_has_gone_is_no_error_and_a_full_disk_is_one) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  Pipe pipe;
  pipe.close_end(0);
  Output gone(pipe.ends[1]);
  gone.write("x");
  EXPECT_TRUE(gone.failed());
  EXPECT_TRUE(gone.reader_gone());
  EXPECT_TRUE(gone.result());
  std::signal(SIGPIPE, before);

  const int full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  Output disk(full);
  disk.write("x");
  EXPECT_FALSE(disk.reader_gone());
  ASSERT_FALSE(disk.result());
  EXPECT_THAT(disk.result().error().message, HasSubstr("Free some space"));
  ::close(full);
}

}  // namespace
}  // namespace dgemma::cli
