#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <numeric>

#include "json_file.h"
#include "layout.h"
#include "plan_format.h"
#include "report.h"
#include "trellis/plan/error.h"

namespace trellis::galvatron {
namespace {

class Import {
 public:
  Import(const std::string& text, const std::string& name) : file_(JsonFile::parse(text, name)) {}

  PlanFormat::Imported run() {
    stages_ = whole("pp_deg");
    degrees_ = list("tp_sizes_enc", 0, 1);
    layers_ = degrees_.size();
    read_lists();
    read_devices();
    if (file_.root().contains("default_dp_type")) default_dp_ = word("default_dp_type", {"ddp", "zero2", "zero3"});
    else assume("default_dp_type", "ddp");
    Plan& plan = result_.plan;
    plan.batch = whole("global_bsz");
    plan.micro_batches = static_cast<int>(whole("chunks"));
    if (plan.micro_batches > plan.batch)
      file_.reject({"chunks"},
                   fmt::format("{} micro-batches cannot be made of {} samples", plan.micro_batches, plan.batch));
    plan.schedule = "gpipe";
    if (!file_.root().contains("pipeline_type")) assume("pipeline_type", "gpipe");
    else if (word("pipeline_type", {"gpipe", "pipedream_flush"}) == "pipedream_flush") plan.schedule = "1f1b";
    write_stages();
    write_layers();
    for (const auto& [key, value] : file_.root().items())
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        lose(fmt::format("{}: not known here, and left out", key));
    return std::move(result_);
  }

 private:
  void lose(std::string line) { result_.lost.push_back(std::move(line)); }
  void assume(const std::string& key, const std::string& value) {
    lose(fmt::format("{}: not said, {} is assumed", key, value));
  }

  std::int64_t whole(const std::string& key) const {
    const Json& value = file_.at({key});
    if (!value.is_number_integer() || value.get<std::int64_t>() < 1 || value.get<std::int64_t>() > 1 << 24)
      file_.reject({key}, fmt::format("expected a whole number of at least 1, found {}", value.dump()));
    return value.get<std::int64_t>();
  }

  std::string word(const std::string& key, const std::vector<std::string>& words) const {
    const Json& value = file_.at({key});
    if (!value.is_string() || std::find(words.begin(), words.end(), value.get<std::string>()) == words.end())
      file_.reject({key}, fmt::format("expected {}, found {}", fmt::join(words, " or "), value.dump()));
    return value.get<std::string>();
  }

  // "1,1,2": whole numbers of at least `least`; `length` 0: any.
  std::vector<int> list(const std::string& key, std::size_t length, int least) const {
    const Json& value = file_.at({key});
    if (!value.is_string()) file_.reject({key}, fmt::format("expected text like \"1,1,2\", found {}", value.dump()));
    const std::string text = value.get<std::string>();
    std::vector<int> numbers;
    for (std::size_t start = 0, end; start <= text.size(); start = end + 1) {
      end = std::min(text.find(',', start), text.size());
      int number = 0;
      const char *from = text.data() + start, *to = text.data() + end;
      while (from < to && *from == ' ') ++from;
      const auto [rest, error] = std::from_chars(from, to, number);
      if (error != std::errc() || rest != to || number < least)
        file_.reject({key}, fmt::format("expected whole numbers of at least {} with commas between, found '{}'", least,
                                        text.substr(start, end - start)));
      numbers.push_back(number);
    }
    if (length != 0 && numbers.size() != length)
      file_.reject({key}, fmt::format("{} entries, expected {}: one for each {}", numbers.size(), length,
                                      key == "pp_division" ? "stage (pp_deg)" : "layer (tp_sizes_enc)"));
    return numbers;
  }

  std::vector<int> flags(const std::string& key) const {
    std::vector<int> values = list(key, layers_, 0);
    for (const int value : values)
      if (value > 1) file_.reject({key}, fmt::format("expected 0 or 1, found {}", value));
    return values;
  }

  std::vector<int> flags_or_off(const std::string& key) {
    if (file_.root().contains(key)) return flags(key);
    assume(key, "off for every layer");
    return std::vector<int>(layers_, 0);
  }

