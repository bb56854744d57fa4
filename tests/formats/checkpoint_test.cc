#include "formats/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "builders.h"

namespace dgemma::formats {
namespace {

using ::testing::HasSubstr;

/// A safetensors file with one U8 tensor of four bytes.
std::string shard(const std::string& name, const std::string& data = "abcd") {
  return safetensors_file("{\"" + name + R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", data);
}
std::string index_of(const std::string& map) { return R"({"metadata":{"total_size":8},"weight_map":)" + map + "}"; }

Error error_of(const std::string& path) {
  const auto checkpoint = Checkpoint::open(path);
  return checkpoint ? Error{ErrorCode::kInternal, "accepted"} : checkpoint.error();
}

TEST(Checkpoint, a_folder_with_one_file_opens) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", shard("a"));
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint) << checkpoint.error().message;
  EXPECT_EQ(checkpoint->format(), Format::kSafetensors);
  EXPECT_EQ(checkpoint->folder(), folder.path());
  ASSERT_NE(checkpoint->find("a"), nullptr);
  EXPECT_EQ(checkpoint->where(*checkpoint->find("a")), folder.path() + "/model.safetensors: a");
  EXPECT_EQ(checkpoint->gguf(), nullptr);
}

TEST(Checkpoint, shards_are_joined_and_mapped_once) {
  const TemporaryFolder folder;
  folder.write("x-1.safetensors", shard("a"));
  folder.write("x-2.safetensors", shard("b", "efgh"));
  folder.write("model.safetensors.index.json", index_of(R"({"a":"x-1.safetensors","b":"x-2.safetensors"})"));
  auto opened = Checkpoint::open(folder.path());
  ASSERT_TRUE(opened) << opened.error().message;
  const Checkpoint checkpoint = std::move(*opened);
  EXPECT_EQ(checkpoint.files().size(), 2u);
  EXPECT_EQ(checkpoint.tensors().size(), 2u);
  EXPECT_EQ(static_cast<char>(checkpoint.find("b")->data[0]), 'e');
  EXPECT_EQ(checkpoint.where(*checkpoint.find("b")), folder.path() + "/x-2.safetensors: b");
  EXPECT_EQ(checkpoint.file_bytes(), shard("a").size() * 2);
}

TEST(Checkpoint, a_shard_is_not_taken_for_the_model) {
  const TemporaryFolder folder;
  const std::string first = folder.write("x-1.safetensors", shard("a")), other = folder.write("y", shard("b"));
  folder.write("x-2.safetensors", shard("b"));
  EXPECT_TRUE(Checkpoint::open(first)) << "without an index nothing says that it is one";
  folder.write("model.safetensors.index.json", index_of(R"({"a":"x-1.safetensors","b":"x-2.safetensors"})"));
  const Error error = error_of(first);
  EXPECT_EQ(error.code, ErrorCode::kModelFile);
  EXPECT_EQ(error.message, first + ": expected a whole model, got one of 2 parts. Name the folder instead");
  EXPECT_TRUE(Checkpoint::open(other)) << "another file beside them";
}

TEST(Checkpoint, a_file_is_told_by_its_first_bytes) {
  const TemporaryFolder folder;
  EXPECT_EQ(Checkpoint::open(folder.write("any", shard("a")))->format(), Format::kSafetensors);
  GgufParts parts;
  parts.tensors = 1;
  parts.info_bytes = gguf_info("t", {4}, 24, 0);
  parts.data = "abcd";
  const auto gguf = Checkpoint::open(folder.write("m.bin", parts.file()));
  ASSERT_TRUE(gguf) << gguf.error().message;
  EXPECT_EQ(gguf->format(), Format::kGguf);
  EXPECT_EQ(gguf->where(*gguf->find("t")), folder.path() + "/m.bin: t");
  EXPECT_NE(gguf->gguf(), nullptr);
}

TEST(Checkpoint, a_folder_with_one_file_of_another_name_opens_and_with_two_does_not) {
  const TemporaryFolder folder;
  EXPECT_EQ(error_of(folder.path()).code, ErrorCode::kNotFound);
  folder.write("some.safetensors", shard("a"));
  EXPECT_TRUE(Checkpoint::open(folder.path()));
  folder.write("other.gguf", "");
  EXPECT_THAT(error_of(folder.path()).message, HasSubstr("got 2 files"));
}

TEST(Checkpoint, a_path_that_is_not_there_is_not_found) {
  EXPECT_EQ(error_of("/nonexistent/model").code, ErrorCode::kNotFound);
}

TEST(Checkpoint, an_index_of_nonsense_is_a_model_file_error) {
  for (const std::string& text :
       {std::string("{"), std::string(), std::string(100000, '['), std::string(5u << 20, ' ')}) {
    const TemporaryFolder folder;
    folder.write("model.safetensors.index.json", text);
    const Error error = error_of(folder.path());
    EXPECT_EQ(error.code, ErrorCode::kModelFile);
    EXPECT_THAT(error.message, HasSubstr("model.safetensors.index.json: expected"));
  }
}

TEST(Checkpoint, an_index_that_contradicts_its_shards_is_refused) {
  const struct {
    std::string map, message;
  } cases[] = {
      {R"({"a":"../x-1.safetensors","b":"x-2.safetensors"})", "'a': expected the name of a file in the same folder"},
      {R"({"a":"/etc/passwd"})", "'a': expected the name of a file in the same folder"},
      {R"({"a":".."})", "'a': expected the name of a file"},
      {R"({"a":""})", "'a': expected the name of a file"},
      {R"({"a":1})", "'a': expected the name of a file in the same folder, got number"},
      {R"({"a":"x-1.safetensors","c":"x-2.safetensors"})", "'c': expected a tensor of"},
      {R"({"a":"x-2.safetensors","b":"x-1.safetensors"})", "a: expected the file that holds it"},
      {R"({"a":"x-1.safetensors","b":"missing.safetensors"})", "missing.safetensors: cannot open the file"},
      {R"({"a":"x-1.safetensors","b":"x-1.safetensors"})", "'b': expected a tensor of"},
      {R"({"a":"x-1.safetensors","a":"x-1.safetensors"})", "'a' twice"},
      {R"({"a":"x-1.safetensors","b":"same.safetensors"})", "'a': expected each tensor once"},
      {R"({"a":"two.safetensors"})", "b: expected only tensors of"},
      {"{}", "at least one tensor"},
      {"[]", "weight_map: expected an object"},
  };
  for (const auto& c : cases) {
    const TemporaryFolder folder;
    folder.write("x-1.safetensors", shard("a"));
    folder.write("x-2.safetensors", shard("b"));
    folder.write("same.safetensors", shard("a"));
    folder.write("two.safetensors", safetensors_file(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},)"
                                                     R"("b":{"dtype":"U8","shape":[],"data_offsets":[1,2]}})",
                                                     "xy"));
    folder.write("model.safetensors.index.json", index_of(c.map));
    EXPECT_THAT(error_of(folder.path()).message, HasSubstr(c.message)) << c.map;
  }
}

}  // namespace
}  // namespace dgemma::formats
