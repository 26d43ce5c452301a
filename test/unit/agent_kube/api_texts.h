// SPDX-License-Identifier: Apache-2.0
// Answers as an API server writes them: objects with all that comes with them, lists, events.
#pragma once

#include <string>
#include <vector>

namespace postern::agent::kube {

// A running pod, with the fields that real ones have and policy does not need.
inline std::string pod_json(const std::string& ns, const std::string& name, const std::string& version,
                            const std::string& ip = "10.0.0.1",
                            const std::string& labels = R"("app":"web")") {
  return R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":")" + name +
         R"(","generateName":"web-","namespace":")" + ns + R"(","uid":"uid-)" + name +
         R"(","resourceVersion":")" + version + R"(","creationTimestamp":"2025-01-01T00:00:00Z","labels":{)" +
         labels +
         R"(},"annotations":{"other.example/note":"a \"quoted\" { [ note \\","vpc.amazonaws.com/pod-ips":")" +
         ip +
         R"("},"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"u","controller":true}],)"
         R"("managedFields":[{"manager":"kubelet","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1",)"
         R"("fieldsV1":{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{},"f:status":{}}}}}}]},)"
         R"("spec":{"volumes":[{"name":"token","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607}}]}}],)"
         R"("containers":[{"name":"web","image":"registry.example/web:1","ports":[{"name":"http","hostPort":1,"containerPort":80,)"
         R"("protocol":"TCP"}],"resources":{"requests":{"cpu":"25m"}},"env":[{"name":"A","value":"<>&é"}]}],)"
         R"("nodeName":"node-1","tolerations":[{"operator":"Exists"}],"priority":0},"status":{"phase":"Running",)"
         R"("conditions":[{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":"2025-01-01T00:00:01Z"}],)"
         R"("hostIP":"192.0.2.1","hostIPs":[{"ip":"192.0.2.1"}],"podIP":")" +
         ip + R"(","podIPs":[{"ip":")" + ip +
         R"("}],"startTime":"2025-01-01T00:00:00Z","containerStatuses":[{"name":"web","restartCount":3,"ready":true}]}})";
}

// As elements of lists are: without kind and apiVersion.
inline std::string as_item(std::string object) {
  const std::string type = R"("kind":"Pod","apiVersion":"v1",)";
  const auto at = object.find(type);
  if (at != std::string::npos) object.erase(at, type.size());
  return object;
}

inline std::string list_json(const std::string& kind, const std::string& version,
                             const std::vector<std::string>& items, const std::string& token = "") {
  std::string text =
      R"({"kind":")" + kind + R"(List","apiVersion":"v1","metadata":{"resourceVersion":")" + version + "\"";
  if (!token.empty()) text += R"(,"continue":")" + token + R"(","remainingItemCount":7)";
  text += R"(},"items":[)";
  for (std::size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : ",") + as_item(items[i]);
  return text + "]}\n";
}

inline std::string event_json(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

inline std::string bookmark_json(const std::string& version) {
  return event_json("BOOKMARK", R"({"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":")" +
                                    version +
                                    R"(","creationTimestamp":null},"spec":{"containers":null},"status":{}})");
}

inline std::string status_json(int code, const std::string& reason, const std::string& message,
                               const std::string& details = "{}") {
  return R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":")" + message +
         R"(","reason":")" + reason + R"(","details":)" + details + R"(,"code":)" + std::to_string(code) +
         "}\n";
}

}  // namespace postern::agent::kube
