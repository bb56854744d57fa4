// The environment of the process: the one place of the program that reads environment variables.
//
// DGEMMA_MODEL, NO_COLOR, COLORTERM, TERM, XDG_STATE_HOME, HOME and, through setlocale, LC_ALL, LC_CTYPE and LANG.
// Not options: those come from the command line only (arguments.h).
#pragma once

#include <string>

namespace dgemma::cli {

/// How many colours the terminal can show.
enum class ColorDepth { kNone, kBasic, k256, kTrue };

struct Environment {
  std::string model;  ///< $DGEMMA_MODEL, "" if not set
  ColorDepth colors = ColorDepth::kNone;
  bool redraw = false;    ///< the terminal can move its cursor and NO_COLOR is not set
  std::string state_dir;  ///< where history goes: $XDG_STATE_HOME/dgemma, else $HOME/.local/state/dgemma, else ""
};

/// Reads the variables above. An empty variable counts as not set, as no-color.org and the XDG standard say.
Environment read_environment();

/// Takes the character encoding of the user's locale, or UTF-8 where the locale has none, for libedit's wide
/// characters.
void set_up_locale();

}  // namespace dgemma::cli
