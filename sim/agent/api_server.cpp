// SPDX-License-Identifier: Apache-2.0
#include "sim/agent/api_server.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

namespace postern::sim {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
using Kind = ApiKey::Kind;

constexpr auto kPatience = std::chrono::seconds(60);
constexpr long kOk = 200;
constexpr long kCreated = 201;
constexpr long kNotFound = 404;
constexpr long kConflict = 409;
constexpr long kUnprocessable = 422;

std::string path_of(const ApiKey& key) { return collection_path(key) + "/" + key.name.name; }

std::string version_of(const std::string& text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object() || !object.contains("metadata")) return {};
  const json& metadata = object["metadata"];
  if (!metadata.is_object()) return {};
  const auto version = metadata.find("resourceVersion");
  return version != metadata.end() && version->is_string() ? version->get<std::string>() : std::string{};
}

std::string title(const ApiKey& key) {
  return std::string(plural_of(key.kind)) + " " +
         (key.name.ns.empty() ? key.name.name : key.name.to_string());
}

// Opaque by the book; those of every server are numbers, and grow.
double number_of(const std::string& version) { return std::strtod(version.c_str(), nullptr); }

// A namespace that nothing says anything of any more.
ApiObject bare(const ApiKey& key) {
  const json object{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", key.name.name}}}};
  return {key, object.dump(), {}};
}

}  // namespace

