// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/credentials.h"

#include <algorithm>

namespace postern::agent::kube {

namespace {

std::string place_of(const Secret& secret, const std::string& origin) {
  return secret.file.empty() ? secret.field + " of " + origin : secret.file;
}

Result<std::string> content_of(const Secret& secret) {
  if (secret.file.empty()) return secret.data;
  auto text = read_file(secret.file);
  if (!text) return fail(text.error().code, text.error().message + ", expected a readable " + secret.field);
  return text;
}

// PEM whose blocks are named so.
Result<std::string> pem_of(const Secret& secret, const std::string& origin, const char* block) {
  auto text = content_of(secret);
  if (!text) return text;
  if (text->find(std::string(block) + "-----") == std::string::npos) {
    return fail(ErrorCode::invalid_input, place_of(secret, origin) + ": found no PEM block \"" + block +
                                              "\", expected one as " + secret.field);
  }
  if (text->find("ENCRYPTED") != std::string::npos) {
    return fail(ErrorCode::unsupported,
                place_of(secret, origin) + ": found an encrypted key, expected one without a password");
  }
  return text;
}

Result<std::string> token_of(const Secret& secret, const std::string& origin) {
  auto text = content_of(secret);
  if (!text) return text;
  while (!text->empty() && static_cast<unsigned char>(text->back()) <= ' ') text->pop_back();
  // It becomes a header line.
  const bool plain = std::all_of(text->begin(), text->end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (text->empty() || !plain) {
    return fail(ErrorCode::invalid_input,
                place_of(secret, origin) + ": found " +
                    (text->empty() ? "nothing" : "spaces or control characters inside") +
                    ", expected a bearer token on one line");
  }
  return text;
}

}  // namespace

Result<void> Credentials::read() {
  TlsMaterial tls;
  std::string token;
  if (config_.authority.given()) {
    auto pem = pem_of(config_.authority, config_.origin, "CERTIFICATE");
    if (!pem) return fail_as(pem);
    tls.authority = std::move(*pem);
  }
  if (config_.client_certificate.given()) {
    auto certificate = pem_of(config_.client_certificate, config_.origin, "CERTIFICATE");
    if (!certificate) return fail_as(certificate);
    auto key = pem_of(config_.client_key, config_.origin, "PRIVATE KEY");
    if (!key) return fail_as(key);
    tls.certificate = std::move(*certificate);
    tls.key = std::move(*key);
  }
  if (config_.token.given()) {
    auto text = token_of(config_.token, config_.origin);
    if (!text) return fail_as(text);
    token = std::move(*text);
  }
  token_ = std::move(token);
  // The same pointer for the same bytes: requests that share it share connections.
  if (tls_ == nullptr || *tls_ != tls) tls_ = std::make_shared<const TlsMaterial>(std::move(tls));
  return {};
}

Result<void> Credentials::refresh(Instant now, bool all) {
  if (read_at_ && !all && now - *read_at_ < kKeep) return {};
  const bool first = tls_ == nullptr;
  read_at_ = now;
  auto done = read();
  if (!done && !first && !all) return {};
  return done;
}

}  // namespace postern::agent::kube
