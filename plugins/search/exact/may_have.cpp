#include "may_have.h"

namespace trellis::exact_search {

MayHave options_of_paths(const Task& task, const std::vector<const Bound*>& bounds, const std::optional<Choice>& good) {
  MayHave options;
  for (const Kind& kind : task.kinds()) options.emplace_back(kind.options.size(), false);
  const auto add = [&](const Choice& choice) {
    for (std::size_t i = 0; i < choice.options.size(); ++i)
      options[static_cast<std::size_t>(task.kind_number(static_cast<int>(i)))][static_cast<std::size_t>(choice.options[i])] = true;
  };
  for (const Bound* bound : bounds) add(bound->path());
  if (good) add(*good);
  return options;
}

}  // namespace trellis::exact_search
