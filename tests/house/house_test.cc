// The law of the house, checked: which room may include which, and a few rules that reviews forget.
//
// The table below is the law (docs/ARCHITECTURE.md draws it). A room includes itself, what stands here, and plain data
// of the public headers (result, options, events); only engine, server and cli see the rest of include/dgemma.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace dgemma {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = DGEMMA_SOURCE_DIR;

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"base", {}},
    {"tensor", {"base"}},
    {"kernels", {"tensor", "base"}},
    {"ops", {"kernels", "tensor", "base"}},
    {"formats", {"tensor", "base"}},
    {"text", {"base"}},
    {"diffusion", {"base"}},
    {"model", {"formats", "ops", "kernels", "tensor", "base"}},
    {"engine", {"text", "diffusion", "model", "formats", "ops", "kernels", "tensor", "base"}},
    {"server", {"base"}},
    {"cli", {"base", "server"}},
};
const std::set<std::string> kPlainPublic = {"dgemma/result.h", "dgemma/options.h", "dgemma/events.h",
                                            "dgemma/inspect.h", "dgemma/sweep_parts.h"};

std::vector<fs::path> sources(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder))
    if (const auto e = entry.path().extension(); e == ".h" || e == ".cc" || e == ".inc") files.push_back(entry.path());
  return files;
}

std::vector<std::string> lines(const fs::path& file) {
  std::vector<std::string> all;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  return all;
}

TEST(House, every_room_of_src_is_in_the_table) {
  for (const auto& entry : fs::directory_iterator(kRoot / "src"))
    EXPECT_TRUE(kMayInclude.contains(entry.path().filename().string())) << entry.path();
}

TEST(House, no_include_points_upward_or_sideways) {
  const std::regex include(R"re(^\s*#\s*include\s+"([^"]+)")re");
  for (const auto& [room, allowed] : kMayInclude) {
    if (!fs::exists(kRoot / "src" / room)) continue;
    const bool sees_public = room == "engine" || room == "server" || room == "cli";
    for (const fs::path& file : sources(fs::path("src") / room))
      for (const std::string& line : lines(file)) {
        std::smatch match;
        if (!std::regex_search(line, match, include)) continue;
        const std::string target = match[1];
        const std::string top = target.substr(0, target.find('/'));
        const bool lawful =
            top == "dgemma" ? sees_public || kPlainPublic.contains(target) : top == room || allowed.contains(top);
        EXPECT_TRUE(lawful) << file << " includes " << target;
      }
  }
}

TEST(House, public_headers_include_nothing_but_each_other_and_the_standard_library) {
  for (const fs::path& file : sources("include"))
    for (const std::string& line : lines(file)) {
      EXPECT_TRUE(!line.starts_with("#include \"") || line.starts_with("#include \"dgemma/")) << file << ": " << line;
    }
}

TEST(House, files_stay_below_a_thousand_lines_and_say_what_they_are) {
  for (const char* folder : {"src", "include", "tests", "fuzz"})
    for (const fs::path& file : sources(folder)) {
      const auto all = lines(file);
      EXPECT_LT(all.size(), 1000u) << file;
      ASSERT_FALSE(all.empty()) << file;
      EXPECT_TRUE(folder == std::string("tests") || all.front().starts_with("// ")) << file << ": no opening comment";
    }
}

std::string text_of(const fs::path& file) {
  std::ifstream in(kRoot / file);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(House, what_the_readme_shows_of_the_library_is_a_compiled_example) {
  const std::string readme = text_of("README.md"), example = text_of("examples/minimal/main.cc"), fence = "```cpp\n";
  size_t blocks = 0;
  for (size_t at = readme.find(fence); at != std::string::npos; at = readme.find(fence, at)) {
    at += fence.size();
    const std::string block = readme.substr(at, readme.find("```", at) - at);
    EXPECT_NE(example.find("\n" + block), std::string::npos) << block;
    ++blocks;
  }
  EXPECT_EQ(blocks, 1u);
}

/// Files whose comments, or all of whose text, may name paths.
std::vector<fs::path> written() {
  std::vector<fs::path> files = {kRoot / "README.md"};
  for (const char* folder : {"src", "include", "tests", "fuzz", "bench", "docs"})
    for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder))
      if (const auto e = entry.path().extension(); e == ".h" || e == ".cc" || e == ".inc" || e == ".mjs" || e == ".md")
        files.push_back(entry.path());
  return files;
}

TEST(House, every_path_that_a_comment_or_a_document_names_exists) {
  const std::regex path(R"re((^|[^\w/.$}-])((tests|src|docs|bench|fuzz|tools|scripts)/[\w./*{}-]*\w))re");
  for (const fs::path& file : written())
    for (const std::string& line : lines(file)) {
      const size_t comment = file.extension() == ".md" ? 0 : line.find("//");
      if (comment == line.npos) continue;
      const std::string text = line.substr(comment);
      for (std::sregex_iterator named(text.begin(), text.end(), path), end; named != end; ++named) {
        const std::string name = (*named)[2];
        if (name.find_first_of("*{}") != name.npos) continue;  // several files, or another project's
        EXPECT_TRUE(fs::exists(kRoot / name)) << file << " names " << name;
      }
    }
}

TEST(House, the_environment_is_read_in_one_file_only) {
  std::set<std::string> readers;
  for (const fs::path& file : sources("src"))
    for (const std::string& line : lines(file))
      if (line.find("getenv(") != std::string::npos) readers.insert(file.filename().string());
  EXPECT_LE(readers.size(), 1u) << testing::PrintToString(readers);
}

TEST(House, libraries_neither_print_nor_exit) {
  // base reports our own bugs on standard error before it aborts; nothing else in a library writes or exits.
  const std::regex output(R"(\bstd::c(out|err)\b|\b(v?f?printf|f?puts|_?[eE]xit|abort)\()");
  for (const char* sample : {"std::cout << 1", "std::fprintf(stderr, \"\")", "printf(\"\")", "std::puts(\"\")",
                             "fputs(\"\", stderr)", "std::exit(1)", "_exit(1)", "std::abort()"})
    EXPECT_TRUE(std::regex_search(sample, output)) << sample;
  EXPECT_FALSE(std::regex_search("std::snprintf(text, size, format)", output));
  const std::set<std::string> may = {"format.cc", "error_table.cc"};
  for (const auto& [room, allowed] : kMayInclude) {
    if (room == "cli" || room == "server" || !fs::exists(kRoot / "src" / room)) continue;
    for (const fs::path& file : sources(fs::path("src") / room)) {
      if (may.contains(file.filename().string())) continue;
      for (const std::string& line : lines(file)) EXPECT_FALSE(std::regex_search(line, output)) << file << ": " << line;
    }
  }
}

}  // namespace
}  // namespace dgemma
