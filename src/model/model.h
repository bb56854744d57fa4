// Model: one walk over the weights (a sweep) for a list of row groups.
//
// A group is a run of rows of one session: a prompt chunk or a finished canvas (encode: causal, appends to the cache)
// or a canvas (denoise: every row sees every row, reads the cache). A prompt chunk, a canvas, a commit with the next
// canvas's first step, two users' canvases: the same code with other lists. Norms, projections, experts and the
// vocabulary pass see one matrix of rows; attention goes group by group. A row's result never depends on which other
// rows are in the sweep. Source: docs/MODEL.md sections 3 and 4; transformers' modeling_diffusion_gemma.py.
// Tests: tests/model/reference_test.cc, against recorded activations.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "dgemma/result.h"
#include "dgemma/sweep_parts.h"
#include "model/config.h"
#include "model/kv_cache.h"
#include "model/weights.h"
#include "ops/attention.h"
#include "ops/exec.h"
#include "ops/experts.h"
#include "ops/vocabulary.h"

namespace dgemma::model {

/// What a canvas's next step is conditioned on: the soft embedding of its last step.
struct SelfConditioning {
  tensor::BlockMatrix soft;  ///< [L, D]
  bool present = false;      ///< false on a canvas's first step: stands for zeros

  // A soft embedding that was put off (RowGroup::defer_soft): `soft` is made of these when the next step asks for it.
  bool deferred = false;
  tensor::BlockMatrix hidden = {};  ///< [L, D] after the final norm
  float inverse_temperature = 1;    ///< of the step that it belongs to
};

struct RowGroup {
  KvCache* cache = nullptr;
  std::span<const int32_t> tokens;  ///< [rows], ids inside the vocabulary
  bool denoise = false;             ///< false: encode

  // Encode groups only.
  /// Nothing but the cache is wanted: where all encode groups of a sweep say so, they stop at the last layer's keys and
  /// values.
  bool only_cache = false;

  // Denoise groups only.
  double temperature = 1;
  std::span<const double> uniform;           ///< [rows]
  SelfConditioning* conditioning = nullptr;  ///< read, then replaced when keep_soft
  bool keep_soft = true;
  /// With keep_soft: remember what the soft embedding is made of and compute it when the next step asks for it. The
  /// same bits, for one more walk over the head; for a step that is probably its canvas's last.
  bool defer_soft = false;
  std::span<ops::RowPrediction> predictions;  ///< [rows]
  std::span<TopToken> top_tokens = {};        ///< [rows, n]: each row's n most probable tokens, n <= kMostTopTokens

  const std::atomic<bool>* cancel = nullptr;  ///< may be null
};

/// Looks at the residual stream after each layer: layer, values [B, D, 16]. For tests and research.
using LayerTap = std::function<void(size_t layer, tensor::ConstBlocks x)>;

/// Where a sweep's rows went, and a wish where they should go. For measurements.
struct ExpertRouting {
  /// In: scores drawn by layer and position stand in for the router's, so that rows choose independently and all
  /// experts get about as many. A router of random weights may send all rows to a few.
  bool even = false;
  std::vector<int> touched = {};  ///< out: by layer, experts that got rows; 0 where no row needed any
};

/// Memory that sweeps work in; grows to the largest sweep and is kept.
struct Workspace;
std::unique_ptr<Workspace, void (*)(Workspace*)> make_workspace();

class Model {
 public:
  /// `weights` were bound for `config`; rope_divisors: see Weights. Its caches hold `cache_type`: f32 or bf16.
  Model(Config config, Weights weights, tensor::DType cache_type);

  const Config& config() const { return config_; }
  const Weights& weights() const { return weights_; }
  /// An empty cache for sweeps of this model.
  KvCache new_cache() const { return {config_, cache_type_}; }
  /// Bytes that such a cache takes for `positions` positions at most.
  uint64_t cache_bytes(int64_t positions) const { return KvCache::planned_bytes(config_, cache_type_, positions); }

  /// Runs one sweep. Encode groups of a cache stand before its denoise group, which then sees them. On success the
  /// caches of encode groups have grown; otherwise no cache has changed. To `times` (or null) the seconds are added;
  /// `routing` may be null. Errors: kCancelled (every group's cancel is set), kModelFile (numbers that are not finite).
  Result<void> sweep(ops::Exec& exec, Workspace& workspace, std::span<const RowGroup> groups, const LayerTap& tap = {},
                     SweepParts* times = nullptr, ExpertRouting* routing = nullptr) const;

  /// Bytes that sweeps of `rows` rows on so many threads take at most: the workspace, what Exec keeps for each thread,
  /// and what canvases keep for their next step.
  uint64_t workspace_bytes(int rows, int threads) const;

 private:
  struct Pass;
  Config config_;
  Weights weights_;
  tensor::DType cache_type_;
  std::vector<float> sliding_frequency_;  ///< [Dh / 2] of sliding layers
  std::vector<float> full_frequency_;     ///< [Dh / 2] of full layers; 0 where a pair keeps still
};

}  // namespace dgemma::model
