// See weights.h: finds each tensor by its names, checks its shape, and puts it where the passes use it.
//
// Two walks over the same list: the first only looks (examine_weights) and adds up the memory that the second takes.
// Of a packed file the list's matrices are only outlined here; packed_file.cc binds them.
#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "base/check.h"
#include "base/format.h"
#include "base/memory.h"
#include "model/names.h"
#include "model/packed_file.h"
#include "model/packing.h"
#include "model/weights.h"
#include "tensor/quant/quant.h"

namespace dgemma::model {
namespace {

using formats::TensorEntry;
using tensor::DType;
using tensor::Weight;

// Where a layer's tensors go.
constexpr std::pair<Role, Weight LayerWeights::*> kLayerMatrices[] = {
    {Role::kQuery, &LayerWeights::q},   {Role::kKey, &LayerWeights::k},         {Role::kValue, &LayerWeights::v},
    {Role::kOutput, &LayerWeights::o},  {Role::kGate, &LayerWeights::gate},     {Role::kUp, &LayerWeights::up},
    {Role::kDown, &LayerWeights::down}, {Role::kRouter, &LayerWeights::router},
};
constexpr std::pair<Role, Weight ops::ExpertWeights::*> kExpertMatrices[] = {
    {Role::kExpertGate, &ops::ExpertWeights::gate},
    {Role::kExpertUp, &ops::ExpertWeights::up},
    {Role::kExpertDown, &ops::ExpertWeights::down},
};
constexpr std::pair<Role, const float * LayerWeights::*> kLayerVectors[] = {
    {Role::kInputNorm, &LayerWeights::input_norm},
    {Role::kPostAttentionNorm, &LayerWeights::post_attention_norm},
    {Role::kPreFeedforwardNorm, &LayerWeights::pre_feedforward_norm},
    {Role::kPostFeedforwardNorm, &LayerWeights::post_feedforward_norm},
    {Role::kPostFeedforwardNorm1, &LayerWeights::post_feedforward_norm_1},
    {Role::kPostFeedforwardNorm2, &LayerWeights::post_feedforward_norm_2},
    {Role::kPreFeedforwardNorm2, &LayerWeights::pre_feedforward_norm_2},
    {Role::kQueryNorm, &LayerWeights::q_norm},
    {Role::kKeyNorm, &LayerWeights::k_norm},
    {Role::kRouterScale, &LayerWeights::router_scale},
    {Role::kPerExpertScale, &LayerWeights::per_expert_scale},
};

/// True where the tensor is used in the mapped file: matrices, unless a kernel would read them through a misaligned
/// pointer. Block formats are read by bytes.
bool stays_mapped(const TensorName& name, const TensorEntry& entry) {
  if (name.use != Use::kMatrix || entry.dtype == DType::kF64) return false;
  const bool direct = entry.dtype == DType::kF32 || entry.dtype == DType::kBF16;
  return !direct || entry.aligned(tensor::info(entry.dtype).block_bytes);
}

/// A tensor of the list with the entry that stands for it in the file.
struct Match {
  TensorName name;
  const TensorEntry* entry;
};

struct Matches {
  std::vector<Match> found;
  std::vector<std::string> missing, problems;
  std::unordered_map<std::string, std::string> role_of;  // by tensor name in the file
};

/// Experts are fused or split, never neither: the one rule that the list itself cannot say.
void require_experts(const Matches& m, const Config& config, bool gguf, std::vector<std::string>& missing) {
  if (!gguf) return;
  std::vector<int> parts(static_cast<size_t>(config.layers), 0);
  for (const Match& match : m.found) {
    if (match.name.role == Role::kExpertGateUp) parts[static_cast<size_t>(match.name.layer)] += 2;
    if (match.name.role == Role::kExpertGate || match.name.role == Role::kExpertUp)
      parts[static_cast<size_t>(match.name.layer)] += 1;
  }
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i] != 2) missing.push_back(base::concat("blk.", i, ".ffn_gate_up_exps.weight"));
}

/// Does a packed file have this tensor in another form?
bool is_packed_away(const TensorName& name) { return name.use == Use::kMatrix && name.role != Role::kRouter; }

