// SPDX-License-Identifier: Apache-2.0
#include "agent/rpc/reflection_v1.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>

#include "health.pb.h"

namespace postern::agent {
namespace {

namespace v1 = grpc::reflection::v1;
using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;

void add_files(const FileDescriptor& file, std::set<std::string>& seen, v1::FileDescriptorResponse& files) {
  if (!seen.insert(file.name()).second) return;
  google::protobuf::FileDescriptorProto description;
  file.CopyTo(&description);
  files.add_file_descriptor_proto(description.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) add_files(*file.dependency(i), seen, files);
}

void refuse(grpc::StatusCode code, const std::string& text, v1::ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(code);
  response.mutable_error_response()->set_error_message(text);
}

void describe(const FileDescriptor* file, const std::string& asked, v1::ServerReflectionResponse& response) {
  if (file == nullptr) {
    refuse(grpc::StatusCode::NOT_FOUND, "no description of " + asked, response);
    return;
  }
  std::set<std::string> seen;
  add_files(*file, seen, *response.mutable_file_descriptor_response());
}

v1::ServerReflectionResponse answer(const v1::ServerReflectionRequest& request,
                                    const std::vector<std::string>& services) {
  v1::ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  switch (request.message_request_case()) {
    case v1::ServerReflectionRequest::kListServices:
      for (const auto& name : services)
        response.mutable_list_services_response()->add_service()->set_name(name);
      break;
    case v1::ServerReflectionRequest::kFileByFilename:
      describe(pool.FindFileByName(request.file_by_filename()), request.file_by_filename(), response);
      break;
    case v1::ServerReflectionRequest::kFileContainingSymbol:
      describe(pool.FindFileContainingSymbol(request.file_containing_symbol()),
               request.file_containing_symbol(), response);
      break;
    // proto3 without extensions.
    case v1::ServerReflectionRequest::kFileContainingExtension:
    case v1::ServerReflectionRequest::kAllExtensionNumbersOfType:
      refuse(grpc::StatusCode::NOT_FOUND, "there are no extensions", response);
      break;
    case v1::ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      refuse(grpc::StatusCode::INVALID_ARGUMENT, "nothing is asked", response);
  }
  return response;
}

// One stream: a question, its answer, the next question. Deletes itself when gRPC is done with it.
class Conversation final
    : public grpc::ServerBidiReactor<v1::ServerReflectionRequest, v1::ServerReflectionResponse> {
 public:
  explicit Conversation(const std::vector<std::string>& services) : services_(services) {
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);  // the client has asked everything
    response_ = answer(request_, services_);
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

 private:
  const std::vector<std::string>& services_;
  v1::ServerReflectionRequest request_;
  v1::ServerReflectionResponse response_;
};

}  // namespace

grpc::ServerBidiReactor<v1::ServerReflectionRequest, v1::ServerReflectionResponse>*
ReflectionV1::ServerReflectionInfo(grpc::CallbackServerContext* /*context*/) {
  // A library's description is registered only if something of it is used.
  static const auto* health = grpc::health::v1::HealthCheckRequest::descriptor();
  static_cast<void>(health);
  return new Conversation(services_);
}

}  // namespace postern::agent
