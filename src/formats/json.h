// parse_json: JSON text of a model folder (config.json, index files) to nlohmann::json, without its exceptions.
//
// Hostile text costs little: size and depth are limited, a key that stands twice in one object is an error (readers
// would disagree on which one counts), and so is a NUL byte, which the library takes for the end of the text.
// Not for tokenizer.json (text/tokenizer_json.cc streams it) and not for requests. Test: tests/formats/json_test.cc.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "dgemma/result.h"

namespace dgemma::formats {

/// A tree takes up to about 25 times its text, so this bounds memory to about 100 MB.
inline constexpr size_t kMaxJsonBytes = 4u << 20;
/// Objects and arrays inside each other; config.json needs five.
inline constexpr int kMaxJsonDepth = 64;

/// `path` stands in messages. Errors: kModelFile. The tree may be walked recursively.
Result<nlohmann::json> parse_json(std::string_view text, const std::string& path);

/// The file read and parsed. Errors: kNotFound, kIo, kModelFile.
Result<nlohmann::json> read_json_file(const std::string& path);

}  // namespace dgemma::formats
