// Fuzzes the bodies of the service's requests, with the same bytes for all three APIs.
//
// A body is refused with a message and a status of the client's making, or becomes a request whose parts hold together:
// limits kept, seeds and stop strings in range, and a chat that the renderer can read as JSON. Stop strings are tried
// on the body itself, cut in two ways. Seeds: fuzz/corpus/server.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "server/api_error.h"
#include "server/chat_request.h"
#include "server/completion_request.h"
#include "server/messages_request.h"
#include "server/stop_matcher.h"

namespace server = dgemma::server;

namespace {

const server::ServedModel& model() {
  static const server::ServedModel m = [] {
    server::ServedModel made;
    made.name = "pocket", made.names = {"pocket"};
    return made;
  }();
  return m;
}

void check_refusal(const dgemma::Error& error) {
  const server::ApiError api(error);
  DG_CHECK(api.status == 400 || api.status == 404, api.status, ' ', api.message);
  DG_CHECK(!api.message.empty() && !server::json_text(api.openai()).empty(), "no message");
}

void check_stops(const std::vector<std::string>& stops, std::string_view text) {
  server::StopMatcher whole(stops), pieces(stops);
  const std::string first = whole.push(text), expected = first + whole.finish();
  std::string got;
  for (size_t i = 0; i < text.size(); i += 3) got += pieces.push(text.substr(i, 3));
  got += pieces.finish();
  DG_CHECK(got == expected && whole.matched() == pieces.matched(), "a cut changed the text");
  for (const std::string& stop : stops)
    DG_CHECK(stop.empty() || expected.find(stop) == std::string::npos, "a stop string came through");
}

void check_answer(const server::AnswerRequest& answer, std::string_view body) {
  DG_CHECK(answer.choices >= 1 && answer.choices <= model().limits.choices, answer.choices);
  DG_CHECK(answer.stop.size() <= 4, answer.stop.size());
  DG_CHECK(!answer.generate.max_new_tokens || *answer.generate.max_new_tokens > 0, "max_tokens");
  check_stops(answer.stop, body.substr(0, 2000));
}

template <class Request>
void check(const dgemma::Result<Request>& request, std::string_view body) {
  if (!request) return check_refusal(request.error());
  check_answer(request->answer, body);
  if constexpr (requires { request->chat; }) {
    const auto chat = server::parse_body(request->chat);
    DG_CHECK(chat && chat->contains("messages"), "chat ", request->chat);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto json = server::parse_body(body);
  if (!json) {
    check_refusal(json.error());
    return 0;
  }
  check(server::parse_chat_request(*json, model()), body);
  check(server::parse_completion_request(*json, model()), body);
  check(server::parse_messages_request(*json, model()), body);
  return 0;
}
