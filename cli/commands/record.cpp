// SPDX-License-Identifier: Apache-2.0
// The flow comes from words, a capture or a log; what is written has been read back and run before.
#include "cli/commands/record.h"

#include <netinet/in.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <utility>

#include "agent/view/run_folder.h"
#include "agent/view/view_writer.h"
#include "backends/native/native_backend.h"
#include "cli/commands/cluster.h"
#include "cli/commands/node_state.h"
#include "cli/commands/output.h"
#include "cli/commands/query.h"
#include "cli/commands/test_backends.h"
#include "files/manifest_files.h"
#include "sim/record/capture_flow.h"
#include "sim/record/flow_text.h"
#include "sim/record/record.h"
#include "sim/record/scenario_text.h"

namespace postern::cli {

namespace {

namespace fs = std::filesystem;

// What was asked for, and where it came from.
struct Asked {
  sim::FlowText flow;
  sim::RecordingOrigin origin;
};

std::string time_text(std::chrono::system_clock::time_point at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts));
}

std::string time_text(Instant at) {
  return time_text(std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(at.ns))));
}

// Where the objects are from, for the head of the file.
std::string objects_words(const RecordOptions& options) { return options.agent ? "an agent's objects" : "manifests"; }

Result<Asked> from_flow(const RecordOptions& options) {
  const auto flow = sim::parse_flow(options.flow);
  if (!flow) return fail(flow.error().code, "--flow: " + flow.error().message);
  return Asked{*flow, {objects_words(options), time_text(std::chrono::system_clock::now())}};
}

Result<Asked> from_capture(const RecordOptions& options, const ClusterSnapshot& cluster) {
  sim::CaptureQuestion question{options.capture, options.packet, {}, options.strict};
  if (!options.flow.empty()) {
    const auto flow = sim::parse_flow(options.flow);
    if (!flow) return fail(flow.error().code, "--flow: " + flow.error().message);
    question.flow = *flow;
  }
  const auto found = sim::flow_of_capture(question, cluster, make_native_backend);
  if (!found) return fail_as(found);
  std::string source = options.packet ? "packet " + std::to_string(*options.packet) + " of " : "a flow of ";
  std::string file = fs::path(options.capture).filename().string();
  std::erase_if(file, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return Asked{found->flow, {source + file + " and " + objects_words(options), time_text(found->at)}};
}

// The one flow that the lines speak of. Lines that are no records of flows are passed over where another is.
Result<sim::FlowText> flow_of_lines(const std::string& text, const std::string& file) {
  std::optional<sim::FlowText> only;
  std::size_t others = 0;
  Result<void> trouble;
  for (std::size_t start = 0; start < text.size();) {
    const auto end = std::min(text.find('\n', start), text.size());
    const std::string line = text.substr(start, end - start);
    start = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const auto flow = sim::parse_flow_record(line);
    if (!flow) {
      trouble = fail_as(flow);
      continue;
    }
    const auto same = [&](const sim::FlowText& other) {
      return std::tie(other.from, other.to, other.port, other.protocol, other.allowed, other.direction) ==
             std::tie(flow->from, flow->to, flow->port, flow->protocol, flow->allowed, flow->direction);
    };
    if (only && !same(*only)) ++others;
    if (!only) only = *flow;
  }
  if (others != 0) {
    return fail(ErrorCode::invalid_input,
                "found records of different flows, expected one flow: give the line itself", {file, 0, 0});
  }
  if (only) return *only;
  if (!trouble) return fail(trouble.error().code, trouble.error().message, {file, 0, 0});
  return fail(ErrorCode::invalid_input, "found no line, expected a record of a flow log", {file, 0, 0});
}

Result<Asked> from_log(const RecordOptions& options) {
  std::error_code error;
  const bool file = options.log.size() < 4096 && fs::is_regular_file(options.log, error);
  Result<sim::FlowText> flow = fail(ErrorCode::not_found, "");
  if (file) {
    const auto text = load_text_file(options.log);
    if (!text) return fail_as(text);
    flow = flow_of_lines(*text, options.log);
  } else {
    flow = sim::parse_flow_record(options.log);
  }
  if (!flow) return fail(flow.error().code, "--log: " + flow.error().to_string());
  return Asked{*flow, {"a record of a flow log and " + objects_words(options), flow->when}};
}

Result<Asked> asked_of(const RecordOptions& options, const ClusterSnapshot& cluster) {
  const bool log = !options.log.empty();
  const bool capture = !options.capture.empty();
  const bool flow = !options.flow.empty();
  if (log && (capture || flow)) return fail(ErrorCode::invalid_input, "--log says the flow alone, expected no other");
  if (options.packet && (!capture || flow)) {
    return fail(ErrorCode::invalid_input, "--packet is of a --capture and says the flow, expected it without --flow");
  }
  if (log) return from_log(options);
  if (capture) return from_capture(options, cluster);
  if (flow) return from_flow(options);
  return fail(ErrorCode::invalid_input, "found no traffic, expected --flow, --capture or --log");
}

// The log's own verdict is of one end; these manifests must give that end the same.
Result<void> check_log(const sim::FlowText& flow, const sim::Recording& recording) {
  if (!flow.allowed) return {};
  const Direction denied = recording.ends.front().direction;
  const bool denied_here = !recording.allowed && (!flow.direction || denied == *flow.direction);
  if (*flow.allowed ? !(denied_here && flow.direction) : denied_here) return {};
  return fail(ErrorCode::invalid_input,
              std::string("the log says ") + (*flow.allowed ? "ACCEPT" : "DENY") +
                  (flow.direction ? std::string(" at ") + to_string(*flow.direction) : "") +
                  ", but by these manifests the connection is " +
                  (recording.allowed ? "allowed" : std::string("denied at ") + to_string(denied)) +
                  ": they are not what the node had, or not all of it");
}

Result<std::string> checked_text(const sim::Recording& recording, const sim::RecordingOrigin& origin) {
  std::string text = sim::scenario_text(recording, origin);
  auto clusters = make_clusters("sim", {});
  if (!clusters) return fail_as(clusters);
  if (const auto held = sim::check_scenario_holds(text, *clusters->front()); !held) {
    return fail(held.error().code, "the file would not reproduce the verdict, so it is not written: " +
                                       held.error().to_string());
  }
  return text;
}

Result<std::string> text_of(const Asked& asked, const ClusterSnapshot& cluster, const RecordOptions& options) {
  auto query = query_of(cluster, {asked.flow.from, asked.flow.to, asked.flow.port, asked.flow.protocol, options.strict});
  if (!query) return fail_as(query);
  if (!options.family.empty()) {
    const auto chosen = in_family(cluster, *query, options.family == "IPv4" ? IpFamily::v4 : IpFamily::v6);
    if (!chosen) {
      return fail(ErrorCode::invalid_input, "--family " + options.family + ": not both ends have such an address");
    }
    query = *chosen;
  }
  const auto recording = sim::record(cluster, *query);
  if (!recording) return fail_as(recording);
  if (const auto agrees = check_log(asked.flow, *recording); !agrees) return fail_as(agrees);
  return checked_text(*recording, asked.origin);
}

}  // namespace