/// True where both tensors, of one shape, have the same values, whatever their types. NaN equals NaN of the same type.
bool same_values(const TensorEntry& a, const TensorEntry& b) {
  if (a.dtype == b.dtype) return std::ranges::equal(a.data, b.data);
  constexpr uint64_t kChunk = 1 << 14;  // whole blocks of every type
  std::vector<float> left(kChunk), right(kChunk);
  const uint64_t count = a.values();
  for (uint64_t first = 0; first < count; first += kChunk) {
    const uint64_t some = std::min(kChunk, count - first);
    for (const auto& [tensor, out] : {std::pair(&a, left.data()), std::pair(&b, right.data())})
      tensor::quant::decode(tensor->dtype, tensor->data.data() + *tensor::storage_bytes(tensor->dtype, first), some,
                            out);
    if (!std::equal(left.data(), left.data() + some, right.data())) return false;
  }
  return true;
}

/// A copy has the values of what it is tied to; only a head may have its own (transformers then leaves it untied,
/// whatever the config says).
void match_copy(Matches& m, const formats::Checkpoint& file, const TensorName& name, const TensorEntry& entry,
                const TensorEntry& copy) {
  if (same_values(entry, copy)) {
    m.role_of[copy.name] = "tied copy";
  } else if (copy.name == kHeadName) {
    m.role_of[copy.name] = "model";
    m.found.push_back({{Role::kHead, -1, {kHeadName}, name.shape, Use::kMatrix, false}, &copy});
  } else {
    m.problems.push_back(file.where(copy) + ": expected the same values as " + entry.name + ", which it is tied to");
  }
}

Matches match_names(const formats::Checkpoint& file, const Config& config, bool packed) {
  Matches m;
  const bool gguf = file.gguf() != nullptr;
  for (TensorName& name : gguf ? gguf_names(config) : safetensors_names(config)) {
    if (packed && is_packed_away(name)) continue;
    const TensorEntry* entry = nullptr;
    bool fits = true;  // all that were found
    for (const std::string& candidate : name.names) {
      const TensorEntry* other = file.find(candidate);
      if (other == nullptr && !config.tied && !gguf)
        m.problems.push_back(base::concat(file.path(), ": expected tensor ", candidate,
                                          ", as the config says that tie_word_embeddings is false, got none"));
      if (other == nullptr) continue;
      m.role_of[candidate] = "model";
      const std::string where = file.where(*other) + ": ";
      const size_t problems = m.problems.size();
      if (other->shape != name.shape && !(other->shape.empty() && name.shape == std::vector<uint64_t>{1}))
        m.problems.push_back(where + "expected shape " + formats::shape_text(name.shape) + ", got " +
                             formats::shape_text(other->shape));
      else if (!tensor::quant::can_decode(other->dtype))
        m.problems.push_back(where + "expected a floating-point or quantised type, got " +
                             std::string(tensor::info(other->dtype).name));
      fits = fits && m.problems.size() == problems;
      if (entry != nullptr && fits) match_copy(m, file, name, *entry, *other);
      if (entry == nullptr) entry = other;
    }
    if (entry != nullptr)
      m.found.push_back({std::move(name), entry});
    else if (name.required)
      m.missing.push_back(name.names.front());
  }
  if (!packed) require_experts(m, config, gguf, m.missing);
  for (const TensorEntry& tensor : file.tensors())
    if (layer_in_name(tensor.name) >= config.layers)
      m.problems.push_back(base::concat(file.where(tensor), ": expected layers from 0 to ", config.layers - 1,
                                        ", as the model's config says, got another"));
  return m;
}

uint64_t values_of(const std::vector<uint64_t>& shape) {
  uint64_t values = 1;
  for (const uint64_t d : shape) values *= d;
  return values;
}

uint64_t expanded_bytes(const Match& match) {
  if (stays_mapped(match.name, *match.entry)) return 0;
  return values_of(match.name.shape) * sizeof(float);
}

/// Copies or maps what is found, tensor by tensor.
class Binder {
 public:
  Binder(const Config& config, Weights& weights) : config_(config), weights_(weights) {
    weights_.layer.resize(static_cast<size_t>(config.layers));
    for (LayerWeights& layer : weights_.layer) {
      layer.experts.experts = static_cast<size_t>(config_.experts);
      layer.experts.width = layer.experts.stride = static_cast<size_t>(config_.expert_width);
      layer.experts.down_stride = static_cast<size_t>(config_.width);
      layer.experts.used = static_cast<size_t>(config_.experts_used);
    }
  }

  void bind(const Match& match) {
    const TensorName& name = match.name;
    weights_.parameters += values_of(name.shape);
    weights_.resident_bytes += match.entry->data.size() + expanded_bytes(match);
    if (name.use == Use::kMatrix)
      bind_matrix(match);
    else
      bind_vector(match);
  }

