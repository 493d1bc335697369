#include "run/comm/transfer_waits.h"

#include <stdexcept>

namespace trellis {

void TransferWaits::wait(Transfers& transfers, std::chrono::milliseconds timeout) {
  std::list<Transfers*>::iterator self;
  const auto throw_if_given_up = [&] {
    if (!reason_.empty()) throw std::runtime_error(reason_);
  };
  {
    const std::lock_guard lock(mutex_);
    throw_if_given_up();
    self = waiting_.insert(waiting_.end(), &transfers);
  }
  std::exception_ptr error;
  try {
    for (auto& transfer : transfers)
      if (!transfer->wait(timeout)) throw std::runtime_error("given up");
  } catch (...) {
    error = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  waiting_.erase(self);
  if (!error) return;
  throw_if_given_up();  // says more
  std::rethrow_exception(error);
}

void TransferWaits::give_up(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (reason_.empty()) reason_ = reason;
  for (Transfers* transfers : waiting_)
    for (auto& transfer : *transfers) transfer->abort();
}

}  // namespace trellis
