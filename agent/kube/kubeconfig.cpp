// SPDX-License-Identifier: Apache-2.0
// One kubeconfig -> ClusterConfig. What would have to be ignored (another identity, no verification, a
// program to run) is refused, with what works instead.
#include <algorithm>

#include "agent/kube/cluster_config.h"
#include "engine/base/ip.h"
#include "engine/manifest/fields.h"

namespace postern::agent::kube {

using manifest::Report;
using manifest::Value;

namespace {

std::string folder_of(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? std::string() : file.substr(0, slash + 1);
}

class KubeconfigReader {
 public:
  KubeconfigReader(const Value& root, const std::string& file)
      : root_(root), file_(file), report_{file_, errors_} {}

  Result<ClusterConfig> read() {
    const std::string context_name = text(&root_, "current-context");
    if (context_name.empty()) error(root_, "current-context: found nothing, expected the name of a context");
    const Value* context = named("contexts", context_name, "context", root_.find("current-context"));
    const Value* cluster = of_context(context, "clusters", "cluster");
    const Value* user = of_context(context, "users", "user");
    config_.origin = "context " + context_name + " of " + file_;
    if (cluster != nullptr) read_cluster(*cluster);
    if (user != nullptr) read_user(*user);
    if (cluster != nullptr) check_transport(*cluster);
    if (!errors_.empty()) return tl::unexpected<Error>(errors_.front());
    return std::move(config_);
  }

 private:
  void error(const Value& place, std::string message, ErrorCode code = ErrorCode::invalid_input) {
    report_.error(place, std::move(message), code);
  }

  [[nodiscard]] std::string text(const Value* parent, std::string_view name) const {
    return manifest::string_at(report_, parent, name).value_or("");
  }

  // contexts: [{name: a, context: {...}}], and so on; null after an error.
  const Value* named(std::string_view list, const std::string& name, std::string_view member,
                     const Value* place) {
    std::string known;
    for (const Value* entry : manifest::mappings_at(report_, &root_, list)) {
      const std::string each = text(entry, "name");
      known += (known.empty() ? "" : ", ") + each;
      if (each != name) continue;
      const Value* found = manifest::mapping_at(report_, entry, member);
      if (found == nullptr) error(*entry, std::string(member) + ": found nothing, expected a mapping");
      return found;
    }
    if (!name.empty()) {
      error(place == nullptr ? root_ : *place,
            "found no " + std::string(member) + " \"" + name + "\" in " + std::string(list) +
                ", expected one of: " + (known.empty() ? "(none)" : known));
    }
    return nullptr;
  }

  const Value* of_context(const Value* context, std::string_view list, std::string_view member) {
    if (context == nullptr) return nullptr;
    const std::string name = text(context, member);
    if (name.empty()) {
      error(*context,
            std::string(member) + ": found nothing, expected the name of one of " + std::string(list));
    }
    return named(list, name, member, context->find(member));
  }

  // NAME, a file, or NAME-data, base64 of what would be in it. The latter wins, as it does for kubectl.
  Secret secret(const Value& parent, const std::string& name) {
    Secret secret{text(&parent, name), "", name};
    if (!secret.file.empty() && secret.file[0] != '/') secret.file = folder_of(file_) + secret.file;
    const std::string encoded = text(&parent, name + "-data");
    if (encoded.empty()) return secret;
    const auto decoded = decode_base64(encoded);
    if (!decoded || decoded->empty()) {
      error(*parent.find(name + "-data"), name + "-data: found what is no base64, expected base64 of PEM");
      return secret;
    }
    return {"", *decoded, name + "-data"};
  }

  void read_cluster(const Value& cluster) {
    config_.server = text(&cluster, "server");
    while (!config_.server.empty() && config_.server.back() == '/') config_.server.pop_back();
    if (!host_of(config_.server)) {
      const Value* written = cluster.find("server");
      error(
          written == nullptr ? cluster : *written,
          "server: found \"" + config_.server + "\", expected https://HOST:PORT (an IPv6 HOST in brackets)");
    }
    if (manifest::boolean_at(report_, &cluster, "insecure-skip-tls-verify").value_or(false)) {
      error(*cluster.find("insecure-skip-tls-verify"),
            "insecure-skip-tls-verify is refused: whoever answers could switch policy off; expected "
            "certificate-authority or certificate-authority-data of the API server's CA",
            ErrorCode::unsupported);
    }
    config_.authority = secret(cluster, "certificate-authority");
    config_.tls_server_name = text(&cluster, "tls-server-name");
    config_.proxy_url = text(&cluster, "proxy-url");
  }

  void read_user(const Value& user) {
    struct Refused {
      const char* field;
      const char* why;
    };
    static constexpr Refused kRefused[] = {
        {"exec", "it runs a program to get credentials"},
        {"auth-provider", "it is a plug-in of older clients"},
        {"username", "API servers since 1.19 know no passwords"},
        {"password", "API servers since 1.19 know no passwords"},
        {"as", "it asks in another's name"},
    };
    for (const auto& [field, why] : kRefused) {
      if (const Value* written = user.find(field)) {
        error(*written,
              std::string(field) + " is not supported (" + why +
                  "), expected token, tokenFile, or client-certificate " +
                  "and client-key; in a pod its service account is enough",
              ErrorCode::unsupported);
      }
    }
    config_.client_certificate = secret(user, "client-certificate");
    config_.client_key = secret(user, "client-key");
    if (config_.client_certificate.given() != config_.client_key.given()) {
      error(user, config_.client_key.given()
                      ? "found client-key without client-certificate, expected both or none"
                      : "found client-certificate without client-key, expected both or none");
    }
    // tokenFile wins, as it does for kubectl: it is the one that is renewed.
    config_.token = {text(&user, "tokenFile"), "", "tokenFile"};
    if (!config_.token.file.empty() && config_.token.file[0] != '/') {
      config_.token.file = folder_of(file_) + config_.token.file;
    }
    if (config_.token.file.empty()) config_.token = {"", text(&user, "token"), "token"};
  }

  void check_transport(const Value& cluster) {
    if (config_.server.rfind("http://", 0) != 0) return;
    const std::string host = host_of(config_.server).value_or("");
    const auto address = IpAddress::parse(host);
    const bool loopback = host == "localhost" || host == "::1" ||
                          (address && address->is_v4() && address->v4_host_order() >> 24 == 127);
    if (loopback) return;
    error(*cluster.find("server"),
          "server: found " + config_.server +
              ", which anybody on the way could answer; expected https://, or http:// "
              "to this machine itself");
  }

  const Value& root_;
  std::string file_;
  std::vector<Error> errors_;
  Report report_;
  ClusterConfig config_;
};

}  // namespace

Result<ClusterConfig> read_kubeconfig(std::string_view text, const std::string& file) {
  Result<ClusterConfig> config =
      fail(ErrorCode::invalid_input, "found nothing, expected a kubeconfig (apiVersion: v1, kind: Config)",
           {file, 0, 0});
  const auto parsed = manifest::parse_documents(
      text, file, [&](const Value& document) { config = KubeconfigReader(document, file).read(); });
  if (!parsed) return fail_as(parsed);
  return config;
}

}  // namespace postern::agent::kube