Result<std::unique_ptr<ApiServer>> ApiServer::start(const Netns& in, const ApiServerSpec& spec) {
  std::error_code error;
  std::filesystem::create_directories(spec.folder, error);
  if (error) return fail(ErrorCode::io, "cannot make " + spec.folder + ": " + error.message());
  const std::string ready = spec.folder + "/ready";
  auto process = ChildProcess::start(
      in, {"/bin/sh", "-c", "exec " + spec.command + " " + spec.address + " " + spec.folder},
      spec.folder + "/server.log");
  if (!process) return fail_as(process);
  const auto give_up = Clock::now() + kPatience;
  while (::access(ready.c_str(), F_OK) != 0) {
    const auto ended = process->ended();
    if (!ended && Clock::now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    return fail(ErrorCode::io, "the API server (" + spec.command + ") " + ended.value_or("does not serve within 60 s") +
                                   "\n" + process->log_tail());
  }
  const TlsFiles tls{spec.folder + "/ca.crt", spec.folder + "/admin.crt", spec.folder + "/admin.key"};
  auto session = HttpSession::open(in, tls);
  if (!session) return fail_as(session);
  std::unique_ptr<ApiServer> server(new ApiServer(std::move(*process), std::move(*session), spec));
  if (auto done = server->write_kubeconfig(tls); !done) return fail_as(done);
  return server;
}

Result<void> ApiServer::write_kubeconfig(const TlsFiles& tls) const {
  const json config{
      {"apiVersion", "v1"},
      {"kind", "Config"},
      {"current-context", "test"},
      {"clusters", {{{"name", "test"}, {"cluster", {{"server", url_}, {"certificate-authority", tls.authority}}}}}},
      {"users",
       {{{"name", "test"}, {"user", {{"client-certificate", tls.certificate}, {"client-key", tls.key}}}}}},
      {"contexts", {{{"name", "test"}, {"context", {{"cluster", "test"}, {"user", "test"}}}}}}};
  std::ofstream file(kubeconfig_);
  file << config.dump();
  file.close();
  if (!file) return fail(ErrorCode::io, "cannot write " + kubeconfig_);
  return {};
}

Result<HttpReply> ApiServer::ask(const std::string& method, const std::string& path, const std::string& body) {
  auto reply = session_.ask({method, url_ + path, body});
  if (reply) return reply;
  const auto ended = process_.ended();
  return fail(reply.error().code, reply.error().message + (ended ? "; the API server " + *ended : ""));
}

tl::unexpected<Error> ApiServer::refused(const std::string& what, const HttpReply& reply) const {
  return fail(ErrorCode::io, "the API server answers " + std::to_string(reply.code) + " to " + what + ": " + reply.body);
}

Result<void> ApiServer::define(const std::string& manifest) {
  auto reply = session_.ask({"POST", url_ + "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", manifest,
                             "application/yaml"});
  if (!reply) return fail_as(reply);
  if (reply->code != kCreated && reply->code != kConflict) return refused("a definition", *reply);
  return {};
}

Result<std::string> ApiServer::replace(const std::string& path, const std::string& body,
                                       const std::string& version) {
  json object = json::parse(body);
  object["metadata"]["resourceVersion"] = version;
  const auto reply = ask("PUT", path, object.dump());
  if (!reply) return fail_as(reply);
  if (reply->code != kOk) return refused("PUT " + path, *reply);
  return version_of(reply->body);
}

// The server may hold it already: a namespace that it began with, or one that was left.
Result<std::string> ApiServer::create(const ApiObject& object) {
  const std::string path = collection_path(object.key);
  const auto give_up = Clock::now() + kPatience;
  for (;;) {
    const auto reply = ask("POST", path, object.body);
    if (!reply) return fail_as(reply);
    if (reply->code == kCreated) return version_of(reply->body);
    if (reply->code == kConflict) break;
    // A kind whose definition has just been made is served a little later.
    const bool soon = reply->code == kNotFound && is_custom(object.key.kind);
    if (!soon || Clock::now() > give_up) return refused("POST " + path + " of " + title(object.key), *reply);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const auto there = ask("GET", path_of(object.key));
  if (!there) return fail_as(there);
  if (there->code != kOk) return refused("GET " + path_of(object.key), *there);
  return replace(path_of(object.key), object.body, version_of(there->body));
}

Result<void> ApiServer::remove(const ApiKey& key) {
  const std::string path = path_of(key) + "?gracePeriodSeconds=0";
  const auto reply = ask("DELETE", path);
  if (!reply) return fail_as(reply);
  if (reply->code == kOk || reply->code == kNotFound) return {};
  return refused("DELETE " + path, *reply);
}

// `version` empty: it is not there. What the API does not let change is made anew.
Result<std::string> ApiServer::put(const ApiObject& object, const std::string& version) {
  Result<std::string> now = version.empty() ? create(object) : replace(path_of(object.key), object.body, version);
  if (!now && !version.empty() && now.error().message.find(std::to_string(kUnprocessable)) != std::string::npos) {
    if (auto done = remove(object.key); !done) return fail_as(done);
    now = create(object);
  }
  if (!now || object.status.empty()) return now;
  return replace(path_of(object.key) + "/status", object.status, *now);
}

Result<void> ApiServer::bring_to(const std::vector<ApiObject>& objects) {
  std::set<ApiKey> wanted;
  for (const auto& object : objects) wanted.insert(object.key);
  // What goes, goes in the opposite order of its making.
  std::vector<ApiKey> gone;
  for (const auto& [key, held] : held_) {
    if (!wanted.contains(key)) gone.push_back(key);
  }
  for (auto key = gone.rbegin(); key != gone.rend(); ++key) {
    if (key->kind == Kind::namespace_) {
      if (auto done = put(bare(*key), held_.at(*key).version); !done) return fail_as(done);
    } else if (auto done = remove(*key); !done) {
      return done;
    }
    held_.erase(*key);
  }
  for (const auto& object : objects) {
    const auto before = held_.find(object.key);
    const bool there = before != held_.end();
    if (there && before->second.object.body == object.body && before->second.object.status == object.status) {
      continue;
    }
    auto version = put(object, there ? before->second.version : std::string{});
    if (!version) return fail_as(version);
    held_.insert_or_assign(object.key, Held{object, std::move(*version)});
  }
  return {};
}

double ApiServer::version_of_held(const ApiKey& key) const {
  const auto held = held_.find(key);
  return held == held_.end() ? 0 : number_of(held->second.version);
}

Result<std::map<Kind, double>> ApiServer::put(const std::vector<ApiObject>& objects) {
  std::map<Kind, double> versions;
  for (const auto& object : objects) {
    auto version = put(object, beside_[object.key]);
    if (!version) return fail_as(version);
    const double number = number_of(*version);
    const auto first = versions.try_emplace(object.key.kind, number).first;
    first->second = std::min(first->second, number);
    beside_[object.key] = std::move(*version);
  }
  return versions;
}

}  // namespace postern::sim
