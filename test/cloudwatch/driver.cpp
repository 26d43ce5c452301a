// SPDX-License-Identifier: Apache-2.0
// The agent's way to CloudWatch without the rest of the agent, driven line by line from standard input.
//
//   cloudwatch_driver sign
//     each line a request as JSON; answers each with the header lines that sign it, as a JSON array
//   cloudwatch_driver log NAME=VALUE...
//     options: cluster, flush_ms, first_wait_ms, most_wait_ms, refused_wait_ms, report_ms, most_events, most_bytes,
//     look_up_ms, region_ms, loss_ms. The environment is the agent's. Commands, each answered with one line:
//       add UNIX_MS MESSAGE
//       many COUNT UNIX_MS STEP_MS BYTES   "N....", N counting from 0 through all of them
//       counters                           as JSON
//       finish MS                          "finished", and nothing is read after it but counters
// The agent's own log goes to standard error.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "agent/aws/signature.h"
#include "agent/cloudwatch/cloudwatch_log.h"
#include "agent/log/log.h"

namespace postern::agent {
namespace {

int sign_lines() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto given = nlohmann::json::parse(line);
    const auto text = [&given](const char* name) { return given.at(name).get<std::string>(); };
    const std::string body = text("body");
    aws::RequestToSign request{text("method"), text("host"), text("path"), text("query"), {}, body};
    for (const auto& header : given.at("headers"))
      request.headers.emplace_back(header.at(0).get<std::string>(), header.at(1).get<std::string>());
    const nlohmann::json lines =
        aws::sign(request, {text("key"), text("secret"), text("token"), std::nullopt},
                  {text("region"), text("service")}, given.at("unix_s").get<std::int64_t>());
    std::cout << lines.dump() << std::endl;
  }
  return 0;
}

void say(const std::string& line) { std::cout << line << std::endl; }

std::string counters_line(const cloudwatch::CloudWatchLog& log) {
  const auto& counters = log.counters();
  return nlohmann::json{{"added", counters.added},
                        {"sent", counters.sent},
                        {"truncated", counters.truncated},
                        {"queue_full", counters.lost_queue_full},
                        {"invalid", counters.lost_invalid},
                        {"refused", counters.lost_refused},
                        {"too_old", counters.lost_too_old},
                        {"too_new", counters.lost_too_new},
                        {"expired", counters.lost_expired},
                        {"at_end", counters.lost_at_end},
                        {"lost", counters.lost()},
                        {"held", counters.held_events},
                        {"held_bytes", counters.held_bytes},
                        {"requests", counters.requests},
                        {"failures", counters.failures},
                        {"throttled", counters.throttled},
                        {"state", static_cast<int>(log.condition().state)},
                        {"code", log.condition().code},
                        {"group", log.stream().group},
                        {"stream", log.stream().stream}}
      .dump();
}

class Driver {
 public:
  Driver(EventLoop& loop, cloudwatch::CloudWatchLog& log) : loop_(loop), log_(log) {}

  void watch() {
    if (auto watched = loop_.watch(STDIN_FILENO, EPOLLIN, [this](std::uint32_t) { read_some(); }); !watched) {
      say(watched.error().message);
      loop_.stop();
    }
  }

 private:
  void read_some() {
    char bytes[65536];
    const auto count = ::read(STDIN_FILENO, bytes, sizeof bytes);
    if (count <= 0) return loop_.stop();
    text_.append(bytes, static_cast<std::size_t>(count));
    for (auto end = text_.find('\n'); end != std::string::npos; end = text_.find('\n')) {
      const std::string line = text_.substr(0, end);
      text_.erase(0, end + 1);
      obey(line);
    }
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    std::int64_t unix_ms = 0;
    if (command == "add") {
      std::string message;
      words >> unix_ms;
      words.get();
      std::getline(words, message);
      log_.add(unix_ms, message);
      return say("added");
    }
    if (command == "many") {
      std::size_t count = 0;
      std::int64_t step_ms = 0;
      std::size_t bytes = 0;
      words >> count >> unix_ms >> step_ms >> bytes;
      for (std::size_t i = 0; i < count; ++i, unix_ms += step_ms) {
        std::string message = std::to_string(number_++);
        if (message.size() < bytes) message.append(bytes - message.size(), '.');
        log_.add(unix_ms, message);
      }
      return say("added");
    }
    if (command == "counters") return say(counters_line(log_));
    if (command == "finish") {
      std::int64_t most_ms = 0;
      words >> most_ms;
      return log_.finish(milliseconds(most_ms), [] { say("finished"); });
    }
    say("unknown command " + command);
  }

  EventLoop& loop_;
  cloudwatch::CloudWatchLog& log_;
  std::string text_;
  std::uint64_t number_ = 0;
};

int drive(const std::map<std::string, std::string>& given) {
  std::signal(SIGPIPE, SIG_IGN);
  cloudwatch::CloudWatchOptions options;
  options.environment = aws::read_aws_environment([](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
  const auto time = [&given](const char* name, Duration& into) {
    if (given.contains(name)) into = milliseconds(std::stoll(given.at(name)));
  };
  const auto size = [&given](const char* name, std::size_t& into) {
    if (given.contains(name)) into = std::stoull(given.at(name));
  };
  if (given.contains("cluster")) options.cluster_name = given.at("cluster");
  time("flush_ms", options.delivery.flush_after);
  time("first_wait_ms", options.delivery.first_wait);
  time("most_wait_ms", options.delivery.most_wait);
  time("refused_wait_ms", options.delivery.refused_wait);
  time("report_ms", options.delivery.report_after);
  time("look_up_ms", options.look_up_wait);
  time("region_ms", options.region_wait);
  time("loss_ms", options.first_loss_report);
  size("most_events", options.delivery.most_events);
  size("most_bytes", options.delivery.most_bytes);

  auto loop = EventLoop::make();
  if (!loop) return 1;
  auto log = cloudwatch::CloudWatchLog::start(**loop, options);
  if (!log) {
    say(log.error().to_string());
    return 1;
  }
  Driver driver(**loop, **log);
  driver.watch();
  return (*loop)->run() ? 0 : 1;
}

}  // namespace
}  // namespace postern::agent

int main(int count, char** words) {
  const std::string mode = count > 1 ? words[1] : "";
  if (mode == "sign") return postern::agent::sign_lines();
  if (mode != "log") {
    std::cerr << "usage: cloudwatch_driver sign | log NAME=VALUE...\n";
    return 2;
  }
  std::map<std::string, std::string> given;
  for (int i = 2; i < count; ++i) {
    const std::string word = words[i];
    given[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  return postern::agent::drive(given);
}
