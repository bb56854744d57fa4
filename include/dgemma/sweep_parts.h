// SweepParts: one value for each part of a sweep: seconds, bytes, operations.
#pragma once

namespace dgemma {

struct SweepParts {
  double attention = 0;    ///< queries with keys, probabilities with values
  double projections = 0;  ///< q, k, v and o
  double dense = 0;        ///< the dense MLPs, self-conditioning's too
  double experts = 0;      ///< gather, products, sum; the router is in rest
  double vocabulary = 0;   ///< LM head to soft embedding
  double rest = 0;         ///< embedding, norms, rotary embedding, cache rows, router

  double total() const { return attention + projections + dense + experts + vocabulary + rest; }
};

}  // namespace dgemma
