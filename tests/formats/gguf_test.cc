#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "builders.h"

namespace dgemma::formats {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Two tensors and a key of every type.
GgufParts small_file() {
  GgufParts parts;
  parts.key_bytes = gguf_key("general.architecture", 8, gguf_string("diffusion-gemma")) +
                    gguf_key("u8", 0, raw(uint8_t{200})) + gguf_key("i8", 1, raw(int8_t{-100})) +
                    gguf_key("u16", 2, raw(uint16_t{60000})) + gguf_key("i16", 3, raw(int16_t{-30000})) +
                    gguf_key("u32", 4, raw(uint32_t{4000000000})) + gguf_key("i32", 5, raw(int32_t{-2000000000})) +
                    gguf_key("f32", 6, raw(0.5f)) + gguf_key("bool", 7, raw(uint8_t{1})) +
                    gguf_key("u64", 10, raw(~uint64_t{0})) + gguf_key("i64", 11, raw(int64_t{-1} << 60)) +
                    gguf_key("f64", 12, raw(0.25)) +
                    gguf_key("tokens", 9, gguf_array(8, 3, gguf_string("a") + gguf_string("") + gguf_string("bc"))) +
                    gguf_key("types", 9, gguf_array(5, 2, raw(int32_t{1}) + raw(int32_t{-2}))) +
                    gguf_key("pattern", 9, gguf_array(7, 3, std::string("\1\0\1", 3))) +
                    gguf_key("scores", 9, gguf_array(6, 1, raw(-1.5f)));
  parts.keys = 16;
  parts.info_bytes = gguf_info("a.weight", {64, 2}, 2, 0) + gguf_info("b", {3}, 0, 96);
  parts.tensors = 2;
  parts.data = std::string(72, 'q') + std::string(24, '\0') + std::string(12, 'f');
  return parts;
}

std::string parse_gguf(const std::string& file) {
  const ExactBytes bytes(file);
  const auto parsed = GgufFile::parse(bytes.span(), "m.gguf");
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().code, ErrorCode::kModelFile);
  return parsed.error().message;
}

/// One tensor over 72 bytes of data, and the alignment in the metadata.
std::string one_tensor(const std::string& info, uint32_t alignment = 32) {
  GgufParts parts;
  parts.keys = 1;
  parts.key_bytes = gguf_key("general.alignment", 4, raw(alignment));
  parts.tensors = 1;
  parts.info_bytes = info;
  parts.data = std::string(72, 'q');
  return parts.file();
}
std::string one_key(uint32_t type, const std::string& value) {
  GgufParts parts;
  parts.keys = 1;
  parts.key_bytes = gguf_key("k", type, value);
  return parts.file();
}

TEST(Gguf, tensors_have_their_slowest_dimension_first_and_view_the_file) {
  const std::string bytes = small_file().file();
  const auto file = GgufFile::parse(as_bytes(bytes), "f");
  ASSERT_TRUE(file) << file.error().message;
  const TensorEntry* a = file->find_tensor("a.weight");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->dtype, tensor::DType::kQ4_0);
  EXPECT_EQ(a->shape, (std::vector<uint64_t>{2, 64}));
  EXPECT_EQ(a->data.size(), 72u);
  EXPECT_EQ(static_cast<char>(a->data[71]), 'q');
  const TensorEntry& b = file->tensors()[1];
  EXPECT_EQ(b.name, "b");
  EXPECT_EQ(reinterpret_cast<const char*>(b.data.data()), bytes.data() + bytes.size() - 12);
}

TEST(Gguf, metadata_of_every_type_is_read_and_converted_where_it_fits) {
  for (const uint32_t version : {2u, 3u}) {
    GgufParts parts = small_file();
    parts.version = version;
    const std::string bytes = parts.file();
    const auto file = GgufFile::parse(as_bytes(bytes), "f");
    ASSERT_TRUE(file) << file.error().message;
    EXPECT_EQ(file->get<std::string_view>("general.architecture").value(), "diffusion-gemma");
    EXPECT_EQ(file->get<int64_t>("u8").value(), 200);
    EXPECT_EQ(file->get<int64_t>("i8").value(), -100);
    EXPECT_EQ(file->get<int64_t>("u16").value(), 60000);
    EXPECT_EQ(file->get<int64_t>("i16").value(), -30000);
    EXPECT_EQ(file->get<int64_t>("u32").value(), 4000000000);
    EXPECT_EQ(file->get<int64_t>("i32").value(), -2000000000);
    EXPECT_EQ(file->get<int64_t>("i64").value(), int64_t{-1} << 60);
    EXPECT_EQ(file->get<double>("f32").value(), 0.5);
    EXPECT_EQ(file->get<double>("f64").value(), 0.25);
    EXPECT_EQ(file->get<double>("u64").value(), 0x1p64);
    EXPECT_TRUE(file->get<bool>("bool").value());
    EXPECT_THAT(file->get<std::vector<std::string_view>>("tokens").value(), ElementsAre("a", "", "bc"));
    EXPECT_THAT(file->get<std::vector<int32_t>>("types").value(), ElementsAre(1, -2));
    EXPECT_THAT(file->get<std::vector<int64_t>>("pattern").value(), ElementsAre(1, 0, 1));
    EXPECT_THAT(file->get<std::vector<double>>("scores").value(), ElementsAre(-1.5));
  }
}

