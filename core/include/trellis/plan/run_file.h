// A run file: all that profile, search and train need to know about one training run. Read strictly and completely,
// whatever verb is going to use it; configs/runs/ has examples.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trellis/plan/export.h"
#include "trellis/plan/image_section.h"
#include "trellis/plan/layout.h"
#include "trellis/plan/model.h"
#include "trellis/plan/options.h"
#include "trellis/plan/plan_file.h"
#include "trellis/plan/units.h"

namespace trellis {

class Catalog;

// `{use: NAME, ...}`: a place that a plugin fills. The remaining options are the plugin's to read, and to finish().
struct PluginChoice {
  std::string use;  // empty where the section is not there
  Options options = Options::empty();
};

// Text of one kind.
struct DataPart {
  std::vector<std::string> files;  // text: files, folders, patterns; indexed: names without .bin and .idx; as paths from
                                   // the current folder
  double weight = 1;               // how often its samples come, relative to the others'
  Mark mark;                       // of `files`
};

struct DataSection {
  // text, indexed (text, tokenized before): the next token; masked_text: masked tokens; span_corruption: spans that were
  // cut out; sentence_pairs: masked tokens, and whether the second sentence follows; labelled_text: labels of texts;
  // images, idx: labels of images, and `image` says where they are
  std::string use = "text";
  std::string format = "text";             // of the files of all these but the last two: text, indexed
  std::vector<std::string> files;          // of one part; those of several are in `sources`
  std::vector<std::string> written_files;  // the same as the user wrote them
  std::vector<DataPart> sources;           // blended by weight
  std::string tokenizer = "byte";          // byte, or a path from the current folder; indexed: empty where not given
  std::string end_of_document;             // the token that ends documents; empty: the tokenizer's own
  bool restart_positions = false;          // at each document of a sample
  double mask_share = 0.15;                // tokens that are masked, or cut out
  std::string mask_token;                  // that stands for them; empty: the tokenizer's own
  bool whole_words = false;                // are masked together
  double mean_span = 3;                    // tokens, of span_corruption
  std::int64_t sentinels = 100;            // that stand for spans where the tokenizer has none of its own
  std::string cls_token, sep_token;        // before a text, behind it; empty: the tokenizer's own
  std::string text_key = "text", label_key = "label";  // of labelled_text: columns, or keys of JSON
  std::vector<std::string> labels;         // their names in order; empty: the files have numbers
  std::vector<std::string> held_out_files; // of labelled_text, instead of a share of its files
  Mark held_out_mark;                      // of held_out_files
  double held_out = 0.05;                  // share of each part, from its end; of images any, by the seed
  Mark mark;                               // of `files`, `sources`, `folder` or `images`
  Mark tokenizer_mark;
  ImageSection image;

  bool is_images() const { return use == "images" || use == "idx"; }
  bool is_indexed() const { return use == "indexed" || format == "indexed"; }
  bool is_next_token() const { return use == "text" || use == "indexed"; }
  bool is_masked() const { return use == "masked_text" || use == "sentence_pairs"; }
  std::vector<DataPart> parts() const { return sources.empty() ? std::vector<DataPart>{{files, 1, mark}} : sources; }
};

enum class LearningRateSchedule { constant, linear, cosine };

struct TrainSection {
  std::optional<std::int64_t> steps;
  std::optional<std::int64_t> batch;  // samples of a step, over all devices; a plan file has its own
  double learning_rate = 3e-4;
  double min_learning_rate = 3e-5;  // where not given a tenth of learning_rate
  std::int64_t warmup = 0;          // steps
  LearningRateSchedule schedule = LearningRateSchedule::cosine;
  double weight_decay = 0.1, beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double clip = 1.0;  // global gradient norm; 0: no clipping
  Dtype dtype = Dtype::f32;
  std::int64_t evaluate_every = 0;    // steps; 0: at the end only
  std::int64_t evaluate_batches = 8;  // 0: never
  std::int64_t log_every = 1;         // steps
  bool check = false;                 // assert that what ran is what the program says
};

struct DevicesSection {
  std::optional<int> count;
  std::string kind = "cpu";  // cpu, cuda
  std::vector<Bytes> memory;        // empty: not given; one: of every device; else of each
  int threads = 0;              // of a rank on the CPU; 0: an equal share of the cores
  Picoseconds timeout = 600_s;  // that a rank waits for another
  std::string interface = "lo";
};

// How the layers are spread: by a plan file, or all of them the same way.
struct ParallelismSection {
  std::filesystem::path plan;  // from the current folder; empty: uniform
  Mark plan_mark;
  Options uniform = Options::empty();
};

struct SearchSection {
  PluginChoice algorithm;          // its options are the remaining ones of the section
  std::vector<int> micro_batches;  // to be tried; empty: the search decides
  std::vector<Bytes> budget;       // as devices.memory, which it replaces
  std::optional<double> margin;    // share of the budget that is left free
};

// Copies share the record of what was read in `model`, `search`, `profile` and `parallelism.uniform`.
struct TRELLIS_API RunFile {
  std::string name;  // the file's name where not given
  std::uint64_t seed = 0;
  std::filesystem::path output;  // the run's folder; runs/NAME where not given
  std::vector<std::filesystem::path> plugin_folders;
  PluginChoice model;
  std::filesystem::path weights;  // a folder of public weights to start from; empty: initial weights by the seed
  Mark weights_mark;
  std::filesystem::path export_folder;  // where training leaves one, from the current folder; empty: nowhere
  Mark export_mark;
  DataSection data;
  TrainSection train;
  DevicesSection devices;
  ParallelismSection parallelism;
  SearchSection search;
  Options profile = Options::empty();
  Options document = Options::empty();

  // With its bases and with overrides "key.path=value". What is read (files, plugins, plans) is named relative to the
  // file that says it, in overrides to the current folder; what is written (output) relative to the current folder.
  static RunFile load(const std::filesystem::path& path, std::span<const std::string> overrides = {});
  static RunFile read(const Options& document);

  // The composed document with all paths absolute: what load() reads back to the same run, from any folder.
  std::string resolved() const;
};

// Loads the family and describes the model; options that the family does not know are rejected.
TRELLIS_API ModelSpec describe_model(const RunFile&, const Catalog&);

// The plan of a run on so many devices: `plan_file`, else the run file's plan, else its uniform one. Checks it against
// the run's batch and the number of devices.
TRELLIS_API Plan plan_of(const RunFile&, const ModelSpec&, const Dimensions&, int devices,
                         const std::filesystem::path& plan_file = {});

// One strategy for all layers; `uniform` has dimensions by name, pp: {degree, schedule} and micro_batches. The stages
// get equal numbers of layers, the first and the last layer of the model on top.
TRELLIS_API Plan uniform_plan(const Options& uniform, const ModelSpec&, const Dimensions&, int devices,
                              std::int64_t batch);

// The number of devices that a plan file is for, without a model.
TRELLIS_API int devices_of_plan(const std::filesystem::path& plan_file);
// The model's number of layers as far as a plan file tells it: one more than the last layer that it names.
TRELLIS_API int layers_of_plan(const std::filesystem::path& plan_file);

// A path as it is written at a place, from the current folder: one in a file is relative to that file.
TRELLIS_API std::filesystem::path path_beside(const Mark&, const std::string& written);

}  // namespace trellis
