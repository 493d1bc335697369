#include "plan/cost/explain_program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace trellis {
namespace {

class Listing {
 public:
  Listing(const StageProgram& stage, int local, const DeriveContext& context, const Prices& prices, Location at)
      : stage_(stage), local_(local), context_(context), prices_(prices), at_(at) {}

  std::string list(const Instructions& instructions) const {
    std::string out;
    for (const Instruction& i : instructions)
      if (i.layer == local_) out += line(i);
    return out;
  }

 private:
  const Op& op(const Instruction& i) const {
    return stage_.specs[static_cast<std::size_t>(i.layer)]->ops[static_cast<std::size_t>(i.op)];
  }
  static std::string number(SlotId s) { return s < 0 ? "-" : fmt::format("%{}", s); }
  std::string shape(SlotId s) const {
    return fmt::format("[{}]", fmt::join(stage_.slots[static_cast<std::size_t>(s)].shape, " "));
  }
  std::string numbers(const std::vector<SlotId>& slots) const {
    std::vector<std::string> texts;
    for (SlotId s : slots)
      if (s >= 0) texts.push_back(number(s));
    return fmt::format("{}", fmt::join(texts, " "));
  }

  std::string what(const Instruction& i) const {
    switch (i.kind) {
      case InstructionKind::forward:
        return op(i).kind + (i.fused >= 0 ? "+bias" : "") + (i.recomputed ? " again" : "");
      case InstructionKind::input_gradient:
      case InstructionKind::weight_gradient:
      case InstructionKind::backward:
        return fmt::format("{} {}", op(i).kind,
                           i.kind == InstructionKind::input_gradient    ? "dx"
                           : i.kind == InstructionKind::weight_gradient ? "dw"
                                                                        : "backward");
      case InstructionKind::start:
        return fmt::format("{} >", name_of(i.move.kind));
      default:
        return std::string(name_of(i.kind));
    }
  }

  std::string line(const Instruction& i) const {
    const Price price = prices_.price(stage_, i, context_, at_);
    const SlotId out = i.out.empty() ? -1 : i.out.front();
    std::string values = numbers(i.in);
    if (out >= 0 && i.kind != InstructionKind::wait && i.kind != InstructionKind::gather_wait)
      values += fmt::format(" -> {}", shape(out));
    std::string text =
        fmt::format("  {:>5}  {:<22} {:<12} {:<34}", number(out), what(i), i.op >= 0 ? op(i).name : "", values);
    if (const Picoseconds time = price.compute + price.transfer; time.value > 0)
      text += fmt::format(" {:>9}{}", format(time), i.kind == InstructionKind::wait ? "  copies" : "");
    if (i.kind == InstructionKind::start) text += fmt::format("  {}", format(i.move.bytes));
    if (i.last_only) text += "  last micro-batch";
    if (!i.because.empty()) text += fmt::format("   because {}", i.because);
    while (text.ends_with(' ')) text.pop_back();
    return text + "\n";
  }

  const StageProgram& stage_;
  int local_;
  const DeriveContext& context_;
  const Prices& prices_;
  Location at_;
};

}  // namespace

std::string program_text(const CompiledPlan& compiled, int layer, const Prices& prices) {
  std::size_t s = 0;
  while (layer > compiled.plan.stages[s].last) ++s;
  const StageProgram& stage = *compiled.stages[s];
  const int local = layer - compiled.plan.stages[s].first;
  const Listing listing(stage, local, compiled.context, prices,
                        {.first_device = static_cast<int>(s) * stage.line.size()});
  const std::string title =
      fmt::format("layer {} {}   {}   micro-batch of {}", layer, stage.specs[static_cast<std::size_t>(local)]->type,
                  to_string(compiled.plan.layers[static_cast<std::size_t>(layer)]), compiled.context.micro_batch);
  std::string text = fmt::format("{}   forward\n{}{}   backward\n{}", title, listing.list(stage.forward), title,
                                 listing.list(stage.backward));
  if (const std::string update = listing.list(stage.update); !update.empty())
    text += fmt::format("{}   update\n{}", title, update);
  return text;
}

}  // namespace trellis
