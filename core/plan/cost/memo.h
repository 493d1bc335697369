// Answers by key, each worked out once. Thread-safe. Internal to the plan side.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

namespace trellis {

// The work is done outside the lock, so two threads may do it twice; the first answer stays.
template <class Value, class Key = std::string>
class Memo {
 public:
  template <class Make>
  Value get(const Key& key, Make&& make) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = values_.find(key); found != values_.end()) return found->second;
    }
    Value value = make();
    const std::lock_guard lock(mutex_);
    return values_.try_emplace(key, std::move(value)).first->second;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<Key, Value> values_;
};

// Numbers texts in the order in which they come up, from 1.
class Interned {
 public:
  int operator()(const std::string& text) {
    const std::lock_guard lock(mutex_);
    return numbers_.try_emplace(text, static_cast<int>(numbers_.size()) + 1).first->second;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, int> numbers_;
};

}  // namespace trellis
