// The embedded page: whole, self-contained, and without the constructs that could turn model text into markup.
//
// Its modules have page_modules_test.mjs.
#include "server/page_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace dgemma::server {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(DGEMMA_SOURCE_DIR) / "src/server/page";

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool is_text(const PageFile& file) { return file.mime.starts_with("text/") || file.mime == "image/svg+xml"; }

std::set<std::string> matches(const PageFile& file, const std::string& pattern) {
  const std::string text(file.bytes);
  const std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) found.insert((*it)[1]);
  return found;
}

TEST(PageFiles, every_file_is_embedded_byte_for_byte) {
  size_t on_disk = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kFolder)) on_disk += entry.is_regular_file();
  EXPECT_EQ(page_files().size(), on_disk);
  for (const PageFile& file : page_files())
    EXPECT_EQ(std::string(file.bytes), read(kFolder / file.path.substr(1))) << file.path;
}

TEST(PageFiles, a_slash_is_the_page_and_what_is_not_in_the_table_does_not_exist) {
  ASSERT_NE(find_page_file("/"), nullptr);
  EXPECT_EQ(find_page_file("/")->path, "/index.html");
  EXPECT_EQ(find_page_file("/main.mjs")->mime, "text/javascript; charset=utf-8");
  for (const char* path : {"", "index.html", "/../page_files.cc", "/fonts", "/fonts/", "//index.html", "/INDEX.HTML"})
    EXPECT_EQ(find_page_file(path), nullptr) << path;
}

TEST(PageFiles, each_has_a_type_and_a_quoted_tag_of_its_own) {
  std::set<std::string_view> tags;
  for (const PageFile& file : page_files()) {
    EXPECT_FALSE(file.mime.empty()) << file.path;
    EXPECT_TRUE(std::regex_match(std::string(file.etag), std::regex("\"[0-9a-f]{16}\""))) << file.etag;
    tags.insert(file.etag);
  }
  EXPECT_EQ(tags.size(), page_files().size());
}

TEST(PageFiles, whatever_a_file_refers_to_is_embedded_too) {
  for (const PageFile& file : page_files()) {
    std::set<std::string> names = matches(file, R"re(\bfrom '\./([^']+)')re");
    names.merge(matches(file, R"re(\burl\(([^)]+)\))re"));
    if (file.path == "/index.html") names.merge(matches(file, R"re(\b(?:src|href)="([^"#]+)")re"));
    for (const std::string& name : names) EXPECT_NE(find_page_file("/" + name), nullptr) << file.path << ": " << name;
  }
}

TEST(PageFiles, nothing_comes_from_another_server) {
  const std::set<std::string> namespaces = {"http://www.w3.org/2000/svg"};  // a name, never fetched
  for (const PageFile& file : page_files()) {
    if (!is_text(file) || file.mime.starts_with("text/plain")) continue;
    for (const std::string& address : matches(file, R"re((https?://[a-z0-9][^\s'"<>)]*))re"))
      EXPECT_TRUE(namespaces.contains(address)) << file.path << ": " << address;
  }
}

TEST(PageFiles, no_script_makes_markup_or_code_from_text) {
  for (const PageFile& file : page_files())
    EXPECT_EQ(
        matches(
            file,
            R"re(\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|new Function|srcdoc|createContextualFragment|setHTML)\b)re"),
        std::set<std::string>())
        << file.path;
}

TEST(PageFiles, the_document_has_no_inline_script_or_style) {
  const PageFile& page = *find_page_file("/");
  EXPECT_EQ(matches(page, R"re(\s(style|on[a-z]+)=)re"), std::set<std::string>());
  EXPECT_EQ(matches(page, R"re((<style))re"), std::set<std::string>());
  EXPECT_EQ(matches(page, R"re(<script(?![^>]*\bsrc=)([^>]*)>)re"), std::set<std::string>());
}

}  // namespace
}  // namespace dgemma::server
