// Makes the text room's chat request of the public one (dgemma/text.h).
#pragma once

#include "dgemma/text.h"
#include "text/chat.h"

namespace dgemma::engine {

/// Errors: kInvalidRequest (tools and arguments that are not JSON, what the template refuses), with the field's name.
Result<text::ChatRequest> chat_request(const ChatRequest& request);

}  // namespace dgemma::engine
