// Searches over Trellis' own models and costs: what they find, checked and priced by the host.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>

#include "host/planning.h"
#include "host/search_json.h"
#include "trellis/plan/whatif.h"

namespace trellis::host {

using Found = Answer;

// That the run file names, or the default.
std::string name_of_search(const Planning&);
// Error (plugin) with a suggestion where there is none of this name.
std::shared_ptr<const SearchAlgorithm> load_search(const Planning&, const std::string& name);
// Runs the search of this name; its own options are those of section `search`, if that names it. A plan that breaks the
// budget or leaves the space, and a claim that cannot be true, is an Error (plugin).
Found run_search(const Planning&, const CostOracle&, const std::string& name);
// The same with another problem of the run, and costs that several may share; with these options of the search. Past
// `until` it is asked to end at once, as by a signal.
enum class Progress { told, silent };
using Deadline = std::chrono::steady_clock::time_point;
Found solve(const Planning&, const Problem&, const CostOracle&, const std::string& name, const Options&,
            Progress = Progress::told, std::optional<Deadline> until = std::nullopt);
// Writes into the plan who made it of what, and what is predicted.
void sign(const Planning&, const std::string& name, Found&);
Oracle oracle_of(const Planning&);
// What a plan's prediction needed and no profile had a time for.
std::set<std::string> estimates_of(const Planning&, const Plan&);
// The budgets of a run, and nothing else.
Problem budgets_of(const Planning&);
// The options that are this search's own: those of the section, if the section names it.
Options options_of(const Planning&, const std::string& name);
// `replayed`: the finer replay's step, where there is one.
void print(const Planning&, const Found&, std::optional<Picoseconds> replayed);
// `file`: where the plan was written; empty: nowhere.
nlohmann::json to_json(const Planning&, const Found&, const std::filesystem::path& file);

}  // namespace trellis::host
