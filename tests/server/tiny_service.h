// A service for tests, in this process, on a port of its own: a tiny model with random weights and a small tokenizer.
//
// The tokenizer has Gemma 4's control tokens, all bytes, and letters: enough for the chat format. What the model
// answers is noise, but the same noise for the same seed.
#pragma once

#include <httplib.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "dgemma/engine.h"
#include "golden.h"
#include "server/server.h"

namespace dgemma::server::testing_service {

using Json = nlohmann::ordered_json;

inline Json tiny_tokenizer() {
  const std::vector<std::string> control = {"<pad>",
                                            "<eos>",
                                            "<bos>",
                                            "<unk>",
                                            "<|tool>",
                                            "<tool|>",
                                            "<|tool_call>",
                                            "<tool_call|>",
                                            "<|tool_response>",
                                            "<tool_response|>",
                                            "<|\"|>",
                                            "<|think|>",
                                            "<|channel>",
                                            "<channel|>",
                                            "<|turn>",
                                            "<turn|>"};
  Json vocab = Json::object(), added = Json::array();
  const auto add = [&vocab](const std::string& text) { vocab[text] = vocab.size(); };
  for (const std::string& text : control) {
    added.push_back({{"id", vocab.size()}, {"content", text}, {"special", true}});
    add(text);
  }
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    add(text);
  }
  for (char c = '!'; c <= '~'; ++c) add(std::string(1, c));
  add("\u2581");
  for (int i = static_cast<int>(vocab.size()); i < 512; ++i) add("w" + std::to_string(i) + "\u2581");
  return {{"added_tokens", added},
          {"normalizer", {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}}},
          {"decoder",
           {{"type", "Sequence"},
            {"decoders",
             {{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
              {{"type", "ByteFallback"}},
              {{"type", "Fuse"}}}}}},
          {"model", {{"type", "BPE"}, {"byte_fallback", true}, {"vocab", vocab}, {"merges", Json::array()}}}};
}

/// A folder with the weights of tiny-a and the tokenizer.
inline std::string tiny_model() {
  namespace fs = std::filesystem;
  static const std::string folder = [] {
    const std::string path = testing::TempDir() + "tiny-chat";
    fs::create_directories(path);
    for (const char* name : {"config.json", "generation_config.json", "model.safetensors"})
      fs::copy_file(golden::folder() + "tiny-a/" + name, path + "/" + name, fs::copy_options::overwrite_existing);
    std::ofstream(path + "/tokenizer.json") << tiny_tokenizer().dump();
    return path;
  }();
  return folder;
}

/// Runs until it goes out of scope.
class TinyService {
 public:
  explicit TinyService(ServerOptions options = {}) {
    options.port = 0, options.alias = "tiny";
    auto listening = Server::listen(std::move(options));
    DG_CHECK(listening.has_value(), listening.error().message);
    server_ = std::move(*listening);
    thread_ = std::thread([this] { server_->serve(); });
    std::promise<void> loaded;
    EngineOptions engine;
    engine.model_path = tiny_model(), engine.threads = 1, engine.compute = "f32";
    server_->load(engine, [&loaded](const Result<void>& result) {
      DG_CHECK(result.has_value(), result.error().message);
      loaded.set_value();
    });
    loaded.get_future().wait();
    // cpp-httplib makes static objects on its first request. Debian's is not instrumented, so that for the thread
    // sanitizer two first requests at once race to them: this one is the first, alone.
    client().Get("/health");
  }
  ~TinyService() {
    server_->stop();
    if (thread_.joinable()) thread_.join();
  }
  TinyService(const TinyService&) = delete;
  TinyService& operator=(const TinyService&) = delete;

  Server& server() { return *server_; }
  int port() const { return server_->port(); }
  httplib::Client client() const {
    httplib::Client client("127.0.0.1", port());
    client.set_read_timeout(120);
    return client;
  }
  struct Reply {
    int status = 0;
    Json json;
    std::string body;
    httplib::Headers headers;
  };
  Reply post(const std::string& path, const Json& body, const httplib::Headers& headers = {}) const {
    return reply(client().Post(path, headers, body.dump(), "application/json"));
  }
  Reply get(const std::string& path, const httplib::Headers& headers = {}) const {
    return reply(client().Get(path, headers));
  }
  static Reply reply(const httplib::Result& result) {
    if (!result) return {0, {}, httplib::to_string(result.error()), {}};
    return {result->status, Json::parse(result->body, nullptr, false), result->body, result->headers};
  }

 private:
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

/// A chat request that is quick: a canvas or two of few steps.
inline Json quick_chat(const std::string& text = "Hi") {
  return {{"messages", Json::array({{{"role", "user"}, {"content", text}}})},
          {"max_tokens", 24},
          {"seed", 3},
          {"diffusion", {{"max_denoising_steps", 3}}}};
}

/// A completion of one short canvas, with the log-probabilities of so many tokens a row.
inline Json quick_completion(int logprobs) {
  Json request = quick_chat();
  request.erase("messages");
  request["prompt"] = "Hi", request["logprobs"] = logprobs;
  return request;
}

/// A request that goes on until somebody stops it.
inline Json endless_chat() {
  Json request = quick_chat();
  request.erase("max_tokens");
  request["stream"] = true;
  request["diffusion"] = {{"max_denoising_steps", 10000}, {"entropy_bound", 0}, {"stability_threshold", 10000}};
  return request;
}

/// A value of GET /metrics, -1 where there is none.
inline double metric(const TinyService& service, const std::string& name) {
  const std::string text = service.get("/metrics").body;
  const size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

/// The objects of a stream's events, without "[DONE]".
inline std::vector<Json> sse_objects(const std::string& body) {
  std::vector<Json> objects;
  for (size_t at = 0; (at = body.find("data: ", at)) != std::string::npos;) {
    const size_t end = body.find("\n\n", at);
    const std::string text = body.substr(at + 6, end - at - 6);
    if (text != "[DONE]") objects.push_back(Json::parse(text));
    at = end;
  }
  return objects;
}

}  // namespace dgemma::server::testing_service
