// Which kind of data has the fields that a model reads.
#pragma once

#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/op.h"
#include "trellis/plan/run_file.h"

namespace trellis::data {

// "data.use=span_corruption trains this model"; empty where no kind has all of its fields.
TRELLIS_API std::string suited_data(const ModelSpec& model, const OpLibrary& ops);

// A sentence for each batch field that the model reads and that no kind of data has: "no data has the batch field 'tokens';
// did you mean ...". Such a model can be planned and verified, and not trained.
TRELLIS_API std::vector<std::string> unknown_fields(const ModelSpec& model);

// Error at the model where there are unknown fields.
TRELLIS_API void refuse_unknown_fields(const RunFile& run, const ModelSpec& model);

// For a search or a verification: the same where the run file names data to train on, a warning where it names none.
TRELLIS_API void check_fields(const RunFile& run, const ModelSpec& model);

// For data of text. Error at data.use where the model reads a field that this kind does not have, a label for each sample where
// it has one for each token, or the other way round, or lacks the fields that this kind is for. Warns of what is likely no
// intention.
TRELLIS_API void check_suits(const RunFile& run, const ModelSpec& model, const OpLibrary& ops);

}  // namespace trellis::data
