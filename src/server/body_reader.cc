// See body_reader.h.
#include "server/body_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace dgemma::server {
namespace {

constexpr size_t kPiece = 16384;       // bytes taken at once: memory follows what came, not what was announced
constexpr size_t kLongestLine = 8192;  // of chunk sizes and trailers

/// The next line without its CRLF; nullopt where it ends otherwise.
std::optional<std::string> read_line(const ReadBytes& read) {
  std::string line;
  for (char c = 0; line.size() < kLongestLine && read(&c, 1) == 1;) {
    line.push_back(c);
    if (c != '\n') continue;
    const size_t text = line.size() - std::min<size_t>(line.size(), 2);
    if (line.find('\r') != text) return std::nullopt;
    line.resize(text);
    return line;
  }
  return std::nullopt;
}

/// 31 of "1f" and of "1f ;name=value".
std::optional<size_t> chunk_size(std::string_view line) {
  size_t size = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  if (error != std::errc()) return std::nullopt;
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (!line.empty() && line.front() != ';') return std::nullopt;
  return size;
}

}  // namespace

bool read_exactly(const ReadBytes& read, size_t size, std::string& body) {
  std::array<char, kPiece> piece;
  while (size > 0) {
    const long got = read(piece.data(), std::min(size, piece.size()));
    if (got <= 0) return false;
    body.append(piece.data(), static_cast<size_t>(got));
    size -= static_cast<size_t>(got);
  }
  return true;
}

bool read_chunks(const ReadBytes& read, std::string& body) {
  while (true) {
    const auto line = read_line(read);
    const auto size = line ? chunk_size(*line) : std::nullopt;
    if (!size) return false;
    if (*size == 0) break;
    if (!read_exactly(read, *size, body)) return false;
    const auto end = read_line(read);
    if (!end || !end->empty()) return false;
  }
  while (const auto trailer = read_line(read))
    if (trailer->empty()) return true;
  return false;
}

}  // namespace dgemma::server
