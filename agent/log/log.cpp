// SPDX-License-Identifier: Apache-2.0
#include "agent/log/log.h"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>

#include "agent/log/json_line.h"
#include "agent/log/rotating_sink.h"

namespace postern::agent {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
    case LogLevel::fatal:
      return spdlog::level::critical;
  }
  return spdlog::level::debug;
}

LogLevel from_spdlog(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::info:
      return LogLevel::info;
    case spdlog::level::warn:
      return LogLevel::warn;
    case spdlog::level::err:
      return LogLevel::error;
    case spdlog::level::critical:
      return LogLevel::fatal;
    default:
      return LogLevel::debug;
  }
}

// The name of a logger whose messages are whole lines.
constexpr std::string_view kWholeLines = "lines";

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& buffer) override {
    if (std::string_view(message.logger_name.data(), message.logger_name.size()) == kWholeLines) {
      buffer.append(message.payload.data(), message.payload.data() + message.payload.size());
      buffer.push_back('\n');
      return;
    }
    const auto since_1970 = message.time.time_since_epoch();
    const std::string line = json_line(
        {.level = from_spdlog(message.level),
         .time_ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count(),
         .source = message.source.empty() ? std::string_view() : std::string_view(message.source.filename),
         .source_line = message.source.line,
         .message = {message.payload.data(), message.payload.size()}});
    buffer.append(line.data(), line.data() + line.size());
    buffer.push_back('\n');
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

std::unique_ptr<spdlog::logger> make_logger(spdlog::sink_ptr sink, LogLevel level) {
  auto logger = std::make_unique<spdlog::logger>("agent", std::move(sink));
  logger->set_formatter(std::make_unique<JsonFormatter>());
  logger->set_level(to_spdlog(level));
  // A line that explains a crash must not be lost in a buffer.
  logger->flush_on(spdlog::level::trace);
  return logger;
}

// Replaced once, before other threads log.
std::unique_ptr<spdlog::logger>& logger() {
  static std::unique_ptr<spdlog::logger> one =
      make_logger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), LogLevel::info);
  return one;
}

// To the sinks themselves: loggers compare levels and flush after each line.
void write_to_sinks(const spdlog::details::log_msg& message) {
  for (const auto& sink : logger()->sinks()) {
    try {
      sink->log(message);
    } catch (const std::exception&) {  // a full disk: as a logger, which says it once a second, but silent
    }
  }
}

spdlog::log_clock::time_point moment(std::int64_t unix_ms) {
  return spdlog::log_clock::time_point(
      std::chrono::duration_cast<spdlog::log_clock::duration>(std::chrono::milliseconds(unix_ms)));
}

tl::unexpected<Error> refuse_file(const std::string& file, const std::string& why) {
  return fail(ErrorCode::io,
              "--log-file: cannot write " + file + ": " + why +
                  "; expected a file that can be written, stdout, or nothing for standard error");
}

// The rotating sink tells neither which folder is missing nor, always, why a file does not open.
Result<void> check_writable(const std::string& file) {
  std::error_code error;
  const auto folder = std::filesystem::path(file).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  if (error) return refuse_file(file, "its folder: " + error.message());
  const int opened = open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (opened < 0) return refuse_file(file, std::strerror(errno));
  close(opened);
  return {};
}

Result<spdlog::sink_ptr> make_sink(const LogOptions& options) {
  if (options.file.empty()) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
  if (options.file == "stdout") return std::make_shared<spdlog::sinks::stdout_sink_mt>();
  if (const auto writable = check_writable(options.file); !writable) return fail_as(writable);
  constexpr std::size_t kMegabyte = 1'000'000;
  constexpr std::size_t kMostBackups = 1000;
  constexpr std::int64_t kMostAgeMs = 30LL * 24 * 60 * 60 * 1000;
  const FullFileRules rules{options.file, options.max_backups == 0 ? kMostBackups : options.max_backups, kMostAgeMs};
  try {
    return std::make_shared<RotatingSink>(rules, options.max_size_mb * kMegabyte);
  } catch (const spdlog::spdlog_ex& error) {
    return refuse_file(options.file, error.what());
  }
}

}  // namespace

Result<void> set_up_log(const LogOptions& options) {
  auto sink = make_sink(options);
  if (!sink) return fail_as(sink);
  logger() = make_logger(std::move(*sink), options.level);
  return {};
}

void set_log_level(LogLevel level) { logger()->set_level(to_spdlog(level)); }
LogLevel log_level() { return from_spdlog(logger()->level()); }
bool is_logged(LogLevel level) { return logger()->should_log(to_spdlog(level)); }

void write_log(LogLevel level, LogPlace place, std::string_view message) {
  logger()->log(spdlog::source_loc{place.file, place.line, ""}, to_spdlog(level),
                spdlog::string_view_t(message.data(), message.size()));
}

void write_flow_message(LogLevel level, LogPlace place, std::int64_t unix_ms, std::string_view message) {
  write_to_sinks({moment(unix_ms), spdlog::source_loc{place.file, place.line, ""}, "agent", to_spdlog(level),
                  spdlog::string_view_t(message.data(), message.size())});
}

void write_flow_line(std::int64_t unix_ms, std::string_view line) {
  write_to_sinks({moment(unix_ms), spdlog::source_loc{}, spdlog::string_view_t(kWholeLines.data(), kWholeLines.size()),
                  spdlog::level::info, spdlog::string_view_t(line.data(), line.size())});
}

void flush_flow_lines() {
  for (const auto& sink : logger()->sinks()) sink->flush();
}

}  // namespace postern::agent
