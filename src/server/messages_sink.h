// POST /v1/messages: the answer in Anthropic's form, as named events of a stream or as one object.
//
// An answer is a list of content blocks: thinking, text, tool_use. In a stream each block is started, grows and is
// stopped before the next; drafts ride in events named "diffusion", which other clients skip. Test:
// tests/server/sink_test.cc.
#pragma once

#include <memory>

#include "server/openai_sink.h"

namespace dgemma::server {

std::unique_ptr<AnswerSink> make_messages_sink(ResponseForm form, std::shared_ptr<Outbox> outbox);

}  // namespace dgemma::server
