// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/object_decoder.h"

#include <gtest/gtest.h>

#include "engine/manifest/reader.h"
#include "test/unit/agent_kube/api_texts.h"

namespace postern::agent::kube {
namespace {

Piece whole(const std::string& text) { return {text, text.size(), true}; }

const Resource& pods() { return resource_of(ResourceKind::pods); }

WatchedObject decoded(ResourceKind kind, const std::string& text) {
  auto result = decode_object(resource_of(kind), whole(text));
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    return {};
  }
  if (const auto* rejection = std::get_if<Rejection>(&*result)) {
    ADD_FAILURE() << rejection->errors.front().to_string();
    return {};
  }
  return std::move(std::get<WatchedObject>(*result));
}

TEST(ObjectDecoder, ReadsAPodWithAndWithoutItsKind) {
  const std::string text = pod_json("shop", "web-1", "42");
  for (const auto& each : {text, as_item(text)}) {
    const auto object = decoded(ResourceKind::pods, each);
    EXPECT_EQ(object.key, (NamespacedName{"shop", "web-1"}));
    EXPECT_EQ(object.uid, "uid-web-1");
    EXPECT_EQ(object.resource_version, "42");
    EXPECT_EQ(object.host_ip, "192.0.2.1");
    EXPECT_FALSE(object.terminating);
    const Pod& pod = std::get<manifest::PodObject>(object.content.value).pod;
    EXPECT_EQ(pod.node_name, "node-1");
    EXPECT_TRUE(pod.ready);
    EXPECT_EQ(pod.addresses.at(0).to_string(), "10.0.0.1");
    EXPECT_EQ(pod.ports, (std::vector<ContainerPort>{{"http", 80, Protocol::tcp}}));
    EXPECT_EQ(pod.labels, (Labels{{"app", "web"}}));
    EXPECT_EQ(pod.workload, "ReplicaSet/web");
    EXPECT_EQ(pod.annotations, (Labels{{"vpc.amazonaws.com/pod-ips", "10.0.0.1"}}));
  }
}

// The value that a reader without a mask gives.
manifest::Object unmasked(const std::string& text) {
  manifest::ReadOptions options;
  options.live = true;
  const auto read = manifest::read_manifest(text, "whole.json", options);
  if (!read || read->objects.size() != 1) {
    ADD_FAILURE() << (read ? "not one object" : read.error().front().to_string());
    return {};
  }
  return read->objects.front();
}

// Every field that the reader reads, and some around it.
struct MaskRow {
  ResourceKind kind;
  const char* text;
};
const MaskRow kMaskRows[] = {
    {ResourceKind::namespaces,
     R"({"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","labels":{"team":"a"},"annotations":{"x":"y"},
         "managedFields":[]},"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}})"},
    {ResourceKind::nodes,
     R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"n","labels":{"a":"b"}},"spec":{"podCIDR":"10.0.0.0/24"},
         "status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"},{"type":"Hostname","address":"n"}],
         "images":[{"names":["a"]}],"conditions":[{"type":"Ready"}]}})"},
    {ResourceKind::pods,
     R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"p","namespace":"x","labels":{"a":"b"},
         "annotations":{"vpc.amazonaws.com/pod-ips":"10.0.0.1","postern.dev/x":"y"}},
         "spec":{"hostNetwork":true,"nodeName":"n","containers":[{"name":"c","ports":[{"name":"web","containerPort":80,
         "protocol":"UDP","hostPort":80}]},{"name":"d"}],"initContainers":[{"name":"i","restartPolicy":"Always",
         "ports":[{"name":"side","containerPort":81,"protocol":"SCTP"}]},{"name":"j","ports":[{"containerPort":82}]}]},
         "status":{"phase":"Failed","podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"},{"ip":"fd00::1"}],
         "conditions":[{"type":"Ready","status":"True","reason":"x"}]}})"},
    {ResourceKind::services,
     R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"s","namespace":"x"},"spec":{"type":"NodePort",
         "clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1","fd00::1"],"selector":{"a":"b"},"sessionAffinity":"None",
         "ports":[{"name":"web","protocol":"UDP","port":80,"targetPort":"http","nodePort":30000}]},"status":{}})"},
    {ResourceKind::services,
     R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"s","namespace":"x"},"spec":{"type":"ExternalName",
         "externalName":"a.example","selector":{"a":"b"}}})"},
    {ResourceKind::endpoint_slices,
     R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"s-1","namespace":"x",
         "labels":{"kubernetes.io/service-name":"s"}},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"],
         "conditions":{"ready":false,"serving":true},"nodeName":"n","targetRef":{"kind":"Pod"}},
         {"addresses":["10.0.0.2"],"conditions":{}}],"ports":[{"name":"web","protocol":"UDP","port":8080}]})"},
    {ResourceKind::endpoint_slices,
     R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"s-1","namespace":"x"},
         "addressType":"FQDN","endpoints":[{"addresses":["a.example"]}],"ports":null})"},
    {ResourceKind::network_policies,
     R"({"kind":"NetworkPolicy","apiVersion":"networking.k8s.io/v1","metadata":{"name":"p","namespace":"x"},
         "spec":{"podSelector":{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"c","operator":"Exists"}]},
         "ingress":[{"from":[{"namespaceSelector":{}},{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}],
         "ports":[{"port":80,"endPort":90,"protocol":"TCP"},{"port":"web"}]}],"egress":[{}],
         "policyTypes":["Ingress","Egress"]},"status":{}})"},
    {ResourceKind::cluster_network_policies,
     R"({"kind":"ClusterNetworkPolicy","apiVersion":"policy.networking.k8s.io/v1alpha2","metadata":{"name":"p",
         "managedFields":[]},"spec":{"tier":"Baseline","priority":7,"subject":{"pods":{"namespaceSelector":{"matchLabels":
         {"a":"b"}},"podSelector":{"matchExpressions":[{"key":"c","operator":"Exists"}]}}},
         "ingress":[{"name":"first","action":"Deny","from":[{"namespaces":null},{"newer":{"x":1}}],
         "protocols":[{"tcp":{"destinationPort":{"number":80}}},{"udp":{"destinationPort":{"range":{"start":1,"end":9}}}},
         {"destinationNamedPort":"web"}]}],"egress":[{"action":"Accept","to":[{"networks":["10.0.0.0/8","fd00::/8"]},
         {"nodes":{"matchLabels":{"a":"b"}}},{"domainNames":["a.example"]}]}]},"status":{"conditions":[]}})"},
    {ResourceKind::cluster_network_policies,
     R"({"kind":"ClusterNetworkPolicy","apiVersion":"policy.networking.k8s.io/v1alpha2","metadata":{"name":"p"},
         "spec":{"tier":"Admin","priority":0,"subject":{"namespaces":null}}})"},
    {ResourceKind::admin_network_policies,
     R"({"kind":"AdminNetworkPolicy","apiVersion":"policy.networking.k8s.io/v1alpha1","metadata":{"name":"p"},
         "spec":{"priority":7,"subject":{"namespaces":{}},"ingress":[{"action":"Allow","from":[{"namespaces":{}}],
         "ports":[{"portNumber":{"port":80}},{"portRange":{"start":1,"end":9}},{"namedPort":"web"}]}]},"status":{}})"},
    {ResourceKind::baseline_admin_network_policies,
     R"({"kind":"BaselineAdminNetworkPolicy","apiVersion":"policy.networking.k8s.io/v1alpha1","metadata":
         {"name":"default"},"spec":{"subject":{"namespaces":{}},"egress":[{"action":"Deny","to":[{"nodes":{}}]}]}})"},
    {ResourceKind::amazon_cluster_network_policies,
     R"({"kind":"ClusterNetworkPolicy","apiVersion":"networking.k8s.aws/v1alpha1","metadata":{"name":"p"},
         "spec":{"tier":"Admin","priority":7,"subject":{"namespaces":{}},"egress":[{"action":"Pass","to":[{"networks":
         ["10.0.0.0/8"]}]}]}})"},
    {ResourceKind::cluster_policy_endpoints,
     R"({"kind":"ClusterPolicyEndpoint","apiVersion":"networking.k8s.aws/v1alpha1","metadata":{"name":"p-x"},
         "spec":{"policyRef":{"name":"p"},"tier":"Admin","priority":7,"subject":{"namespaces":{}},"podSelectorEndpoints":
         [{"hostIP":"192.0.2.1","podIP":"10.0.0.1","name":"a","namespace":"x"}],"ingress":[{"cidr":"10.0.0.0/8",
         "action":"Deny","ports":[{"protocol":"TCP","port":80}]}]}})"},
};

