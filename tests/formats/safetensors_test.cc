#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "builders.h"

namespace dgemma::formats {
namespace {

using ::testing::HasSubstr;

constexpr const char* kTwoTensors =
    R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[2,26]},)"
    R"("a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}})";

std::string two_tensors() { return safetensors_file(kTwoTensors, std::string(26, 'x')); }

std::string parse_file(const std::string& file) {
  const ExactBytes bytes(file);
  const auto parsed = parse_safetensors(bytes.span(), "m.safetensors");
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().code, ErrorCode::kModelFile);
  return parsed.error().message;
}

/// A header with one tensor of 24 bytes and these three values.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

TEST(Safetensors, names_types_shapes_and_bytes_are_read_without_a_copy) {
  const std::string file = two_tensors();
  const auto parsed = parse_safetensors(as_bytes(file), "f");
  ASSERT_TRUE(parsed) << parsed.error().message;
  ASSERT_EQ(parsed->tensors.entries().size(), 2u);
  const TensorEntry& b = parsed->tensors.entries()[0];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(b.dtype, tensor::DType::kF32);
  EXPECT_EQ(b.shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(b.values(), 6u);
  EXPECT_EQ(reinterpret_cast<const char*>(b.data.data()), file.data() + file.size() - 24);
  const TensorEntry* a = parsed->tensors.find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->values(), 1u);
  EXPECT_EQ(a->data.size(), 2u);
  EXPECT_EQ(parsed->tensors.find("c"), nullptr);
  ASSERT_EQ(parsed->metadata.size(), 1u);
  EXPECT_EQ(parsed->metadata[0].second, "pt");
}

TEST(Safetensors, empty_files_of_no_tensors_and_tensors_of_no_values_are_read) {
  EXPECT_EQ(parse_file(safetensors_file("{}")), "accepted");
  EXPECT_EQ(parse_file(safetensors_file("{}   ")), "accepted");
  EXPECT_EQ(parse_file(safetensors_file(one("\"F32\"", "[4,0]", "[0,0]"))), "accepted");
  EXPECT_EQ(parse_file(safetensors_file(one("\"F32\"", "[2,3]", "[0,24]"), std::string(24, 'x'))), "accepted");
}

TEST(Safetensors, a_pointer_of_git_lfs_is_told_apart_from_other_files) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4665a5ea\nsize 1024\n";
  EXPECT_THAT(parse_file(pointer), HasSubstr("got a Git LFS pointer to one. Fetch it with git lfs pull"));
}

TEST(Safetensors, a_file_cut_at_any_byte_is_an_error) {
  const std::string file = two_tensors();
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_THAT(parse_file(file.substr(0, size)), HasSubstr("m.safetensors: ")) << size;
}

TEST(Safetensors, any_changed_byte_of_the_header_is_read_or_refused) {
  const std::string file = two_tensors();
  for (size_t at = 0; at < file.size() - 26; ++at) {
    for (const char c : {'\0', '9', '"', '{', '[', '\xFF'}) {
      std::string changed = file;
      changed[at] = c;
      (void)parse_file(changed);
    }
  }
}

