// SPDX-License-Identifier: Apache-2.0
#include "agent/kube/http_client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "agent/kube/http_failure.h"

namespace postern::agent::kube {

struct HttpClient::Curl {
  HttpClient* client = nullptr;
  CURLM* multi = nullptr;

  static int on_socket(CURL* /*easy*/, curl_socket_t socket, int what, void* self, void* /*socket_data*/);
  static int on_timer(CURLM* /*multi*/, long timeout_ms, void* self);
};

struct HttpClient::Transfer {
  HttpReceiver* receiver = nullptr;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;
  std::shared_ptr<const TlsMaterial> tls;  // curl is handed pointers into it
  std::string body;
  char error[CURL_ERROR_SIZE] = {};

  // Gathered by curl's callbacks for the receiver.
  HttpHead head;
  bool head_complete = false;
  bool head_delivered = false;
  std::string bytes;

  ~Transfer() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
  }

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  static int on_open(void* /*self*/, curl_socket_t socket, curlsocktype /*purpose*/);
};

namespace {

template <typename... Arguments>
void set(CURL* easy, CURLoption option, Arguments... arguments) {
  // Only options that this libcurl has, with values of their type: what is left is memory.
  curl_easy_setopt(easy, option, arguments...);
}

bool begins_with(std::string_view text, std::string_view beginning) {
  return text.size() >= beginning.size() &&
         std::equal(beginning.begin(), beginning.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? static_cast<char>(b - 'A' + 'a') : b);
         });
}

template <typename Number>
Number number_in(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

}  // namespace

std::size_t HttpClient::Transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  const std::string_view line(data, size * count);
  if (begins_with(line, "http/")) {
    // The first line of a head; one with status 1xx is followed by another.
    transfer.head = {};
    transfer.head.status = number_in<int>(line.substr(std::min(line.find(' '), line.size())));
  } else if (begins_with(line, "retry-after:")) {
    const auto wait = number_in<std::int64_t>(line.substr(12));
    if (wait > 0) transfer.head.retry_after = seconds(std::min<std::int64_t>(wait, 86'400));
  } else if (line == "\r\n" || line == "\n") {
    transfer.head_complete = transfer.head.status >= 200;
  }
  return line.size();
}

std::size_t HttpClient::Transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  static_cast<Transfer*>(self)->bytes.append(data, size * count);
  return size * count;
}

// A watch says nothing for minutes, so a peer that is gone has to be noticed by the kernel: within a
// minute, by keep-alives or by bytes that nobody confirms.
int HttpClient::Transfer::on_open(void* /*self*/, curl_socket_t socket, curlsocktype /*purpose*/) {
  const int probes = 3;
  const int unconfirmed_ms = 60'000;
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unconfirmed_ms, sizeof unconfirmed_ms);
  return CURL_SOCKOPT_OK;
}

namespace {

void set_blob(CURL* easy, CURLoption option, const std::string& text) {
  curl_blob blob{};
  blob.data = const_cast<char*>(text.data());  // read only, curl has one type for both
  blob.len = text.size();
  blob.flags = CURL_BLOB_NOCOPY;
  set(easy, option, &blob);
}

void set_tls(CURL* easy, const TlsMaterial& tls) {
  set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(easy, CURLOPT_SSL_VERIFYPEER, 1L);
  set(easy, CURLOPT_SSL_VERIFYHOST, 2L);
  // Without it OpenSSL would ask the terminal for the password of a key.
  set(easy, CURLOPT_KEYPASSWD, "");
  if (!tls.authority.empty()) {
    // The system's CAs would be trusted beside it.
    set(easy, CURLOPT_CAINFO, nullptr);
    set(easy, CURLOPT_CAPATH, nullptr);
    set_blob(easy, CURLOPT_CAINFO_BLOB, tls.authority);
  }
  if (!tls.certificate.empty()) {
    set(easy, CURLOPT_SSLCERTTYPE, "PEM");
    set(easy, CURLOPT_SSLKEYTYPE, "PEM");
    set_blob(easy, CURLOPT_SSLCERT_BLOB, tls.certificate);
    set_blob(easy, CURLOPT_SSLKEY_BLOB, tls.key);
  }
}

long milliseconds_of(Duration duration) { return static_cast<long>(duration.ns / 1'000'000); }

// "https://10.0.0.1:6443/api" with the name "kubernetes" -> "https://kubernetes:6443/api", and where to
// connect for it in curl's words, "kubernetes:6443:10.0.0.1:6443": so the name is asked for (SNI) and
// checked.
std::string renamed(const std::string& url, const std::string& name, std::string& connect_to) {
  const auto host = url.find("//") + 2;
  auto host_end = url[host] == '[' ? url.find(']', host) + 1 : url.find_first_of(":/", host);
  host_end = std::min(host_end, url.size());
  const auto path = std::min(url.find('/', host_end), url.size());
  const std::string port = host_end == path ? "" : url.substr(host_end + 1, path - host_end - 1);
  connect_to = name + ":" + port + ":" + url.substr(host, host_end - host) + ":" + port;
  return url.substr(0, host) + name + url.substr(host_end);
}

}  // namespace