TEST(ObjectDecoder, ItsMasksLeaveOutNothingThatIsRead) {
  for (const auto& row : kMaskRows) {
    const auto object = decoded(row.kind, row.text);
    const auto& masked = object.content.value;
    auto expected = unmasked(row.text).value;
    if (auto* pod = std::get_if<manifest::PodObject>(&expected)) {
      EXPECT_EQ(pod->pod.annotations.size(), 2u);
    }
    EXPECT_TRUE(masked == expected) << row.text;
  }
}

// They say how much is enforced (R44, R45): without them an object would be enforced otherwise than it says.
TEST(ObjectDecoder, ItsMasksKeepEveryAnnotationThatChangesEnforcement) {
  const char* names[] = {"postern.dev/audit", "postern.dev/enforcement", "postern.dev/enforcement-ingress",
                         "postern.dev/enforcement-egress"};
  std::string annotations = R"("other.example/note":"x")";
  for (const char* name : names) annotations += R"(,")" + std::string(name) + R"(":"value")";
  const std::string text = R"({"metadata":{"name":"a","annotations":{)" + annotations + "}}}";
  for (const ResourceKind kind : {ResourceKind::namespaces, ResourceKind::network_policies,
                                  ResourceKind::cluster_network_policies, ResourceKind::admin_network_policies,
                                  ResourceKind::baseline_admin_network_policies,
                                  ResourceKind::amazon_cluster_network_policies, ResourceKind::policy_endpoints,
                                  ResourceKind::cluster_policy_endpoints}) {
    const auto masked = read_masked(text, mask_of(kind));
    ASSERT_TRUE(masked);
    const manifest::Value* kept = masked->tree.find("metadata")->find("annotations");
    ASSERT_NE(kept, nullptr) << resource_of(kind).plural;
    for (const char* name : names) {
      const manifest::Value* value = kept->find(name);
      ASSERT_NE(value, nullptr) << resource_of(kind).plural << " " << name;
      EXPECT_EQ(value->text, "value");
    }
  }
}