  /// Gives a matrix its type and sizes, and its place in the file where it is used there. Expands nothing.
  void outline(const Match& match) {
    if (match.name.use == Use::kMatrix) place_matrix(match, matrix_of(match));
  }

  /// What is derived once every tensor is bound.
  void finish() {
    weights_.vocabulary.softcap = static_cast<float>(config_.softcap);
    weights_.vocabulary.soft_scale = std::sqrt(static_cast<float>(config_.width));
    if (!weights_.vocabulary.head) weights_.vocabulary.head = weights_.vocabulary.embedding;
  }

  /// Gives the matrices of a packed file, which are bound later, their sizes.
  void outline_packed() {
    for (const TensorName& name : gguf_names(config_)) {
      if (!is_packed_away(name) || name.role == Role::kExpertGateUp) continue;
      const uint64_t values = values_of(name.shape);
      *matrix_place(name) = {DType::kF32, nullptr, values / name.shape.back(), name.shape.back()};
      if (name.role != Role::kHead) weights_.parameters += values;
    }
  }

 private:
  float* own(uint64_t values) {
    weights_.owned.emplace_back(values * sizeof(float));
    return reinterpret_cast<float*>(weights_.owned.back().data());
  }

  float* expand(const TensorEntry& entry) {
    const uint64_t values = entry.values();
    float* out = own(values);
    tensor::quant::decode(entry.dtype, entry.data.data(), values, out);
    return out;
  }

  void bind_matrix(const Match& match) {
    Weight w = matrix_of(match);
    if (!stays_mapped(match.name, *match.entry)) w.data = expand(*match.entry);
    place_matrix(match, w);
  }

  /// As the products will read it, with the file's data still where that has to be expanded.
  static Weight matrix_of(const Match& match) {
    const auto& shape = match.name.shape;
    const DType type = stays_mapped(match.name, *match.entry) ? match.entry->dtype : DType::kF32;
    return {type, match.entry->data.data(), values_of(shape) / shape.back(), shape.back()};
  }

  void place_matrix(const Match& match, const Weight& w) {
    if (match.name.role == Role::kExpertGateUp) return bind_fused_experts(match, w);
    *matrix_place(match.name) = w;
  }

  /// [E, 2 * Fe, D]: gate and up alternate, so up is the same rows from Fe on.
  void bind_fused_experts(const Match& match, const Weight& w) {
    ops::ExpertWeights& experts = weights_.layer[static_cast<size_t>(match.name.layer)].experts;
    const auto width = static_cast<size_t>(config_.expert_width);
    experts.gate = w;
    experts.up = w.row_range(width, w.rows - width);
    experts.stride = 2 * width;
  }

  void bind_vector(const Match& match) {
    float* values = expand(*match.entry);
    const uint64_t count = values_of(match.name.shape);
    if (match.name.role == Role::kRopeDivisors) {
      weights_.rope_divisors.assign(values, values + count);
      return;
    }
    if (match.name.role == Role::kDecoderScalar || match.name.role == Role::kEncoderScalar) {
      LayerWeights& layer = weights_.layer[static_cast<size_t>(match.name.layer)];
      (match.name.role == Role::kDecoderScalar ? layer.decoder_scalar : layer.encoder_scalar) = values[0];
      return;
    }
    if (match.name.role == Role::kRouterScale)  // the reference's factor D^-0.5, folded in
      for (uint64_t i = 0; i < count; ++i) values[i] *= 1.0f / std::sqrt(static_cast<float>(config_.width));
    *vector_place(match.name) = values;
  }

  Weight* matrix_place(const TensorName& name) {
    SelfConditioningWeights& sc = weights_.self_conditioning;
    switch (name.role) {
      case Role::kEmbedding:
        return &weights_.vocabulary.embedding;
      case Role::kHead:
        return &weights_.vocabulary.head;
      case Role::kConditioningGate:
        return &sc.gate;
      case Role::kConditioningUp:
        return &sc.up;
      case Role::kConditioningDown:
        return &sc.down;
      default:
        break;
    }
    LayerWeights& l = weights_.layer[static_cast<size_t>(name.layer)];
    for (const auto& [role, matrix] : kLayerMatrices)
      if (role == name.role) return &(l.*matrix);
    for (const auto& [role, matrix] : kExpertMatrices)
      if (role == name.role) return &(l.experts.*matrix);
    DG_CHECK(false, "no matrix has role ", static_cast<int>(name.role));
    return nullptr;
  }