int HttpClient::Curl::on_socket(CURL* /*easy*/, curl_socket_t socket, int what, void* self, void* /*data*/) {
  HttpClient& client = *static_cast<Curl*>(self)->client;
  if (what == CURL_POLL_REMOVE) {
    client.loop_.forget(socket);
    return 0;
  }
  const std::uint32_t events = ((what & CURL_POLL_IN) != 0 ? std::uint32_t{EPOLLIN} : 0) |
                               ((what & CURL_POLL_OUT) != 0 ? std::uint32_t{EPOLLOUT} : 0);
  const auto ready = [&client, socket](std::uint32_t found) {
    int curl_events = 0;
    if ((found & (EPOLLIN | EPOLLHUP)) != 0) curl_events |= CURL_CSELECT_IN;
    if ((found & EPOLLOUT) != 0) curl_events |= CURL_CSELECT_OUT;
    if ((found & EPOLLERR) != 0) curl_events |= CURL_CSELECT_ERR;
    client.act(socket, curl_events);
  };
  if (client.loop_.watch(socket, events, ready)) return 0;
  // A descriptor that curl closed without a word and whose number came back.
  client.loop_.forget(socket);
  return client.loop_.watch(socket, events, ready) ? 0 : -1;
}

int HttpClient::Curl::on_timer(CURLM* /*multi*/, long timeout_ms, void* self) {
  HttpClient& client = *static_cast<Curl*>(self)->client;
  client.loop_.cancel(std::exchange(client.timer_, 0));
  if (timeout_ms < 0) return 0;
  client.timer_ = client.loop_.after(milliseconds(timeout_ms), [&client] {
    client.timer_ = 0;
    client.act(CURL_SOCKET_TIMEOUT, 0);
  });
  return 0;
}

HttpClient::HttpClient(EventLoop& loop) : loop_(loop), curl_(std::make_unique<Curl>()) {}

Result<std::unique_ptr<HttpClient>> HttpClient::make(EventLoop& loop) {
  static const CURLcode kGlobal = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kGlobal != CURLE_OK) return fail(ErrorCode::internal, "libcurl does not start");
  std::unique_ptr<HttpClient> client(new HttpClient(loop));
  client->curl_->client = client.get();
  client->curl_->multi = curl_multi_init();
  CURLM* multi = client->curl_->multi;
  if (multi == nullptr) return fail(ErrorCode::internal, "libcurl has no multi handle for us");
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &Curl::on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, client->curl_.get());
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &Curl::on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, client->curl_.get());
  return client;
}

HttpClient::~HttpClient() {
  if (curl_->multi != nullptr) {
    for (auto& entry : transfers_) curl_multi_remove_handle(curl_->multi, entry.second->easy);
    transfers_.clear();
    curl_multi_cleanup(curl_->multi);
  }
  loop_.cancel(timer_);
}