TEST(ObjectDecoder, ATerminatingPodAndOneWithoutAnAddressAreObjects) {
  const auto object =
      decoded(ResourceKind::pods,
              R"({"metadata":{"name":"a","namespace":"b","deletionTimestamp":"2025-01-01T00:00:00Z",
                                  "deletionGracePeriodSeconds":30},"spec":{},"status":{"phase":"Pending"}})");
  EXPECT_TRUE(object.terminating);
  const auto& pod = std::get<manifest::PodObject>(object.content.value);
  EXPECT_FALSE(pod.assign_address);
  EXPECT_FALSE(pod.pod.live());
}

TEST(ObjectDecoder, ReadsThePolicyEndpointsOfAController) {
  const auto object = decoded(
      ResourceKind::policy_endpoints,
      R"({"apiVersion":"networking.k8s.aws/v1alpha1","kind":"PolicyEndpoint","metadata":{"name":"p-x","namespace":"n",
          "resourceVersion":"3","annotations":{"networking.k8s.aws/last-change-trigger-time":"t","other":"o"}},
          "spec":{"policyRef":{"name":"p","namespace":"n"},"podIsolation":["Ingress"],
                  "ingress":[{"cidr":"10.0.0.0/8"}]},"status":{"x":1}})");
  EXPECT_EQ(object.resource_version, "3");
  const auto& slice = std::get<PolicyEndpoint>(object.content.value);
  EXPECT_EQ(slice.policy, (NamespacedName{"n", "p"}));
  EXPECT_TRUE(slice.isolates_ingress);
  EXPECT_EQ(slice.ingress.size(), 1u);
  EXPECT_EQ(slice.last_change_trigger_time, "t");
}

