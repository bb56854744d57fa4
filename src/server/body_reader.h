// Reads the body of a request, chunked or of a known length.
//
// httplib's own reader refuses trailers, and takes a chunk without its line's end as the last one. This one is strict:
// two readers must never end a body at different places, or one request could hide in another. Trailers and chunk
// extensions are read and dropped. How much may come, and how long it may take, is up to the source.
// Source: RFC 9112, section 7.1. Tests: tests/server/body_reader_test.cc, http_test.cc, fuzz/body_fuzz.cc.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace dgemma::server {

/// Like recv(): bytes read, 0 or less where no more come.
using ReadBytes = std::function<long(char* bytes, size_t size)>;

/// Appends `size` bytes to `body`; false where fewer come.
bool read_exactly(const ReadBytes& read, size_t size, std::string& body);

/// Appends a chunked body to `body`, and reads up to its very end; false where its form is broken or it ends early.
bool read_chunks(const ReadBytes& read, std::string& body);

}  // namespace dgemma::server