HttpClient::TransferId HttpClient::start(const HttpRequest& request, HttpReceiver& receiver) {
  auto transfer = std::make_unique<Transfer>();
  transfer->receiver = &receiver;
  transfer->tls = request.tls;
  transfer->body = request.body;
  CURL* easy = transfer->easy = curl_easy_init();
  const TransferId id = next_transfer_++;

  std::string url = request.url;
  if (!request.certificate_name.empty()) {
    std::string connect_to;
    url = renamed(url, request.certificate_name, connect_to);
    transfer->connect_to = curl_slist_append(nullptr, connect_to.c_str());
    set(easy, CURLOPT_CONNECT_TO, transfer->connect_to);
  }
  set(easy, CURLOPT_URL, url.c_str());
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  // "" also turns off what the environment says.
  if (!request.environment_proxy) set(easy, CURLOPT_PROXY, request.proxy_url.c_str());
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(easy, CURLOPT_PIPEWAIT, 1L);  // rather a stream of a connection that is being made than another
  set(easy, CURLOPT_FRESH_CONNECT, request.new_connection ? 1L : 0L);
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_QUICK_EXIT, 1L);  // cancel() does not wait for a name to resolve
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds_of(request.connect_timeout));
  set(easy, CURLOPT_TIMEOUT_MS, milliseconds_of(request.total_timeout));
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_TCP_KEEPIDLE, 30L);
  set(easy, CURLOPT_TCP_KEEPINTVL, 10L);
  set(easy, CURLOPT_SOCKOPTFUNCTION, &Transfer::on_open);
  set(easy, CURLOPT_ERRORBUFFER, static_cast<char*>(transfer->error));
  set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(easy, CURLOPT_HEADERDATA, transfer.get());
  set(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(easy, CURLOPT_WRITEDATA, transfer.get());
  set(easy, CURLOPT_PRIVATE, reinterpret_cast<void*>(id));
  if (transfer->tls) set_tls(easy, *transfer->tls);
  if (request.method != "GET") {
    set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer->body.size()));
    set(easy, CURLOPT_POSTFIELDS, transfer->body.c_str());
  }
  for (const auto& header : request.headers)
    transfer->headers = curl_slist_append(transfer->headers, header.c_str());
  set(easy, CURLOPT_HTTPHEADER, transfer->headers);

  transfers_.emplace(id, std::move(transfer));
  curl_multi_add_handle(curl_->multi, easy);
  return id;
}

void HttpClient::cancel(TransferId id) {
  const auto found = transfers_.find(id);
  if (found == transfers_.end()) return;
  curl_multi_remove_handle(curl_->multi, found->second->easy);
  transfers_.erase(found);
}

void HttpClient::act(int socket, int events) {
  int running = 0;
  curl_multi_socket_action(curl_->multi, socket, events, &running);
  deliver();
  collect_ended();
}

void HttpClient::deliver() {
  std::vector<TransferId> with_news;
  for (const auto& [id, transfer] : transfers_) {
    if (!transfer->bytes.empty() || (transfer->head_complete && !transfer->head_delivered))
      with_news.push_back(id);
  }
  for (const TransferId id : with_news) deliver_to(id);
}

// A receiver may cancel any transfer, its own included, so each is looked up anew.
void HttpClient::deliver_to(TransferId id) {
  auto found = transfers_.find(id);
  if (found == transfers_.end()) return;
  if (found->second->head_complete && !found->second->head_delivered) {
    found->second->head_delivered = true;
    const HttpHead head = found->second->head;
    found->second->receiver->head(head);
    found = transfers_.find(id);
  }
  if (found == transfers_.end() || found->second->bytes.empty()) return;
  const std::string bytes = std::exchange(found->second->bytes, {});
  found->second->receiver->bytes(bytes);
}

void HttpClient::collect_ended() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(curl_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;  // the message is gone once the handle is removed
    void* tag = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &tag);
    const auto id = reinterpret_cast<TransferId>(tag);
    deliver_to(id);
    const auto found = transfers_.find(id);
    if (found == transfers_.end()) continue;
    const auto transfer = std::move(found->second);
    const HttpFailure failure = code == CURLE_OK ? HttpFailure{} : failure_of(easy, code, transfer->error);
    transfers_.erase(found);
    curl_multi_remove_handle(curl_->multi, easy);
    if (code == CURLE_OK) {
      transfer->receiver->finished();
    } else {
      transfer->receiver->failed(failure);
    }
  }
}

}  // namespace postern::agent::kube