TEST(ObjectDecoder, AnObjectThatIsRefusedIsNamedWithTheReason) {
  std::string deep = "1";
  for (int i = 0; i < 70; ++i) deep = "[" + deep + "]";
  struct Row {
    ResourceKind kind;
    std::string text;
    const char* error;
  };
  const Row rows[] = {
      {ResourceKind::pods,
       R"({"metadata":{"name":"a","namespace":"b","resourceVersion":"5"},"status":{"podIP":"x"}})",
       "Pod b/a: podIP: found \"x\", expected an address like 10.0.0.1 or 2001:db8::1"},
      {ResourceKind::pods,
       R"({"metadata":{"name":"a","namespace":"b","resourceVersion":"5","labels":{"k":"1","k":"2"}}})",
       "Pod b/a: a key stands twice in one mapping, expected once"},
      {ResourceKind::policy_endpoints,
       R"({"metadata":{"name":"a","namespace":"b","resourceVersion":"5"},"spec":{"x":)" + deep + "}}",
       "PolicyEndpoint b/a: nested deeper than 64 lists and mappings"},
      {ResourceKind::nodes,
       R"({"metadata":{"name":"a","resourceVersion":"5"},"status":{"addresses":[{"type":"InternalIP"}]}})",
       "Node a: address: found nothing, expected an address"},
  };
  for (const auto& row : rows) {
    const auto result = decode_object(resource_of(row.kind), whole(row.text));
    ASSERT_TRUE(result) << row.error;
    const auto* rejection = std::get_if<Rejection>(&*result);
    ASSERT_NE(rejection, nullptr) << row.error;
    EXPECT_EQ(rejection->errors.front().to_string(), row.error);
    EXPECT_EQ(rejection->key.name, "a");
    EXPECT_EQ(rejection->resource_version, "5");
  }
}

TEST(ObjectDecoder, AnObjectThatIsTooLargeIsNamedIfItsBeginningSays) {
  const std::string text = pod_json("shop", "web", "42");
  auto result = decode_object(pods(), {std::string_view(text).substr(0, 300), 40'000'000, false});
  ASSERT_TRUE(result);
  const auto& rejection = std::get<Rejection>(*result);
  EXPECT_EQ(rejection.key, (NamespacedName{"shop", "web"}));
  EXPECT_EQ(rejection.errors.front().to_string(),
            "Pod shop/web: the object has 40000000 bytes of JSON, expected at most 33554432");
  result = decode_object(pods(), {std::string_view(text).substr(0, 40), 40'000'000, false});
  ASSERT_TRUE(result);
  EXPECT_EQ(std::get<Rejection>(*result).key.name, "");
}

TEST(ObjectDecoder, AnAnswerOfSomethingElseIsAnError) {
  struct Row {
    const char* text;
    const char* error;
  };
  const Row rows[] = {
      {R"({"kind":"Node","apiVersion":"v1","metadata":{"name":"a"}})",
       "found a Node of v1, expected a Pod of v1"},
      {R"({"kind":"Pod","apiVersion":"v2","metadata":{"name":"a"}})",
       "found a Pod of v2, expected a Pod of v1"},
      {R"({"metadata":{}})", "found an object without metadata.name, expected a Pod"},
      {R"({"metadata":)", "not JSON"},
  };
  for (const auto& row : rows) {
    const auto result = decode_object(pods(), whole(row.text));
    ASSERT_FALSE(result) << row.text;
    EXPECT_EQ(result.error().message.substr(0, std::string(row.error).size()), row.error);
  }
}

TEST(Events, AreReadByTheirType) {
  struct Row {
    const char* type;
    WatchEvent::Type expected;
  };
  const Row rows[] = {{"ADDED", WatchEvent::Type::added},
                      {"MODIFIED", WatchEvent::Type::modified},
                      {"DELETED", WatchEvent::Type::deleted}};
  for (const auto& row : rows) {
    const auto event = decode_event(pods(), whole(event_json(row.type, pod_json("shop", "web", "9"))));
    ASSERT_TRUE(event) << event.error().message;
    EXPECT_EQ(event->type, row.expected);
    EXPECT_EQ(event->resource_version, "9");
    ASSERT_TRUE(event->object);
    EXPECT_EQ(std::get<WatchedObject>(*event->object).key.name, "web");
  }
  const auto bookmark = decode_event(pods(), whole(bookmark_json("12")));
  ASSERT_TRUE(bookmark);
  EXPECT_EQ(bookmark->type, WatchEvent::Type::bookmark);
  EXPECT_EQ(bookmark->resource_version, "12");
  EXPECT_FALSE(bookmark->object);
  const auto error = decode_event(pods(), whole(event_json("ERROR", status_json(410, "Expired", "too old"))));
  ASSERT_TRUE(error);
  EXPECT_EQ(error->type, WatchEvent::Type::error);
  EXPECT_EQ(to_string(error->status), "410 Expired: too old");
}

