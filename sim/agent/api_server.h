// SPDX-License-Identifier: Apache-2.0
// An API server of the test's own, in a network namespace, and what it holds: brought to a list of objects
// by plain API calls, as any client makes them, so it may be any server.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "sim/agent/api_object.h"
#include "sim/agent/child_process.h"
#include "sim/agent/http_session.h"

namespace postern::sim {

struct ApiServerSpec {
  // Words for /bin/sh, to which ADDRESS:PORT and FOLDER are added. It serves TLS at the address, makes
  // ca.crt, which its own certificate is of, admin.crt and admin.key, who may do everything, in the
  // folder, and then a file `ready`.
  std::string command;
  std::string address;  // "169.254.201.1:6443"
  std::string folder;   // made here
};

class ApiServer {
 public:
  // `in` outlives the server. Errors: io, when it does not serve in time, with what it said.
  static Result<std::unique_ptr<ApiServer>> start(const Netns& in, const ApiServerSpec& spec);

  // What its clients need to know, as a file.
  [[nodiscard]] const std::string& kubeconfig() const { return kubeconfig_; }
  // A CustomResourceDefinition as a manifest in YAML or JSON; it may be there already. Its kind is served a
  // little later.
  Result<void> define(const std::string& manifest);
  // Makes what it holds these objects and, of those it was given before, no others. Namespaces stay, bare:
  // to empty one takes a controller.
  Result<void> bring_to(const std::vector<ApiObject>& objects);
  // The resourceVersion of an object that bring_to() has put there; 0: there is none.
  [[nodiscard]] double version_of_held(const ApiKey& key) const;
  // Creates or replaces objects beside; by kind the oldest resourceVersion of theirs.
  Result<std::map<ApiKey::Kind, double>> put(const std::vector<ApiObject>& objects);

 private:
  struct Held {
    ApiObject object;
    std::string version;
  };

  ApiServer(ChildProcess process, HttpSession session, const ApiServerSpec& spec)
      : process_(std::move(process)),
        session_(std::move(session)),
        url_("https://" + spec.address),
        kubeconfig_(spec.folder + "/kubeconfig") {}
  Result<void> write_kubeconfig(const TlsFiles& tls) const;

  Result<std::string> put(const ApiObject& object, const std::string& version);
  Result<std::string> create(const ApiObject& object);
  Result<std::string> replace(const std::string& path, const std::string& body, const std::string& version);
  Result<void> remove(const ApiKey& key);
  Result<HttpReply> ask(const std::string& method, const std::string& path, const std::string& body = {});
  tl::unexpected<Error> refused(const std::string& what, const HttpReply& reply) const;

  ChildProcess process_;
  HttpSession session_;
  std::string url_;
  std::string kubeconfig_;
  std::map<ApiKey, Held> held_;
  std::map<ApiKey, std::string> beside_;  // versions
};

}  // namespace postern::sim
