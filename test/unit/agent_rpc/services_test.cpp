// SPDX-License-Identifier: Apache-2.0
// Names, numbers and messages as clients that are not ours put them on the wire; health and reflection.
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <set>

#include "health.pb.h"
#include "reflection_v1.grpc.pb.h"
#include "test/unit/agent_rpc/server_rig.h"

namespace postern::agent {
namespace {

using namespace std::string_literals;
namespace health = grpc::health::v1;
namespace v1 = grpc::reflection::v1;

class ServicesTest : public ServerTest {
 protected:
  // The bytes of a reply to the bytes of a request, or the code's number.
  std::string call(const std::string& method, const std::string& request) {
    grpc::GenericStub generic(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    const grpc::Slice slice(request);
    const grpc::ByteBuffer sent(&slice, 1);
    grpc::CompletionQueue queue;
    auto reader = generic.PrepareUnaryCall(&context, method, sent, &queue);
    reader->StartCall();
    grpc::ByteBuffer got;
    grpc::Status status;
    reader->Finish(&got, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    if (!status.ok()) return "code " + std::to_string(status.error_code());
    return bytes(got);
  }
  static std::string bytes(const grpc::ByteBuffer& buffer) {
    std::vector<grpc::Slice> slices;
    EXPECT_TRUE(buffer.Dump(&slices).ok());
    std::string text;
    for (const auto& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
    return text;
  }

  // One question of reflection in either version, whose messages are alike.
  v1::ServerReflectionResponse reflect(const std::string& version,
                                       const v1::ServerReflectionRequest& request) {
    grpc::GenericStub generic(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    grpc::CompletionQueue queue;
    const auto wait = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    auto stream = generic.PrepareCall(
        &context, "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo", &queue);
    stream->StartCall(nullptr);
    EXPECT_TRUE(wait());
    const grpc::Slice slice(request.SerializeAsString());
    stream->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    EXPECT_TRUE(wait());
    grpc::ByteBuffer got;
    stream->Read(&got, nullptr);
    v1::ServerReflectionResponse response;
    EXPECT_TRUE(wait() && response.ParseFromString(bytes(got)));
    stream->WritesDone(nullptr);
    wait();
    grpc::Status status;
    stream->Finish(&status, nullptr);
    wait();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
};

TEST_F(ServicesTest, the_bytes_of_the_cni_are_understood_and_answered) {
  start();
  // Field 1 "web", 2 "shop", 3 "strict", 4 the number 2; the answer is field 1 true.
  EXPECT_EQ(call("/rpc.NPBackend/EnforceNpToPod", "\x0a\x03web\x12\x04shop\x1a\x06strict\x20\x02"),
            "\x08\x01");
  EXPECT_EQ(call("/rpc.NPBackend/DeletePodNp", "\x0a\x03web\x12\x04shop"), "\x08\x01");
  thread.on_loop([this] {
    ASSERT_EQ(gate.enforced.size(), 1u);
    EXPECT_EQ(gate.enforced[0].pod.to_string(), "shop/web");
    EXPECT_TRUE(gate.enforced[0].strict);
    EXPECT_EQ(gate.enforced[0].interface_count, 2);
    ASSERT_EQ(gate.removed.size(), 1u);
    EXPECT_EQ(gate.removed[0].to_string(), "shop/web");
  });
}

TEST_F(ServicesTest, bytes_that_are_no_request_harm_nothing) {
  start();
  EXPECT_EQ(call("/rpc.NPBackend/EnforceNpToPod", "\xff\xff\xff"), "code 12");
  EXPECT_EQ(call("/rpc.NPBackend/EnforceNpToPod", std::string(100'000, 'a')), "code 8");
  EXPECT_EQ(call("/rpc.NPBackend/NoSuchMethod", ""), "code 12");
  EXPECT_EQ(call("/rpc.ConfigServerBackend/GetNetworkPolicyConfigs", ""), "code 12");
  EXPECT_EQ(enforce(), "Success");
}

TEST_F(ServicesTest, health_is_serving_from_the_start_also_with_policy_disabled_and_a_loop_that_stands) {
  serve({.socket = "", .policy_enabled = false});
  const auto status = [this](const std::string& service) -> std::string {
    health::HealthCheckRequest request;
    request.set_service(service);
    const std::string reply = call("/grpc.health.v1.Health/Check", request.SerializeAsString());
    if (reply.starts_with("code")) return reply;
    health::HealthCheckResponse response;
    EXPECT_TRUE(response.ParseFromString(reply));
    return health::HealthCheckResponse::ServingStatus_Name(response.status());
  };
  EXPECT_EQ(status("grpc.health.v1.np-agent"), "SERVING");
  EXPECT_EQ(status(""), "SERVING");
  EXPECT_EQ(status("another"), "code 5");
}

TEST_F(ServicesTest, reflection_lists_the_services_in_both_versions) {
  start();
  v1::ServerReflectionRequest request;
  request.set_list_services("");
  for (const char* version : {"v1", "v1alpha"}) {
    SCOPED_TRACE(version);
    std::set<std::string> names;
    const auto response = reflect(version, request);
    for (const auto& service : response.list_services_response().service()) names.insert(service.name());
    EXPECT_EQ(names, (std::set<std::string>{"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
                                            "grpc.reflection.v1alpha.ServerReflection", "rpc.NPBackend"}));
  }
}

TEST_F(ServicesTest, reflection_describes_what_it_lists_with_all_that_is_imported) {
  start();
  const struct {
    const char* name;
    std::string symbol;
    std::set<std::string> files;
  } rows[] = {
      {"a service", "rpc.NPBackend", {"network_policy.proto", "google/protobuf/empty.proto"}},
      {"a message", "rpc.EnforceNpRequest", {"network_policy.proto", "google/protobuf/empty.proto"}},
      {"health", "grpc.health.v1.Health", {"health.proto"}},
      {"reflection", "grpc.reflection.v1.ServerReflection", {"reflection_v1.proto"}},
  };
  for (const auto& row : rows) {
    for (const char* version : {"v1", "v1alpha"}) {
      SCOPED_TRACE(row.name + " "s + version);
      v1::ServerReflectionRequest request;
      request.set_file_containing_symbol(row.symbol);
      std::set<std::string> files;
      const auto response = reflect(version, request);
      for (const auto& text : response.file_descriptor_response().file_descriptor_proto()) {
        google::protobuf::FileDescriptorProto file;
        ASSERT_TRUE(file.ParseFromString(text));
        files.insert(file.name());
      }
      EXPECT_EQ(files, row.files);
    }
  }
}

TEST_F(ServicesTest, reflection_answers_other_questions_with_an_error_and_goes_on) {
  start();
  v1::ServerReflectionRequest unknown;
  unknown.set_file_containing_symbol("rpc.Nothing");
  EXPECT_EQ(reflect("v1", unknown).error_response().error_code(), 5);
  v1::ServerReflectionRequest file;
  file.set_file_by_filename("network_policy.proto");
  EXPECT_EQ(reflect("v1", file).file_descriptor_response().file_descriptor_proto_size(), 2);
  v1::ServerReflectionRequest extension;
  extension.set_all_extension_numbers_of_type("rpc.NPBackend");
  EXPECT_EQ(reflect("v1", extension).error_response().error_code(), 5);
  EXPECT_EQ(reflect("v1", {}).error_response().error_code(), 3);

  // Several questions in one stream.
  const auto asker = v1::ServerReflection::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = asker->ServerReflectionInfo(&context);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(stream->Write(i == 1 ? unknown : file));
    v1::ServerReflectionResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.has_error_response(), i == 1);
  }
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServicesTest, the_server_ends_although_a_stream_of_reflection_is_open) {
  start();
  const auto asker = v1::ServerReflection::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = asker->ServerReflectionInfo(&context);
  v1::ServerReflectionRequest request;
  request.set_list_services("");
  ASSERT_TRUE(stream->Write(request));
  v1::ServerReflectionResponse response;
  ASSERT_TRUE(stream->Read(&response));
  end_server();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_FALSE(stream->Finish().ok());
}

}  // namespace
}  // namespace postern::agent
