// SPDX-License-Identifier: Apache-2.0
// One request whose caller waits. Whoever is first answers it: the gate, the time limit, or the end of
// the server; an answer that nobody keeps any more is an error by itself. From any thread.
//
// This and rpc_server.cpp, ipamd_client.cpp and the reflection are all that sees gRPC's headers.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "agent/rpc/pod_gate.h"

namespace postern::agent {

class PendingAnswers;

struct Caller {
  grpc::ServerUnaryReactor* reactor = nullptr;
  std::function<void()> succeed;  // fills the reply; called at most once, before the answer is sent
};

class PendingAnswer : public std::enable_shared_from_this<PendingAnswer> {
 public:
  ~PendingAnswer();
  PendingAnswer(const PendingAnswer&) = delete;
  PendingAnswer& operator=(const PendingAnswer&) = delete;

  // The caller must not be touched any more after this.
  void give(const Result<void>& result) { finish(result); }
  [[nodiscard]] const std::shared_ptr<Awaited>& awaited() const { return awaited_; }

 private:
  friend class PendingAnswers;
  PendingAnswer(std::shared_ptr<PendingAnswers> all, std::uint64_t number, const Caller& caller);
  void limit(std::chrono::system_clock::time_point until);
  void finish(const Result<void>& result);

  std::shared_ptr<PendingAnswers> all_;
  std::uint64_t number_;
  Caller caller_;
  std::atomic<bool> given_ = false;
  std::shared_ptr<Awaited> awaited_;
  grpc::Alarm alarm_;
};

// All that are open, so that the end of the server need not wait for their limits.
class PendingAnswers : public std::enable_shared_from_this<PendingAnswers> {
 public:
  explicit PendingAnswers(std::chrono::nanoseconds limit) : limit_(limit) {}

  // `until`: how long the caller itself listens.
  std::shared_ptr<PendingAnswer> add(const Caller& caller, std::chrono::system_clock::time_point until);
  // Answers all that are open and, at once, all that come later.
  void close(const std::string& why);
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  friend class PendingAnswer;
  void forget(std::uint64_t number);

  const std::chrono::nanoseconds limit_;
  std::atomic<bool> closed_ = false;
  std::mutex mutex_;
  std::string why_;
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, std::weak_ptr<PendingAnswer>> open_;
};

// What an error is in gRPC's terms.
grpc::Status to_status(const Error& error);

}  // namespace postern::agent
