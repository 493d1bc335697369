// Where ranks leave their addresses for each other, and what c10d's errors say.
#pragma once

#include <c10/util/intrusive_ptr.h>

#include <exception>
#include <string>

namespace c10d {
class Store;
}

namespace trellis {

using StorePtr = c10::intrusive_ptr<c10d::Store>;

// For threads of one process. After abort_thread_store() every wait on it throws.
StorePtr thread_store();
void abort_thread_store(c10d::Store& store, const std::string& reason);

// A file that all ranks of this machine see. Throws Error (io).
StorePtr file_store(const std::string& path, int size);

struct TcpStoreAddress {
  std::string host;
  int port = 0;
  bool serve = false;  // this rank is the one that listens
};
// Throws Error (rank_failed) when the server is not reached in time.
StorePtr tcp_store(const TcpStoreAddress& address, int size, int timeout_seconds);

// The last use of a store by a rank. The rank that may be its server stays until all others have said the same.
void leave_store(c10d::Store& store, int rank, int size);

// The first line of an exception's text, without c10's stack trace.
std::string brief(const std::exception& error);

}  // namespace trellis