TEST(Safetensors, hostile_header_lengths_are_refused) {
  for (const uint64_t length :
       {uint64_t{19}, uint64_t{1} << 20, uint64_t{100'000'001}, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    EXPECT_THAT(parse_file(safetensors_file("{}", "0123456789abcdef", length)), HasSubstr("header of"));
  }
  EXPECT_THAT(parse_file(safetensors_file("", "")), HasSubstr("expected a JSON object"));
}

TEST(Safetensors, hostile_headers_are_refused_with_tensor_expected_and_got) {
  const std::string ok = one("\"F32\"", "[2,3]", "[0,24]");
  const std::string deep = "{\"t\":" + std::string(100000, '[');
  std::string crowd = "{\"__metadata__\":{\"k\":\"\"";
  for (int i = 0; i < 70000; ++i) crowd += ",\"k\":\"\"";
  const std::string twice = ok.substr(0, ok.size() - 1) + "," + ok.substr(1);
  const struct {
    std::string header, message;
  } cases[] = {
      {"[]", "header: expected a JSON object"},
      {"{\"t\":1}", "'t': expected an object with dtype, shape and data_offsets, got 1"},
      {"{\"t\":[]}", "got a list"},
      {"{\"t\":{}}", "expected dtype, shape and data_offsets, got not all of them"},
      {deep, "expected an object"},
      {"{\"a\":{\"a\":{\"a\":{}}}}", "only dtype, shape and data_offsets, got 'a'"},
      {"{\"\":{}}", "a tensor name of printable ASCII"},
      {"{\"a\\u0000b\":{}}", "a tensor name of printable ASCII"},
      {one("\"F31\"", "[2,3]", "[0,24]"), "'t'.dtype: expected F64"},
      {one("7", "[2,3]", "[0,24]"), "'t'.dtype: expected the name of a type, got 7"},
      {one("\"F32\"", "[-2,3]", "[0,24]"), "'t'.shape: expected a list of integers from 0 to 2^64 - 1, got -2"},
      {one("\"F32\"", "[2.5,3]", "[0,24]"), "got '2.5'"},
      {one("\"F32\"", "[18446744073709551616]", "[0,24]"), "got '18446744073709551616'"},
      {one("\"F32\"", "[[2],3]", "[0,24]"), "got a list"},
      {one("\"F32\"", "[\"2\",3]", "[0,24]"), "got '2'"},
      {one("\"F32\"", "6", "[0,24]"), "'t'.shape: expected a list"},
      {one("\"F32\"", "null", "[0,24]"), "got null"},
      {one("\"F32\"", "[4294967296,4294967296]", "[0,24]"), "t: expected a size that fits 64 bits"},
      {one("\"F32\"", "[9223372036854775808]", "[0,24]"), "t: expected a size that fits 64 bits"},
      {one("\"F32\"", "[1,1,1,1,1,1,1,1,6]", "[0,24]"), "at most 8 dimensions"},
      {one("\"F32\"", "[2,3]", "[0]"), "'t'.data_offsets: expected two integers"},
      {one("\"F32\"", "[2,3]", "[0,24,24]"), "'t'.data_offsets: expected two integers"},
      {one("\"F32\"", "[2,3]", "[-1,24]"), "got -1"},
      {one("\"F32\"", "[2,3]", "[24,0]"), "t: expected data_offsets of 24 bytes for F32 [2, 3], got [24, 0]"},
      {one("\"F32\"", "[2,3]", "[0,23]"), "t: expected data_offsets of 24 bytes"},
      {one("\"F32\"", "[2,4]", "[0,24]"), "t: expected data_offsets of 32 bytes"},
      {one("\"F32\"", "[2,3]", "[4,28]"), "t: expected data that begins at 0"},
      {one("\"F32\"", "[2,4]", "[0,32]"), "t: expected data within the file's 24 bytes"},
      {one("\"F32\"", "[5]", "[0,20]"), "tensor data of 20 bytes, as the header says, got 24 bytes"},
      {R"({"t":{"dtype":"U8","dtype":"U8"}})", "each field once"},
      {R"({"a":{"dtype":"U8","shape":[24],"data_offsets":[0,24]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
       "b: expected data that begins at 24"},
      {R"({"a":{"dtype":"U8","shape":[12],"data_offsets":[0,12]},"b":{"dtype":"U8","shape":[4],"data_offsets":[20,24]}})",
       "b: expected data that begins at 12"},
      {R"({"t":{"dtype":"U8","shape":[12],"data_offsets":[0,12]},"t":{"dtype":"U8","shape":[12],"data_offsets":[12,24]}})",
       "'t': expected each tensor once"},
      {twice, "expected"},
      {R"({"__metadata__":[]})", "__metadata__: expected an object of strings"},
      {R"({"__metadata__":{"a":1}})", "__metadata__: expected a string"},
      {R"({"__metadata__":{},"__metadata__":{}})", "__metadata__: expected at most one"},
      {crowd + "}}", "__metadata__: expected at most 65536 keys"},
      {ok + " x", "expected JSON"},
      {ok + std::string(1, '\0'), "a NUL byte"},
      {"{\"t\xC0\":{}}", "expected JSON"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(parse_file(safetensors_file(c.header, std::string(24, 'x'))), HasSubstr(c.message))
        << c.header.substr(0, 200);
  }
}

}  // namespace
}  // namespace dgemma::formats
