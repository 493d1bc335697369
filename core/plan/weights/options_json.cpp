// JSON as options: a JSON document is a YAML document, with places; that it is JSON is judged before.
#include "plan/base/options_state.h"
#include "plan/weights/json.h"
#include "trellis/plan/error.h"
#include "trellis/plan/options.h"

namespace trellis {
namespace {

void drop_nulls(yaml::Node& node) {
  std::erase_if(node.entries,
                [](const yaml::Entry& entry) { return !entry.value || entry.value->kind == yaml::Kind::nothing; });
  for (const yaml::Entry& entry : node.entries) drop_nulls(*entry.value);
  for (const yaml::NodePtr& item : node.items) drop_nulls(*item);
}

yaml::NodePtr parse_as_yaml(std::string_view text, const Json& value, const std::string& name) {
  try {
    return yaml::parse_mapping(text, name);
  } catch (const Error&) {  // tabs, characters written as surrogates
    return yaml::parse_mapping(value.dump(2), name);
  }
}

}  // namespace

Options Options::from_json(std::string_view text, std::string name) {
  const Json value = parse_json(text, name);
  if (!value.is_object()) throw Error(ExitCode::bad_input, "expected a JSON object at the top", {}, {name});
  yaml::NodePtr root = parse_as_yaml(text, value, name);
  drop_nulls(*root);
  return Options(std::make_shared<State>(std::move(root), ""));
}

}  // namespace trellis