TEST(Gguf, getters_name_the_key_what_was_expected_and_what_is_there) {
  const std::string bytes = small_file().file();
  const auto file = GgufFile::parse(as_bytes(bytes), "m.gguf").value();
  EXPECT_EQ(file.get<std::string_view>("u8").error().message, "m.gguf: u8: expected a string, got u8 200");
  EXPECT_EQ(file.get<int64_t>("none").error().message, "m.gguf: none: expected an integer of 64 bits, got no such key");
  EXPECT_EQ(file.get<int64_t>("u64").error().message,
            "m.gguf: u64: expected an integer of 64 bits, got u64 18446744073709551615");
  EXPECT_EQ(file.get<std::vector<int32_t>>("tokens").error().message,
            "m.gguf: tokens: expected an array of integers of 32 bits, got string[] ['a', '', 'bc']");
  EXPECT_FALSE(file.get<bool>("u8"));
  EXPECT_FALSE(file.get<int64_t>("types"));
  EXPECT_FALSE(file.get<double>("pattern"));
  EXPECT_FALSE(file.get<std::vector<double>>("pattern"));
  EXPECT_FALSE(file.get<std::vector<std::string_view>>("general.architecture"));
  EXPECT_FALSE(file.get_optional<int64_t>("tokens"));
  EXPECT_EQ(file.get_optional<int64_t>("none").value(), std::nullopt);
  EXPECT_EQ(file.get_optional<int64_t>("u8").value(), 200);
}

TEST(Gguf, long_values_are_displayed_in_short) {
  std::string values;
  for (int32_t i = 0; i < 1000; ++i) values += raw(i);
  const std::string bytes = one_key(9, gguf_array(5, 1000, values));
  const auto file = GgufFile::parse(as_bytes(bytes), "f").value();
  EXPECT_EQ(file.find("k")->display(14), "[0, 1, 2, 3, 4, ... (1000 values)]");
  const std::string text = one_key(8, gguf_string(std::string(500, 'x')));
  EXPECT_LT(GgufFile::parse(as_bytes(text), "f")->find("k")->display(20).size(), 30u);
}

TEST(Gguf, a_moved_file_keeps_its_views) {
  const TemporaryFolder folder;
  const std::string path = folder.write("m.gguf", small_file().file());
  auto opened = GgufFile::open(path);
  ASSERT_TRUE(opened) << opened.error().message;
  const GgufFile file = std::move(*opened);
  EXPECT_EQ(file.get<std::string_view>("general.architecture").value(), "diffusion-gemma");
  EXPECT_EQ(static_cast<char>(file.find_tensor("b")->data[0]), 'f');
  EXPECT_EQ(GgufFile::open(path + ".not").error().code, ErrorCode::kNotFound);
}

TEST(Gguf, a_file_cut_at_any_byte_is_an_error) {
  const std::string file = small_file().file();
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_THAT(parse_gguf(file.substr(0, size)), HasSubstr("m.gguf: ")) << size;
}

TEST(Gguf, any_changed_byte_is_read_or_refused) {
  const std::string file = small_file().file();
  for (size_t at = 0; at < file.size(); ++at) {
    for (const char c : {'\0', '\1', '\x09', '\x7F', '\xFF'}) {
      std::string changed = file;
      changed[at] = c;
      (void)parse_gguf(changed);
    }
  }
}

TEST(Gguf, lying_counts_and_lengths_are_refused_before_memory_is_taken) {
  for (const uint64_t lie : {uint64_t{1} << 20, uint64_t{1} << 61, uint64_t{1} << 63, ~uint64_t{0}}) {
    GgufParts parts = small_file();
    parts.tensors = lie;
    EXPECT_THAT(parse_gguf(parts.file()), HasSubstr("number of tensors: expected what fits"));
    parts = small_file();
    parts.keys = lie;
    EXPECT_THAT(parse_gguf(parts.file()), HasSubstr("number of keys: expected what fits"));
    EXPECT_THAT(parse_gguf(one_key(8, raw(lie) + "x")), HasSubstr("k: expected"));
    EXPECT_THAT(parse_gguf(one_key(9, gguf_array(8, lie, gguf_string("x")))), HasSubstr("k: expected"));
    EXPECT_THAT(parse_gguf(one_key(9, gguf_array(12, lie, raw(1.0)))), HasSubstr("k: expected"));
  }
}

