// See answer_parser.h; the arguments of a call are read in tool_call.cc. Test: tests/text/answer_parser_test.cc.
#include "text/answer_parser.h"

#include <algorithm>
#include <initializer_list>

namespace dgemma::text {
namespace {

constexpr std::string_view kOpenChannel = "<|channel>", kCloseChannel = "<channel|>";
constexpr std::string_view kOpenCall = "<|tool_call>", kCloseCall = "<tool_call|>";
constexpr std::string_view kThought = "thought";

/// Bytes at the end of `text` that may be the start of one of the markers.
size_t partial_marker(std::string_view text, std::initializer_list<std::string_view> markers) {
  size_t longest = 0;
  for (const std::string_view marker : markers) {
    for (size_t n = std::min(text.size(), marker.size() - 1); n > longest; --n)
      if (text.ends_with(marker.substr(0, n))) longest = n;
  }
  return longest;
}

size_t trailing_line_ends(std::string_view text) {
  const size_t last = text.find_last_not_of("\r\n");
  return last == std::string_view::npos ? text.size() : text.size() - last - 1;
}

}  // namespace

void AnswerDelta::append(AnswerDelta more) {
  content += more.content;
  reasoning += more.reasoning;
  for (ToolCall& call : more.tool_calls) tool_calls.push_back(std::move(call));
}

AnswerDelta AnswerParser::push(std::string_view text) {
  AnswerDelta out;
  pending_ += text;
  while (step(out, false)) {
  }
  return out;
}

AnswerDelta AnswerParser::finish() {
  AnswerDelta out;
  while (step(out, true)) {
  }
  *this = AnswerParser(calls_);
  return out;
}

/// Goes on by one marker; false when more text is needed, or (`last`) when nothing is left.
bool AnswerParser::step(AnswerDelta& out, bool last) {
  switch (place_) {
    case Place::kContent:
      return content_step(out, last);
    case Place::kChannelName:
      return name_step(last);
    case Place::kReasoning:
      return reasoning_step(out, last);
    case Place::kToolCall:
      return call_step(out, last);
  }
  return false;
}

bool AnswerParser::content_step(AnswerDelta& out, bool last) {
  const size_t channel = pending_.find(kOpenChannel), call = pending_.find(kOpenCall);
  const size_t marker = std::min(channel, call);
  if (marker == std::string::npos) {
    const size_t held = last ? 0 : partial_marker(pending_, {kOpenChannel, kOpenCall});
    out.content.append(pending_, 0, pending_.size() - held);
    pending_.erase(0, pending_.size() - held);
    return false;
  }
  out.content.append(pending_, 0, marker);
  place_ = channel < call ? Place::kChannelName : Place::kToolCall;
  pending_.erase(0, marker + (channel < call ? kOpenChannel.size() : 0));
  scanned_ = kOpenCall.size();
  in_quote_ = false;
  return true;
}

/// "thought" and a line end are taken off; any other name stays, as part of the reasoning.
bool AnswerParser::name_step(bool last) {
  const std::string_view text = pending_;
  if (!last && text.size() <= kThought.size() && kThought.starts_with(text)) return false;
  if (text.starts_with(kThought)) {
    const std::string_view rest = text.substr(kThought.size());
    if (!last && kCloseChannel.starts_with(rest) && rest.size() < kCloseChannel.size()) return false;
    if (rest.empty() || rest[0] == '\n' || rest.starts_with(kCloseChannel))
      pending_.erase(0, kThought.size() + (rest.starts_with('\n') ? 1 : 0));
  }
  place_ = Place::kReasoning;
  return true;
}

bool AnswerParser::reasoning_step(AnswerDelta& out, bool last) {
  const size_t close = pending_.find(kCloseChannel);
  if (close == std::string::npos) {
    size_t held = last ? 0 : partial_marker(pending_, {kCloseChannel});
    held += last ? 0 : trailing_line_ends(std::string_view(pending_).substr(0, pending_.size() - held));
    out.reasoning += std::string_view(pending_).substr(0, pending_.size() - held);
    pending_.erase(0, pending_.size() - held);
    return false;
  }
  const std::string_view text = std::string_view(pending_).substr(0, close);
  out.reasoning += text.substr(0, text.size() - trailing_line_ends(text));
  pending_.erase(0, close + kCloseChannel.size());
  place_ = Place::kContent;
  return true;
}

/// Looks for the end of a call outside its quoted strings.
bool AnswerParser::call_step(AnswerDelta& out, bool last) {
  while (true) {
    const size_t quote = pending_.find(kQuote, scanned_);
    const size_t close = in_quote_ ? std::string::npos : pending_.find(kCloseCall, scanned_);
    if (close < quote) {
      end_call(out, close, close + kCloseCall.size());
      return true;
    }
    if (quote == std::string::npos) break;
    in_quote_ = !in_quote_;
    scanned_ = quote + kQuote.size();
  }
  if (last) {
    end_call(out, pending_.size(), pending_.size());  // an end token may stand for the closing marker
    return false;
  }
  scanned_ = std::max(scanned_, pending_.size() - partial_marker(pending_, {kQuote, kCloseCall}));
  if (calls_ == ToolCalls::kWritten) {
    out.content.append(pending_, 0, scanned_);
    pending_.erase(0, scanned_);
    scanned_ = 0;
  }
  return false;
}

/// Of `pending_`: the first `body` bytes are the call, `whole` with its closing marker.
void AnswerParser::end_call(AnswerDelta& out, size_t body, size_t whole) {
  std::optional<ToolCall> call;
  if (calls_ == ToolCalls::kRead)
    call = parse_tool_call(std::string_view(pending_).substr(kOpenCall.size(), body - kOpenCall.size()));
  if (call) {
    out.tool_calls.push_back(std::move(*call));
  } else {
    out.content.append(pending_, 0, whole);
  }
  pending_.erase(0, whole);
  place_ = Place::kContent;
}

AnswerDelta parse_answer(std::string_view text, ToolCalls calls) {
  AnswerParser parser(calls);
  AnswerDelta all = parser.push(text);
  all.append(parser.finish());
  return all;
}

}  // namespace dgemma::text
