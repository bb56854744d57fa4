// See draft_events.h.
#include "server/draft_events.h"

#include <cmath>
#include <string>

namespace dgemma::server {

Json DraftEvents::started(const Started& event) {
  return {{"type", "started"},
          {"canvas_length", event.canvas_length},
          {"vocab_size", event.vocab_size},
          {"prompt_tokens", event.prompt_ids.size()},
          {"cached_tokens", event.cached_tokens},
          {"seed", std::to_string(event.seed)},  // 64 bits do not fit a JavaScript number
          {"max_denoising_steps", event.sampler.max_denoising_steps}};
}

Json DraftEvents::canvas(const CanvasStarted& event) const {
  Json noise = Json::array();
  for (const int32_t id : event.input) noise.push_back({{"id", id}, {"text", tokenizer_.piece(id)}});
  return {{"type", "canvas"}, {"canvas", event.canvas}, {"max_steps", event.max_steps}, {"noise", std::move(noise)}};
}

Json DraftEvents::draft(const CanvasDraft& event) {
  rows_.update(event);
  if (canvas_ != event.canvas) sent_.assign(rows_.rows().size(), {});
  canvas_ = event.canvas;
  Json rows = Json::array();
  for (size_t i = 0; i < sent_.size(); ++i) {
    const CanvasRow& row = rows_.rows()[i];
    const long entropy = std::lround(row.entropy * 1000);
    Sent& sent = sent_[i];
    if (sent.id == row.id && sent.state == row.state && sent.entropy == entropy) continue;
    sent = {row.id, row.state, entropy};
    rows.push_back({{"row", i},
                    {"id", row.id},
                    {"text", tokenizer_.piece(row.id)},
                    {"entropy", static_cast<double>(entropy) / 1000},
                    {"state", row_state_name(row.state)}});
  }
  return {{"type", "draft"},
          {"canvas", event.canvas},
          {"step", event.step},
          {"max_steps", event.max_steps},
          {"temperature", event.temperature},
          {"mean_entropy", event.mean_entropy},
          {"last", event.last},
          {"converged", event.converged},
          {"rows", std::move(rows)}};
}

Json DraftEvents::committed(const Committed& event) {
  return {{"type", "committed"},
          {"canvas", event.canvas},
          {"steps", event.steps},
          {"converged", event.converged},
          {"tokens", event.tokens.size()}};
}

}  // namespace dgemma::server