TEST(Gguf, hostile_metadata_is_refused) {
  EXPECT_THAT(parse_gguf(one_key(13, raw(0))), HasSubstr("k: expected a value type from 0 to 12, got 13"));
  EXPECT_THAT(parse_gguf(one_key(9, gguf_array(13, 1, raw(0)))), HasSubstr("got 13"));
  EXPECT_THAT(parse_gguf(one_key(9, gguf_array(9, 1, gguf_array(5, 1, raw(0))))), HasSubstr("an array of arrays"));
  GgufParts parts;
  parts.keys = 2;
  parts.key_bytes = gguf_key("k", 0, "x") + gguf_key("k", 0, "x");
  EXPECT_THAT(parse_gguf(parts.file()), HasSubstr("'k': expected each key once"));
  parts.key_bytes = gguf_key("k", 0, "x") + gguf_key("a\nb", 0, "x");
  EXPECT_THAT(parse_gguf(parts.file()), HasSubstr("a name of printable ASCII, got 'a\\x0Ab'"));
  parts.version = 1;
  EXPECT_THAT(parse_gguf(parts.file()), HasSubstr("version: expected 2 or 3, got 1"));
  parts.version = 0x03000000;
  EXPECT_THAT(parse_gguf(parts.file()), HasSubstr("got a big-endian one"));
  EXPECT_THAT(parse_gguf("FUGG0000"), HasSubstr("got a big-endian one"));
  EXPECT_THAT(parse_gguf("ggml0000"), HasSubstr("which begins with 'GGUF'"));
}

TEST(Gguf, hostile_tensors_are_refused_with_tensor_expected_and_got) {
  EXPECT_EQ(parse_gguf(one_tensor(gguf_info("t", {64, 2}, 2, 0))), "accepted");
  const struct {
    std::string info, message;
  } cases[] = {
      {gguf_info("t", {64, 2}, 4, 0), "t: expected a tensor type of"},
      {gguf_info("t", {64, 2}, 39, 0), "got type number 39"},
      {gguf_info("t", {63, 2}, 2, 0), "t: expected rows of whole Q4_0 blocks of 32 values, got [2, 63]"},
      {gguf_info("t", {16, 8}, 2, 0), "t: expected rows of whole Q4_0 blocks"},
      {gguf_info("t", {64, 2}, 2, 8), "t: expected an offset that is a multiple of 32, got 8"},
      {gguf_info("t", {64, 2}, 2, 32), "t: expected 72 bytes of Q4_0 [2, 64] within the file's 72 bytes of data"},
      {gguf_info("t", {64, 2}, 2, ~uint64_t{31}), "t: expected 72 bytes"},
      {gguf_info("t", {64, 3}, 2, 0), "t: expected 108 bytes"},
      {gguf_info("t", {uint64_t{1} << 32, uint64_t{1} << 32}, 2, 0), "t: expected a size that fits 64 bits"},
      {gguf_info("t", {uint64_t{1} << 63}, 0, 0), "t: expected a size that fits 64 bits"},
      {gguf_info("t", {~uint64_t{0}, 1}, 0, 0), "t: expected a size that fits 64 bits"},
      {gguf_info("t", {1, 1, 1, 1, 1}, 0, 0), "t: expected at most 4 dimensions, got 5"},
      {gguf_info("", {1}, 0, 0), "a name of printable ASCII"},
  };
  for (const auto& c : cases) EXPECT_THAT(parse_gguf(one_tensor(c.info)), HasSubstr(c.message));
  for (const uint32_t alignment : {0u, 3u, 24u, ~0u})
    EXPECT_THAT(parse_gguf(one_tensor(gguf_info("t", {64, 2}, 2, 0), alignment)),
                HasSubstr("general.alignment: expected a power of two"));
  GgufParts parts;
  parts.tensors = 2;
  parts.data = std::string(72, 'q');
  parts.info_bytes = gguf_info("t", {64}, 2, 0) + gguf_info("u", {32}, 2, 32);
  EXPECT_THAT(parse_gguf(parts.file()), HasSubstr("u: expected an offset from 36 on"));
  parts.info_bytes = gguf_info("t", {32}, 2, 0) + gguf_info("t", {32}, 2, 32);
  EXPECT_THAT(parse_gguf(parts.file()), HasSubstr("'t': expected each tensor once"));
}

}  // namespace
}  // namespace dgemma::formats
