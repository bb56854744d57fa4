// See environment.h.
#include "cli/environment.h"

#include <clocale>
#include <cstdlib>
#include <string_view>

namespace dgemma::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

ColorDepth color_depth(std::string_view term, std::string_view colorterm) {
  if (term.empty() || term == "dumb") return ColorDepth::kNone;
  if (colorterm == "truecolor" || colorterm == "24bit" || term.find("direct") != term.npos) return ColorDepth::kTrue;
  return term.find("256color") != term.npos ? ColorDepth::k256 : ColorDepth::kBasic;
}

std::string state_folder() {
  if (const std::string xdg = variable("XDG_STATE_HOME"); xdg.starts_with('/')) return xdg + "/dgemma";
  if (const std::string home = variable("HOME"); home.starts_with('/')) return home + "/.local/state/dgemma";
  return "";
}

}  // namespace

Environment read_environment() {
  const std::string term = variable("TERM");
  Environment environment;
  environment.model = variable("DGEMMA_MODEL");
  environment.redraw = variable("NO_COLOR").empty() && !term.empty() && term != "dumb";
  environment.colors = environment.redraw ? color_depth(term, variable("COLORTERM")) : ColorDepth::kNone;
  environment.state_dir = state_folder();
  return environment;
}

void set_up_locale() {
  std::setlocale(LC_CTYPE, "");
  if (MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace dgemma::cli