  void read_lists() {
    zero3_ = flags("dp_types_enc");
    ulysses_ = flags_or_off("use_sp");
    checkpoint_ = flags_or_off("checkpoint");
    if (file_.root().contains("tp_consecutive_flags")) {
      const std::vector<int> consecutive = flags("tp_consecutive_flags");
      for (std::size_t i = 0; i < layers_; ++i)
        if (consecutive[i] == 0 && degrees_[i] > 1) ++strided_;
    }
    if (strided_ > 0)
      lose(fmt::format("tp_consecutive_flags: {} layers spread tp over devices that are not neighbors; here they are",
                       strided_));
    context_.assign(layers_, 1);
    if (file_.root().contains("cp_sizes_enc")) context_ = list("cp_sizes_enc", layers_, 1);
    if (std::any_of(context_.begin(), context_.end(), [](int degree) { return degree > 1; }))
      lose("cp_sizes_enc: there is no context parallelism here; its devices take samples of their own");
    for (const char* key : {"ep_sizes_enc", "tp_of_ep_sizes_enc"}) {
      if (!file_.root().contains(key)) continue;
      const std::vector<int> degrees = list(key, layers_, 1);
      if (std::any_of(degrees.begin(), degrees.end(), [](int degree) { return degree > 1; }))
        lose(fmt::format("{}: there is no expert parallelism here", key));
    }
    if (file_.root().contains("vcp") && whole("vcp") > 1)
      lose("vcp: there is no context parallelism here; its devices take samples of their own");
    if (file_.root().contains("vtp")) vocabulary_ = static_cast<int>(whole("vtp"));
    else assume("vtp", "1");
    vocabulary_ulysses_ = flag_or_off("vsp");
    vocabulary_zero3_ = flag_or_off(file_.root().contains("vocab_sdp") ? "vocab_sdp" : "embed_sdp");
  }

  bool flag_or_off(const std::string& key) {
    const auto found = file_.root().find(key);
    if (found == file_.root().end()) {
      assume(key, "0");
      return false;
    }
    if (found->is_boolean()) return found->get<bool>();
    if (!found->is_number_integer() || (*found != 0 && *found != 1))
      file_.reject({key}, fmt::format("expected 0 or 1, found {}", found->dump()));
    return *found == 1;
  }

  void read_devices() {
    std::int64_t devices = 0;
    const std::string name = std::filesystem::path(file_.name()).filename().string();
    const std::int64_t nodes = number_before(name, "nodes_"), of_node = number_before(name, "gpus_per_node");
    int widest = vocabulary_;
    for (std::size_t i = 0; i < layers_; ++i) widest = std::max(widest, degrees_[i] * context_[i]);
    if (file_.root().contains("world_size")) {
      devices = whole("world_size");
    } else if (nodes > 0 && of_node > 0) {
      devices = nodes * of_node;
      assume("world_size", fmt::format("{}, as the file's name says,", devices));
    } else {
      devices = stages_ * widest;
      assume("world_size", fmt::format("{}, the fewest devices for these degrees,", devices));
    }
    if (devices > 1 << 24) file_.reject({"world_size"}, fmt::format("{} devices are too many", devices));
    if (devices % stages_ != 0)
      file_.reject({"pp_deg"}, fmt::format("{} devices cannot be shared by {} stages", devices, stages_));
    line_ = static_cast<int>(devices / stages_);
    for (std::size_t i = 0; i < layers_; ++i)
      if (line_ % (degrees_[i] * context_[i]) != 0)
        file_.reject({"tp_sizes_enc"}, fmt::format("layer {}: degree {} does not divide the {} devices of a stage", i,
                                                   degrees_[i] * context_[i], line_));
    if (line_ % vocabulary_ != 0)
      file_.reject({"vtp"}, fmt::format("degree {} does not divide the {} devices of a stage", vocabulary_, line_));
    result_.plan.devices = static_cast<int>(devices);
    int rest = line_;
    for (int factor = 2; factor <= rest / factor; ++factor)
      for (; rest % factor == 0; rest /= factor) result_.plan.atoms.push_back(factor);
    if (rest > 1) result_.plan.atoms.push_back(rest);
  }

