#include "formats/gguf_writer.h"

#include <gtest/gtest.h>

#include <vector>

#include "golden.h"

namespace dgemma::formats {
namespace {

TEST(GgufWriter, what_it_writes_reads_back) {
  const std::string path = testing::TempDir() + "written.gguf";
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::vector<std::byte> packed(2 * 1088, std::byte{7});
  GgufWriter writer;
  writer.add("general.architecture", "diffusion-gemma");
  writer.add("some.number", 42);
  writer.add_tensor("vector", tensor::DType::kF32, std::vector<uint64_t>{2, 3}, 24);
  writer.add_tensor("matrix", tensor::DType::kPacked8, std::vector<uint64_t>{2, 1, 1024}, packed.size());
  auto file = base::NewFile::create(path).value();
  ASSERT_TRUE(writer.write_header(file));
  ASSERT_TRUE(writer.write_tensor(file, std::as_bytes(std::span(values))));
  ASSERT_TRUE(writer.write_tensor(file, packed));
  ASSERT_TRUE(file.commit());

  const auto read = GgufFile::open(path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->get<std::string_view>("general.architecture").value(), "diffusion-gemma");
  EXPECT_EQ(read->get<int64_t>("some.number").value(), 42);
  const TensorEntry* vector = read->find_tensor("vector");
  ASSERT_NE(vector, nullptr);
  EXPECT_EQ(vector->shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(reinterpret_cast<const float*>(vector->data.data())[5], 6.0f);
  const TensorEntry* matrix = read->find_tensor("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->dtype, tensor::DType::kPacked8);
  EXPECT_TRUE(matrix->aligned(kWrittenAlignment));
  EXPECT_EQ(matrix->data[1087], std::byte{7});
}

TEST(GgufWriter, copies_keys_of_every_kind_but_the_alignment) {
  const auto source = GgufFile::open(golden::folder() + "tiny-a.gguf");
  ASSERT_TRUE(source) << source.error().message;
  const std::string path = testing::TempDir() + "copied.gguf";
  GgufWriter writer;
  for (const GgufKey& key : source->keys()) writer.copy(key);
  auto file = base::NewFile::create(path).value();
  ASSERT_TRUE(writer.write_header(file));
  ASSERT_TRUE(file.commit());
  const auto read = GgufFile::open(path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->alignment(), kWrittenAlignment);
  for (const GgufKey& key : source->keys()) {
    if (key.name == "general.alignment") continue;
    const GgufValue* value = read->find(key.name);
    ASSERT_NE(value, nullptr) << key.name;
    EXPECT_EQ(value->display(10000), key.value.display(10000)) << key.name;
  }
}

}  // namespace
}  // namespace dgemma::formats