Result<std::string> scenario_of(const ClusterSnapshot& cluster, const agent::FlowRecord& flow, bool strict) {
  const auto end_of = [](const agent::FlowEnd& end) {
    return end.pod.name.empty() ? end.address.to_string() : end.pod.to_string();
  };
  const bool icmp = flow.protocol == IPPROTO_ICMP || flow.protocol == IPPROTO_ICMPV6;
  const bool ports = !icmp && flow.destination.port != 0;
  auto query = query_of(cluster, {end_of(flow.source), end_of(flow.destination),
                                  ports ? std::to_string(flow.destination.port) : std::string(),
                                  icmp ? "ICMP" : std::to_string(flow.protocol), strict});
  if (!query) return fail_as(query);
  if (const auto chosen = in_family(cluster, *query, flow.family == 4 ? IpFamily::v4 : IpFamily::v6)) query = *chosen;
  const auto recording = sim::record(cluster, *query);
  if (!recording) return fail_as(recording);
  const auto at = std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(flow.unix_ns));
  return checked_text(*recording, {"a live verdict of node " + flow.node,
                                   time_text(std::chrono::system_clock::time_point(at))});
}

namespace {

// `options` with what an agent of this node left in its run folder, running or not: its objects for manifests, and its
// mode. The objects follow the cluster by ten seconds at most.
Result<RecordOptions> with_agent(RecordOptions options) {
  if (options.agent == !options.manifests.empty()) {
    return fail(ErrorCode::invalid_input, "found " + std::string(options.agent ? "both" : "neither") +
                                              ", expected either --manifests or --agent");
  }
  if (!options.agent) return options;
  if (options.run_folder.empty()) options.run_folder = agent::newest_run_folder(agent::kObjectsFile);
  if (options.run_folder.empty()) {
    return fail(ErrorCode::not_found, std::string("--agent: no ") + agent::kObjectsFile + " in " + agent::kRunFolder +
                                          " or " + agent::kAmazonRunFolder + ": no agent has run here, or its "
                                          "--run-folder is elsewhere");
  }
  const std::string path = options.run_folder + "/" + agent::kObjectsFile;
  std::error_code error;
  if (!fs::exists(path, error)) {
    const bool hidden = error == std::errc::permission_denied;
    return fail(hidden ? ErrorCode::permission : ErrorCode::not_found,
                "--agent: " + path + (hidden ? " may not be read (run as root)" : " is not there: its agent writes it"));
  }
  options.manifests = {path};
  const auto view = read_view(options.run_folder);
  if (!view) return fail(view.error().code, "--agent: " + view.error().message);
  options.strict = options.strict || view->strict;
  return options;
}

}  // namespace

int run_record(const RecordOptions& given) {
  const auto complete = with_agent(given);
  if (!complete) return refuse(complete.error().to_string());
  const RecordOptions& options = *complete;
  std::error_code error;
  if (options.output != "-" && !options.force && fs::exists(fs::symlink_status(options.output, error))) {
    return refuse(options.output + " is there already, expected another --output, or --force to overwrite it");
  }
  const auto loaded = load_manifests(options.manifests, options.ignore_unsupported);
  if (!loaded) return 2;
  std::vector<std::string> inputs = loaded->files;
  for (const auto& input : {options.capture, options.log}) {
    if (!input.empty()) inputs.push_back(input);
  }
  if (auto checked = check_output(options.output, inputs); !checked) return refuse(checked.error().to_string());
  const auto asked = asked_of(options, loaded->cluster);
  if (!asked) return refuse(asked.error().to_string());
  const auto text = text_of(*asked, loaded->cluster, options);
  if (!text) return refuse(text.error().to_string());
  if (options.output != "-") return write_file(options.output, *text) ? 0 : 2;
  std::fputs(text->c_str(), stdout);
  return 0;
}

}  // namespace postern::cli
