// The files of the web page, inside the program: what GET / and the paths beside it answer with.
//
// Only a table; headers (content security policy, caching) are the service's. cmake/EmbedPage.cmake writes the table
// from src/server/page at build time. No path of the file system is reachable through it: what is not in the table
// does not exist. Test: tests/server/page_files_test.cc.
#pragma once

#include <span>
#include <string_view>

namespace dgemma::server {

struct PageFile {
  std::string_view path;  ///< absolute, e.g. "/style.css"
  std::string_view mime;  ///< for Content-Type
  std::string_view etag;  ///< changes with the bytes, quotes included, for ETag and If-None-Match
  std::string_view bytes;
};

/// All files, sorted by path.
std::span<const PageFile> page_files();

/// The file at a request's path, or nullptr; "/" is the page itself.
const PageFile* find_page_file(std::string_view path);

}  // namespace dgemma::server
