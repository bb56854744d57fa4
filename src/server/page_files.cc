// See page_files.h. The table itself is written at build time.
#include "server/page_files.h"

namespace dgemma::server {

const PageFile* find_page_file(std::string_view path) {
  if (path == "/") path = "/index.html";
  for (const PageFile& file : page_files())
    if (file.path == path) return &file;
  return nullptr;
}

}  // namespace dgemma::server
