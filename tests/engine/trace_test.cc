#include "dgemma/trace.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/file_descriptor.h"
#include "base/format.h"
#include "base/mapped_file.h"

namespace dgemma {
namespace {

namespace fs = std::filesystem;

/// A folder with the file `name` in it.
std::string old_trace(const std::string& name) {
  const std::string folder = testing::TempDir() + "trace_of_" + name;
  fs::create_directories(folder);
  std::ofstream(folder + "/" + name) << "old";
  return folder + "/" + name;
}
std::string text_of(const std::string& path) { return base::read_text_file(path, 1 << 20).value(); }

TEST(TraceWriter, gives_a_file_its_name_only_when_it_is_whole) {
  const std::string path = old_trace("whole");
  for (const bool finished : {false, true}) {
    auto writer = TraceWriter::open(path);
    ASSERT_TRUE(writer) << writer.error().message;
    writer->on_event(Finished{});
    EXPECT_EQ(text_of(path), "old");
    if (!finished) continue;
    EXPECT_TRUE(writer->finish());
  }
  EXPECT_THAT(text_of(path), testing::MatchesRegex("\\{\"type\":\"end\".*\n"));
  const auto files = fs::directory_iterator(fs::path(path).parent_path());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "nothing is left of what was not finished";
}

TEST(TraceWriter, goes_on_in_a_file_that_the_process_was_given_open) {
  const std::string path = old_trace("open");
  const base::FileDescriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  auto writer = TraceWriter::open(base::concat("/dev/fd/", file.get()));
  ASSERT_TRUE(writer) << writer.error().message;
  writer->on_event(Finished{});
  EXPECT_THAT(text_of(path), testing::StartsWith("old{\"type\":\"end\""));
  EXPECT_EQ(base::write_all(file.get(), "new"), 0);
  EXPECT_TRUE(writer->finish());
  EXPECT_THAT(text_of(path), testing::EndsWith("\nnew"));
}

TEST(TraceWriter, writes_into_a_pipe_until_its_reader_goes) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::string path = testing::TempDir() + "trace.pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  base::FileDescriptor reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto writer = TraceWriter::open(path);
  ASSERT_TRUE(writer) << writer.error().message;
  writer->on_event(Finished{});
  char first = 0;
  EXPECT_EQ(::read(reader.get(), &first, 1), 1);
  EXPECT_FALSE(writer->reader_gone());
  reader = {};
  writer->on_event(Finished{});
  EXPECT_TRUE(writer->reader_gone());
  EXPECT_TRUE(writer->finish());
  EXPECT_TRUE(fs::is_fifo(path));
}

TEST(TraceWriter, the_end_of_each_answer_has_its_own_tokens) {
  const std::string path = old_trace("several");
  auto writer = TraceWriter::open(path);
  ASSERT_TRUE(writer) << writer.error().message;
  for (std::vector<int32_t> committed : {std::vector<int32_t>{5, 6}, std::vector<int32_t>{7}}) {
    writer->on_event(Started{});
    Committed canvas;
    canvas.canvas_tokens = committed, canvas.tokens = committed;
    writer->on_event(canvas);
    writer->on_event(Finished{});
  }
  ASSERT_TRUE(writer->finish());
  EXPECT_THAT(text_of(path), testing::ContainsRegex("\"end\",\"tokens\":\\[5,6\\],"));
  EXPECT_THAT(text_of(path), testing::ContainsRegex("\"end\",\"tokens\":\\[7\\],"));
}

TEST(TraceWriter, says_before_work_that_a_file_cannot_be_written) {
  EXPECT_EQ(TraceWriter::open("/nonexistent/folder/trace.jsonl").error().code, ErrorCode::kIo);
  EXPECT_EQ(TraceWriter::open("/tmp").error().code, ErrorCode::kIo);
}

TEST(TraceWriter, reports_a_full_disk_at_the_end_and_does_not_stop_the_answer) {
  auto writer = TraceWriter::open("/dev/full");
  ASSERT_TRUE(writer);
  writer->on_event(Finished{});
  writer->on_event(Finished{});
  const auto result = writer->finish();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kIo);
  EXPECT_THAT(result.error().message, testing::HasSubstr("No space left on device"));
}

}  // namespace
}  // namespace dgemma
