// The service as a process that is killed while answers are made: what its successor serves of their traces.
//
// Moments are counted in events that clients got, not in time; what else is going on then differs from run to run, and
// what is checked holds at any moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <list>
#include <mutex>
#include <set>

#include "leaving_client.h"
#include "tiny_service.h"

namespace dgemma::server::testing_service {
namespace {

namespace fs = std::filesystem;

constexpr int kAnswers = 3;  // in flight when the service is killed
constexpr const char* kUnfinishedTrace = ".trace.jsonl.partial-";

/// `dgemma serve` with the tiny model and a trace folder, in a process of its own.
class ServiceProcess {
 public:
  explicit ServiceProcess(const std::string& traces) {
    std::vector<std::string> words = {DGEMMA_PROGRAM, "serve", "-m",          tiny_model(), "--port",     "0",
                                      "--threads",    "1",     "--compute",   "f32",        "--parallel", "4",
                                      "--alias",      "tiny",  "--trace-dir", traces};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    int out[2];
    DG_CHECK(::pipe2(out, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    DG_CHECK(::posix_spawn(&pid_, DGEMMA_PROGRAM, &actions, nullptr, argv.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    std::string line;
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(out[0]);
    DG_CHECK(line.starts_with("http://127.0.0.1:"), "it did not listen");
    port_ = std::stoi(line.substr(line.rfind(':') + 1));
    while (client().Get("/health")->status != 200) std::this_thread::yield();
  }
  ~ServiceProcess() { kill(); }
  ServiceProcess(const ServiceProcess&) = delete;
  ServiceProcess& operator=(const ServiceProcess&) = delete;

  int port() const { return port_; }
  httplib::Client client() const { return httplib::Client("127.0.0.1", port_); }
  void kill() {
    if (pid_ > 0) ::kill(pid_, SIGKILL), ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_ = -1;
  int port_ = 0;
};

Json short_chat() {
  return {{"messages", Json::array({{{"role", "user"}, {"content", "Hi"}}})},
          {"max_tokens", 24},
          {"seed", 3},
          {"diffusion", {{"max_denoising_steps", 3}}}};
}

/// Ids of answers, made one after the other until the service is no more.
std::vector<std::string> answers_until_the_end(int port) {
  httplib::Client client("127.0.0.1", port);
  std::vector<std::string> ids;
  while (const auto got = client.Post("/v1/chat/completions", short_chat().dump(), "application/json"))
    ids.push_back(Json::parse(got->body)["id"]);
  return ids;
}

/// Kills a service with answers in flight after `events` of each; the ids of the answers that clients got.
std::vector<std::string> serve_and_kill(const std::string& folder, int events) {
  ServiceProcess service(folder);
  Json endless = short_chat();
  endless.erase("max_tokens");
  endless["stream"] = true;
  endless["diffusion"] = {{"max_denoising_steps", 10000}, {"stability_threshold", 10000}, {"drafts", true}};
  const auto first = service.client().Post("/v1/chat/completions", short_chat().dump(), "application/json");
  auto ids = std::async(std::launch::async, answers_until_the_end, service.port());
  std::list<LeavingClient> clients;
  for (int i = 0; i < kAnswers; ++i) clients.emplace_back(service.port(), endless);
  for (LeavingClient& client : clients) client.wait_for_text("data: ", events);
  service.kill();
  auto all = ids.get();
  all.push_back(Json::parse(first->body)["id"]);
  return all;
}

/// Ids of the files with `kind` in their names.
std::set<std::string> names(const std::string& folder, const std::string& kind) {
  std::set<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (const size_t at = name.find(kind); at != name.npos) found.insert(name.substr(0, at));
  }
  return found;
}

/// What is missing of a trace; "" for a whole one.
std::string missing_of(const std::string& trace) {
  std::istringstream lines(trace);
  std::vector<Json> objects;
  for (std::string line; std::getline(lines, line);) objects.push_back(Json::parse(line, nullptr, false));
  for (const Json& object : objects)
    if (!object.is_object()) return "a line that is no object";
  if (!trace.ends_with('\n') || objects.empty() || objects.front()["type"] != "start") return "no start";
  if (objects.back()["type"] != "end") return "no end";
  const auto steps = std::count_if(objects.begin(), objects.end(), [](const Json& o) { return o["type"] == "step"; });
  return objects.back()["denoising_steps"] == steps ? "" : "a step";
}

TEST(KilledService, serves_whole_traces_only_when_it_is_back) {
  const std::string folder = testing::TempDir() + "traces-of-killed";
  fs::create_directories(folder);
  std::vector<std::string> ids;
  for (const int events : {1, 2, 40}) {
    const auto more = serve_and_kill(folder, events);
    ids.insert(ids.end(), more.begin(), more.end());
    EXPECT_GE(names(folder, kUnfinishedTrace).size(), size_t{kAnswers}) << "it was not killed in the middle";
  }
  const ServiceProcess service(folder);
  EXPECT_EQ(names(folder, kUnfinishedTrace), std::set<std::string>()) << "unfinished ones are removed at the start";
  const std::set<std::string> kept = names(folder, ".trace.jsonl");
  for (const std::string& id : ids) EXPECT_TRUE(kept.contains(id.substr(id.find('-') + 1))) << id;
  for (const std::string& id : kept) {
    const auto trace = service.client().Get("/v1/traces/chatcmpl-" + id);
    ASSERT_EQ(trace->status, 200) << id;
    EXPECT_EQ(missing_of(trace->body), "") << id;
  }
}

TEST(KilledService, a_second_one_leaves_the_traces_of_the_first_alone) {
  const std::string folder = testing::TempDir() + "traces-of-one";
  fs::create_directories(folder);
  ServerOptions options;
  options.port = 0, options.trace_dir = folder;
  const auto first = Server::listen(options);
  ASSERT_TRUE(first);
  const std::string unfinished = folder + "/0123456789abcdef01234567" + kUnfinishedTrace + "abcdefgh";
  std::ofstream(unfinished) << "{";
  const auto second = Server::listen(options);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, testing::HasSubstr("another one uses"));
  EXPECT_TRUE(fs::exists(unfinished));
}

}  // namespace
}  // namespace dgemma::server::testing_service
