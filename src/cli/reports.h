// What commands print about files, machines and answers, as text for people and as JSON for programs.
//
// Pure: structs in, text or JSON out. The JSON fields are a contract (docs/CLI.md). Test: tests/cli/reports_test.cc.
#pragma once

#include <string>
#include <string_view>

#include "cli/json_text.h"
#include "dgemma/inspect.h"
#include "dgemma/session.h"

namespace dgemma::cli {

Json file_json(const FileReport& file);
std::string file_text(const FileReport& file);
Json machine_json(const MachineReport& machine);
std::string machine_text(const MachineReport& machine);

/// What an answer says of itself. `content` and `reasoning` are the two parts of its text.
Json answer_json(const Answer& answer, std::string_view content, std::string_view reasoning, double load_s);
/// "24 tokens · 1 canvas · 3 steps per canvas · 8.0 tokens per forward · ...": what is not zero, in lines of at most
/// `width` cells that end between two facts, without the last newline.
std::string answer_summary(const Answer& answer, int width);

/// One number as printf writes it, "%.1f" for example, in at most 63 bytes.
std::string number_text(double value, const char* format);
/// "1.24 s", "37 ms", "250 us".
std::string seconds_text(double seconds);
/// "1 canvas", "2 canvases": a number with its word.
std::string counted(long long number, const char* one, const char* many);

}  // namespace dgemma::cli
