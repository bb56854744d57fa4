// How each state of a token looks: escape sequences by what the terminal can show.
//
// Chosen to be readable on dark and on light backgrounds: settled text is the user's own colour, noise a middle grey,
// and a draft goes from violet to blue as its entropy falls. Test: tests/cli/canvas_view_test.cc.
#pragma once

#include <cstdint>
#include <string>

#include "cli/environment.h"

namespace dgemma::cli {

enum class TokenState : uint8_t {
  kNoise,      ///< not accepted and far from sure: the random token that the next step sees
  kDraft,      ///< not accepted: the most probable token
  kAccepted,   ///< accepted in this step
  kSettled,    ///< accepted, and the same for several steps
  kText,       ///< final
  kReasoning,  ///< final, in the thought channel
  kFaint,      ///< status line
};

/// Shades of a draft: 0 is the least sure.
constexpr int kDraftShades = 4;

class Palette {
 public:
  explicit Palette(ColorDepth depth) : depth_(depth) {}
  /// The sequence that switches from plain text to a look; "" where there is none.
  std::string begin(TokenState state, int shade = 0) const;
  /// The sequence back to plain text.
  std::string end() const { return has_colors() ? "\x1b[0m" : ""; }
  bool has_colors() const { return depth_ != ColorDepth::kNone; }

 private:
  ColorDepth depth_;
};

}  // namespace dgemma::cli
