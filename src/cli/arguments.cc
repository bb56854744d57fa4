// See arguments.h. The commands' options are in answer_options.cc, measure_options.cc and file_options.cc.
#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "base/format.h"
#include "cli/command_options.h"
#include "cli/help_page.h"

namespace dgemma::cli {
namespace {

struct Command {
  const char *name, *summary;
  OptionCheck (*declare)(CLI::App& app);
};

constexpr Command kProgramCommands[] = {
    {"generate", "Answer one prompt", declare_generate},
    {"chat", "Talk; the canvas comes into focus", declare_chat},
    {"serve", "Answer over HTTP: the OpenAI API, and a page", declare_serve},
    {"bench", "Measure speed, memory and use of the machine", declare_bench},
    {"compare", "Tell how far two models or precisions differ", declare_compare},
    {"inspect", "Show what is in a model file", declare_inspect},
    {"quantize", "Pack a model into a file that loads at once", declare_quantize},
    {"info", "Show this machine: cores, instruction sets, memory", declare_info},
    {"tokenize", "Turn text into token ids, and ids into text", declare_tokenize},
    {"render", "Turn messages into the prompt text", declare_render},
};

/// By the command's name.
using OptionChecks = std::map<std::string, OptionCheck>;

OptionChecks declare_program(CLI::App& app) {
  OptionChecks checks;
  app.formatter(std::make_shared<HelpPage>());  // the commands' too
  app.set_version_flag("--version", "dgemma " DGEMMA_VERSION, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this page, or a command's, and exit");
  app.require_subcommand(1);
  for (const Command& command : kProgramCommands)
    checks[command.name] = command.declare(*app.add_subcommand(command.name, command.summary));
  app.footer(
      "Every command has its own page: dgemma generate --help\n"
      "\nExit status: 0 done; 1 failed; 2 wrong usage; 3 a model file that cannot be used; 4 not enough "
      "memory; 130 interrupted.\n\nEnvironment: DGEMMA_MODEL is the default of --model; NO_COLOR turns off colour and "
      "drawing.");
  return checks;
}

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// " Did you mean --threads?" where a known name is close, else "".
std::string suggestion(const std::string& typed, const std::vector<std::string>& known) {
  constexpr size_t kClose = 2;  // one letter swapped, or two wrong
  const auto distance = [&typed](const std::string& name) {
    return name.starts_with(typed) && typed.size() > 3 ? 0 : edit_distance(typed, name);
  };
  const auto best = std::min_element(known.begin(), known.end(),
                                     [&distance](const auto& a, const auto& b) { return distance(a) < distance(b); });
  if (best == known.end() || distance(*best) > kClose) return "";
  return " Did you mean " + *best + "?";
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string unknown_argument(const CLI::App& command, const std::string& typed) {
  const std::string page = base::concat(" See dgemma ", command.get_name(), " --help");
  if (!typed.starts_with('-')) {
    const auto lacks = [&command](const char* option) {
      const CLI::Option* found = command.get_option_no_throw(option);
      return found != nullptr && found->count() == 0;
    };
    const char* meant = lacks("--model")    ? " Did you mean --model "
                        : lacks("--prompt") ? " Did you mean --prompt "
                                            : "";
    return base::concat("argument: expected no more arguments, got ", base::quoted(typed), ".", meant,
                        *meant == '\0' ? "" : base::quoted(typed) + "?", page);
  }
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  const std::string name = typed.substr(0, typed.find('='));
  if (name == "--temperature" && std::find(known.begin(), known.end(), "--t-max") != known.end())
    return base::concat("option: expected --t-max and --t-min, between which the temperature falls, got ",
                        base::quoted(name), ".", page);
  return base::concat("option: expected one that dgemma ", command.get_name(), " has, got ", base::quoted(name), ".",
                      suggestion(name, known), page);
}

std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const auto commands = app.get_subcommands();
  if (commands.empty()) {
    const auto rest = app.remaining(true);
    const std::string expected = "command: expected one of " + joined(command_names(app));
    if (rest.empty()) return expected + ", got none. See dgemma --help";
    if (rest.front().starts_with('-'))
      return base::concat("option: expected a command first, got ", base::quoted(rest.front()), ". See dgemma --help");
    return base::concat(expected, ", got ", base::quoted(rest.front()), ".",
                        suggestion(rest.front(), command_names(app)), " See dgemma --help");
  }
  const CLI::App& command = *commands.front();
  const std::string page = base::concat(" See dgemma ", command.get_name(), " --help");
  const std::string text = error.what();
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) return text + page;
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr)
    return command.remaining().empty() ? base::concat("command: expected nothing before ", command.get_name(), ", got ",
                                                      base::quoted(app.remaining().front()), ".", page)
                                       : unknown_argument(command, command.remaining().front());
  const std::string option = text.substr(0, text.find_first_of(": "));
  if (!option.starts_with('-')) return base::concat("--", option, ": expected no value, got one.", page);  // a flag
  return base::concat(option, ": expected a value, got none.", page);
}

/// "help" and "help COMMAND" are what --help is.
std::vector<std::string> helped(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments.front() != "help") return arguments;
  arguments.erase(arguments.begin());
  arguments.resize(std::min<size_t>(arguments.size(), 1));
  arguments.emplace_back("--help");
  return arguments;
}

/// CLI11 reads "--name=" as an option without a value; here the value is the empty text, as GNU programs read it.
std::vector<std::string> reversed_arguments(const std::vector<std::string>& arguments) {
  std::vector<std::string> result;
  for (const std::string& argument : arguments) {
    if (argument.starts_with("--") && argument.size() > 3 && argument.find('=') == argument.size() - 1) {
      result.push_back(argument.substr(0, argument.size() - 1));
      result.emplace_back();
    } else {
      result.push_back(argument);
    }
  }
  std::reverse(result.begin(), result.end());  // CLI11 takes arguments from the end of the list
  return result;
}

}  // namespace

Result<Invocation> parse_arguments(const std::vector<std::string>& arguments, const Environment& environment) {
  CLI::App app("dgemma runs DiffusionGemma: text that comes into focus, canvas by canvas.", "dgemma");
  const OptionChecks checks = declare_program(app);
  try {
    app.parse(reversed_arguments(helped(arguments)));
  } catch (const CLI::CallForHelp&) {
    return Invocation(ShowText{app.help()});
  } catch (const CLI::CallForVersion& version) {
    return Invocation(ShowText{std::string(version.what()) + "\n"});
  } catch (const CLI::ParseError& error) {
    return Unexpected(ErrorCode::kUsage, usage_message(app, error));
  }
  const std::string name = app.get_subcommands().front()->get_name();
  auto invocation = checks.at(name)(environment);
  if (!invocation)
    return Unexpected(ErrorCode::kUsage, base::concat(invocation.error().message, ". See dgemma ", name, " --help"));
  return invocation;
}

}  // namespace dgemma::cli
