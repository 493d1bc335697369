// The verbs of the command line. A verb is one file verb_NAME.cpp with one function add_NAME_verb; declare it here and
// name it in the table of main.cpp.
//
// The function adds a subcommand, binds its arguments, and leaves the work to the context:
//
//   void add_greet_verb(CLI::App& app, Context& context) {
//     auto args = std::make_shared<GreetArgs>();
//     CLI::App* verb = app.add_subcommand("greet", "Say hello.");
//     verb->add_option("name", args->name, "Who is greeted")->required();
//     verb->callback([&context, args] { context.work = [args] { return greet(*args); }; });
//   }
//
// Work prints results to stdout, tells progress through trellis::log() (stderr), and throws Error. It returns the exit
// code for what is no error and no success either, for example a check that found faults.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "trellis/plan/catalog.h"
#include "trellis/plan/error.h"
#include "trellis/plan/options.h"

namespace trellis::host {

// What all verbs share. Lives as long as the process.
struct Context {
  std::vector<std::filesystem::path> plugin_folders;  // --plugins
  std::function<ExitCode()> work;                     // set by the verb that was called
  std::vector<std::string> command;                   // this process's own, to start ranks with; [0] is the file

  // The plugins that a run can use: --plugins, then plugins.path of the run file (relative to it), then the rest.
  Catalog catalog() const;
  Catalog catalog(const Options& run_file) const;  // reads the section `plugins`
};

// For numbers of things: "expected 1 or more, found 0".
CLI::Validator at_least_one();

// Error (usage) where an override sets the parallelism that `what`, a plan given beside it, already says.
void refuse_parallelism(const std::string& what, const std::vector<std::string>& overrides);

void add_plugins_verb(CLI::App& app, Context& context);
void add_run_verb(CLI::App& app, Context& context);
void add_train_verb(CLI::App& app, Context& context);
void add_verify_verb(CLI::App& app, Context& context);
void add_profile_verb(CLI::App& app, Context& context);
void add_search_verb(CLI::App& app, Context& context);
void add_explain_verb(CLI::App& app, Context& context);
void add_plan_verb(CLI::App& app, Context& context);
void add_diff_verb(CLI::App& app, Context& context);
void add_import_verb(CLI::App& app, Context& context);
void add_export_verb(CLI::App& app, Context& context);
void add_data_verb(CLI::App& app, Context& context);

}  // namespace trellis::host
