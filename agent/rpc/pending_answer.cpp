// SPDX-License-Identifier: Apache-2.0
#include "agent/rpc/pending_answer.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace postern::agent {

grpc::Status to_status(const Error& error) {
  const auto code = [&] {
    switch (error.code) {
      case ErrorCode::invalid_input:
        return grpc::StatusCode::INVALID_ARGUMENT;
      case ErrorCode::unsupported:
        return grpc::StatusCode::UNIMPLEMENTED;
      case ErrorCode::not_found:
        return grpc::StatusCode::NOT_FOUND;
      case ErrorCode::permission:
        return grpc::StatusCode::PERMISSION_DENIED;
      case ErrorCode::table_full:
        return grpc::StatusCode::RESOURCE_EXHAUSTED;
      case ErrorCode::io:
        return grpc::StatusCode::UNAVAILABLE;
      case ErrorCode::internal:
        return grpc::StatusCode::INTERNAL;
    }
    return grpc::StatusCode::INTERNAL;
  };
  return {code(), error.to_string()};
}

PendingAnswer::PendingAnswer(std::shared_ptr<PendingAnswers> all, std::uint64_t number, const Caller& caller)
    : all_(std::move(all)),
      number_(number),
      caller_(caller),
      awaited_(std::make_shared<Awaited>("the agent's loop to take the request")) {}

PendingAnswer::~PendingAnswer() {
  finish(fail(ErrorCode::internal, "the agent dropped the request"));
  all_->forget(number_);
}

void PendingAnswer::finish(const Result<void>& result) {
  if (given_.exchange(true)) return;
  if (result) caller_.succeed();
  caller_.reactor->Finish(result ? grpc::Status::OK : to_status(result.error()));
  alarm_.Cancel();
}

void PendingAnswer::limit(std::chrono::system_clock::time_point until) {
  // Weak: the alarm is a part of this object, and gRPC keeps what is given to it.
  alarm_.Set(until, [weak = weak_from_this()](bool due) {
    const auto self = weak.lock();
    if (!due || self == nullptr || self->given_) return;
    const std::string text = "time is up, still waiting for " + self->awaited_->get();
    if (self->given_.exchange(true)) return;
    self->caller_.reactor->Finish({grpc::StatusCode::DEADLINE_EXCEEDED, text});
  });
}

std::shared_ptr<PendingAnswer> PendingAnswers::add(const Caller& caller,
                                                   std::chrono::system_clock::time_point until) {
  using Clock = std::chrono::system_clock;
  const auto now = Clock::now();
  auto allowed = limit_;
  // A caller that waits for less is told what is missing before it stops listening.
  if (until < now + std::chrono::hours(1)) {
    const std::chrono::nanoseconds left = until - now;
    allowed = std::min(allowed, left - left / 10);
  }
  // Under the lock, so that close() never meets an alarm that is being set.
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = next_++;
  std::shared_ptr<PendingAnswer> answer(new PendingAnswer(shared_from_this(), number, caller));
  if (closed_) {
    answer->give(fail(ErrorCode::io, why_));
  } else {
    open_[number] = answer;
    answer->limit(now + std::chrono::duration_cast<Clock::duration>(allowed));
  }
  return answer;
}

void PendingAnswers::close(const std::string& why) {
  std::vector<std::shared_ptr<PendingAnswer>> open;
  {
    const std::lock_guard lock(mutex_);
    why_ = why;
    closed_ = true;
    for (const auto& [number, weak] : open_) {
      if (auto answer = weak.lock()) open.push_back(std::move(answer));
    }
  }
  for (const auto& answer : open) answer->give(fail(ErrorCode::io, why));
}

void PendingAnswers::forget(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  open_.erase(number);
}

}  // namespace postern::agent