  const float** vector_place(const TensorName& name) {
    if (name.role == Role::kFinalNorm) return &weights_.final_norm;
    if (name.role == Role::kConditioningNorm) return &weights_.self_conditioning.pre_norm;
    LayerWeights& l = weights_.layer[static_cast<size_t>(name.layer)];
    for (const auto& [role, vector] : kLayerVectors)
      if (role == name.role) return &(l.*vector);
    DG_CHECK(false, "no vector has role ", static_cast<int>(name.role));
    return nullptr;
  }

  const Config& config_;
  Weights& weights_;
};

/// Divisors of frequencies: 0 or NaN would turn every key into NaN, far from the tensor that is to blame.
Result<void> check_divisors(const std::vector<float>& divisors, const formats::Checkpoint& file) {
  constexpr float kLeast = 1e-6f;  // as the factor of a rope in config.json
  for (size_t i = 0; i < divisors.size(); ++i)
    if (!(divisors[i] >= kLeast))
      return formats::bad_file(file.path(), "rope_freqs.weight", base::concat("divisors of at least ", kLeast),
                               base::concat(divisors[i], " as number ", i));
  return {};
}

/// The first of several findings, with a count of the others.
std::string first_of(const std::vector<std::string>& list) {
  return list.size() == 1 ? list.front() : base::concat(list.front(), " (and ", list.size() - 1, " more)");
}

std::string missing_text(const formats::Checkpoint& file, const std::vector<std::string>& missing) {
  return file.path() + ": expected tensor " + first_of(missing) + ", got none";
}

}  // namespace

BindingReport examine_weights(const formats::Checkpoint& file, const Config& config) {
  const Result<bool> packed = is_packed_file(file);
  Matches m = match_names(file, config, packed && *packed);
  BindingReport report;
  if (!packed) m.problems.push_back(packed.error().message);
  if (packed && *packed) {
    Weights outline;
    Binder binder(config, outline);
    binder.outline_packed();
    const auto use = [&](const std::string& name) { m.role_of[name] = "model"; };
    if (const auto bound = bind_packed(file, outline, use); !bound) m.problems.push_back(bound.error().message);
    report.parameters = outline.parameters;
  }
  for (const Match& match : m.found) {
    report.parameters += values_of(match.name.shape);
    report.expanded_bytes += expanded_bytes(match);
  }
  for (const TensorEntry& t : file.tensors()) {
    const auto role = m.role_of.find(t.name);
    report.tensors.push_back({t.name, std::string(tensor::info(t.dtype).name), t.shape, t.data.size(),
                              role != m.role_of.end() ? role->second : foreign_kind(t.name)});
  }
  if (!m.missing.empty()) m.problems.push_back(missing_text(file, m.missing));  // last, as binding says it
  report.missing = std::move(m.missing);
  report.problems = std::move(m.problems);
  if (packed && !*packed && report.problems.empty()) {
    Weights outline;
    Binder binder(config, outline);
    for (const Match& match : m.found) binder.outline(match);
    report.packed_bytes = bytes_of(items_to_pack(outline, {}));
  }
  return report;
}

Result<Weights> bind_weights(const formats::Checkpoint& file, const Config& config,
                             const std::function<void(const LoadProgress&)>& progress) {
  DG_TRY_ASSIGN(const bool packed, is_packed_file(file));
  const Matches m = match_names(file, config, packed);
  if (!m.problems.empty()) return Unexpected(ErrorCode::kModelFile, first_of(m.problems));
  if (!m.missing.empty()) return Unexpected(ErrorCode::kModelFile, missing_text(file, m.missing));
  LoadProgress done;
  uint64_t expanded = 0;
  for (const Match& match : m.found) done.total_bytes += match.entry->data.size(), expanded += expanded_bytes(match);
  if (const uint64_t available = base::available_memory_bytes(); expanded > available)
    return Unexpected(ErrorCode::kOutOfMemory,
                      base::concat(file.path(), ": the weights that cannot be used in the file take ",
                                   base::bytes_text(expanded), " of memory, ", base::bytes_text(available),
                                   " are available. Use a smaller model or a machine with more memory"));
  Weights weights;
  Binder binder(config, weights);
  for (const Match& match : m.found) {
    binder.bind(match);
    done.done_bytes += match.entry->data.size();
    if (progress) progress(done);
  }
  if (packed) {
    binder.outline_packed();
    DG_TRY(bind_packed(file, weights, {}));
  }
  DG_TRY(check_divisors(weights.rope_divisors, file));
  binder.finish();
  return weights;
}

}  // namespace dgemma::model
