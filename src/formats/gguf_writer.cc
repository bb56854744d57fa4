// See gguf_writer.h.
#include "formats/gguf_writer.h"

#include <bit>

#include "base/check.h"
#include "formats/gguf_types.h"

namespace dgemma::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF is little-endian");
constexpr uint32_t kVersion = 3;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_string(std::string& out, std::string_view text) {
  put(out, uint64_t{text.size()});
  out.append(text);
}

}  // namespace

void GgufWriter::add(std::string_view key, uint32_t value) {
  put_string(keys_, key);
  put(keys_, static_cast<uint32_t>(GgufType::kU32));
  put(keys_, value);
  ++key_count_;
}

void GgufWriter::add(std::string_view key, std::string_view text) {
  put_string(keys_, key);
  put(keys_, static_cast<uint32_t>(GgufType::kString));
  put_string(keys_, text);
  ++key_count_;
}

void GgufWriter::copy(const GgufKey& key) {
  if (key.name == kGgufAlignmentKey) return;
  put_string(keys_, key.name);
  if (key.value.is_array()) put(keys_, static_cast<uint32_t>(GgufType::kArray));
  put(keys_, static_cast<uint32_t>(key.value.type()));
  if (key.value.is_array()) put(keys_, key.value.count());
  const auto raw = key.value.raw();
  keys_.append(reinterpret_cast<const char*>(raw.data()), raw.size());
  ++key_count_;
}

void GgufWriter::add_tensor(std::string_view name, tensor::DType dtype, std::span<const uint64_t> shape,
                            uint64_t bytes) {
  put_string(infos_, name);
  put(infos_, static_cast<uint32_t>(shape.size()));
  for (size_t i = shape.size(); i-- > 0;) put(infos_, shape[i]);  // the file has the fastest first
  put(infos_, gguf_number(dtype));
  put(infos_, next_offset_);
  next_offset_ += (bytes + kWrittenAlignment - 1) / kWrittenAlignment * kWrittenAlignment;
  tensors_.push_back(bytes);
}

Result<void> GgufWriter::write_header(base::NewFile& file) {
  add(kGgufAlignmentKey, kWrittenAlignment);
  std::string header = "GGUF";
  put(header, kVersion);
  put(header, uint64_t{tensors_.size()});
  put(header, key_count_);
  header += keys_ + infos_;
  DG_TRY(file.write(std::as_bytes(std::span(header))));
  return file.pad_to(kWrittenAlignment);
}

Result<void> GgufWriter::write_tensor(base::NewFile& file, std::span<const std::byte> data) {
  DG_CHECK(written_ < tensors_.size() && tensors_[written_] == data.size(), "tensor ", written_, " of ",
           tensors_.size(), ": ", data.size(), " bytes");
  ++written_;
  DG_TRY(file.write(data));
  return file.pad_to(kWrittenAlignment);
}

}  // namespace dgemma::formats
