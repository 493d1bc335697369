#include "planner/cbc.h"

#include <cmath>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "loader/temporary_folder.h"
#include "trellis/plan/files.h"

namespace trellis::test {
namespace {

// Readers of LP files have a limit on the length of a line.
void append(std::string& text, const std::vector<Term>& terms) {
  int on_line = 0;
  for (const Term& t : terms) {
    text += (t.factor < 0 ? " - " : " + ") + std::to_string(std::abs(t.factor)) + " " + t.variable;
    if (++on_line % 8 == 0) text += "\n";
  }
}

}  // namespace

std::string IntegerProgram::text() const {
  std::string text = "Minimize\n time:";
  append(text, minimize);
  text += "\nSubject To\n";
  int number = 0;
  for (const Constraint& c : constraints) {
    text += " c" + std::to_string(number++) + ":";
    append(text, c.terms);
    text += " " + c.relation + " " + std::to_string(c.right) + "\n";
  }
  text += "Bounds\n";
  for (const auto& [variable, most] : whole) text += " 0 <= " + variable + " <= " + std::to_string(most) + "\n";
  text += "Generals\n";
  for (const auto& [variable, most] : whole) text += " " + variable + "\n";
  return text + "End\n";
}

bool cbc_is_installed() { return std::system("command -v cbc > /dev/null 2>&1") == 0; }

std::optional<std::map<std::string, std::int64_t>> solve_by_cbc(const IntegerProgram& program) {
  const testing::TemporaryFolder folder;
  const std::string lp = folder.write("program.lp", program.text()).string();
  const std::string solution = (folder.path() / "solution").string();
  // To the last unit: CBC is content with a gap otherwise.
  const std::string command = "cbc " + lp + " ratioGap 0 allowableGap 0 solve solution " + solution + " > " +
                              (folder.path() / "log").string() + " 2>&1";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("cbc failed: " + read_file(folder.path() / "log"));
  std::istringstream lines(read_file(solution));
  std::string status, rest;
  lines >> status;
  std::getline(lines, rest);
  if (status == "Infeasible" || (status == "Integer" && rest.find("infeasible") != std::string::npos))
    return std::nullopt;
  if (status != "Optimal") throw std::runtime_error("cbc found no optimum: " + status + rest);
  std::map<std::string, std::int64_t> values;
  std::string number, name;
  double value = 0, reduced = 0;
  while (lines >> number >> name >> value >> reduced) values[name] = std::llround(value);
  return values;
}

}  // namespace trellis::test
