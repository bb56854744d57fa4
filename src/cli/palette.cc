// See palette.h.
#include "cli/palette.h"

#include <array>

namespace dgemma::cli {
namespace {

/// One look for the three kinds of terminals.
struct Sequence {
  const char* basic;
  const char* indexed;
  const char* rgb;
};

constexpr Sequence kNoise = {"\x1b[2m", "\x1b[38;5;242m", "\x1b[38;2;112;112;120m"};
constexpr Sequence kAccepted = {"\x1b[1;32m", "\x1b[1;38;5;35m", "\x1b[1;38;2;46;170;90m"};
constexpr std::array<Sequence, kDraftShades> kDrafts = {{
    {"\x1b[35m", "\x1b[38;5;97m", "\x1b[38;2;134;108;176m"},
    {"\x1b[35m", "\x1b[38;5;98m", "\x1b[38;2;122;116;200m"},
    {"\x1b[34m", "\x1b[38;5;68m", "\x1b[38;2;96;134;214m"},
    {"\x1b[36m", "\x1b[38;5;38m", "\x1b[38;2;44;158;206m"},
}};

}  // namespace

std::string Palette::begin(TokenState state, int shade) const {
  const auto pick = [this](const Sequence& look) -> std::string {
    return depth_ == ColorDepth::kTrue ? look.rgb : depth_ == ColorDepth::k256 ? look.indexed : look.basic;
  };
  if (!has_colors()) return "";
  switch (state) {
    case TokenState::kNoise:
      return pick(kNoise);
    case TokenState::kDraft:
      return pick(kDrafts[static_cast<size_t>(shade)]);
    case TokenState::kAccepted:
      return pick(kAccepted);
    case TokenState::kSettled:
      return "\x1b[1m";
    case TokenState::kText:
      return "";
    case TokenState::kReasoning:
      return "\x1b[2m";
    case TokenState::kFaint:
      return "\x1b[2m";
  }
  return "";
}

}  // namespace dgemma::cli
