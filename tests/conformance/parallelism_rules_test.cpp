#include <doctest/doctest.h>

#include "conformance/broken_rules.h"
#include "plan/plugin/conformance/roles.h"
#include "trellis/plan/schedule.h"

namespace trellis {
namespace {

using testing::broken_rules;
using testing::Rules;

// A right dimension: cuts the batch over the innermost devices. The wrong ones below change one thing each.
class Slices : public Parallelism {
 public:
  Traits traits() const override {
    return {.name = "slices", .options = {"degree"}, .ranges = {{"degree", {1, 1024}}}};
  }
  std::vector<Setting> settings(const LayerSpec&, const SpaceContext& space) const override {
    std::vector<Setting> result = {{"slices", {}}};
    for (int degree : inner_degrees(space.line)) result.push_back({"slices", {{"degree", std::to_string(degree)}}});
    return result;
  }
  Verdict apply(const Setting& setting, const LayerSpec&, Placement& placement) const override {
    if (!setting.on()) return accept();
    const int degree = static_cast<int>(setting.integer("degree", 1));
    const auto axes = placement.claim("slices", degree);
    if (!axes) return reject(unclaimable(placement, degree));
    placement.split(role_, *axes);
    return accept();
  }

 protected:
  std::string_view role_ = kBatch;
};

Rules rules_broken_by(const Parallelism& plugin) { return broken_rules(plugin, Dimensions{}, OpLibrary()); }

TEST_CASE("a right dimension breaks no rule") { CHECK(rules_broken_by(Slices()) == Rules{}); }

TEST_CASE("a dimension that splits a role of no layer is found") {
  struct Wrong final : Slices {
    Wrong() { role_ = "batches"; }
  };
  const std::set<std::string> known = {"batch", "heads", "ffn"};
  CHECK(conformance::unknown_role(Slices(), known).empty());
  CHECK(conformance::unknown_role(Wrong(), known) ==
        "'slices 2' splits the role 'batches', which no layer has; did you mean 'batch'?");
}

TEST_CASE("a dimension that excludes itself is found") {
  struct Wrong final : Slices {
    Traits traits() const override { return {.name = "slices", .options = {"degree"}, .excludes = {"slices"}}; }
  };
  CHECK(rules_broken_by(Wrong()) == Rules{"its traits do not contradict themselves, and are always the same"});
}

TEST_CASE("a dimension that does not begin with off is found") {
  struct Wrong final : Slices {
    std::vector<Setting> settings(const LayerSpec& layer, const SpaceContext& space) const override {
      std::vector<Setting> result = Slices::settings(layer, space);
      if (result.size() > 1) result.erase(result.begin());
      return result;
    }
  };
  CHECK(rules_broken_by(Wrong()) == Rules{"its settings are its own, differ, and begin with off",
                                          "every placement with the other dimensions derives"});
}

TEST_CASE("a dimension whose settings no plan can name is found") {
  struct Wrong final : Slices {
    Traits traits() const override { return {.name = "slices", .options = {"width"}}; }
  };
  CHECK(rules_broken_by(Wrong()) == Rules{"a plan can name every setting"});
}

TEST_CASE("a dimension that does something when it is off is found") {
  struct Wrong final : Slices {
    Verdict apply(const Setting& setting, const LayerSpec& layer, Placement& placement) const override {
      if (!setting.on()) placement.retain(Retain::boundary);
      return Slices::apply(setting, layer, placement);
    }
  };
  CHECK(rules_broken_by(Wrong()) == Rules{"off changes nothing"});
}

TEST_CASE("a dimension that counts its calls, or rejects without a word, is found") {
  struct Counting final : Slices {
    Verdict apply(const Setting& setting, const LayerSpec& layer, Placement& placement) const override {
      if (setting.on() && ++calls % 2 == 0) placement.retain(Retain::boundary);
      return Slices::apply(setting, layer, placement);
    }
    mutable int calls = 0;
  };
  CHECK(rules_broken_by(Counting()) == Rules{"apply depends on its arguments only, and rejects with a reason"});

  struct Silent final : Slices {
    Verdict apply(const Setting& setting, const LayerSpec& layer, Placement& placement) const override {
      return Slices::apply(setting, layer, placement) ? accept() : reject("");
    }
  };
  CHECK(rules_broken_by(Silent()) == Rules{"apply depends on its arguments only, and rejects with a reason"});
}

TEST_CASE("a dimension that offers what it rejects is found") {
  struct Wrong final : Slices {
    std::vector<Setting> settings(const LayerSpec& layer, const SpaceContext& space) const override {
      std::vector<Setting> result = Slices::settings(layer, space);
      result.push_back({"slices", {{"degree", "7"}}});
      return result;
    }
  };
  CHECK(rules_broken_by(Wrong()) == Rules{"what it offers, it accepts"});
}

TEST_CASE("a dimension that cuts what must stay whole, or what does not divide, is found") {
  struct Wrong final : Slices {
    Wrong() { role_ = kHidden; }
  };
  CHECK(rules_broken_by(Wrong()) == Rules{"every placement with the other dimensions derives"});
}

TEST_CASE("a dimension that cuts a vocabulary without asking whether it divides is found") {
  struct Wrong final : Slices {
    Wrong() { role_ = kVocab; }
  };
  CHECK(rules_broken_by(Wrong()) == Rules{"every placement with the other dimensions derives"});
}

TEST_CASE("a schedule that waits forever, or forgets a micro-batch, is found") {
  struct Schedule final : PipelineSchedule {
    explicit Schedule(bool forgets) : forgets_(forgets) {}
    std::vector<std::string> names() const override { return {"mine"}; }
    // Backward first: what it needs can never have arrived.
    std::vector<Action> actions(std::string_view name, int stage, int stages, int micro_batches) const override {
      if (name != "mine") fail("no schedule named '{}'", name);
      std::vector<Action> result;
      for (int i = 0; i < micro_batches - (forgets_ ? 1 : 0); ++i) {
        if (stage + 1 < stages) result.push_back({ActionKind::receive_backward, i});
        result.push_back({ActionKind::backward, i});
        if (stage > 0) result.push_back({ActionKind::receive_forward, i});
        result.push_back({ActionKind::forward, i});
        if (stage > 0) result.push_back({ActionKind::send_backward, i});
        if (stage + 1 < stages) result.push_back({ActionKind::send_forward, i});
      }
      return result;
    }
    bool forgets_;
  };
  struct Wrong final : Slices {
    explicit Wrong(bool forgets) : schedule_(forgets) {}
    const void* extension(std::string_view id) const override {
      return id == kPipelineSchedule ? static_cast<const PipelineSchedule*>(&schedule_) : nullptr;
    }
    Schedule schedule_;
  };
  const Rules expected = {"schedule 'mine' runs every micro-batch once and never waits forever"};
  CHECK(rules_broken_by(Wrong(true)) == expected);
  CHECK(rules_broken_by(Wrong(false)) == expected);
}

}  // namespace
}  // namespace trellis
