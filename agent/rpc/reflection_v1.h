// SPDX-License-Identifier: Apache-2.0
// gRPC server reflection, version 1: clients such as grpcurl learn from it which services there are and
// what their messages look like. Version v1alpha comes with gRPC's library.
#pragma once

#include <string>
#include <vector>

#include "reflection_v1.grpc.pb.h"

namespace postern::agent {

class ReflectionV1 final : public grpc::reflection::v1::ServerReflection::CallbackService {
 public:
  explicit ReflectionV1(std::vector<std::string> services) : services_(std::move(services)) {}

  grpc::ServerBidiReactor<grpc::reflection::v1::ServerReflectionRequest,
                          grpc::reflection::v1::ServerReflectionResponse>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  std::vector<std::string> services_;  // sorted, with their packages
};

}  // namespace postern::agent
