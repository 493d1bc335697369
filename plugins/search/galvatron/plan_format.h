// The reference's plan files (galvatron_config_*.json): from them, and to them.
#pragma once

#include "trellis/plan/search.h"

namespace trellis::galvatron {

class GalvatronFormat final : public PlanFormat {
 public:
  Imported read(const std::string& text, const std::string& name) const override;
  Exported write(const Plan&) const override;
};

}  // namespace trellis::galvatron
