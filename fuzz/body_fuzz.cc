// Fuzzes the reader of chunked bodies: the same bytes, one at a time and all at once, give the same body, which is part
// of what came, and what stands behind it is left alone. Seeds: fuzz/corpus/body.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "server/body_reader.h"

namespace {

struct Outcome {
  bool sound = false;
  std::string body;
  size_t left = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome read_by(size_t most, std::string_view bytes) {
  Outcome out;
  const auto read = [&](char* to, size_t size) {
    const size_t count = std::min({size, most, bytes.size()});
    std::memcpy(to, bytes.data(), count);
    bytes.remove_prefix(count);
    return static_cast<long>(count);
  };
  out.sound = dgemma::server::read_chunks(read, out.body);
  out.left = bytes.size();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const Outcome whole = read_by(size, bytes);
  DG_CHECK(whole == read_by(1, bytes), "cut, it is another body");
  if (!whole.sound) return 0;
  DG_CHECK(whole.body.size() + whole.left < size, whole.body.size(), " + ", whole.left, " of ", size);
  std::string again(bytes.substr(0, size - whole.left));
  DG_CHECK(again.ends_with("\r\n"), "the end");
  again += "GET / HTTP/1.1\r\n\r\n";
  DG_CHECK(read_by(size, again).left == 18, "what follows was read");
  return 0;
}