TEST(Events, OfAnObjectThatIsRefusedKeepTheirVersion) {
  const std::string pod =
      R"({"metadata":{"name":"a","namespace":"b","resourceVersion":"5"},"status":{"podIP":"x"}})";
  const auto event = decode_event(pods(), whole(event_json("MODIFIED", pod)));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->resource_version, "5");
  EXPECT_EQ(std::get<Rejection>(*event->object).key.name, "a");
  const std::string text = event_json("MODIFIED", pod_json("shop", "web", "9"));
  const auto large = decode_event(pods(), {std::string_view(text).substr(0, 300), 40'000'000, false});
  ASSERT_TRUE(large);
  EXPECT_EQ(large->resource_version, "9");
  EXPECT_EQ(std::get<Rejection>(*large->object).key.name, "web");
}

TEST(Events, ThatAreNoneAreErrors) {
  for (const char* text :
       {"{}", R"({"type":"ADDED"})", R"({"type":"LATER","object":{"metadata":{"name":"a"}}})",
        R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})", R"({"type":"BOOKMARK","object":{}})",
        R"({"type":"ADDED","object":[]})", R"({"type":"ADDED","object":)"}) {
    EXPECT_FALSE(decode_event(pods(), whole(text))) << text;
  }
}

TEST(Statuses, AreReadAndOtherBodiesAreShown) {
  struct Row {
    std::string body;
    const char* text;
    bool too_large;
    std::int64_t retry_after_s;
  };
  const Row rows[] = {
      {status_json(403, "Forbidden", "pods is forbidden"), "403 Forbidden: pods is forbidden", false, 0},
      {status_json(
           504, "Timeout", "Too large resource version: 9, current: 1",
           R"({"causes":[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}],"retryAfterSeconds":1})"),
       "504 Timeout: Too large resource version: 9, current: 1", true, 1},
      {status_json(504, "Timeout", "m", R"({"causes":[{"message":"Too large resource version"}]})"),
       "504 Timeout: m", true, 0},
      {"upstream connect error\n", "0: upstream connect error", false, 0},
      {"", "0", false, 0},
      {R"({"kind":"Other","reason":"x"})", R"(0: {"kind":"Other","reason":"x"})", false, 0},
      {std::string("a\nb\x01\xff"), "0: a b  ", false, 0},
      {std::string(500, 'x'), nullptr, false, 0},
  };
  for (const auto& row : rows) {
    const auto status = decode_status(row.body);
    if (row.text != nullptr) {
      EXPECT_EQ(to_string(status), row.text);
    }
    EXPECT_LE(to_string(status).size(), 210u);
    EXPECT_EQ(status.too_large_resource_version, row.too_large);
    EXPECT_EQ(status.retry_after.value_or(Duration{0}).ns, seconds(row.retry_after_s).ns);
  }
}

TEST(Lists, SayTheirVersionAndWhetherTheyGoOn) {
  const auto meta = decode_list_meta(
      pods(), R"({"kind":"PodList","metadata":{"resourceVersion":"7","continue":"t=="},"items":[]})");
  ASSERT_TRUE(meta);
  EXPECT_EQ(meta->resource_version, "7");
  EXPECT_EQ(meta->continue_token, "t==");
  struct Row {
    const char* envelope;
    const char* error;
  };
  const Row rows[] = {
      {R"({"kind":"PodList","metadata":{}})", "found a list without metadata.resourceVersion, expected one"},
      {R"({"kind":"Status","code":500})", "found a \"Status\", expected a PodList"},
      {R"({"kind":"NodeList","metadata":{"resourceVersion":"7"}})",
       "found a \"NodeList\", expected a PodList"},
      {R"({})", "found a \"\", expected a PodList"},
  };
  for (const auto& row : rows) {
    const auto wrong = decode_list_meta(pods(), row.envelope);
    ASSERT_FALSE(wrong) << row.envelope;
    EXPECT_EQ(wrong.error().message, row.error);
  }
}

}  // namespace
}  // namespace postern::agent::kube
