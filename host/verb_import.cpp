// trellis import FOLDER, trellis export RUN.yaml: models to and from folders of public weights.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/verbs.h"
#include "plan/weights/export.h"
#include "plan/weights/import.h"
#include "trellis/plan/files.h"
#include "trellis/plan/run_file.h"

namespace trellis::host {
namespace {

struct ImportArgs {
  std::filesystem::path folder, out, json;
};

// A folder gets a file model.yaml.
std::filesystem::path model_path(const std::filesystem::path& out) {
  const bool is_file = out.extension() == ".yaml" || out.extension() == ".yml";
  return is_file && !std::filesystem::is_directory(out) ? out : out / "model.yaml";
}

// As the files have them: without padding.
std::int64_t parameters_of(const WeightReader& weights) {
  std::int64_t count = 0;
  for (const WeightPiece& piece : weights.map().pieces())
    if (weights.has(piece.parameter)) count += elements(piece.extent);
  return count;
}

// Why tensors are dropped, and how many for each reason.
std::map<std::string, std::size_t> reasons(const WeightReader& weights) {
  std::map<std::string, std::size_t> result;
  for (const auto& [name, reason] : weights.dropped()) ++result[reason];
  return result;
}

void report(const ImportedModel& imported, const std::filesystem::path& file) {
  const CanonicalFolder& folder = imported.weights->folder();
  fmt::print("model   {}, {} parameters, of model_type {}\n", imported.model.summary, parameters_of(*imported.weights),
             imported.type);
  std::map<std::string, std::size_t> dtypes;
  for (const auto& [name, found] : folder.tensors()) ++dtypes[found.view->dtype];
  std::string kinds;
  for (const auto& [dtype, count] : dtypes) kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, dtype);
  fmt::print("weights {} tensors in {} files: {}\n", folder.folder().tensors().size(), folder.folder().files(), kinds);
  if (!folder.renamed().empty())
    fmt::print("renamed {} tensors, as {} to {}\n", folder.renamed().size(), folder.renamed().begin()->first,
               folder.renamed().begin()->second);
  for (const auto& [reason, count] : reasons(*imported.weights)) {
    std::vector<std::string> names;
    for (const auto& [name, why] : imported.weights->dropped())
      if (why == reason) names.push_back(name);
    fmt::print("dropped {}: {}\n", some_of(names), reason);
  }
  for (const std::string& note : imported.notes) fmt::print("note    {}\n", note);
  if (!file.empty()) fmt::print("wrote   {}\n", file.string());
}

ExitCode import_weights(const Context& context, const ImportArgs& args) {
  try_writing(args.json);
  const ImportedModel imported = import_model(args.folder, context.catalog());
  const std::filesystem::path file = args.out.empty() ? std::filesystem::path() : model_path(args.out);
  if (!file.empty()) write_file_atomically(file, model_file(imported, args.folder));
  report(imported, file);
  if (!args.json.empty()) {
    const nlohmann::ordered_json json = {{"family", imported.family},
                                         {"model_type", imported.type},
                                         {"parameters", parameters_of(*imported.weights)},
                                         {"tensors", imported.weights->folder().tensors().size()},
                                         {"renamed", imported.weights->folder().renamed()},
                                         {"dropped", imported.weights->dropped()},
                                         {"notes", imported.notes},
                                         {"file", file.string()}};
    write_file_atomically(args.json, json.dump(2) + "\n");
  }
  return ExitCode::success;
}

struct ExportArgs {
  std::filesystem::path run_file, out;
  std::vector<std::string> overrides;
  std::string dtype, shard = "5GB";
};

std::string dtype_of(const std::string& word) {
  const std::map<std::string, std::string> known = {{"", ""}, {"f32", "F32"}, {"bf16", "BF16"}, {"f64", "F64"}};
  const auto found = known.find(word);
  if (found == known.end())
    throw Error(ExitCode::usage, fmt::format("--dtype: expected f32, bf16 or f64, found '{}'", word));
  return found->second;
}

Bytes shard_size(const std::string& text) {
  Bytes size{0};
  try {
    size = parse_bytes(text);
  } catch (const Error& error) {
    throw Error(ExitCode::usage, fmt::format("--shard-size: {}", error.message()), error.hint());
  }
  if (size < Bytes(1)) throw Error(ExitCode::usage, "--shard-size: expected more than 0");
  return size;
}

ExitCode export_weights(const Context& context, const ExportArgs& args) {
  const std::string dtype = dtype_of(args.dtype);
  const ExportOptions options{.shard = shard_size(args.shard)};
  check_export_folder(args.out);
  const std::filesystem::path file =
      std::filesystem::is_directory(args.run_file) ? model_path(args.run_file) : args.run_file;
  const RunFile run = RunFile::load(file, args.overrides);
  if (run.weights.empty())
    run.document.reject("weights", "required, and not given",
                        "the folder that import read; a training run leaves its own (export: FOLDER in the run file)");
  const Catalog catalog = context.catalog(run.document);
  const ModelSpec model = describe_model(run, catalog);
  const auto weights = open_weights(run, model, catalog);
  const auto family = catalog.family(run.model.use);
  export_folder(*weights, public_weights(*family, run.model.use), run.model.options, args.out, dtype, options);
  fmt::print("wrote {}\n", args.out.string());
  return ExitCode::success;
}

}  // namespace

void add_import_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<ImportArgs>();
  CLI::App* verb = app.add_subcommand(
      "import", "Read a folder of public weights (config.json, *.safetensors) and write the model that it is.");
  verb->add_option("folder", args->folder, "The folder, as save_pretrained or a download leaves it")
      ->required()
      ->type_name("FOLDER");
  verb->add_option(
          "--out", args->out,
          "The file to write: the base of a run file, with model and weights. A folder gets a file model.yaml. "
          "The weights stay where they are. Without it the folder is only checked")
      ->type_name("MODEL.yaml");
  verb->add_option("--json", args->json, "Also write what was found to FILE")->type_name("FILE");
  verb->callback([&context, args] { context.work = [&context, args] { return import_weights(context, *args); }; });
}

void add_export_verb(CLI::App& app, Context& context) {
  auto args = std::make_shared<ExportArgs>();
  CLI::App* verb =
      app.add_subcommand("export", "Write the weights of an imported model as a folder that everybody reads.");
  verb->add_option("run", args->run_file, "A file with model and weights, as import writes it")
      ->required()
      ->type_name("RUN.yaml");
  verb->add_option("overrides", args->overrides, "Options that override the file's")->type_name("key.path=value");
  verb->add_option("--out", args->out, "The folder to write; it must be new or empty")->required()->type_name("FOLDER");
  verb->add_option("--dtype", args->dtype, "Of all tensors: f32, bf16, f64. Default: each as it is")
      ->type_name("DTYPE");
  verb->add_option("--shard-size", args->shard, "The most of one file. Default: 5GB")->type_name("SIZE");
  verb->callback([&context, args] { context.work = [&context, args] { return export_weights(context, *args); }; });
}

}  // namespace trellis::host
