// trellis: the command line. Everything that goes wrong ends here, as a message and an exit code (docs/exit-codes.md).
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>

#include "host/launcher.h"
#include "host/verbs.h"
#include "plan/plugin/calls.h"
#include "trellis/plan/fingerprint.h"
#include "trellis/plan/logging.h"

namespace trellis::host {
namespace {

using AddVerb = void (*)(CLI::App&, Context&);
constexpr AddVerb kVerbs[] = {
    add_plugins_verb,
    add_run_verb,
    add_profile_verb,
    add_search_verb,
    add_explain_verb,
    add_diff_verb,
    add_plan_verb,
    add_train_verb,
    add_verify_verb,
    add_import_verb,
    add_export_verb,
    add_data_verb,
};

constexpr const char* kVersion = "1.0.0";

void add_globals(CLI::App& app, Context& context) {
  app.set_version_flag("--version", fmt::format("trellis {}\n{}", kVersion, TRELLIS_FINGERPRINT_STRING),
                       "Print the version and the build's fingerprint, which plugins must share");
  app.add_option_function<std::string>(
         "--log", [](const std::string& level) { set_log_level(level); },
         "How much is told on stderr: trace, debug, info, warn, error, off")
      ->type_name("LEVEL");
  app.add_option("--plugins", context.plugin_folders, "A further folder to look for plugins in; may be repeated")
      ->type_name("FOLDER")
      ->allow_extra_args(false);
  app.require_subcommand(1);
  app.fallthrough();
}

void add_footer(CLI::App& app) {
  app.footer(
      "Exit codes: 0 success, 1 defect, 2 command line, 3 no plan fits, 4 bad input, 5 plugin, 6 a rank failed,\n"
      "7 reading or writing failed, 8 not supported here. `trellis VERB --help` tells about a verb.");
}

// The innermost subcommand that was reached: the one whose --help is worth reading.
const CLI::App* reached(const CLI::App& app) {
  const CLI::App* result = &app;
  while (!result->get_subcommands().empty()) result = result->get_subcommands().front();
  return result;
}

std::string command_of(const CLI::App* app) {
  return app->get_parent() ? command_of(app->get_parent()) + " " + app->get_name() : "trellis";
}

// CLI11 knows what it did not expect; we know what was perhaps meant.
Error usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* verb = reached(app);
  const std::vector<std::string> words = app.remaining(true);
  std::vector<std::string> names;
  for (const CLI::App* known : verb->get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); }))
    names.push_back(known->get_name());
  for (const CLI::Option* option : verb->get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  std::string hint = fmt::format("see {} --help", command_of(verb));
  for (const std::string& word : words) {
    if (const std::string near = suggest(word, names); !near.empty()) {
      hint = fmt::format("did you mean '{}'?   {}", near, hint);
      break;
    }
  }
  std::string message = error.what();
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError) && !words.empty())
    message = fmt::format("'{}' is not a verb of '{}'", words.front(), command_of(verb));
  return Error(ExitCode::usage, message, hint);
}

int report(const Error& error) {
  const std::string text = error.what();
  fmt::print(stderr, "{}{}\n", error.mark().file.empty() ? "trellis: " : "", text);
  return static_cast<int>(error.code());
}

// --- a crash in a plugin: the process ends by the signal, but not without a word ---

void put(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

extern "C" void tell_crash(int signal) {
  if (const plugin::Running running = plugin::running(); running.name) {
    char number[] = "00";
    number[0] = static_cast<char>('0' + signal / 10 % 10), number[1] = static_cast<char>('0' + signal % 10);
    put("trellis: crashed in "), put(running.noun), put(" '"), put(running.name), put("' (signal ");
    put(number[0] == '0' ? number + 1 : number), put(")\n    a defect of the plugin; trellis plugins check ");
    put(running.name), put(" (or its folder) tries the rules of its kind\n");
  }
  raise(signal);  // by its default action, which SA_RESETHAND has restored
}

void watch_crashes() {
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    struct sigaction old {}, action {};
    if (sigaction(signal, nullptr, &old) != 0 || old.sa_handler != SIG_DFL) continue;  // a sanitizer's, say
    action.sa_handler = tell_crash;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    sigaction(signal, &action, nullptr);
  }
}

int run(int argc, char** argv) {
  CLI::App app("Trains transformers on many devices: profiles, searches a plan for every layer, trains by it.",
               "trellis");
  Context context;
  context.command.assign(argv, argv + argc);
  context.command.front() = std::filesystem::read_symlink("/proc/self/exe").string();  // argv[0] may be found by PATH
  add_globals(app, context);
  for (const AddVerb add : kVerbs) add(app, context);
  add_footer(app);  // after the verbs, which would inherit it
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    return report(usage_error(app, error));
  }
  return static_cast<int>(context.work());
}

}  // namespace
}  // namespace trellis::host

int main(int argc, char** argv) {
  try {
    trellis::host::end_with_launcher();
    trellis::host::watch_crashes();
    return trellis::host::run(argc, argv);
  } catch (const trellis::Error& error) {
    return trellis::host::report(error);
  } catch (const std::exception& error) {
    fmt::print(stderr, "trellis: a defect of Trellis: {}\n", error.what());
  }
  return static_cast<int>(trellis::ExitCode::failure);
}
