// Integer programs as LP files, solved by CBC.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace trellis::test {

struct Term {
  std::int64_t factor = 1;
  std::string variable;
};
struct Constraint {
  std::vector<Term> terms;
  std::string relation;  // <= or =
  std::int64_t right = 0;
};
struct IntegerProgram {
  std::vector<Term> minimize;
  std::vector<Constraint> constraints;
  std::map<std::string, std::int64_t> whole;  // integer variables and their upper bounds; all others are at least 0

  std::string text() const;  // CPLEX LP format
};

bool cbc_is_installed();

// The value of every variable that is not 0, whole ones rounded; nothing where there is no solution.
std::optional<std::map<std::string, std::int64_t>> solve_by_cbc(const IntegerProgram&);

}  // namespace trellis::test
