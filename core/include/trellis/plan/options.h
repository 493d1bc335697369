// Options: one mapping of a YAML file, read strictly. Whoever takes options reads each key by name and type and then
// calls finish(): what nobody read is a mistake of the user's, and is reported with its place and a suggestion. (A model
// family reads and does not call it: who asked for the model does.)
//
//   const Options tp = options.section("tp").with_owner("parallelism 'tp'");
//   const int degree = tp.get("degree", 1);
//   const Bytes limit = tp.required<Bytes>("memory");
//   tp.finish();
//
// An Options is a handle: copies share the mapping and the record of what was read. That record is why one mapping
// may be read by one thread at a time only. All errors are Error, bad_input unless said otherwise.
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "trellis/plan/error.h"
#include "trellis/plan/export.h"
#include "trellis/plan/units.h"

namespace trellis {

namespace detail {
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {
  using Element = T;
};

template <class T>
concept OptionScalar = std::same_as<T, bool> || std::same_as<T, int> || std::same_as<T, std::int64_t> ||
    std::same_as<T, double> || std::same_as<T, std::string> || std::same_as<T, Bytes> || std::same_as<T, Picoseconds>;
template <class T>
concept OptionList = IsVector<T>::value && OptionScalar<typename IsVector<T>::Element>;
template <class T>
concept OptionTable = IsVector<T>::value && OptionList<typename IsVector<T>::Element>;
}  // namespace detail

// bool (true, false, on, off, yes, no), int, int64_t, double, std::string, Bytes (38GiB), Picoseconds (1.7ms), a vector
// of one of these (a single value counts as a list of one), or a vector of such vectors.
template <class T>
concept OptionValue = detail::OptionScalar<T> || detail::OptionList<T> || detail::OptionTable<T>;

class TRELLIS_API Options {
 public:
  // One YAML document whose top is a mapping. Error io when it cannot be read.
  static Options from_file(const std::filesystem::path& path);
  static Options from_text(std::string_view text, std::string name);

  // One JSON document whose top is an object. Duplicate keys are an error; null counts as not there.
  static Options from_json(std::string_view text, std::string name);

  // An empty mapping; `name` stands for the file in errors.
  static Options empty(std::string name = "defaults");

  // A run file with its bases. `base:` at the top is a name or a list of names, relative to the file (".yaml" is added
  // to a name without extension); later ones win, then the file itself, then overrides "key.path=value" with the value
  // in YAML. Mappings are merged key by key, anything else is replaced. A mapping whose `use:` names another plugin
  // than the one it is laid over replaces it whole: options of one plugin mean nothing to another.
  static Options load_run_file(const std::filesystem::path& path, std::span<const std::string> overrides = {});

  Options(const Options&);
  Options(Options&&) noexcept;
  Options& operator=(const Options&);
  Options& operator=(Options&&) noexcept;
  ~Options();

  // --- reading: each marks the key as read ---
  template <OptionValue T>
  std::optional<T> find(std::string_view key) const;  // nullopt when the key is not there
  template <OptionValue T>
  T get(std::string_view key, T default_value) const;
  std::string get(std::string_view key, const char* default_value) const;
  template <OptionValue T>
  T required(std::string_view key) const;

  std::string raw(std::string_view key) const;            // a scalar as written; required
  Options section(std::string_view key) const;            // a mapping; empty when not there
  std::vector<Options> list(std::string_view key) const;  // a list of mappings; empty when not there
  // The same where a word may stand for a mapping: with `word_means` "on", `a` is {a: on}. A mapping or a word alone is
  // a list of one.
  std::vector<Options> list(std::string_view key, std::string_view word_means) const;

  void ignore(std::string_view key) const;  // counts as read, whatever is in it

  // --- looking, without reading ---
  bool has(std::string_view key) const;
  bool is_map(std::string_view key) const;
  bool is_list(std::string_view key) const;
  std::vector<std::string> keys() const;  // in the order written
  Mark mark() const;
  Mark mark(std::string_view key) const;              // of the value; of the mapping when the key is not there
  std::string path(std::string_view key = {}) const;  // dotted, from the top: "parallelism.uniform.tp"

  // --- judging ---
  // Names whose options these are, for finish(): "parallelism 'tp'". Holds for all copies.
  Options with_owner(std::string owner) const;
  // For a value that has the right type and is still wrong: "file:line:column: dotted.path: message\n    hint".
  [[noreturn]] void reject(std::string_view key, std::string_view message, std::string hint = {}) const;
  // Throws for the first key that was never read, here or in what section() and list() opened.
  void finish() const;

  // --- building ---
  // As an override would: "tp.degree", "4". The value is YAML text.
  void set(std::string_view key_path, std::string_view value);
  // The resolved document; from_text reads it back to the same values.
  std::string to_yaml() const;

 private:
  struct State;
  explicit Options(std::shared_ptr<State> state);
  [[noreturn]] void reject_missing(std::string_view key) const;

  std::shared_ptr<State> state_;
};

template <OptionValue T>
T Options::get(std::string_view key, T default_value) const {
  std::optional<T> found = find<T>(key);
  return found ? std::move(*found) : std::move(default_value);
}

template <OptionValue T>
T Options::required(std::string_view key) const {
  std::optional<T> found = find<T>(key);
  if (!found) reject_missing(key);
  return std::move(*found);
}

}  // namespace trellis
