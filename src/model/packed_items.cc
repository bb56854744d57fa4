// See packed_items.h.
#include "model/packed_items.h"

#include "base/format.h"

namespace dgemma::model {
namespace {

using tensor::Weight;

class Lister {
 public:
  explicit Lister(const AlternateTest& alternate) : alternate_(alternate) {}

  void one(const std::string& name, Weight& w) { add(name + ".weight", w, nullptr, 1, w.rows, w.rows); }

  void stack(const std::string& name, Weight& w, size_t count, size_t rows) {
    add(name + ".weight", w, nullptr, count, rows, rows);
  }

  /// Gate and up as one item or as two; `ending`: "" or "_exps".
  void gate_and_up(const std::string& name, const std::string& ending, Weight& gate, Weight& up, size_t count,
                   size_t rows, size_t stride) {
    const std::string together = name + "gate_up" + ending + ".weight";
    if (alternate_(gate, up, together)) {
      add(together, gate, &up, count, rows, stride);
      return;
    }
    add(name + "gate" + ending + ".weight", gate, nullptr, count, rows, stride);
    add(name + "up" + ending + ".weight", up, nullptr, count, rows, stride);
  }

  std::vector<PackedItem> take() { return std::move(items_); }

 private:
  void add(const std::string& name, Weight& first, Weight* second, size_t count, size_t rows, size_t stride) {
    items_.push_back({name, tensor::DType::kPacked8, &first, second, count, rows, stride});
  }

  const AlternateTest& alternate_;
  std::vector<PackedItem> items_;
};

}  // namespace

void PackedItem::point_to(const std::byte* data) const {
  const size_t panel = tensor::panel_bytes(type, first->cols);
  const size_t all_rows = count == 1 ? rows : panels() * tensor::kPanelRows;
  *first = {type, data, all_rows, first->cols, parts() * panel};
  if (second != nullptr) *second = {type, data + panel, all_rows, second->cols, parts() * panel};
}

bool is_tied(const ops::VocabularyWeights& vocabulary) {
  const Weight& head = vocabulary.head;
  return head.rows == 0 || (head.data != nullptr && head.data == vocabulary.embedding.data);
}

std::vector<PackedItem> packed_items(Weights& weights, const AlternateTest& alternate) {
  Lister list(alternate);
  list.one("token_embd", weights.vocabulary.embedding);
  if (!is_tied(weights.vocabulary)) list.one("output", weights.vocabulary.head);
  SelfConditioningWeights& sc = weights.self_conditioning;
  list.gate_and_up("self_cond_", "", sc.gate, sc.up, 1, sc.gate.rows, sc.gate.rows);
  list.one("self_cond_down", sc.down);
  for (size_t i = 0; i < weights.layer.size(); ++i) {
    LayerWeights& l = weights.layer[i];
    const std::string layer = base::concat("blk.", i, ".");
    list.one(layer + "attn_q", l.q);
    list.one(layer + "attn_k", l.k);
    if (l.v.rows != 0) list.one(layer + "attn_v", l.v);
    list.one(layer + "attn_output", l.o);
    list.gate_and_up(layer + "ffn_", "", l.gate, l.up, 1, l.gate.rows, l.gate.rows);
    list.one(layer + "ffn_down", l.down);
    ops::ExpertWeights& e = l.experts;
    list.gate_and_up(layer + "ffn_", "_exps", e.gate, e.up, e.experts, e.width, e.stride);
    list.stack(layer + "ffn_down_exps", e.down, e.experts, e.down_stride);
  }
  return list.take();
}

void finish_packed(Weights& weights, bool tied) {
  if (tied) weights.vocabulary.head = weights.vocabulary.embedding;
  for (LayerWeights& l : weights.layer) {
    l.experts.stride = tensor::panels_for(l.experts.width) * tensor::kPanelRows;
    l.experts.down_stride = tensor::panels_for(l.experts.down_stride) * tensor::kPanelRows;
  }
}

}  // namespace dgemma::model
