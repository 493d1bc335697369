// One thread that runs jobs in the order in which they were posted.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

namespace trellis {

class SerialWorker {
 public:
  SerialWorker() = default;  // the thread starts with the first job
  ~SerialWorker();           // lets the running job end; those that have not begun are dropped
  SerialWorker(const SerialWorker&) = delete;
  SerialWorker& operator=(const SerialWorker&) = delete;

  // The future gets the job's exception, or broken_promise when it was dropped.
  std::future<void> post(std::function<void()> job);

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<void()>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace trellis
