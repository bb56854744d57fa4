#include "dgemma/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dgemma {
namespace {

TEST(TraceWriter, says_before_work_that_a_file_cannot_be_written) {
  EXPECT_EQ(TraceWriter::open("/nonexistent/folder/trace.jsonl").error().code, ErrorCode::kNotFound);
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
