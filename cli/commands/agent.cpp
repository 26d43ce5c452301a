// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/agent.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "agent/daemon/daemon.h"
#include "agent/log/level_signals.h"
#include "agent/log/log.h"
#include "agent/view/run_folder.h"
#include "agent/view/view_writer.h"
#include "backends/tc/amazon_takeover.h"
#include "backends/tc/tc_backend.h"
#include "backends/tc/uninstall.h"
#include "cli/commands/output.h"
#include "cli/commands/record.h"
#include "sim/agent/api_object.h"

namespace postern::cli {

int run_agent_command(const AgentOptions& options) {
  const auto read = [&options] {
    return agent::read_settings({options.flags, options.unexpected, agent::environment_variable});
  };
  const agent::SettingsOutcome outcome = read();
  for (const Error& error : outcome.errors) note(error.to_string());
  if (!outcome.errors.empty()) return 2;

  const agent::Settings& settings = outcome.settings;
  const auto log = agent::set_up_log({.level = settings.log_level,
                                      .file = settings.log_file,
                                      .max_size_mb = settings.log_file_max_size_mb,
                                      .max_backups = settings.log_file_max_backups});
  if (!log) return refuse(log.error().to_string());
  for (const auto& warning : outcome.warnings) agent::log_warn("{}", warning);
  for (const auto& line : agent::not_yet(settings)) agent::log_warn("{}", line);
  return run_agent(settings, read);
}

namespace {

// SIGTERM and SIGINT end the loop; what is in force stays in force.
class EndSignals {
 public:
  // Before any other thread is there.
  explicit EndSignals(agent::EventLoop& loop) : loop_(loop) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    descriptor_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~EndSignals() {
    if (descriptor_ < 0) return;
    loop_.forget(descriptor_);
    close(descriptor_);
  }
  EndSignals(const EndSignals&) = delete;
  EndSignals& operator=(const EndSignals&) = delete;

  Result<void> watch() {
    if (descriptor_ < 0) return fail(ErrorCode::io, std::string("receiving signals: ") + std::strerror(errno));
    return loop_.watch(descriptor_, EPOLLIN, [this](std::uint32_t) {
      signalfd_siginfo signal{};
      if (read(descriptor_, &signal, sizeof signal) != sizeof signal) return;
      agent::log_info("{}: ending; what is in force stays in force",
                      signal.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
      loop_.stop();
    });
  }

 private:
  agent::EventLoop& loop_;
  int descriptor_ = -1;
};

Result<std::vector<std::string>> remove_everything(const agent::Settings& settings) {
  auto report = tc::uninstall(settings.pin_path);
  if (!report) return fail_as(report);
  for (const auto& line : report->left) agent::log_warn("left alone, as it is not ours: {}", line);
  std::vector<std::string> folders{settings.run_folder};
  if (settings.run_folder.empty()) folders = {agent::kRunFolder, agent::kAmazonRunFolder};
  for (const auto& folder : folders) {
    static constexpr std::array<const char*, 2> kFiles{agent::kViewFile, agent::kObjectsFile};
    const auto files = agent::remove_files(folder, kFiles);
    if (!files) return fail_as(files);
    report->removed.insert(report->removed.end(), files->begin(), files->end());
  }
  return std::move(report->removed);
}

// All objects of a snapshot as one List, as `kubectl get -o json` would print it.
Result<std::string> objects_text(const ClusterSnapshot& cluster) {
  const auto objects = sim::api_objects(cluster, sim::ServedPolicies::as_they_are);
  if (!objects) return fail_as(objects);
  std::string text = "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[";
  for (const auto& object : *objects) {
    text += (text.back() == '[' ? "\n" : ",\n") + (object.status.empty() ? object.body : object.status);
  }
  return text + "\n]}\n";
}

// What the daemon needs of the kernel.
agent::Kernel kernel_of(const agent::Settings& settings) {
  agent::Kernel kernel;
  kernel.make_backend = [pin_path = settings.pin_path](const TableSizes& sizes) {
    TcOptions options;
    options.pin_path = pin_path;
    return make_tc_backend(sizes, options);
  };
  kernel.remove_all = [settings] { return remove_everything(settings); };
  // The pins are read once, when the first interface is judged by ours.
  auto amazon = std::make_shared<std::optional<tc::AmazonTakeover>>();
  kernel.take_over = [amazon](std::uint32_t ifindex, const NamespacedName& pod) -> Result<void> {
    if (!*amazon) {
      auto opened = tc::AmazonTakeover::open();
      if (!opened) return fail_as(opened);
      amazon->emplace(std::move(*opened));
    }
    auto removed = (*amazon)->take_over(ifindex);
    if (!removed) return fail_as(removed);
    for (const auto& line : *removed) agent::log_info("taken over with pod {}: {}", pod.to_string(), line);
    return {};
  };
  kernel.objects_text = objects_text;
  kernel.scenario_of = [strict = settings.strict](const ClusterSnapshot& cluster, const agent::FlowRecord& flow) {
    return scenario_of(cluster, flow, strict);
  };
  return kernel;
}

int uninstall(const agent::Settings& settings) {
  const auto removed = remove_everything(settings);
  if (!removed) return refuse(removed.error().to_string());
  for (const auto& line : *removed) fmt::print("removed {}\n", line);
  if (removed->empty()) fmt::print("nothing of Postern is on this node\n");
  return 0;
}

}  // namespace

int run_agent(const agent::Settings& settings, const std::function<agent::SettingsOutcome()>& read_again) {
  if (settings.uninstall) return uninstall(settings);
  std::signal(SIGPIPE, SIG_IGN);  // a server that goes away is an error of its connection
  auto loop = agent::EventLoop::make();
  if (!loop) return refuse(loop.error().to_string());
  EndSignals end(**loop);
  if (auto watched = end.watch(); !watched) return refuse(watched.error().to_string());
  auto levels = agent::LevelSignals::watch(**loop, [&]() -> Result<agent::LogLevel> {
    const auto outcome = read_again();
    if (!outcome.errors.empty()) return tl::unexpected(outcome.errors.front());
    return outcome.settings.log_level;
  });
  if (!levels) return refuse(levels.error().to_string());

  auto daemon = agent::Daemon::start(**loop, settings, kernel_of(settings));
  if (!daemon) {
    agent::log_error("cannot start: {}", daemon.error().to_string());
    return refuse(daemon.error().to_string());
  }
  if (auto ran = (*loop)->run(); !ran) {
    agent::log_error("{}", ran.error().to_string());
    return refuse(ran.error().to_string());
  }
  // Another signal ends this too.
  if ((*daemon)->finish([&loop] { (*loop)->stop(); })) (void)(*loop)->run();
  return 0;
}

}  // namespace postern::cli