  // 2 for "..._2nodes_8gpus" before "nodes_".
  static std::int64_t number_before(const std::string& text, const std::string& word) {
    const std::size_t at = text.find(word);
    if (at == std::string::npos) return -1;
    std::size_t start = at;
    while (start > 0 && text[start - 1] >= '0' && text[start - 1] <= '9' && at - start < 7) --start;
    return start == at ? -1 : std::stoll(text.substr(start, at - start));
  }

  void write_stages() {
    std::vector<int> division;
    if (file_.root().contains("pp_division")) {
      division = list("pp_division", static_cast<std::size_t>(stages_), 1);
    } else {
      assume("pp_division", "an even one");
      if (static_cast<std::int64_t>(layers_) < stages_)
        file_.reject({"pp_deg"}, fmt::format("{} layers cannot be cut into {} stages", layers_, stages_));
      division = divide_evenly(static_cast<int>(layers_), static_cast<int>(stages_));
    }
    const auto sum = std::accumulate(division.begin(), division.end(), std::int64_t{0});
    if (sum != static_cast<std::int64_t>(layers_))
      file_.reject({"pp_division"}, fmt::format("{} layers in all, tp_sizes_enc has {}", sum, layers_));
    int next = 0;
    for (std::size_t stage = 0; stage < division.size(); ++stage) {
      const int count = division[stage] + (stage == 0) + (stage + 1 == division.size());
      result_.plan.stages.push_back({next, next + count - 1});
      next += count;
    }
  }

  Strategy strategy(int degree, bool ulysses, bool zero3, bool checkpoint, int context) {
    Layout layout{1, ulysses ? 1 : degree, ulysses ? degree : 1, line_ / degree, DpType::ddp, checkpoint};
    const bool is_shared = line_ > (ulysses ? 1 : degree);
    if (is_shared && (zero3 || default_dp_ == "zero3")) layout.type = DpType::zero3;
    else if (is_shared && default_dp_ == "zero2" && layout.dp / context > 1) layout.type = DpType::zero2;
    has_tp_ = has_tp_ || layout.tp > 1;
    return strategy_of(layout, true);
  }

  void write_layers() {
    const Strategy vocabulary = strategy(vocabulary_, vocabulary_ulysses_, vocabulary_zero3_, false, 1);
    auto& layers = result_.plan.layers;
    layers.push_back(vocabulary);
    for (std::size_t i = 0; i < layers_; ++i)
      layers.push_back(strategy(degrees_[i], ulysses_[i] == 1, zero3_[i] == 1, checkpoint_[i] == 1, context_[i]));
    layers.push_back(vocabulary);
    if (has_tp_) lose("sequence parallelism of tp is a switch of the run there and not said; megatron_sp is assumed");
  }

  const std::vector<std::string> known_ = {"pp_deg",
                                           "tp_sizes_enc",
                                           "tp_consecutive_flags",
                                           "dp_types_enc",
                                           "use_sp",
                                           "checkpoint",
                                           "cp_sizes_enc",
                                           "ep_sizes_enc",
                                           "tp_of_ep_sizes_enc",
                                           "global_bsz",
                                           "chunks",
                                           "pp_division",
                                           "vtp",
                                           "vsp",
                                           "vcp",
                                           "embed_sdp",
                                           "vocab_sdp",
                                           "world_size",
                                           "pipeline_type",
                                           "default_dp_type"};
  JsonFile file_;
  PlanFormat::Imported result_;
  std::int64_t stages_ = 1;
  std::size_t layers_ = 0, strided_ = 0;
  int line_ = 1, vocabulary_ = 1;
  bool vocabulary_ulysses_ = false, vocabulary_zero3_ = false, has_tp_ = false;
  std::string default_dp_ = "ddp";
  std::vector<int> degrees_, zero3_, ulysses_, checkpoint_, context_;
};

}  // namespace

PlanFormat::Imported GalvatronFormat::read(const std::string& text, const std::string& name) const {
  return Import(text, name).run();
}

}  // namespace trellis::galvatron
