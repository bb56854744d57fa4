// Text made fit for a terminal: nothing a model or a file says can move the cursor, change colours or type for the
// user.
//
// Also how many cells a character takes (utf8proc, Unicode East Asian width). Not a renderer: layout is CanvasView.
// Test: tests/cli/terminal_text_test.cc.
#pragma once

#include <string>
#include <string_view>

namespace dgemma::cli {

/// Takes the first code point off `rest`, which must not be empty; U+FFFD for each part that is not UTF-8
/// (base/utf8.h).
char32_t take_code_point(std::string_view& rest);

/// What stands for a code point on a terminal: itself, a control picture (U+2400 ...) for a control character of ASCII,
/// U+FFFD for one of C1. Newline and tab stay.
char32_t visible(char32_t code_point);
/// A text that a terminal only shows: valid UTF-8, every code point visible().
std::string safe_for_terminal(std::string_view text);
/// The same on one line: newlines and tabs are control pictures too.
std::string safe_on_one_line(std::string_view text);

/// Cells that a code point takes: 0 for one that joins the one before, 2 for a wide one. Where terminals differ (flags,
/// emoji), the larger number, so that a line that fits by this count always fits.
int cell_width(char32_t code_point);
/// Cells of a text without escape sequences or line breaks.
int text_width(std::string_view text);

}  // namespace dgemma::cli
