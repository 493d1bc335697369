// The samples of a run, whatever kind of data its file names: what the trainer trains on, evaluates by and tells of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/model.h"
#include "trellis/plan/op.h"
#include "trellis/plan/run_file.h"
#include "trellis/run/data_source.h"

namespace trellis::data {

// What a model would lose that had learned nothing but how frequent each answer is.
struct Baseline {
  double entropy = 0;  // nats an item
  std::string data;    // "text", "images"
  std::string item;    // "token", "image": what has a label
  std::string name;    // "unigram entropy", "label entropy"
};

struct RunSamples {
  std::unique_ptr<DataSource> training;
  std::unique_ptr<DataSource> held_out;  // each sample once, in turn; null: none are held out
  std::int64_t training_samples = 0;     // of an epoch
  std::int64_t held_out_steps = 0;       // that hold all held-out samples
  std::string summary;                   // "6.4 M tokens in 3 files, 5 % of them held out"
  Baseline baseline;
  std::map<std::string, std::string> companions;  // files by name that an export has beside the weights
  std::vector<std::string> class_names;           // by label; empty where they have none
};

// Reads the files. Error at the section's place where the data lacks a field that the model reads (fields_of), or has
// not one sample.
TRELLIS_API RunSamples open_samples(const RunFile& run, const ModelSpec& model, const OpLibrary& ops, std::int64_t batch);

}  // namespace trellis::data
