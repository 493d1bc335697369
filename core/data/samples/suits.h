// Which kind of data has the fields that a model reads.
#pragma once

#include <string>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/op.h"
#include "trellis/plan/run_file.h"

namespace trellis::data {

// "data.use=span_corruption trains this model"; empty where no kind has all of its fields.
TRELLIS_API std::string suited_data(const ModelSpec& model, const OpLibrary& ops);

// For data of text. Error at data.use where the model reads a field that this kind does not have, a label for each sample where
// it has one for each token, or the other way round, or lacks the fields that this kind is for. Warns of what is likely no
// intention.
TRELLIS_API void check_suits(const RunFile& run, const ModelSpec& model, const OpLibrary& ops);

}  // namespace trellis::data
