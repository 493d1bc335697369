#include "plan/plan/open_plan.h"

#include <fmt/format.h>

#include "trellis/plan/error.h"
#include "trellis/plan/files.h"

namespace trellis {
namespace {

constexpr const char* kVersion = "trellis/v1";
constexpr const char* kHint = "a plan is what 'trellis search RUN.yaml --out FILE' writes";

bool seems_run_file(const Options& document) {
  for (const char* section : {"base", "model", "data", "train"})
    if (document.has(section)) return true;
  return false;
}

}  // namespace

void expect_plan(const Options& document) {
  if (!document.has("apiVersion") && !document.has("kind"))
    document.reject({}, fmt::format("this is no plan{}: it does not say 'apiVersion: {}' and 'kind: Plan'",
                                    seems_run_file(document) ? " but a run file" : "", kVersion),
                    kHint);
  if (const auto version = document.required<std::string>("apiVersion"); version != kVersion)
    document.reject("apiVersion", fmt::format("expected {}, found '{}'", kVersion, version));
  if (const auto kind = document.required<std::string>("kind"); kind != "Plan")
    document.reject("kind", fmt::format("expected Plan, found '{}'", kind), kHint);
}

Options open_plan(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  const auto parsed = [&] {
    try {
      return Options::from_text(text, file.string());
    } catch (const Error& error) {
      if (text.find("kind: Plan") != std::string::npos) throw;  // it is meant to be one
      throw Error(error.code(), fmt::format("this is no plan: {}", error.message()), kHint, error.mark());
    }
  };
  Options document = parsed();
  expect_plan(document);
  return document;
}

}  // namespace trellis
