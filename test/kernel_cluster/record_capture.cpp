// SPDX-License-Identifier: Apache-2.0
// Records scenarios/captures/shop.pcap: puts the shop's manifests in force on a namespace cluster and
// lets its pods talk, allowed and denied, while everything that enters the wire is captured. Usage:
//   record_capture [OUT [MANIFESTS]]
// Says how many packets the file holds and how many the kernel's programs dropped, which is what a
// replay of the file against the same manifests has to find.
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "backends/tc/tc_backend.h"
#include "sim/netns/netns_cluster.h"
#include "sim/netns/sandbox.h"
#include "sim/replay/manifest_cluster.h"
#include "test/kernel_cluster/conversation.h"

namespace postern::sim {
namespace {

using testing_support::Talk;
using testing_support::talk_ping;
using testing_support::talk_tcp;
using testing_support::talk_udp;

constexpr int kPatienceMs = 2000;
// A denied opener gives up after its first repetition, a second later.
constexpr int kDeniedMs = 1200;
constexpr int kDeniedOnceMs = 50;

struct Line {
  const char* from;  // "namespace/pod", "node:name" or an address
  const char* to;
  ProbeProtocol protocol;
  std::uint16_t port;
  bool allowed;
  std::string_view request;
  std::string_view answer;
};

using namespace std::string_view_literals;

// A DNS question for the address of api.shop.svc, and its answer.
#define SHOP_DNS_NAME \
  "\x03"              \
  "api"               \
  "\x04"              \
  "shop"              \
  "\x03"              \
  "svc"               \
  "\0"                \
  "\0\x01"            \
  "\0\x01"
constexpr auto kQuestion =
    "\x12\x34"
    "\x01\0"
    "\0\x01"
    "\0\0"
    "\0\0"
    "\0\0" SHOP_DNS_NAME ""sv;
constexpr auto kReply =
    "\x12\x34"
    "\x85\x80"
    "\0\x01"
    "\0\x01"
    "\0\0"
    "\0\0" SHOP_DNS_NAME
    "\xc0\x0c"
    "\0\x01"
    "\0\x01"
    "\0\0\0\x1e"
    "\0\x04"
    "\x0a\x60\0\x14"sv;
constexpr std::string_view kHttp = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n";
constexpr std::string_view kPage =
    "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Type: text/plain\r\n\r\nHello, shop!";
constexpr std::string_view kMetrics = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nup_seconds 42\n";
constexpr std::string_view kSql = "select id, name, price from products where stock > 0 order by name";
constexpr std::string_view kRows = "1 | lamp | 24.90\n2 | table | 149.00\n3 | chair | 59.00\n";

using enum ProbeProtocol;

constexpr Line kLines[] = {
    // A customer looks at the shop.
    {"198.51.100.7", "ingress/ingress-nginx-0", tcp, 80, true, kHttp, kPage},
    {"ingress/ingress-nginx-0", "shop/frontend-0", tcp, 8080, true, kHttp, kPage},
    {"shop/frontend-0", "kube-system/coredns-0", udp, 53, true, kQuestion, kReply},
    {"shop/frontend-0", "shop/api-0", tcp, 8080, true, "GET /products HTTP/1.1\r\nHost: api.shop.svc\r\n\r\n",
     kPage},
    {"shop/api-0", "kube-system/coredns-1", udp, 53, true, kQuestion, kReply},
    {"shop/api-0", "shop/postgres-0", tcp, 5432, true, kSql, kRows},
    {"shop/api-0", "shop/redis-0", tcp, 6379, true, "GET session:4711\r\n", "$6\r\nbasket\r\n"},
    {"shop/api-0", "203.0.113.10", tcp, 443, true, "charge 173.90", "charged"},
    // The worker, the replica, the scraper, the nodes.
    {"shop/worker-0", "shop/redis-0", tcp, 6379, true, "BLPOP orders 1\r\n", "*2\r\norders\r\n4711\r\n"},
    {"shop/worker-0", "shop/postgres-0", tcp, 5432, true, "update orders set state = 'sent' where id = 4711",
     "UPDATE 1"},
    {"shop/postgres-1", "shop/postgres-0", tcp, 5432, true, "START_REPLICATION", "COPY_BOTH"},
    {"monitoring/prometheus-0", "shop/api-0", tcp, 9102, true, "GET /metrics HTTP/1.1\r\n\r\n", kMetrics},
    {"monitoring/prometheus-0", "shop/frontend-1", tcp, 9090, true, "GET /metrics HTTP/1.1\r\n\r\n",
     kMetrics},
    {"node:worker-1", "shop/redis-0", tcp, 6379, true, "PING\r\n", "+PONG\r\n"},
    {"node:worker-2", "shop/postgres-0", icmp, 0, true, "is it alive?", ""},
    {"198.51.100.7", "kube-system/coredns-0", icmp, 0, true, "abcdefghijklmnopqrstuvwabcdefghi", ""},
    // What the policies stop.
    {"shop/frontend-0", "shop/postgres-0", tcp, 5432, false, kSql, kRows},
    {"shop/backup-0", "shop/postgres-0", tcp, 5432, false, "pg_dump shop", ""},
    {"ingress/ingress-nginx-0", "shop/api-0", tcp, 8080, false, kHttp, kPage},
    {"198.51.100.7", "ingress/ingress-nginx-0", tcp, 10254, false, "GET /metrics HTTP/1.1\r\n\r\n", kMetrics},
    {"shop/api-0", "203.0.113.200", tcp, 443, false, "charge 173.90", "charged"},
    {"shop/frontend-0", "8.8.8.8", udp, 53, false, kQuestion, kReply},
    {"shop/worker-0", "kube-system/coredns-0", udp, 5353, false, kQuestion, kReply},
    {"shop/frontend-1", "shop/api-1", icmp, 0, false, "is it alive?", ""},
    {"node:worker-2", "shop/redis-0", tcp, 6379, false, "PING\r\n", "+PONG\r\n"},
};

Result<Party> party_of(const ClusterSnapshot& cluster, const std::string& name) {
  Party party;
  if (const auto address = IpAddress::parse(name)) {
    party.kind = Party::Kind::outside;
    party.address = *address;
    return party;
  }
  if (name.rfind("node:", 0) == 0) {
    const auto node = cluster.nodes.find(name.substr(5));
    if (node == cluster.nodes.end()) return fail(ErrorCode::not_found, "the manifests have no " + name);
    party.kind = Party::Kind::node;
    party.node = node->first;
    party.address = node->second.internal_ip(IpFamily::v4).value();
    return party;
  }
  const auto slash = name.find('/');
  const auto pod = cluster.pods.find({name.substr(0, slash), name.substr(slash + 1)});
  if (pod == cluster.pods.end() || !pod->second.live()) {
    return fail(ErrorCode::not_found, "the manifests have no live pod " + name);
  }
  party.pod = pod->first;
  party.address = pod->second.addresses.front();
  return party;
}

Placement placement_of(const ClusterSnapshot& cluster) {
  Placement placement;
  placement.cluster = cluster;
  for (const auto& line : kLines) {
    for (const char* end : {line.from, line.to}) {
      if (const auto address = IpAddress::parse(end)) placement.outside.push_back(*address);
    }
  }
  return placement;
}

Result<void> play(NetnsCluster& cluster, const ClusterSnapshot& snapshot, const Line& line,
                  std::uint16_t number) {
  const std::string what = std::string(line.from) + " -> " + line.to + " " + std::to_string(line.port);
  Talk talk;
  talk.port = line.port;
  talk.request = line.request;
  talk.answer = line.answer;
  for (const bool client : {true, false}) {
    auto party = party_of(snapshot, client ? line.from : line.to);
    if (!party) return fail_as(party);
    auto netns = cluster.netns_of(*party);
    if (!netns) return fail_as(netns);
    (client ? talk.client : talk.server) = {*netns, party->address};
  }
  Result<bool> answered = false;
  switch (line.protocol) {
    case tcp: answered = talk_tcp(talk, line.allowed ? kPatienceMs : kDeniedMs); break;
    case udp: answered = talk_udp(talk, line.allowed ? kPatienceMs : kDeniedOnceMs); break;
    case icmp: answered = talk_ping(talk, number, line.allowed ? kPatienceMs : kDeniedOnceMs); break;
    case sctp: return fail(ErrorCode::unsupported, "this kernel's sockets have no SCTP");
  }
  if (!answered) return fail(answered.error().code, what + ": " + answered.error().message);
  if (*answered != line.allowed) {
    return fail(ErrorCode::internal,
                what + (line.allowed ? ": was to be allowed and was not" : ": was to be denied and was not"));
  }
  return {};
}

Result<void> record(const std::string& out, const std::string& manifests) {
  const std::vector<std::string> paths{manifests};
  const auto loaded = load_cluster(paths);
  if (!loaded) return tl::unexpected(loaded.error().front());
  auto cluster = NetnsCluster::make([](const TableSizes& sizes) { return make_tc_backend(sizes); });
  if (!cluster) return fail_as(cluster);
  if (auto done = (*cluster)->begin({}); !done) return done;
  if (auto done = (*cluster)->place(placement_of(loaded->cluster)); !done) return done;
  if (auto done = (*cluster)->start_capture(out); !done) return done;
  std::uint16_t number = 0;
  for (const auto& line : kLines) {
    if (auto done = play(**cluster, loaded->cluster, line, ++number); !done) return done;
  }
  const auto packets = (*cluster)->stop_capture();
  if (!packets) return fail_as(packets);
  const auto dropped = (*cluster)->dropped_packets();
  if (!dropped) return fail_as(dropped);
  std::printf("%s: %zu packets, %llu of them dropped\n", out.c_str(), *packets,
              static_cast<unsigned long long>(*dropped));
  return {};
}

}  // namespace
}  // namespace postern::sim

int main(int argc, char** argv) {
  const std::string out = argc > 1 ? argv[1] : "scenarios/captures/shop.pcap";
  const std::string manifests = argc > 2 ? argv[2] : "scenarios/apps/shop";
  auto done = postern::sim::enter_sandbox();
  if (done) done = postern::sim::record(out, manifests);
  if (done) return 0;
  std::fprintf(stderr, "record_capture: %s\n", done.error().to_string().c_str());
  return 2;
}
