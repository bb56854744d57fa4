// What a service is started with: addresses, limits, places. Plain data; defaults are those of `dgemma serve`.
//
// Every number that bounds what a client can make the service do stands here. docs/SERVER.md, "Limits", lists them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "dgemma/options.h"

namespace dgemma::server {

enum class LogFormat { kText, kJson };

/// What one client, and all together, may ask for.
struct Limits {
  size_t body_bytes = size_t{16} << 20;    ///< of one request
  size_t header_bytes = size_t{64} << 10;  ///< request line and headers
  int messages = 4096;                     ///< in one request
  int choices = 8;                         ///< n
  int completions = 64;                    ///< prompts of one completion, times n
  int output_tokens = 0;                   ///< most that a request may ask for; 0: what the context has room for
  int connections = 256;                   ///< at the same time; further ones get 503 at once
  int request_s = 30;                      ///< seconds to send a whole request
  int idle_s = 60;                         ///< seconds that a connection may wait between two requests
  int silence_s = 15;                      ///< of a stream, before a comment tells proxies in between that it goes on
  int write_s = 30;                        ///< seconds that a client may take no byte of its answer
  size_t backlog_bytes = size_t{1} << 20;  ///< waiting for a slow reader before its drafts are left out
};

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 8080;     ///< 0: any free one
  int parallel = 2;    ///< answers made at the same time
  int max_queue = 16;  ///< requests that wait for a place; further ones get 429
  SessionOptions session;
  SamplerOptions sampler;   ///< defaults of the service instead of the checkpoint's
  std::string api_key;      ///< "": none is asked for
  bool insecure = false;    ///< listen beyond loopback without a key
  std::string alias;        ///< the model's name in the API; "": its file's name
  std::string cors_origin;  ///< origin that browsers may call from, "*" for all; "": none
  std::string trace_dir;    ///< where the traces of answers go; "": nowhere
  LogFormat log_format = LogFormat::kText;
  uint64_t cache_bytes = uint64_t{1} << 30;  ///< most memory of idle conversations' caches
  Limits limits;
};

}  // namespace dgemma::server
