// Clients that wait, share, leave, stop sending, and a service that stops: who gets an answer, and whose place is free.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "leaving_client.h"
#include "schema.h"
#include "tiny_service.h"

namespace dgemma::server::testing_service {
namespace {

using testing::HasSubstr;

TEST(Service, the_text_is_the_same_whoever_else_is_served) {
  ServerOptions options;
  options.parallel = 3;
  const TinyService service(options);
  const auto ask = [&](int user) {
    return service.post("/v1/chat/completions", quick_chat("user " + std::to_string(user))).json["choices"];
  };
  const std::vector<Json> alone = {ask(0), ask(1), ask(2)};
  std::vector<std::future<Json>> together;
  for (int round = 0; round < 3; ++round)
    for (int user = 0; user < 3; ++user) together.push_back(std::async(std::launch::async, ask, user));
  for (size_t i = 0; i < together.size(); ++i) EXPECT_EQ(together[i].get(), alone[i % 3]);
}

TEST(Service, a_client_that_leaves_frees_its_place) {
  ServerOptions options;
  options.parallel = 1, options.max_queue = 0;
  const TinyService service(options);
  for (int i = 0; i < 3; ++i) {
    LeavingClient endless(service.port(), endless_chat());
    endless.wait_for_bytes();
    EXPECT_EQ(metric(service, "dgemma_sessions_active"), 1);
    endless.leave();
    while (metric(service, "dgemma_sessions_active") > 0) std::this_thread::yield();
  }
  EXPECT_EQ(service.post("/v1/chat/completions", quick_chat()).status, 200);
}

TEST(Service, a_client_that_only_stops_sending_gets_its_answer) {
  ServerOptions options;
  options.parallel = 1;
  const TinyService service(options);
  for (const bool stream : {false, true}) {
    LeavingClient endless(service.port(), endless_chat());  // so that the other one has to wait
    endless.wait_for_bytes();
    Json request = quick_chat();
    request["stream"] = stream;
    LeavingClient other(service.port(), request);
    other.half_close();
    while (metric(service, "dgemma_queue_waiting") < 1) std::this_thread::yield();
    other.wait_for_bytes();  // the first byte, which comes ahead while it waits
    endless.leave();
    const std::string answer = other.rest();
    EXPECT_THAT(answer, testing::StartsWith("TTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, HasSubstr("\"finish_reason\":\"length\""));
  }
}

TEST(Service, a_client_that_stops_sending_and_leaves_frees_its_place) {
  ServerOptions options;
  options.parallel = 1, options.max_queue = 0;
  const TinyService service(options);
  for (const bool stream : {false, true}) {
    Json request = endless_chat();
    request["stream"] = stream;
    LeavingClient endless(service.port(), request);
    endless.half_close();
    while (metric(service, "dgemma_sessions_active") < 1) std::this_thread::yield();
    endless.leave();
    while (metric(service, "dgemma_sessions_active") > 0) std::this_thread::yield();
  }
  const std::string left = "dgemma_requests_total{endpoint=\"/v1/chat/completions\",status=\"499\"}";
  while (metric(service, left) < 1) std::this_thread::yield();
}

TEST(Service, a_stream_that_waits_long_for_a_place_begins_with_comments) {
  ServerOptions options;
  options.parallel = 1, options.limits.silence_s = 0;
  TinyService service(options);
  for (const bool fails : {false, true}) {
    LeavingClient endless(service.port(), endless_chat());
    endless.wait_for_text("data: ", 1);
    Json request = fails ? endless_chat() : quick_chat();
    request["stream"] = true;
    LeavingClient waits(service.port(), request);
    waits.wait_for_text("HTTP/1.1 200 OK\r\n", 1);
    waits.wait_for_text(": waiting\n\n", 2);
    EXPECT_EQ(metric(service, "dgemma_queue_waiting"), 1);
    if (fails) {
      service.server().stop();
      service.server().stop();
      EXPECT_THAT(waits.rest(),
                  HasSubstr("data: {\"error\":{\"message\":\"the answer was stopped: the service ends\""));
    } else {
      endless.leave();
      waits.wait_for_text("data: [DONE]\n\n", 1);
    }
  }
}

TEST(Service, a_full_queue_says_when_to_come_back) {
  ServerOptions options;
  options.parallel = 1, options.max_queue = 0;
  const TinyService service(options);
  LeavingClient endless(service.port(), endless_chat());
  endless.wait_for_bytes();
  const auto reply = service.post("/v1/chat/completions", quick_chat());
  EXPECT_EQ(reply.status, 429);
  EXPECT_EQ(reply.json["error"]["type"], "rate_limit_error");
  EXPECT_TRUE(reply.headers.contains("Retry-After"));
}

TEST(Service, stopping_finishes_what_runs_and_a_second_stop_ends_it) {
  TinyService service;
  LeavingClient endless(service.port(), endless_chat());
  endless.wait_for_bytes();
  service.server().stop();
  EXPECT_EQ(service.post("/v1/chat/completions", quick_chat()).status, 503);
  const auto health = service.get("/health");
  EXPECT_EQ(health.status, 503) << "whoever spreads requests sends no more here";
  EXPECT_EQ(health.json, Json({{"status", "stopping"}}));
  EXPECT_EQ(health.headers.count("Retry-After"), 1u);
  EXPECT_EQ(Schema(service.get("/openapi.json").json).check("Health", health.json), "");
  EXPECT_EQ(metric(service, "dgemma_ready"), 0);
  service.server().stop();
  EXPECT_THAT(endless.rest(), HasSubstr("the service ends"));
}

}  // namespace
}  // namespace dgemma::server::testing_service
